"""What rules about one exchange ask of its record, and how they say what they found. No I/O."""

from __future__ import annotations

import re

from mcp_echo.protocol.modern import VERSION_HEADER
from mcp_echo.protocol.revisions import ASSUMED, BY_NAME, MODERN, Revision
from mcp_echo.watch.records import ExchangeRecord, MessageRecord
from mcp_echo.watch.rules.rule import Broken, Held

VERSION = VERSION_HEADER
SESSION = "Mcp-Session-Id"
LAST_EVENT = "Last-Event-ID"

_TRACE = "/t/{trace}"
_TOKEN = re.compile(r"(?:bearer|dpop) .*#([0-9a-f]{8})\]", re.IGNORECASE)
"""``Authorization`` with a token, as it is shown masked."""

_HIDING = frozenset({"answer", "consent", "content-type", "cut", "empty", "issuer", "metadata", "silence"})
"""Kinds of faults of whose answers nobody knows what their client has made."""

_READABLE = frozenset({"answer twice", "answer after-cancel", "issuer slow-token"})

# What cannot be read whole says nothing of what is not in it.
_UNREAD = frozenset(
    """MalformedHttp OtherProtocol RequestTooSlow TargetTooLong HeadTooLarge HttpVersionUnsupported
    ServerStopping""".split()
)


def place_of(x: ExchangeRecord) -> str:
    """Return the path within the trace."""
    return x.path.removeprefix(_TRACE)


def is_read(x: ExchangeRecord) -> bool:
    """Return whether the head of the request was read to its end."""
    return x.complete and bool(x.http_method) and x.refusal not in _UNREAD


def is_mcp(x: ExchangeRecord, *methods: str) -> bool:
    """Return whether a request is for the MCP endpoint, and was read.

    Args:
        x: The exchange.
        methods: The HTTP methods that are meant; none for all but a browser's preflight.
    """
    wanted = x.http_method in methods if methods else x.http_method != "OPTIONS"
    return wanted and is_read(x) and place_of(x).rstrip("/") == "/mcp"


def value(x: ExchangeRecord, name: str) -> str | None:
    """Return the first value of a request header, masked; None without one."""
    return next(iter(x.values(name)), None)


def was_told(x: ExchangeRecord) -> bool:
    """Return whether a client has had the answer of the server, so that it may be asked what it made of it.

    Whoever was hit by a fault may have had something else, and is right to do nothing with it.
    """
    if x.fault is None or x.fault in _READABLE:
        return x.fault is None or x.left is None
    return x.fault.partition(" ")[0] not in _HIDING and x.left is None


def credential_of(x: ExchangeRecord) -> str | None:
    """Return the fingerprint of the token that a request comes with; None without one."""
    found = _TOKEN.fullmatch(value(x, "Authorization") or "")
    return None if found is None else found[1]


def is_modern(x: ExchangeRecord) -> bool:
    """Return whether a client speaks the modern era, as the body or the header of its request says."""
    return x.is_modern


def revision_of(x: ExchangeRecord) -> Revision:
    """Return the revision whose text binds a client here.

    In the modern era it is what the body names, or the header, or the newest. Before, it is that of the
    session or the message, that of the header, or what a server is to assume (2025-11-25 basic/transports,
    Protocol Version Header).
    """
    header = value(x, VERSION)
    if is_modern(x):
        named = [*(each.params.protocol_version for each in x.messages), header, MODERN[-1].name]
    else:
        named = [x.revision, header, ASSUMED]
    known = (BY_NAME[name] for name in named if name in BY_NAME)
    return next(each for each in known if each.stateless is is_modern(x))


def modern_request(x: ExchangeRecord) -> MessageRecord | None:
    """Return the one request that a POST of the modern era carries; None where it carries none."""
    message = x.message
    if message is None or message.kind != "request" or not is_mcp(x, "POST"):
        return None
    return message if is_modern(x) else None


def held(x: ExchangeRecord) -> Held:
    """Return that a rule of the specification was kept."""
    return Held(x.number, revision_of(x).name)


def broken(
    x: ExchangeRecord,
    summary: str,
    subject: str = "",
    *,
    found: str | None = None,
    wanted: str | None = None,
    revision: str | None = None,
    key: str = "",
) -> Broken:
    """Return that a rule of the specification was not kept.

    Args:
        x: The exchange that shows it.
        summary: See `Broken.summary`.
        subject: See `Broken.subject`.
        found: What was there.
        wanted: What was to be there.
        revision: The revision that binds; None for that of `revision_of`.
        key: See `Broken.key`.
    """
    return Broken(
        exchange=x.number,
        summary=summary,
        subject=subject,
        found=found,
        wanted=wanted,
        revision=revision or revision_of(x).name,
        key=key,
    )


def listed(names: list[str] | tuple[str, ...]) -> str:
    """Return names as a list to read: ``a, b and c``."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
