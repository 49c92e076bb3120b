"""printHeader and corsAnalysis."""

from __future__ import annotations

import pytest

from mcp_echo.redaction import mask
from mcp_echo.tools.base import ArgumentError
from mcp_echo.tools.headers import categorize
from tests.tools.support import Scene, wire

TOKEN = "Zm9vYmFyYmF6cXV4"
HEADERS = [
    ("Host", "mcp-echo.example.com"),
    ("Authorization", f"Bearer {TOKEN}"),
    ("User-Agent", "MCP-Client/1.0"),
    ("X-User-Id", "12345"),
    ("x-user-NAME", "johndoe"),
    ("Mcp-Session-Id", "550e8400-e29b-41d4-a716-446655440000"),
    ("X-Hop", "a"),
    ("X-Hop", "b"),
]

AUTH = (
    "🔐 Authentication Headers:\n"
    f"  Authorization: Bearer {mask(TOKEN)}\n"
    "  X-User-Id: 12345\n"
    "  x-user-NAME: johndoe\n"
    "\n"
)
STATISTICS = "📊 Header Statistics:\n  Total headers: 8\n  Auth headers: 3\n  Custom headers: 2"


def test_headers_are_listed_by_category_as_they_arrived() -> None:
    """The tool's specified answer; order, spelling and repetition are what one debugs."""
    assert Scene().text("printHeader", headers=HEADERS) == (
        "📋 HTTP Headers Analysis\n"
        "\n" + AUTH + "🌐 Standard Headers:\n"
        "  Host: mcp-echo.example.com\n"
        "  User-Agent: MCP-Client/1.0\n"
        "\n"
        "🔄 MCP Headers:\n"
        "  Mcp-Session-Id: 550e8400-e29b-41d4-a716-446655440000\n"
        "\n"
        "🧩 Custom Headers:\n"
        "  X-Hop: a\n"
        "  X-Hop: b\n"
        "\n" + STATISTICS
    )


def test_a_category_filters_the_list_and_not_the_statistics() -> None:
    """The tool's specified argument."""
    answer = Scene().call("printHeader", {"category": "auth"}, HEADERS)
    assert answer.text == "📋 HTTP Headers Analysis\n\n" + AUTH + STATISTICS
    structured = wire(answer)
    assert [field["name"] for field in structured["headers"]] == ["Authorization", "X-User-Id", "x-user-NAME"]
    assert structured["counts"] == {"auth": 3, "standard": 2, "mcp": 1, "custom": 2}
    assert structured["total"] == 8


@pytest.mark.parametrize(
    ("category", "heading"),
    [("auth", "🔐 Authentication"), ("standard", "🌐 Standard"), ("mcp", "🔄 MCP"), ("custom", "🧩 Custom")],
)
def test_an_empty_category_that_was_asked_for_says_so(category: str, heading: str) -> None:
    """Our choice: the absence of a header is an answer too."""
    text = Scene().text("printHeader", {"category": category})
    assert f"{heading} Headers:\n  (none)\n" in text
    assert text.count("(none)") == 1


def test_an_unknown_category_is_refused() -> None:
    """The categories are auth, standard, mcp and custom."""
    with pytest.raises(ArgumentError, match=r"\$\.category"):
        Scene().call("printHeader", {"category": "secret"})


@pytest.mark.parametrize(
    ("name", "category"),
    [
        ("MCP-Protocol-Version", "mcp"),
        ("mcp-param-x", "mcp"),
        ("Cookie", "auth"),
        ("X-Auth-Request-Email", "auth"),
        ("Remote-Groups", "auth"),
        ("X-Forwarded-User", "auth"),
        ("X-Forwarded-For", "standard"),
        ("Sec-Fetch-Mode", "standard"),
        ("traceparent", "standard"),
        ("X-Amzn-Oidc-Data", "auth"),
        ("Cf-Access-Jwt-Assertion", "auth"),
        ("X-MS-CLIENT-PRINCIPAL", "auth"),
        ("Tailscale-User-Login", "auth"),
        ("X-Pomerium-Claim-Anything", "auth"),
        ("X-Forwarded-Client-Cert", "auth"),
        ("Cf-Ray", "custom"),
        ("X-Anything", "custom"),
        ("", "custom"),
    ],
)
def test_every_header_has_a_category(name: str, category: str) -> None:
    """The documented categories; names are case-insensitive (RFC 9110 section 5.1).

    What says who is calling is told by one table, with the page of each gateway.
    """
    assert categorize(name) == categorize(name.upper()) == category


SECRETS = [
    ("Authorization", f"Bearer {TOKEN}"),
    ("Proxy-Authorization", f"Basic {TOKEN}"),
    ("Cookie", f"sid={TOKEN}; b={TOKEN}"),
    ("X-Auth-Token", TOKEN),
    ("X-Api-Key", TOKEN),
    ("X-Forwarded-Access-Token", TOKEN),
    ("X-Amz-Security-Token", TOKEN),
]


@pytest.mark.parametrize("tool", ["printHeader", "authContext"])
def test_no_secret_is_shown_unless_the_lab_switch_is_on(tool: str) -> None:
    """Our choice: redacted by default, neither in the text nor in the structured result."""
    hidden = Scene().call(tool, headers=SECRETS)
    assert TOKEN not in hidden.text + repr(wire(hidden))
    assert TOKEN in Scene({"reveal_secrets": "true"}).text(tool, headers=SECRETS)


