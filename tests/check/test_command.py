"""``mcp-echo check URL``: what is asked, what is found, what is printed, and the exit status."""

from __future__ import annotations

import io
import json
from typing import Any
from unittest import mock
from xml.etree import ElementTree

import pytest
from twisted.python import usage

from mcp_echo.check.command import main
from mcp_echo.check.metadata_checks import CHECKS as METADATA_CHECKS
from mcp_echo.check.modern_checks import CHECKS as MODERN_CHECKS
from mcp_echo.check.options import FORMATS, CheckOptions
from mcp_echo.check.server_checks import CHECKS as SERVER_CHECKS
from mcp_echo.check.session_checks import CHECKS as SESSION_CHECKS
from mcp_echo.check.stream_checks import CHECKS as STREAM_CHECKS
from tests.check.support import SESSION, URL, GoodServer, Reply, error, ran, result

EVENTS = {"Content-Type": "text/event-stream"}


def test_a_server_that_does_nothing_wrong_ends_with_zero() -> None:
    """The design: exit 0 clean; what held is a result too."""
    done = ran(GoodServer())
    assert (done.status, done.told) == (0, "")
    assert done.printed.startswith("Nothing is wrong: 17 checks held.\n")
    assert "held     session-gone\n" in done.printed


@pytest.mark.parametrize(
    ("asked", "answer", "found"),
    [
        ("initialize", (200, {}, result(1, protocolVersion="2026-07-28")), "revision-known"),
        ("initialize", (200, {"Mcp-Session-Id": "a\u00e9" * 9}, result(1, protocolVersion="2025-11-25")),
         "session-characters"),
        ("initialize", (200, {"Mcp-Session-Id": "12"}, result(1, protocolVersion="2025-11-25")),
         "session-length"),
        ("request", (200, {"Content-Type": "text/html"}, json.dumps(result(3)).encode()),
         "answer-media-type"),
        ("request", (200, {}, result(4)), "answer-id"),
        ("notification", (200, {}, result(1)), "notification-accepted"),
        ("notification", (202, {}, b"ok"), "notification-accepted"),
        ("stream", (200, {}, result(1)), "get-stream-or-405"),
        ("stream", (404, {}, b""), "get-stream-or-405"),
        ("version", (200, {}, result(1)), "version-header-checked"),
        ("origin", (200, {}, result(1)), "origin-checked"),
        ("sessionless", (200, {}, result(1)), "session-required"),
        ("delete", (500, {}, b""), "session-ends"),
        ("ended", (400, {}, b""), "session-gone"),
        ("discover", (200, {}, result(2)), "modern-complete"),
        ("discover", (200, {"Mcp-Session-Id": SESSION}, result(2, resultType="complete")),
         "modern-sessionless"),
        ("other_method", (200, {}, result(1)), "modern-headers-compared"),
        ("other_method", (400, {}, error(-32602)), "modern-headers-compared"),
        ("unknown_claim", (400, {}, error(-32600)), "modern-version-refused"),
        ("request", (0, {}, None), "server-answers"),
    ],
)  # fmt: skip
def test_each_check_finds_what_it_is_for(asked: str, answer: Reply, found: str) -> None:
    """The design: a sentence with what was found and wanted, advice, and a link to the rule."""
    done = ran(GoodServer(**{asked: answer}), "--format", "json")
    assert done.status == 1
    finding = done.findings[found]
    assert finding["level"] in ("error", "warning")
    assert finding["summary"]
    assert finding["advice"]
    assert finding["rule"]["url"].startswith("https://")


def test_405_and_an_event_stream_are_answers_as_good_as_any() -> None:
    """2025-11-25 basic/transports: either; and a server need not let clients end sessions."""
    event = b"event: message\ndata: " + json.dumps(result(3)).encode() + b"\n\n"
    answers: dict[str, Reply] = {
        "stream": (405, {}, b""),
        "delete": (405, {}, b""),
        "request": (200, EVENTS, event),
    }
    assert ran(GoodServer(**answers)).status == 0


def test_one_era_is_enough() -> None:
    """Our choice: what a server does not speak is no fault."""
    legacy = ran(GoodServer(discover=(400, {}, error(-32601))), "--format", "json")
    modern = ran(GoodServer(initialize=(400, {}, error(-32022))), "--format", "json")
    assert (legacy.status, modern.status) == (0, 0)
    assert "legacy era" in legacy.findings["server-speaks"]["summary"]
    assert "modern era" in modern.findings["server-speaks"]["summary"]


RESOURCE: dict[str, Any] = {"resource": URL, "authorization_servers": ["https://as.example/a"]}
ISSUER: dict[str, Any] = {
    "issuer": "https://as.example/a",
    "authorization_endpoint": "https://as.example/authorize",
    "token_endpoint": "https://as.example/token",
    "registration_endpoint": "https://as.example/register",
    "code_challenge_methods_supported": ["S256"],
}
NAMED = 'Bearer resource_metadata="http://mcp.example/.well-known/oauth-protected-resource/mcp"'


def protected(resource: Any = None, issuer: Any = None, named: str | None = NAMED) -> GoodServer:
    """Return a server that wants credentials; None leaves a document away."""
    challenge: Reply = (401, {} if named is None else {"WWW-Authenticate": named}, b"")
    missing: Reply = (404, {}, b"")
    return GoodServer(
        initialize=challenge,
        discover=challenge,
        oauth_protected_resource=missing if resource is None else (200, {}, resource),
        oauth_authorization_server=missing if issuer is None else (200, {}, issuer),
        openid_configuration=missing,
    )


