"""What a request is to one before it that was hit by a fault: whose it is, and what it does. No I/O."""

from __future__ import annotations

from typing import Literal

from mcp_echo.watch.records import ExchangeRecord, MessageRecord
from mcp_echo.watch.rules.facts import LAST_EVENT, credential_of
from mcp_echo.watch.rules.over_time import asked, brings_session, requests_of, session_of, who

Act = Literal[
    "cancel", "repeat", "initialize", "delete", "resume", "listen", "leg", "request", "message", "none"
]
"""It cancels the request, sends the same again, begins a session, ends it, asks for the rest of a stream or
for a stream to listen on, takes a step of OAuth, asks for something else, sends what asks for nothing, or is
none of the client's doing: a browser's preflight."""

Subject = Literal["session", "wait", "slow", "redirect", "token", "flow", "answer"]
"""What a fault is about: the session is gone, the client is asked to wait, the answer takes its time, is
elsewhere, asks for another token, is a document or a step of OAuth, or is wrong in itself."""

LEGS = {
    "resource-metadata": 1,
    "server-metadata": 2,
    "register": 3,
    "authorize": 4,
    "consent": 4,
    "token": 5,
}
"""Leg of OAuth → its place in the flow; the first call with the token comes after all of them."""

_SLOW = frozenset({"delay", "silence", "drip", "issuer slow-token"})
_TOKEN = frozenset({"challenge", "token", "scope", "headers-required"})
_REFUSED = (401, 403)


def kind_of(hit: ExchangeRecord) -> str:
    """Return the kind of the fault, without its variant."""
    return (hit.fault or "").partition(" ")[0]


def subject_of(hit: ExchangeRecord) -> Subject:
    """Return what the fault of an exchange is about, as its client has seen it."""
    kind, status = kind_of(hit), hit.status or 0
    if kind in _SLOW or hit.fault in _SLOW:
        return "slow"
    if leg_of(hit) is not None:
        return "flow"
    if kind == "session-lost" or (kind == "reject" and status == 404 and brings_session(hit)):
        return "session"
    if wait_of(hit) is not None:
        return "wait"
    if 300 <= status < 400:
        return "redirect"
    return "token" if kind in _TOKEN or status in _REFUSED else "answer"


def wait_of(hit: ExchangeRecord) -> int | None:
    """Return the seconds that ``Retry-After`` of the answer asks for; None without it."""
    said = hit.answered("Retry-After") or ""
    return int(said[:6]) if said.isascii() and said.isdigit() else None


def leg_of(record: ExchangeRecord) -> str | None:
    """Return which leg of OAuth a request is; None for what is none, such as a challenged request."""
    leg = None if record.oauth is None else record.oauth.leg
    return leg if leg in LEGS else None


def is_of_client(hit: ExchangeRecord, record: ExchangeRecord, name: str | None) -> bool:
    """Return whether a later request is of the client that was hit.

    What brings a session is of whoever has that session. Without one, a request is of the client where it
    comes by the same connection, where it gives the same name from the same address, and where it begins a
    session, comes back for a stream or is a step of OAuth, which may say no name.

    Args:
        hit: What was hit.
        record: What came later.
        name: What the client that was hit calls itself; None where that is not known.
    """
    if brings_session(record):
        return record.session == session_of(hit)
    if (record.node, record.connection) == (hit.node, hit.connection) and not record.proxied:
        return True
    if who(record) != who(hit):
        return False
    if record.client is not None and name is not None:
        return record.client == name
    says_none = leg_of(record) or leg_of(hit) or asked(record, "initialize") or record.values(LAST_EVENT)
    return bool(says_none)


def act_of(hit: ExchangeRecord, record: ExchangeRecord) -> Act:
    """Return what a later request of the client does, with regard to the one that was hit."""
    if record.http_method == "OPTIONS":
        return "none"
    if _cancels(hit, record):
        return "cancel"
    if _is_same(hit, record):
        return "repeat"
    if leg_of(record) is not None:
        return "leg"
    if asked(record, "initialize") is not None:
        return "initialize"
    if record.http_method == "DELETE":
        return "delete"
    if record.http_method == "GET":
        return "resume" if record.values(LAST_EVENT) else "listen"
    return "request" if requests_of(record) else "message"


def has_other_token(hit: ExchangeRecord, record: ExchangeRecord) -> bool:
    """Return whether a request comes with a token, and another one than that which was hit."""
    credential = credential_of(record)
    return credential is not None and credential != credential_of(hit)


def _cancels(hit: ExchangeRecord, record: ExchangeRecord) -> bool:
    cancelled = {repr(each.params.cancels) for each in record.messages if each.params.cancels is not None}
    ids = {repr(each.id) for each in requests_of(hit) if each.id is not None}
    return not cancelled.isdisjoint(ids)


def _is_same(hit: ExchangeRecord, record: ExchangeRecord) -> bool:
    before, after = hit.message, record.message
    if before is not None and after is not None and before.kind == "request":
        return _asks(before) == _asks(after)
    if before is not None or after is not None or hit.http_method != record.http_method:
        return False
    return hit.path == record.path and hit.query == record.query and _body(hit) == _body(record)


def _asks(message: MessageRecord) -> tuple[str | None, ...]:
    params = message.params
    return (message.kind, message.method, message.name, params.arguments or params.cursor)


def _body(record: ExchangeRecord) -> tuple[str | None, ...]:
    """Return what tells one request without a message from another: its body, and where it resumes."""
    return (record.body_hash, *record.values(LAST_EVENT))
