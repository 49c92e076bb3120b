"""The one place where an error meets a JSON-RPC code and an HTTP status."""

from __future__ import annotations

import inspect

import pytest

from mcp_echo.protocol import errors
from mcp_echo.protocol.errors import (
    CallsTooFast,
    CapabilityMissing,
    McpError,
    SessionNotFound,
    SessionsTooFast,
    TooManySessions,
    TooManySessionsForPrincipal,
    TooManyStreams,
    TooMuchInFlight,
    UnsupportedRevision,
    VersionNotSupported,
    WrongHttpMethod,
)

# Class name → JSON-RPC code, HTTP status.
TABLE = {
    "McpError": (-32603, 500),
    "ParseError": (-32700, 400),
    "InvalidRequest": (-32600, 400),
    "SessionRequired": (-32600, 400),
    "UnsupportedRevision": (-32600, 400),
    "TokenRequired": (-32600, 401),
    "ScopeInsufficient": (-32600, 403),
    "OriginRefused": (-32600, 403),
    "HostRefused": (-32600, 421),
    "RouteNotFound": (-32600, 404),
    "WrongHttpMethod": (-32600, 405),
    "NotAcceptable": (-32600, 406),
    "WrongMediaType": (-32600, 415),
    "BodyTooLarge": (-32600, 413),
    "MalformedHttp": (-32600, 400),
    "OtherProtocol": (-32600, 400),
    "HttpVersionUnsupported": (-32600, 505),
    "RequestTooSlow": (-32600, 408),
    "TargetTooLong": (-32600, 414),
    "ExpectationFailed": (-32600, 417),
    "HeadTooLarge": (-32600, 431),
    "HttpMethodUnknown": (-32600, 501),
    "TooManyRequests": (-32600, 429),
    "TooManySessionsForHolder": (-32600, 429),
    "TooManySessionsForPrincipal": (-32600, 429),
    "TooManySessionsForAddress": (-32600, 429),
    "TooManyStreams": (-32600, 429),
    "TooMuchUnread": (-32600, 429),
    "TooMuchInFlight": (-32600, 429),
    "TooMuchHeldByOne": (-32600, 429),
    "SessionsTooFast": (-32600, 429),
    "CallsTooFast": (-32600, 429),
    "MethodNotFound": (-32601, 200),
    "InvalidParams": (-32602, 200),
    "MetaIncomplete": (-32602, 400),
    "MetaInvalid": (-32602, 400),
    "ResourceNotFound": (-32002, 200),
    "HeaderMismatch": (-32020, 400),
    "VersionNotSupported": (-32022, 400),
    "CapabilityMissing": (-32021, 400),
    "InternalError": (-32603, 500),
    "SessionNotFound": (-32603, 404),
    "TooManySessions": (-32603, 503),
    "TooMuchHeld": (-32603, 503),
    "IssuerUnreachable": (-32603, 503),
    "StoreUnavailable": (-32603, 503),
    "TracesUnavailable": (-32603, 503),
    "ServerStopping": (-32603, 503),
}

# Where the modern era has it otherwise.
MODERN = {
    "MethodNotFound": (-32601, 404),
    "ResourceNotFound": (-32602, 200),
}


def classes() -> dict[str, type[McpError]]:
    return {
        name: value
        for name, value in vars(errors).items()
        if inspect.isclass(value) and issubclass(value, McpError)
    }


def codes_and_statuses(modern: bool) -> dict[str, tuple[int, int]]:
    bare = {name: of.__new__(of) for name, of in classes().items()}
    return {name: (error.code_in(modern), error.status_in(modern)) for name, error in bare.items()}


def test_every_error_has_its_code_and_status() -> None:
    """JSON-RPC section 5.1 for codes; RFC 9110 section 15 and 2025-11-25 basic/transports for statuses."""
    assert {name: (of.code, of.status) for name, of in classes().items()} == TABLE
    assert codes_and_statuses(modern=False) == TABLE