def test_the_chain_of_metadata_is_followed() -> None:
    """RFC 9728 3.1, RFC 8414 3.1: found where clients look, and about each other."""
    server = protected(RESOURCE, ISSUER)
    done = ran(server, "--format", "json")
    assert done.status == 0, done.printed
    assert "server-wants-credentials" in done.findings
    paths = [request.path for request in server.asked if request.path != b"/mcp"]
    assert paths == [
        b"/.well-known/oauth-protected-resource/mcp",
        b"/.well-known/oauth-authorization-server/a",
    ]
    # The authorization server is not the server that the headers are for.
    assert "authorization-servers-named" in json.loads(done.printed)["heldRules"]


@pytest.mark.parametrize(
    ("server", "found"),
    [
        (protected(RESOURCE, ISSUER, named=None), "challenge-bearer"),
        (protected(RESOURCE, ISSUER, named="Bearer"), "challenge-names-metadata"),
        (protected(None, ISSUER), "resource-metadata-found"),
        (protected({**RESOURCE, "resource": "http://mcp.example/other"}, ISSUER), "resource-matches"),
        (protected({"resource": URL}, ISSUER), "authorization-servers-named"),
        (protected(RESOURCE, None), "server-metadata-found"),
        (protected(RESOURCE, {**ISSUER, "issuer": "https://as.example/a/"}), "issuer-matches"),
        (protected(RESOURCE, {**ISSUER, "code_challenge_methods_supported": ["plain"]}), "pkce-supported"),
        (protected(RESOURCE, {**ISSUER, "token_endpoint": "http://as.example/token"}), "endpoints-safe"),
        (protected(RESOURCE, {"issuer": "https://as.example/a"}), "registration-possible"),
    ],
)
def test_each_link_of_the_chain_can_break(server: GoodServer, found: str) -> None:
    assert found in ran(server, "--format", "json").findings


def test_credentials_go_to_the_server_and_are_not_printed() -> None:
    """The design: secrets are never printed; and nobody else is sent them."""
    secret = "s3cr3t-0f-mine"
    server = protected({**RESOURCE, "resource": f"http://x/{secret}"}, {**ISSUER, "issuer": secret})
    for form in FORMATS:
        done = ran(server, "--header", f"Authorization: Bearer {secret}", "--format", form)
        assert done.status == 1
        assert secret not in done.printed + done.told
    sent = {request.getHeader("Host"): request.getHeader("Authorization") for request in server.asked}
    assert sent == {"mcp.example": f"Bearer {secret}", "as.example": None}


def test_what_cannot_be_checked_ends_with_two_and_one_line() -> None:
    """The design: exit 2, with one line that says why."""
    silent: Reply = (0, {}, None)
    nothing: Reply = (404, {}, b"<html>")
    for server, said in (
        (GoodServer(initialize=silent), "no answer came within 10 s"),
        (GoodServer(initialize=nothing, discover=nothing), "no MCP server (404 to initialize, 404 to"),
    ):
        done = ran(server)
        assert (done.status, done.printed, done.told.count("\n")) == (2, "", 1)
        assert said in done.told


def test_an_answer_without_end_is_not_read_to_its_end() -> None:
    """Our choice: bounded in size."""
    done = ran(GoodServer(request=(200, {}, b" " * (5 << 20))), "--format", "json")
    assert "longer than 4 MiB" in done.findings["server-answers"]["summary"]


def test_programs_read_what_people_do() -> None:
    """The design: --format json, junit, sarif."""
    wrong: Reply = (400, {}, b"")
    suite = ElementTree.fromstring(ran(GoodServer(ended=wrong), "--format", "junit").printed)[0]
    assert [case.get("name") for case in suite if case.find("failure") is not None] == ["session-gone"]
    results = json.loads(ran(GoodServer(ended=wrong), "--format", "sarif").printed)["runs"][0]["results"]
    assert {each["ruleId"]: each["level"] for each in results} == {
        "session-gone": "error",
        "server-speaks": "note",
    }
    assert "error    session-gone\n" in ran(GoodServer(ended=wrong)).printed


def test_the_level_decides_on_the_exit_status() -> None:
    lax: Reply = (200, {}, result(1))
    levels = ("error", "warning", "info")
    statuses = [ran(GoodServer(sessionless=lax), "--fail-on", level).status for level in levels]
    assert statuses == [0, 1, 1]


def test_what_is_not_possible_is_refused() -> None:
    """Our choice: before anything is sent."""
    for words in (
        [],
        [URL, URL],
        ["--hop", URL],
        ["--hop", URL, URL, URL],
        ["--hop", "--stream", URL, URL],
        ["ftp://h/mcp"],
        ["http://u:p@h/mcp"],
        ["http:///mcp"],
        ["http://h:x/mcp"],
        [URL, "--format", "pdf"],
        [URL, "--fail-on", "fatal"],
        [URL, "--timeout", "0"],
        [URL, "--seconds", "nan"],
        [URL, "--header", "no colon"],
        [URL, "--call", "tool [1]"],
    ):
        with pytest.raises(usage.UsageError):
            CheckOptions().parseOptions(words)


def test_a_command_line_that_is_wrong_ends_with_two_and_one_line() -> None:
    errors = io.StringIO()
    with mock.patch("sys.stderr", errors), pytest.raises(SystemExit) as ended:
        main(["mcp.example"])
    assert (ended.value.code, errors.getvalue().count("\n")) == (2, 1)


def test_no_two_checks_have_one_id() -> None:
    tables = (SERVER_CHECKS, SESSION_CHECKS, MODERN_CHECKS, METADATA_CHECKS, STREAM_CHECKS)
    ids = [each.id for table in tables for each in table]
    assert len(ids) == len(set(ids))
