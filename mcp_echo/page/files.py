"""The files of the page, read once."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from html import escape
from importlib.resources import files
from typing import NamedTuple

_TYPES = {
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
    "html": "text/html; charset=utf-8",
}
"""Ending → media type."""

_REASON = "{reason}"


class PageFile(NamedTuple):
    """One file."""

    media_type: str
    body: bytes
    tag: str
    """Its ``ETag``: another one for other bytes."""


@lru_cache(maxsize=1)
def page_files() -> dict[str, PageFile]:
    """Return the files of the page by their names."""
    found = (each for each in files("mcp_echo.page").joinpath("static").iterdir())
    return {each.name: _file(each.name, each.read_bytes()) for each in found if _ending(each.name) in _TYPES}


def missing_page(reason: str) -> bytes:
    """Return the page for an address that shows nothing.

    Args:
        reason: A sentence that says why.
    """
    return page_files()["missing.html"].body.replace(_REASON.encode(), escape(reason).encode())


def _file(name: str, body: bytes) -> PageFile:
    return PageFile(_TYPES[_ending(name)], body, f'"{hashlib.sha256(body).hexdigest()[:20]}"')


def _ending(name: str) -> str:
    return name.rpartition(".")[2]
