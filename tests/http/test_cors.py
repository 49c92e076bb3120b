"""What browsers are told, and what they would do with it."""

from __future__ import annotations

import pytest

from mcp_echo.http.cors import CorsPolicy
from mcp_echo.http.headers import Headers
from mcp_echo.http.hops import KNOWN_FROM_HOPS, known_hop
from mcp_echo.http.origins import AllowedOrigins
from mcp_echo.settings.load import load

APP = "https://app.example.com"


def policy(*origins: str, credentials: bool = False) -> CorsPolicy:
    return CorsPolicy(AllowedOrigins(origins), credentials, 600)


def test_an_allowed_origin_is_named_and_varies() -> None:
    """Fetch, CORS protocol and HTTP caches: an answer that names an origin must say Vary: Origin."""
    fields = policy(APP).answer_headers(APP)
    assert ("Access-Control-Allow-Origin", APP) in fields
    assert ("Vary", "Origin") in fields
    assert "Access-Control-Allow-Credentials" not in dict(fields)


def test_any_origin_is_answered_with_a_star_and_nothing_reflected() -> None:
    """Our choice: with * set, the page's own origin must not come back in its place."""
    fields = policy("*").answer_headers("https://evil.example")
    assert dict(fields)["Access-Control-Allow-Origin"] == "*"
    assert "evil" not in repr(fields)


def test_pages_may_read_the_session_id() -> None:
    """Fetch, CORS-exposed headers: without this a page cannot keep its session."""
    exposed = dict(policy(APP).answer_headers(APP))["Access-Control-Expose-Headers"].split(", ")
    assert {"Mcp-Session-Id", "WWW-Authenticate"} <= set(exposed)


def test_credentials_are_allowed_where_they_are_set() -> None:
    """Fetch, CORS protocol and credentials."""
    assert ("Access-Control-Allow-Credentials", "true") in policy(APP, credentials=True).answer_headers(APP)


def test_a_preflight_names_what_mcp_needs() -> None:
    """Fetch, CORS-preflight: * covers neither Authorization nor, with credentials, any header."""
    fields = dict(policy(APP).preflight_headers(None))
    assert fields["Access-Control-Allow-Methods"] == "GET, POST, DELETE, OPTIONS"
    allowed = fields["Access-Control-Allow-Headers"].split(", ")
    needed = {"Content-Type", "Authorization", "Mcp-Session-Id", "MCP-Protocol-Version", "Last-Event-ID"}
    assert needed <= set(allowed)
    assert fields["Access-Control-Max-Age"] == "600"


@pytest.mark.parametrize(
    ("requested", "added"),
    [
        ("Mcp-Param-Region, x-evil", ["Mcp-Param-Region"]),
        ("mcp-param-a,mcp-param-b", ["mcp-param-a", "mcp-param-b"]),
        ("mcp-param-", []),
        ("mcp-param-a\r\nX-Evil: 1", []),
        ("mcp-param-" + "a" * 65, []),
        (",,", []),
    ],
)
def test_a_preflight_adds_the_parameter_headers_asked_for_alone(requested: str, added: list[str]) -> None:
    """Our choice: Mcp-Param- names are open-ended; nothing else that a page asks for is reflected."""
    plain = dict(policy(APP).preflight_headers(None))["Access-Control-Allow-Headers"].split(", ")
    fields = dict(policy(APP).preflight_headers(requested))["Access-Control-Allow-Headers"].split(", ")
    assert fields == [*plain, *added]


PAGE = [("Host", "h"), ("Origin", APP), ("Content-Type", "application/json"), ("Accept", "*/*")]


def test_a_request_without_an_origin_is_none_of_cors_business() -> None:
    """Fetch: the Origin header is what makes a request a CORS request."""
    verdict = policy(APP).judge(Headers([("Content-Type", "application/json"), ("X-Odd", "1")]), "DELETE")
    assert verdict == (None, None, None, False, (), (), (), ())


def test_a_page_of_an_allowed_origin_reads_the_answer() -> None:
    """Fetch, CORS check; application/json is not safelisted, so that a preflight comes first."""
    verdict = policy(APP).judge(Headers(PAGE), "POST")
    assert verdict == (APP, True, True, False, ("Content-Type",), (), (), ())


@pytest.mark.parametrize(
    ("origin", "host", "cross_origin"),
    [
        ("https://h", "h", None),
        ("https://h", "h:443", None),
        ("http://h:80", "H", None),
        ("http://h:3000", "h:3000", None),
        ("https://h", "h:80", True),
        ("https://h", "h:3000", True),
        ("https://h", "g", True),
        ("https://h", "", True),
        ("null", "h", True),
    ],
)
def test_a_page_of_the_host_asked_may_be_of_the_same_origin(
    origin: str, host: str, cross_origin: bool | None
) -> None:
    """RFC 6454 section 4: scheme, host and port; behind a proxy the scheme does not show."""
    headers = Headers([("Origin", origin), ("Host", host)])
    assert policy("*").judge(headers, "POST").cross_origin is cross_origin