def test_a_header_drives_no_terminal() -> None:
    """Our choice: what a client sent is shown, not acted on."""
    text = Scene().text("printHeader", headers=[("X-Odd\x1b", "\x9b31m\u202e")])
    assert "  X-Odd\\x1b: \\x9b31m\\u202e\n" in text


APP = "https://app.example.com"

CORS_HEAD = (
    "🌐 CORS Analysis\n"
    "\n"
    "Allowed Origins: {origins}\n"
    "Allowed Methods: GET, POST, DELETE, OPTIONS\n"
    "Allowed Headers: Content-Type, Authorization, Mcp-Session-Id, MCP-Protocol-Version, Mcp-Method, "
    "Mcp-Name, Last-Event-ID, Accept, traceparent, tracestate, baggage\n"
    "Exposed Headers: Mcp-Session-Id, MCP-Protocol-Version, WWW-Authenticate, Retry-After\n"
    "Max Age: 86400\n"
    "Credentials: {credentials}\n"
    "\n"
    "This Request:\n"
)


def test_cors_analysis_of_a_request_that_is_none_of_a_browser() -> None:
    """The tool's specified answer, with what the request itself asked."""
    assert Scene({"allowed_origins": "*"}).text("corsAnalysis", headers=[("Host", "h")]) == (
        CORS_HEAD.format(origins="*", credentials="false")
        + "- Origin: (none: not a CORS request, unless a hop has removed it)\n"
        "- Method: POST\n"
        "- Preflight: not needed\n"
        "- A browser would: not apply CORS to what came\n"
        "\n"
        "Status: ⚠️ Permissive CORS configuration: any web page may call this server"
    )


def test_cors_analysis_of_an_allowed_page() -> None:
    """Fetch, CORS protocol: what a browser would do with this very request."""
    scene = Scene({"allowed_origins": APP, "cors_credentials": "true"})
    answer = scene.call("corsAnalysis", headers=[("Origin", APP), ("Content-Type", "application/json")])
    assert answer.text == (
        CORS_HEAD.format(origins=APP, credentials="true") + f"- Origin: {APP}\n"
        "- Method: POST\n"
        "- Preflight: needed for Content-Type, where the page itself set it\n"
        "- A browser would: let the page read this server's answer, if no hop changes its headers\n"
        "\n"
        "Status: ✅ CORS is limited to the allowed origins"
    )
    structured = wire(answer)
    assert (structured["allowedByBrowser"], structured["crossOrigin"], structured["problems"]) == (
        True,
        True,
        [],
    )


def test_cors_analysis_names_every_problem() -> None:
    """Our choice: the status counts them, the lines name them."""
    headers = [("Origin", "https://\x1bevil.example")]
    text = Scene({"allowed_origins": APP}).text("corsAnalysis", headers=headers)
    assert text.endswith(
        "- A browser would: keep this server's answer from the page\n"
        "- Problem: Origin https://\\x1bevil.example is not in MCP_ECHO_ALLOWED_ORIGINS\n"
        "\n"
        "Status: ❌ 1 problem found"
    )


def test_cors_analysis_blames_no_page_for_what_a_hop_may_have_added() -> None:
    """Our choice: who set a header does not show; what is likely, and what cannot be told, is said."""
    headers = [
        ("Origin", APP),
        ("X-Amzn-Trace-Id", "Root=1"),
        ("X-Odd\x1b", "1"),
        ("Cookie", "AWSALB=1"),
    ]
    answer = Scene({"allowed_origins": APP}).call("corsAnalysis", headers=headers)
    assert answer.text.endswith(
        "- Preflight: needed for X-Odd\\x1b, where the page itself set it\n"
        "- A browser would: let the page read this server's answer only if it sent no cookies\n"
        "- Probably Added On The Way: X-Amzn-Trace-Id (AWS load balancers and API Gateway)\n"
        "- Cannot Be Told: The page or a hop may have set Cookie. Credentials are not allowed: a page that "
        "sends cookies cannot read the answer\n"
        "- Cannot Be Told: The page or a hop may have set X-Odd\\x1b. It is not an allowed header: if the "
        "page set it, the preflight fails, and the browser does not send the request\n"
        "\n"
        "Status: ❔ no problem found; what cannot be told from this request is named above"
    )
    structured = wire(answer)
    assert (structured["hops"], structured["problems"]) == (["X-Amzn-Trace-Id"], [])
    assert (structured["allowedByBrowser"], len(structured["uncertain"])) == (None, 2)


def test_cors_analysis_does_not_take_a_page_of_the_same_host_for_a_foreign_one() -> None:
    """Fetch: browsers send Origin with every POST, to the page's own server too."""
    answer = Scene({"allowed_origins": APP}).call(
        "corsAnalysis", headers=[("Origin", APP), ("Host", "app.example.com:443")]
    )
    assert "(the host this request is for: CORS applies only if the scheme differs)" in answer.text
    assert wire(answer)["crossOrigin"] is None


def test_cors_analysis_names_a_method_that_needs_a_preflight() -> None:
    """Fetch, CORS-safelisted method."""
    text = Scene({"allowed_origins": APP}).text("corsAnalysis", headers=[("Origin", APP)], http_method="PUT")
    assert "- Preflight: needed for the method PUT\n" in text
