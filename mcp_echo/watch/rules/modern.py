"""What the modern era asks of a request, which says everything itself. No I/O."""

from __future__ import annotations

import re

from mcp_echo.protocol.errors import HeaderMismatch
from mcp_echo.protocol.modern import NAMED_BY, decode_header
from mcp_echo.watch.records import ExchangeRecord
from mcp_echo.watch.rules.facts import (
    LAST_EVENT,
    SESSION,
    VERSION,
    broken,
    held,
    is_mcp,
    is_modern,
    listed,
    modern_request,
    value,
)
from mcp_echo.watch.rules.pages import R2026_07_28, address, modern, pages
from mcp_echo.watch.rules.rule import Broken, Held, Outcome, Rule

_MISMATCH = HeaderMismatch.code
_PARAMETER = "mcp-param-"
_MASKED = re.compile(r"…|\d characters\b")
"""What stands in a record in the place of a session id, of a secret, or of what is too long."""

# Headers that mirror the body.


def method_header(x: ExchangeRecord) -> Outcome | None:
    """Repeat the method in a header."""
    message = modern_request(x)
    if message is None or message.method is None:
        return None
    return _mirrored(x, "Mcp-Method", value(x, "Mcp-Method"), message.method)


def name_header(x: ExchangeRecord) -> Outcome | None:
    """Repeat in a header what the params name.

    Names are masked, so that the answer tells whether they agreed.
    """
    message = modern_request(x)
    if message is None or message.method not in NAMED_BY or message.name is None:
        return None
    header = value(x, "Mcp-Name")
    if header is None:
        return _mirrored(x, "Mcp-Name", None, message.name)
    if message.error != _MISMATCH:
        return held(x)
    disagrees = "Mcp-Name" in (message.result.message or "")
    return _mirrored(x, "Mcp-Name", header, message.name) if disagrees else None


def _mirrored(x: ExchangeRecord, name: str, found: str | None, wanted: str) -> Outcome:
    if found == wanted:
        return held(x)
    shown = f"{name} is {found}" if found is not None else f"{name} is missing"
    return broken(
        x, f"{shown}, and the body says {wanted}", x.line_of(name), found=found, wanted=f"{name}: {wanted}"
    )


def param_header(x: ExchangeRecord) -> Outcome | None:
    """Repeat in headers the arguments that the tool's schema marks; the answer tells whether they agreed."""
    message = modern_request(x)
    if message is None:
        return None
    told = message.result.message or ""
    if message.error == _MISMATCH and told.lower().startswith(_PARAMETER):
        name = told.partition(" ")[0]
        return broken(
            x,
            told,
            x.line_of(name),
            found=value(x, name),
            wanted=f"{name} with the value of its argument",
        )
    mirrors = any(name.lower().startswith(_PARAMETER) for name, _ in x.headers)
    return held(x) if mirrors and message.error != _MISMATCH else None


def header_encoding(x: ExchangeRecord) -> Outcome | None:
    """Encode what a header has no characters for."""
    if modern_request(x) is None:
        return None
    mirroring = [
        (place, name, text)
        for place, (name, text) in enumerate(x.headers)
        if name.lower() == "mcp-name" or name.lower().startswith(_PARAMETER)
        # How what is masked was encoded cannot be seen any more.
        if not _MASKED.search(text)
    ]
    for place, name, text in mirroring:
        if _decoded(text) is None:
            return broken(
                x,
                f"{name} is {text}, which is neither visible ASCII nor good base64 in its wrapping",
                f"header:{place}",
                found=text,
                wanted="visible ASCII, or =?base64?…?= around the UTF-8 in base64, with its padding",
            )
    return held(x) if mirroring else None


def _decoded(text: str) -> str | None:
    """Return what a header's value stands for; None where it is encoded wrongly."""
    try:
        return decode_header(text)
    except HeaderMismatch:
        return None


def version_header_meta(x: ExchangeRecord) -> Outcome | None:
    """Repeat the revision in a header; see `lifecycle.version_header_missing` for none."""
    message = modern_request(x)
    header = value(x, VERSION)
    if message is None or header is None or message.params.protocol_version is None:
        return None
    return _mirrored(x, VERSION, header, message.params.protocol_version)


def routing_header_in_legacy_era(x: ExchangeRecord) -> Outcome | None:
    """Notice headers of the modern era outside it."""
    # A server that speaks no modern revision takes a modern request for one of the other era.
    if not is_mcp(x, "POST") or x.era != "legacy" or is_modern(x):
        return None
    names = [
        name
        for name, _ in x.headers
        if name.lower() in ("mcp-method", "mcp-name") or name.lower().startswith(_PARAMETER)
    ]
    if not names:
        return Held(x.number)
    return Broken(
        exchange=x.number,
        summary=f"{listed(names)} came with a request of an earlier revision, which has no such headers",
        subject=x.line_of(names[0]),
        found=", ".join(names),
    )


# What a request says of itself.


def meta_incomplete(x: ExchangeRecord) -> Outcome | None:
    """Say in ``_meta`` which revision and which capabilities the request is of."""
    message = modern_request(x)
    # An initialize lacks what an initialize has.
    if message is None or message.method == "initialize":
        return None
    lacks = message.params.lacks
    if not lacks:
        return held(x)
    return broken(x, f"_meta lacks {listed(lacks)}", "body:/params/_meta", wanted=", ".join(lacks))