@pytest.mark.parametrize(
    "value", ["text/plain", "text/plain;charset=UTF-8", "multipart/form-data; boundary=x"]
)
def test_a_form_type_needs_no_preflight(value: str) -> None:
    """Fetch, CORS-safelisted request-header."""
    headers = Headers([("Origin", APP), ("content-type", value), ("Accept-Language", "en"), ("Cookie2", "")])
    assert policy(APP).judge(headers, "POST").preflight_for == ("Cookie2",)


@pytest.mark.parametrize(
    ("method", "needed"), [("GET", False), ("HEAD", False), ("POST", False), ("DELETE", True)]
)
def test_a_method_that_is_not_simple_needs_a_preflight(method: str, needed: bool) -> None:
    """Fetch, CORS-safelisted method."""
    assert policy(APP).judge(Headers([("Origin", APP)]), method).method_needs_preflight is needed


@pytest.mark.parametrize("name", ["X-Custom", "X-Api-Version", "Idempotency-Key", "x-cf", "viaduct"])
def test_a_header_that_nobody_knows_may_be_the_page_s_or_a_hop_s(name: str) -> None:
    """Our choice: what cannot be told is said, and nobody is blamed."""
    verdict = policy(APP).judge(Headers([*PAGE, (name, "1")]), "POST")
    assert (verdict.readable, verdict.problems, verdict.from_hops) == (True, (), ())
    (told,) = verdict.uncertain
    assert told.startswith(f"The page or a hop may have set {name}.")


def test_cookies_may_be_the_page_s_or_a_hop_s() -> None:
    """Fetch, CORS protocol and credentials; balancers set cookies of their own."""
    verdict = policy(APP).judge(Headers([*PAGE, ("Cookie", "a=b")]), "POST")
    assert (verdict.readable, verdict.problems) == (None, ())
    assert verdict.uncertain[0].startswith("The page or a hop may have set Cookie.")
    allowed = policy(APP, credentials=True).judge(Headers([*PAGE, ("Cookie", "a=b")]), "POST")
    assert (allowed.readable, allowed.uncertain) == (True, ())


@pytest.mark.parametrize(
    "extra",
    [
        ("Authorization", "Bearer x"),
        ("mcp-session-id", "1"),
        ("Mcp-Param-Region", "eu"),
        ("Sec-Fetch-Mode", "cors"),
        ("User-Agent", "x"),
        ("Access-Control-Request-Private-Network", "true"),
    ],
)
def test_what_mcp_and_browsers_send_is_neither_a_problem_nor_in_doubt(extra: tuple[str, str]) -> None:
    """The allowed headers, and those that Fetch has browsers set."""
    verdict = policy(APP).judge(Headers([*PAGE, extra]), "POST")
    assert (verdict.problems, verdict.uncertain, verdict.from_hops) == ((), (), ())


@pytest.mark.parametrize("name", [f"{each}x" if each[-1] == "-" else each for each in KNOWN_FROM_HOPS])
def test_what_hops_are_known_to_add_is_neither_a_problem_nor_in_doubt(name: str) -> None:
    """Our choice: headers that the page did not set must not be blamed on it, however they are spelled."""
    for spelled in (name, name.title(), name.upper()):
        verdict = policy(APP).judge(Headers([*PAGE, (spelled, "1")]), "POST")
        assert (verdict.problems, verdict.uncertain, verdict.from_hops) == ((), (), (spelled,))
        assert verdict.preflight_for == ("Content-Type",)


def test_another_origin_is_a_problem_that_names_the_setting() -> None:
    """Fetch, CORS check; the person who reads this needs to know what to change."""
    verdict = policy(APP).judge(Headers([("Origin", "https://other.example")]), "GET")
    assert verdict.readable is False
    assert verdict.problems == ("Origin https://other.example is not in MCP_ECHO_ALLOWED_ORIGINS",)


def test_the_policy_follows_the_settings() -> None:
    """Our choice: one set of settings, one policy."""
    options = {"allowed_origins": APP, "cors_credentials": "true", "cors_max_age": "5"}
    found = CorsPolicy.of(load(options, {}).settings)
    assert (found.allowed.entries, found.credentials, found.max_age, found.allowed.any) == (
        (APP,),
        True,
        5,
        False,
    )


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("X-Amzn-Trace-Id", True),
        ("X-Forwarded-For", True),
        ("CF-Connecting-IP", True),
        ("cf", False),
        ("x-forwarded", False),
        ("X-Via", False),
        ("", False),
        ("-", False),
        ("a-" * 5000, False),
    ],
)
def test_a_name_is_known_by_itself_or_by_what_it_begins_with(name: str, known: bool) -> None:
    """Our choice: a name that only looks like another is not taken for it."""
    assert (known_hop(name) is not None) is known
