"""What JSON-RPC and the lifecycle ask of one message. No I/O."""

from __future__ import annotations

from mcp_echo.protocol.errors import CapabilityMissing
from mcp_echo.protocol.revisions import BY_NAME
from mcp_echo.watch.records import ExchangeRecord, IdForm, MessageRecord
from mcp_echo.watch.rules.facts import (
    VERSION,
    broken,
    held,
    is_mcp,
    is_modern,
    listed,
    revision_of,
    value,
)
from mcp_echo.watch.rules.pages import (
    HANDSHAKE,
    R2024_11_05,
    R2025_03_26,
    R2025_06_18,
    R2025_11_25,
    R2026_07_28,
    VERSION_HEADER,
    address,
    modern,
    pages,
)
from mcp_echo.watch.rules.rule import Broken, Held, Outcome, Rule

# JSON-RPC.

_NO_IDS: dict[IdForm, str] = {
    "null": "null",
    "fraction": "a fraction",
    "other": "neither a string nor a number",
}


def id_null(x: ExchangeRecord) -> Outcome | None:
    """Give a request an id that answers can have."""
    asking = [each for each in x.messages if each.kind != "response" and each.id_form != "absent"]
    if not asking:
        return None
    wrong = next((each for each in asking if each.id_form in _NO_IDS), None)
    if wrong is None:
        return held(x)
    form = _NO_IDS[wrong.id_form]
    of = f" of {wrong.method}" if wrong.method else ""
    return broken(
        x,
        f"The id{of} is {form}; it must be a string or an integer",
        "body:/id",
        found=form,
        wanted="a string or an integer",
    )


def batch_not_in_revision(x: ExchangeRecord) -> Outcome | None:
    """Send one message in one POST."""
    if not is_mcp(x, "POST") or not (x.batch or x.messages):
        return None
    if not x.batch:
        return held(x)
    return broken(
        x,
        f"The body is an array; {revision_of(x).name} has one message in each POST",
        "body:",
        found="an array",
        wanted="one message",
    )


# Methods of the other era.

_LEGACY_ONLY = frozenset(
    """initialize ping logging/setLevel resources/subscribe resources/unsubscribe notifications/initialized
    notifications/roots/list_changed tasks/list tasks/result""".split()
)
_MODERN_ONLY = frozenset({"server/discover", "subscriptions/listen"})


def method_of_other_era(x: ExchangeRecord) -> Outcome | None:
    """Use the methods of the revision that is spoken."""
    if not is_mcp(x, "POST") or all(each.method is None for each in x.messages):
        return None
    others = _LEGACY_ONLY if is_modern(x) else _MODERN_ONLY
    wrong = next((each.method for each in x.messages if each.method in others), None)
    # Without a session it may be a question for the era that the server is of.
    if wrong is None or not (x.known or is_modern(x)):
        return held(x)
    name = revision_of(x).name
    return broken(
        x,
        f"{wrong} was sent, which {name} does not have",
        "body:/method",
        found=wrong,
        wanted=f"a method of {name}",
    )


# The handshake.


def initialize_incomplete(x: ExchangeRecord) -> Outcome | None:
    """Say in ``initialize`` what it asks for."""
    message = next((each for each in x.messages if each.method == "initialize"), None)
    if message is None or is_modern(x):
        return None
    lacks = message.params.lacks
    if not lacks:
        return held(x)
    return broken(
        x,
        f"The params of initialize lack {listed(lacks)}",
        "body:/params",
        wanted=", ".join(lacks),
    )


def version_header_missing(x: ExchangeRecord) -> Outcome | None:
    """Say in each request which revision was negotiated, or is spoken."""
    if not is_mcp(x) or not _has_revision(x):
        return None
    if value(x, VERSION) is not None:
        return held(x)
    did = "is spoken" if is_modern(x) else "was negotiated"
    name = x.message.method if x.message and x.message.method else x.http_method
    return broken(
        x,
        f"{name} came without {VERSION}; {revision_of(x).name} {did}",
        x.line_of(VERSION),
        wanted=f"{VERSION}: {revision_of(x).name}",
    )


def _has_revision(x: ExchangeRecord) -> bool:
    """Return whether a client knows which revision to name: after ``initialize``, or of the modern era."""
    if _initializes(x):
        return False
    return x.known or is_modern(x)


def version_header_differs(x: ExchangeRecord) -> Outcome | None:
    """Name the revision that was negotiated."""
    header = value(x, VERSION)
    if not x.known or x.revision is None or header not in BY_NAME or _initializes(x):
        return None
    if header == x.revision:
        return held(x)
    return broken(
        x,
        f"{VERSION} is {header}, and {x.revision} was negotiated",
        x.line_of(VERSION),
        found=header,
        wanted=x.revision,
    )


def version_header_unsupported(x: ExchangeRecord) -> Outcome | None:
    """Name a revision that the server speaks; a modern client may ask for one to learn which it does."""
    header = value(x, VERSION)
    if header is None or not is_mcp(x) or _may_ask(x):
        return None
    # Who sends the header speaks a revision that has it.
    revision = x.revision if x.revision in VERSION_HEADER else R2025_11_25
    spoken = next((each.result.supported for each in x.messages if each.result.supported), ())
    if header in BY_NAME and not spoken and x.refusal != "UnsupportedRevision":
        return Held(x.number, revision)
    return broken(
        x,
        f"{VERSION} is {header}, which is not spoken here{_spoken(spoken)}",
        x.line_of(VERSION),
        found=header,
        revision=revision,
    )


def _may_ask(x: ExchangeRecord) -> bool:
    """Return whether a request may name a revision to learn whether it is spoken."""
    return is_modern(x) or _initializes(x)