def meta_without_client(x: ExchangeRecord) -> Outcome | None:
    """Say in ``_meta`` which client sends it."""
    message = modern_request(x)
    if message is None or not message.params.modern:
        return None
    if message.params.client is not None or message.params.client_version is not None:
        return held(x)
    return broken(
        x,
        f"{message.method} names no client in _meta: clientInfo is missing, or has neither name nor version",
        "body:/params/_meta",
        wanted="io.modelcontextprotocol/clientInfo",
    )


# What the era has no more.


def event_id_in_modern_era(x: ExchangeRecord) -> Outcome | None:
    """Send a call again that was cut."""
    if not is_mcp(x) or not is_modern(x):
        return None
    if value(x, LAST_EVENT) is not None:
        return broken(
            x,
            f"{x.http_method} came with {LAST_EVENT}, and streams of {R2026_07_28} cannot be resumed",
            x.line_of(LAST_EVENT),
            found=f"{x.http_method} with {LAST_EVENT}",
            wanted="the request again, with an id of its own",
        )
    if x.http_method == "GET":
        return broken(
            x,
            f"A GET came with {VERSION}: {value(x, VERSION)}, which opens streams with POST alone",
            "path",
            found="GET",
            wanted="POST",
        )
    return held(x) if x.http_method == "POST" else None


def session_id_in_modern_era(x: ExchangeRecord) -> Outcome | None:
    """Notice the id of a session where there are none."""
    if not is_mcp(x) or not is_modern(x):
        return None
    if value(x, SESSION) is None:
        return held(x)
    return broken(
        x,
        f"{SESSION} came with a request of {R2026_07_28}, which has no sessions, and was not read",
        x.line_of(SESSION),
        found=value(x, SESSION),
    )


ROWS = (
    Rule(
        id="method-header",
        level="error",
        keyword="MUST",
        title="Mcp-Method has the method of the body.",
        advice="Send Mcp-Method with the method of the body, letter by letter. Servers answer 400 and -32020 "
        "otherwise, and gateways send the request elsewhere.",
        pages=modern("standard-request-headers"),
        conformance="sep-2243-client-includes-standard-headers",
        check=method_header,
    ),
    Rule(
        id="name-header",
        level="error",
        keyword="MUST",
        title="Mcp-Name has the name or URI of the params.",
        advice="Send Mcp-Name with params.name of tools/call and prompts/get, params.uri of resources/read, "
        "letter by letter, or in its base64 form.",
        pages=modern("standard-request-headers"),
        conformance="sep-2243-client-includes-standard-headers",
        check=name_header,
    ),
    Rule(
        id="param-header",
        level="error",
        keyword="MUST",
        title="Mcp-Param- headers repeat the arguments.",
        advice="List the tools again, and send a Mcp-Param- header for each argument that x-mcp-header marks "
        "and that the call has; none for an argument that is null or left out.",
        pages=modern("custom-headers-from-tool-parameters"),
        conformance="sep-2243-client-mirrors-designated-params",
        check=param_header,
    ),
    Rule(
        id="header-encoding",
        level="error",
        keyword="MUST",
        title="Headers that mirror the body are visible ASCII, or base64 in its wrapping.",
        advice="Send other characters as =?base64?…?= around the base64 of the UTF-8: the standard alphabet, "
        "with padding, the wrapping in lower case.",
        pages=modern("value-encoding"),
        conformance="sep-2243-client-base64-unsafe",
        check=header_encoding,
    ),
    Rule(
        id="routing-header-in-legacy-era",
        level="info",
        title="Headers that mirror the body belong to the modern era.",
        advice="Nothing to do. Do not route by these headers: requests of earlier "
        "revisions need not have them, and nobody holds them against the body.",
        url=address(R2026_07_28, "basic/transports/streamable-http#standard-request-headers"),
        check=routing_header_in_legacy_era,
    ),
    Rule(
        id="meta-incomplete",
        level="error",
        keyword="MUST",
        title="_meta names the revision and the capabilities of the client.",
        advice="Send io.modelcontextprotocol/protocolVersion and io.modelcontextprotocol/clientCapabilities "
        "(an empty object at least) in _meta of each request. Servers answer 400 and -32602 otherwise.",
        pages=pages("basic#meta", R2026_07_28),
        conformance="sep-2575-client-populates-meta",
        check=meta_incomplete,
    ),
    Rule(
        id="meta-without-client",
        level="warning",
        keyword="SHOULD",
        title="_meta names the client.",
        advice="Send io.modelcontextprotocol/clientInfo with name and version in _meta of each request.",
        pages=pages("basic#meta", R2026_07_28),
        conformance="sep-2575-client-sends-client-info",
        check=meta_without_client,
    ),
    Rule(
        id="version-header-meta",
        level="error",
        keyword="MUST",
        title="MCP-Protocol-Version and _meta name the same revision.",
        advice="Make the header of the request and its _meta from one value. Servers answer 400 and -32020 "
        "where they differ.",
        pages=modern("protocol-version-header"),
        conformance="sep-2575-http-version-header-matches-meta",
        check=version_header_meta,
    ),
    Rule(
        id="event-id-in-modern-era",
        level="warning",
        title="A request of the modern era whose stream was cut is sent again.",
        advice="Send the request again with POST, under another id, if it may run twice. To listen, send "
        "subscriptions/listen.",
        pages=modern("receiving-messages"),
        check=event_id_in_modern_era,
    ),
    Rule(
        id="session-id-in-modern-era",
        level="info",
        title="The modern era has no sessions.",
        advice="Leave Mcp-Session-Id out. Pass the handle of the state as an argument.",
        pages=modern("earlier-streamable-http-revisions"),
        check=session_id_in_modern_era,
    ),
)
