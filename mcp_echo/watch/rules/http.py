"""What HTTP and the transport ask of the head of a request. No I/O."""

from __future__ import annotations

from mcp_echo.http.accept import EVENT_STREAM, JSON, parse_accept
from mcp_echo.http.origins import parse_authority
from mcp_echo.watch.records import ExchangeRecord
from mcp_echo.watch.rules.facts import (
    LAST_EVENT,
    SESSION,
    VERSION,
    broken,
    held,
    is_mcp,
    is_read,
    listed,
    place_of,
    value,
)
from mcp_echo.watch.rules.pages import (
    HANDSHAKE,
    modern,
    pages,
    rfc,
    sessions,
)
from mcp_echo.watch.rules.rule import Broken, Held, Outcome, Rule

# What a client reads.

_BOTH = f"{JSON}, {EVENT_STREAM}"


def accept_incomplete(x: ExchangeRecord) -> Outcome | None:
    """Ask for both media types of an answer; see `accept_wildcard` for what takes both and lists none."""
    if not is_mcp(x, "POST"):
        return None
    header = _accept(x)
    accepted = parse_accept(header)
    if accepted.names_json and accepted.names_event_stream:
        return held(x)
    if accepted.json and accepted.event_stream:
        return None
    lacking = [
        name for name, there in ((JSON, accepted.json), (EVENT_STREAM, accepted.event_stream)) if not there
    ]
    return broken(
        x,
        f"Accept is {header}; it must list {JSON} and {EVENT_STREAM}, and lacks {listed(lacking)}",
        x.line_of("Accept"),
        found=header,
        wanted=_BOTH,
    )


def accept_wildcard(x: ExchangeRecord) -> Outcome | None:
    """Ask for both media types by name."""
    if not is_mcp(x, "POST"):
        return None
    header = _accept(x)
    accepted = parse_accept(header)
    if accepted.names_json and accepted.names_event_stream:
        return held(x)
    if not (accepted.json and accepted.event_stream):
        return None
    shown = f"Accept is {header}, a wildcard" if header else "There is no Accept"
    return broken(
        x,
        f"{shown}; it must list {JSON} and {EVENT_STREAM} by name",
        x.line_of("Accept"),
        found=header or None,
        wanted=_BOTH,
    )


def get_accept(x: ExchangeRecord) -> Outcome | None:
    """Ask for an event stream; what names no session may be a probe of something else than a client."""
    if not is_mcp(x, "GET") or value(x, SESSION) is None:
        return None
    header = _accept(x)
    if parse_accept(header).names_event_stream:
        return held(x)
    shown = f"Accept is {header}" if header else "there is no Accept"
    return broken(
        x,
        f"GET opens an event stream, and {shown}; it must list {EVENT_STREAM}",
        x.line_of("Accept"),
        found=header or None,
        wanted=EVENT_STREAM,
    )


def _accept(x: ExchangeRecord) -> str:
    return ", ".join(x.values("Accept")).strip()


def content_type_wrong(x: ExchangeRecord) -> Outcome | None:
    """Say that the body is JSON."""
    if not is_mcp(x, "POST"):
        return None
    header = value(x, "Content-Type")
    if (header or "").partition(";")[0].strip().lower() == JSON:
        return Held(x.number)
    shown = f"Content-Type is {header}" if header else "There is no Content-Type"
    return Broken(
        exchange=x.number,
        summary=f"{shown}; the body of a POST is {JSON}",
        subject=x.line_of("Content-Type"),
        found=header,
        wanted=JSON,
    )


# Lines.

_SINGLE = frozenset(
    name.lower()
    for name in (
        "Host",
        "Authorization",
        "Content-Type",
        "Origin",
        "Mcp-Method",
        "Mcp-Name",
        SESSION,
        VERSION,
        LAST_EVENT,
    )
)


def header_repeated(x: ExchangeRecord) -> Outcome | None:
    """Send each header that has one value in one line."""
    places: dict[str, list[int]] = {}
    for place, (name, _) in enumerate(x.headers):
        if name.lower() in _SINGLE or name.lower().startswith("mcp-param-"):
            places.setdefault(name.lower(), []).append(place)
    repeated = next((found for found in places.values() if len(found) > 1), None)
    if repeated is None:
        return Held(x.number) if places else None
    name = x.headers[repeated[0]][0]
    values = [x.headers[place][1] for place in repeated]
    return Broken(
        exchange=x.number,
        summary=f"{name} came in {len(values)} lines; it takes one value: {'; '.join(values)}",
        subject=f"header:{repeated[1]}",
        found="; ".join(values),
        wanted=f"one line of {name}",
    )


def cookie_sent(x: ExchangeRecord) -> Outcome | None:
    """Notice cookies."""
    if not is_mcp(x) or not x.values("Cookie"):
        return None
    return Broken(
        exchange=x.number,
        summary="The request has a Cookie, which this server does not read",
        subject=x.line_of("Cookie"),
    )


def user_agent_missing(x: ExchangeRecord) -> Outcome | None:
    """Say which program it is."""
    if not is_read(x):
        return None
    if value(x, "User-Agent"):
        return Held(x.number)
    return Broken(
        exchange=x.number,
        summary=f"{x.http_method} {place_of(x)} has no User-Agent",
        subject=x.line_of("User-Agent"),
    )


def path_spelling(x: ExchangeRecord) -> Outcome | None:
    """Spell the path of the endpoint as it is."""
    place = place_of(x)
    if place == "/mcp":
        return Held(x.number)
    if set(place.lower().split("/")) - {""} != {"mcp"}:
        return None
    return Broken(
        exchange=x.number,
        summary=f"{place} is another resource than /mcp",
        subject="path",
        found=place,
        wanted="/mcp",
    )