def _spoken(revisions: tuple[str, ...]) -> str:
    """Return the end of a sentence that says what is spoken, where the answer did."""
    return f"; spoken are {listed(revisions)}" if revisions else ""


def version_header_on_initialize(x: ExchangeRecord) -> Outcome | None:
    """Leave the header out until there is something to name."""
    if not _initializes(x) or is_modern(x):
        return None
    header = value(x, VERSION)
    if header is None:
        return Held(x.number)
    return Broken(
        exchange=x.number,
        summary=f"initialize came with {VERSION}: {header}, before a revision was negotiated",
        subject=x.line_of(VERSION),
        found=header,
    )


def _initializes(x: ExchangeRecord) -> bool:
    return any(each.method == "initialize" for each in x.messages)


# Capabilities.

_ROOTS = {"notifications/roots/list_changed": "roots.listChanged"}
_TASKS = dict.fromkeys(
    ("tasks/get", "tasks/update", "tasks/cancel"), "extensions.io.modelcontextprotocol/tasks"
)
"""Method → the capability of the client that it belongs to; before the modern era tasks were the server's."""


def capability_undeclared_used(x: ExchangeRecord) -> Outcome | None:
    """Declare what is used."""
    needed = _TASKS if is_modern(x) else _ROOTS
    message = next((each for each in x.messages if each.method in needed), None)
    if message is None or message.method is None:
        return None
    capability = needed[message.method]
    declared = _declares(x, message, capability)
    if declared is None:
        return None
    if declared:
        return held(x)
    return broken(
        x,
        f"{message.method} was sent, and the client does not declare {capability}",
        "body:/method",
        found=message.method,
        wanted=capability,
    )


def _declares(x: ExchangeRecord, message: MessageRecord, capability: str) -> bool | None:
    """Return whether a capability is declared, by the session or, as the answer tells, by the request."""
    if is_modern(x):
        return message.error != CapabilityMissing.code
    return None if x.declared is None else capability in x.declared


ROWS = (
    Rule(
        id="id-null",
        level="error",
        keyword="MUST",
        title="The id of a request is a string or an integer.",
        advice="Give each request an id of its own, a string or an integer, and leave the id out of "
        "notifications.",
        pages=pages("basic/messages#requests", R2024_11_05)
        | pages("basic#requests", R2025_03_26, R2025_06_18, R2025_11_25, R2026_07_28),
        check=id_null,
    ),
    Rule(
        id="batch-not-in-revision",
        level="error",
        keyword="MUST",
        title="A POST carries one message.",
        advice="Send each message in a POST of its own; only 2025-03-26 has arrays of them.",
        pages=pages("basic/transports#sending-messages-to-the-server", *VERSION_HEADER)
        | modern("sending-messages"),
        check=batch_not_in_revision,
    ),
    Rule(
        id="method-of-other-era",
        level="warning",
        title="A client uses the methods of the revision that it speaks.",
        advice="Look at which revision this client speaks here: methods came and went with 2026-07-28, and "
        "each is answered as unknown by servers of the other era.",
        pages=pages("basic/lifecycle#operation", *HANDSHAKE)
        | pages("basic/versioning#backward-compatibility-with-initialization-based-versions", R2026_07_28),
        check=method_of_other_era,
    ),
    Rule(
        id="initialize-incomplete",
        level="error",
        keyword="MUST",
        title="initialize says which revision, capabilities and program the client has.",
        advice="Send protocolVersion, capabilities (an empty object at least) and clientInfo with name and "
        "version. Servers that read strictly answer with an error without them.",
        pages=pages("basic/lifecycle#initialization", *HANDSHAKE),
        conformance="mcp-client-initialization",
        check=initialize_incomplete,
    ),
    Rule(
        id="version-header-missing",
        level="error",
        keyword="MUST",
        title="Each request says which revision it is of.",
        advice="Send MCP-Protocol-Version with each request after initialize: POST, GET and DELETE. Without "
        "it a server is to take the client for one of 2025-03-26.",
        pages=pages("basic/transports#protocol-version-header", *VERSION_HEADER)
        | modern("protocol-version-header"),
        conformance="sep-2575-http-client-sends-version-header",
        check=version_header_missing,
    ),
    Rule(
        id="version-header-differs",
        level="warning",
        keyword="SHOULD",
        title="MCP-Protocol-Version names the revision that was negotiated.",
        advice="Send the protocolVersion of the result of initialize, and not the one that was asked for.",
        pages=pages("basic/transports#protocol-version-header", *VERSION_HEADER),
        check=version_header_differs,
    ),
    Rule(
        id="version-header-unsupported",
        level="error",
        keyword="SHOULD",
        title="MCP-Protocol-Version names a revision that the server speaks.",
        advice="Send the protocolVersion of the result of initialize. Servers answer 400 to a revision that "
        "they do not speak.",
        pages=pages("basic/transports#protocol-version-header", *VERSION_HEADER),
        check=version_header_unsupported,
    ),
    Rule(
        id="version-header-on-initialize",
        level="info",
        title="initialize needs no MCP-Protocol-Version.",
        advice="Leave the header out of initialize: it is allowed, and servers that check it first answer "
        "400 before they can offer another revision.",
        url=address(R2025_11_25, "basic/transports#protocol-version-header"),
        check=version_header_on_initialize,
    ),
    Rule(
        id="capability-undeclared-used",
        level="warning",
        # MUST since 2025-06-18.
        keyword="SHOULD",
        title="A client uses what it declares.",
        advice="Declare the capability, or do not send this. Servers may leave out what belongs to a "
        "capability that nobody declares.",
        pages=pages("basic/lifecycle#operation", *HANDSHAKE)
        | pages("basic/versioning#extension-negotiation", R2026_07_28),
        check=capability_undeclared_used,
    ),
)