def test_every_error_has_its_code_and_status_in_the_modern_era() -> None:
    """2026-07-28 basic/transports/streamable-http, Protocol Version Header: 404 for an unknown method;
    2026-07-28 server/resources, Error Handling: -32602, and never -32002 (basic, Error Codes)."""
    assert codes_and_statuses(modern=True) == TABLE | MODERN


@pytest.mark.parametrize("name", TABLE)
def test_the_drawn_tree_names_every_error(name: str) -> None:
    """Our choice: the tree at the top of the module is complete and indented as the classes inherit."""
    lines = (errors.__doc__ or "").splitlines()
    drawn = {
        line.strip("│├└─ ").split()[0]: len(line) - len(line.lstrip("│├└─ "))
        for line in lines
        if line.strip()
    }
    assert drawn[name] == 4 * (len(classes()[name].__mro__) - len(McpError.__mro__))


def test_a_session_that_is_gone_says_so_in_the_words_of_the_field() -> None:
    """2025-11-25 basic/transports, Session Management: 404; one text, so that it tells nothing apart."""
    assert SessionNotFound().message == "Session not found or expired"
    assert SessionNotFound().data is None


def test_a_full_server_says_when_to_come_back() -> None:
    """RFC 9110 sections 15.6.4 and 10.2.3."""
    refusal = TooManySessions(1000, 7)
    assert refusal.headers == {"Retry-After": "7"}
    assert "1000" in refusal.message
    assert "MCP_ECHO_MAX_SESSIONS" in refusal.message


@pytest.mark.parametrize(
    ("refusal", "setting", "headers"),
    [
        (TooManySessionsForPrincipal(50, 7), "MCP_ECHO_MAX_SESSIONS_PER_PRINCIPAL", {"Retry-After": "7"}),
        (TooManyStreams(4), "MCP_ECHO_MAX_STREAMS_PER_SESSION", {}),
        (TooMuchInFlight(16, "of this session"), "MCP_ECHO_MAX_REQUESTS_IN_FLIGHT", {}),
        (SessionsTooFast(50, 7), "MCP_ECHO_INITIALIZE_RATE", {"Retry-After": "7"}),
        (CallsTooFast(1000, "in this session", 7), "MCP_ECHO_CALL_RATE", {"Retry-After": "7"}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_client_that_asks_too_much_is_told_which_setting_says_so(
    refusal: McpError, setting: str, headers: dict[str, str]
) -> None:
    """RFC 6585 section 4: the response SHOULD explain, and MAY say how long to wait; our choice: only where
    waiting helps."""
    assert setting in refusal.message
    assert refusal.headers == headers


def test_a_wrong_method_names_the_right_ones() -> None:
    """RFC 9110 section 15.5.6: a 405 MUST have Allow."""
    assert WrongHttpMethod("No.", ["GET", "POST"]).headers == {"Allow": "GET, POST"}


def test_an_unsupported_revision_lists_the_supported_ones() -> None:
    """2025-11-25 basic/lifecycle, Error Handling: data has supported and requested."""
    assert UnsupportedRevision("1.0", ["b", "a"]).data == {"supported": ["b", "a"], "requested": "1.0"}


def test_a_version_that_is_not_served_lists_those_that_are() -> None:
    """2026-07-28 basic/versioning: data has supported and requested; our choice: a hint for people."""
    refusal = VersionNotSupported("1.0", ["b", "a"], "; call initialize")
    assert refusal.data == {"supported": ["b", "a"], "requested": "1.0"}
    assert refusal.message == "Unsupported protocol version '1.0'; supported are b, a; call initialize"


def test_a_missing_capability_is_named_as_a_client_would_declare_it() -> None:
    """2026-07-28 schema, MissingRequiredClientCapabilityError: requiredCapabilities is an object."""
    refusal = CapabilityMissing({"elicitation": {"url": {}}})
    assert refusal.data == {"requiredCapabilities": {"elicitation": {"url": {}}}}
    assert "elicitation" in refusal.message