# Who may call.


def host_refused(x: ExchangeRecord) -> Outcome | None:
    """Name this server in Host."""
    host = value(x, "Host")
    if host is None:
        return None
    if x.refusal != "HostRefused":
        return Held(x.number)
    name, original = parse_authority(host), value(x, "X-Forwarded-Host")
    entry = "it is not a host name" if name is None else f"{name.host} would"
    told = "" if original is None else f"; X-Forwarded-Host says {original}"
    return Broken(
        exchange=x.number,
        summary=f"Host is {host}, which no entry of MCP_ECHO_ALLOWED_HOSTS allows; {entry}{told}",
        subject=x.line_of("Host"),
        found=host,
        wanted="a Host that MCP_ECHO_ALLOWED_HOSTS allows",
    )


def origin_refused(x: ExchangeRecord) -> Outcome | None:
    """Come from a page that may call."""
    origin = value(x, "Origin")
    if origin is None:
        return None
    if x.refusal != "OriginRefused":
        return held(x)
    return broken(
        x,
        f"Origin is {origin}, which no entry of MCP_ECHO_ALLOWED_ORIGINS allows",
        x.line_of("Origin"),
        found=origin,
        wanted="an Origin that MCP_ECHO_ALLOWED_ORIGINS allows",
    )


# A trace that waits for headers.


def expected_header_absent(x: ExchangeRecord) -> Outcome | None:
    """Bring the headers that the trace was made to wait for."""
    if not is_mcp(x) or not x.expects:
        return None
    came = {name.lower() for name, _ in x.headers}
    absent = [name for name in x.expects if name.lower() not in came]
    if not absent:
        return Held(x.number)
    return Broken(
        exchange=x.number,
        summary=f"{listed(absent)} should have arrived with {x.http_method}, and did not",
        subject=f"absence:{absent[0]}",
        wanted=", ".join(absent),
    )


_ACCEPT = sessions("sending-messages-to-the-server") | modern("sending-messages")

ROWS = (
    Rule(
        id="accept-incomplete",
        level="error",
        keyword="MUST",
        title="A POST accepts both kinds of answer: JSON and an event stream.",
        advice=f"Send Accept: {_BOTH} with every POST. Servers that insist on it answer 406 without it.",
        pages=_ACCEPT,
        check=accept_incomplete,
    ),
    Rule(
        id="accept-wildcard",
        level="warning",
        keyword="MUST",
        title="A POST lists both kinds of answer by name.",
        advice=f"Send Accept: {_BOTH} with every POST. Servers that insist on the names answer 406.",
        pages=_ACCEPT,
        check=accept_wildcard,
    ),
    Rule(
        id="get-accept",
        level="error",
        keyword="MUST",
        title="A GET accepts an event stream.",
        advice=f"Send Accept: {EVENT_STREAM} with the GET that opens a stream.",
        pages=sessions("listening-for-messages-from-the-server"),
        check=get_accept,
    ),
    Rule(
        id="content-type-wrong",
        level="warning",
        keyword="SHOULD",
        title="A POST says that its body is JSON.",
        advice=f"Send Content-Type: {JSON}. Other servers answer 415 without it.",
        url=rfc(9110, "8.3"),
        check=content_type_wrong,
    ),
    Rule(
        id="header-repeated",
        level="error",
        keyword="MUST NOT",
        title="A header that has one value comes in one line.",
        advice="Look for two pieces of code, or a proxy, that both add it, and keep one. Which of the lines "
        "counts differs from server to server.",
        url=rfc(9110, "5.3"),
        check=header_repeated,
    ),
    Rule(
        id="host-refused",
        level="error",
        title="Host names this server.",
        advice="If the name is this server's, add it to MCP_ECHO_ALLOWED_HOSTS; if a proxy has put it in, "
        "have it pass on the Host that it was asked for.",
        url=rfc(9110, "15.5.20"),
        check=host_refused,
    ),
    Rule(
        id="origin-refused",
        level="error",
        title="Origin names a page that may call this server.",
        advice="If pages of this origin may call, add it to MCP_ECHO_ALLOWED_ORIGINS. Only browsers need "
        "an Origin: leave it out of other programs.",
        pages=pages("basic/transports#security-warning", *HANDSHAKE) | modern("security-%26-endpoint"),
        check=origin_refused,
    ),
    Rule(
        id="path-spelling",
        level="warning",
        title="The path of the endpoint is spelled as the server spells it.",
        advice="Use /mcp, without a slash behind it and in lower case. Many servers redirect other spellings "
        "with 307, and clients leave Authorization behind when they follow.",
        url=rfc(9110, "15.4.8"),
        check=path_spelling,
    ),
    Rule(
        id="cookie-sent",
        level="info",
        title="MCP needs no cookies.",
        advice="If a load balancer tells sessions apart by this cookie, have it use Mcp-Session-Id: most "
        "clients keep no cookies.",
        url=rfc(6265, "5.4"),
        check=cookie_sent,
    ),
    Rule(
        id="user-agent-missing",
        level="info",
        keyword="SHOULD",
        title="A request says which program sends it.",
        advice="Send a User-Agent with the name and the version of the program. Some edges refuse requests "
        "without one before they reach a server.",
        url=rfc(9110, "10.1.5"),
        check=user_agent_missing,
    ),
    Rule(
        id="expected-header-absent",
        level="warning",
        title="The headers that the trace waits for arrive.",
        advice="Look at each hop between the client and this server for one that drops the header, and at "
        "the client for whether it sends it.",
        check=expected_header_absent,
    ),
)
