"""The skills extension, ``io.modelcontextprotocol/skills``, with one skill of the server's own."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import msgspec
from msgspec import Raw

from mcp_echo.offer import Offer
from mcp_echo.offer.resources import Resource
from mcp_echo.protocol.errors import InvalidParams
from mcp_echo.protocol.modern import read_params
from mcp_echo.tools.base import Call

EXTENSION = "io.modelcontextprotocol/skills"

_NAME = "diagnose-mcp"
_DESCRIPTION = (
    "Find the hop that loses a header, a session, a token or a stream between an MCP client and server."
)
_ROOT = "skill://mcp-echo"
_FOLDER = f"{_ROOT}/{_NAME}"
_SKILL = f"{_FOLDER}/SKILL.md"

_FILES = {
    _SKILL: f"""---
name: {_NAME}
description: {_DESCRIPTION}
---

# Diagnose an MCP connection

1. Call `printHeader` directly and through the gateway; compare what arrived.
2. Call `authContext` and `bearerDecode` if a call is refused.
3. Call `echo` and `replayLastEcho` to see whether state survives.

references/headers.md says which headers matter.
""",
    f"{_FOLDER}/references/headers.md": """# Headers that matter

- `Authorization`: the token, on every request.
- `Mcp-Session-Id`: the session, in revisions before 2026-07-28.
- `MCP-Protocol-Version`: the revision, after initialize or on every request.
""",
}

_ENTRY = {
    "uri": _SKILL,
    "frontmatter": {"name": _NAME, "description": _DESCRIPTION},
    "resources": [
        {
            "uri": uri,
            "digest": f"sha256:{hashlib.sha256(content.encode()).hexdigest()}",
            "size": len(content.encode()),
        }
        for uri, content in _FILES.items()
    ],
}

_FRESH = {"ttlMs": 300_000, "cacheScope": "public"}
_MARKDOWN = "text/markdown"


class _Uri(msgspec.Struct, frozen=True):
    uri: str


_read_uri = msgspec.json.Decoder(_Uri).decode


def _list(_params: Raw, _call: Call) -> dict[str, Any]:
    return {"skills": [_ENTRY], **_FRESH}


def _get(params: Raw, _call: Call) -> dict[str, Any]:
    uri = read_params(_read_uri, params).uri
    if uri != _SKILL:
        raise InvalidParams(f"Unknown skill: {uri}", {"uri": uri})
    return {"skill": _ENTRY, **_FRESH}


def _read_directory(params: Raw, _call: Call) -> dict[str, Any]:
    folder = read_params(_read_uri, params).uri.rstrip("/")
    below = [uri.removeprefix(f"{folder}/") for uri in _FILES if uri.startswith(f"{folder}/")]
    if not below or not f"{folder}/".startswith(f"{_ROOT}/"):
        raise InvalidParams(f"No directory: {folder}", {"uri": folder})
    children = sorted({path.partition("/")[0] for path in below})
    return {"resources": [_child(folder, child, child in below) for child in children]}


def _child(folder: str, name: str, is_file: bool) -> dict[str, Any]:
    return {
        "uri": f"{folder}/{name}",
        "name": name,
        "mimeType": _MARKDOWN if is_file else "inode/directory",
    }


def _resource(uri: str, content: str) -> Resource:
    is_skill = uri == _SKILL
    name = _NAME if is_skill else uri.rpartition("/")[2]
    description = _DESCRIPTION if is_skill else f"A part of the skill {_NAME}."
    return Resource(uri, name, name, description, lambda _: {"text": content}, _MARKDOWN)


def add(offer: Offer) -> Offer:
    """Return ``offer`` with the skills extension."""
    return replace(
        offer,
        resources={**offer.resources, **{uri: _resource(uri, content) for uri, content in _FILES.items()}},
        extensions={**offer.extensions, EXTENSION: {"directoryRead": True}},
        methods={
            **offer.methods,
            "skills/list": _list,
            "skills/get": _get,
            "resources/directory/read": _read_directory,
        },
    )
