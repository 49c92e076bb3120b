"""Records of exchanges that never were: what a well-behaved client sends, and what a test changes in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from mcp_echo.protocol.revisions import KNOWN
from mcp_echo.watch.records import ExchangeRecord, MessageRecord, Params, Result

REVISIONS = {revision.name: revision for revision in KNOWN}
LEGACY, MODERN = "2025-11-25", "2026-07-28"
SESSION = "0f3a91c2… (36, 5d41402a)"

Changes = Mapping[str, str | Sequence[str] | None]
"""Header → its value, its values in lines of their own, or None for no such line."""


def exchange(
    method: str | None = "tools/list",
    revision: str = LEGACY,
    headers: Changes | None = None,
    message: Mapping[str, Any] | None = None,
    **facts: Any,
) -> ExchangeRecord:
    """Return the POST of a well-behaved client, with what a test changes in it.

    Args:
        method: The JSON-RPC method of its one message; None for no message at all.
        revision: The revision that the client speaks, which decides about its era.
        headers: Changes to the header lines that such a client sends.
        message: Fields of its message that differ, see `message_of`.
        facts: Fields of the record that differ.
    """
    era = "modern" if REVISIONS[revision].stateless else "legacy"
    made = () if method is None else (message_of(method, revision, **(message or {})),)
    in_session = era == "legacy" and method != "initialize"
    usual: dict[str, Any] = {
        "number": 1,
        "node": "a",
        "at": 1_800_000_000.0,
        "connection": 1,
        "peer": "192.0.2.7",
        "address": "192.0.2.7",
        "http_method": "POST",
        "path": "/t/{trace}/mcp",
        "http_version": "1.1",
        "body_bytes": 120,
        "body_hash": "a3f1",
        "status": 200,
        "first": 0.002,
        "last": 0.002,
        "session": SESSION if era == "legacy" else None,
        "session_form": "ours" if in_session else "none",
        "known": in_session,
        "made": method == "initialize",
        "client": "example",
        "client_version": "1.0",
        "era": era,
        "revision": revision,
        "messages": made,
    }
    usual.update(facts)
    lines = changed(well_behaved(method, revision, usual["http_method"], made), headers or {})
    return ExchangeRecord(**{"headers": lines, **usual})


def refused(record: ExchangeRecord, refusal: str, status: int, **facts: Any) -> ExchangeRecord:
    """Return what is known of a request that is refused before its message is looked at.

    Args:
        record: What would have been known of it.
        refusal: The name of the reason.
        status: The HTTP status.
        facts: Other fields that differ.
    """
    unknown: dict[str, Any] = {
        "refusal": refusal,
        "status": status,
        "messages": (),
        "era": None,
        "revision": None,
        "session": None,
        "session_form": "none",
        "known": False,
        "client": None,
        "client_version": None,
    }
    return replace(record, **{**unknown, **facts})


def message_of(method: str, revision: str = LEGACY, /, **fields: Any) -> MessageRecord:
    """Return a well-formed message and its good answer; ``params`` and ``result`` may be mappings.

    Args:
        method: The JSON-RPC method.
        revision: The revision that the client speaks.
        fields: Fields of the record that differ.
    """
    stateless = REVISIONS[revision].stateless
    notification = method.startswith("notifications/")
    usual: dict[str, Any] = {
        "kind": "notification" if notification else "request",
        "method": method,
        "era": "modern" if stateless else "legacy",
        "revision": revision,
        "outcome": None if notification else 200,
        "seconds": None if notification else 0.002,
    }
    if not notification:
        usual.update(id=2, id_form="integer")
    if method in ("tools/call", "prompts/get", "resources/read"):
        usual["name"] = "echo"
    usual.update(fields)
    usual["params"] = params_of(method, revision, usual.get("params"))
    result = usual.get("result")
    usual["result"] = result if isinstance(result, Result) else Result(**(result or {}))
    return MessageRecord(**usual)


def params_of(method: str, revision: str, changes: Params | Mapping[str, Any] | None = None) -> Params:
    """Return what the params of a well-behaved client say, with the changes of a test."""
    if isinstance(changes, Params):
        return changes
    usual: dict[str, Any] = {}
    stateless = REVISIONS[revision].stateless
    if method == "initialize" or stateless:
        usual = {
            "client": "example",
            "client_version": "1.0",
            "capabilities": (),
            "protocol_version": revision,
            "modern": stateless,
        }
    return Params(**{**usual, **(changes or {})})


def well_behaved(
    method: str | None, revision: str, http_method: str = "POST", messages: Sequence[MessageRecord] = ()
) -> list[tuple[str, str]]:
    """Return the header lines of a well-behaved client."""
    known = REVISIONS[revision]
    lines = [("Host", "mcp.example"), ("User-Agent", "example/1.0")]
    if http_method == "GET":
        lines.append(("Accept", "text/event-stream"))
    if http_method == "POST":
        lines += [
            ("Accept", "application/json, text/event-stream"),
            ("Content-Type", "application/json"),
            ("Content-Length", "120"),
        ]
    if known.version_header and method != "initialize":
        lines.append(("MCP-Protocol-Version", revision))
    if not known.stateless and method != "initialize":
        lines.append(("Mcp-Session-Id", SESSION))
    if known.stateless:
        lines += [("Mcp-Method", each.method) for each in messages if each.method]
        lines += [("Mcp-Name", each.name) for each in messages if each.name]
    return lines


def changed(lines: Sequence[tuple[str, str]], changes: Changes) -> tuple[tuple[str, str], ...]:
    """Return header lines with some replaced, repeated, left out or added."""
    left = {name.lower() for name in changes}
    kept = [line for line in lines if line[0].lower() not in left]
    for name, value in changes.items():
        values = [value] if isinstance(value, str) else value or ()
        kept += [(name, each) for each in values]
    return tuple(kept)
