"""What browsers are shown, and what is shown at the same addresses to others."""

from __future__ import annotations

from typing import Any

from mcp_echo.faults.plans import PLANS
from mcp_echo.page.files import page_files
from mcp_echo.page.snippets import SNIPPETS
from mcp_echo.watch.records import SessionChange
from tests.transport.support import Answer, send
from tests.transport.test_traces import JSON, TraceTestCase

# As Chromium sends it for a page.
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"}
PROGRAM = {"Accept": "application/json"}
FOREIGN = {"Origin": "http://evil.example"}


class PageTestCase(TraceTestCase):
    def page(self, path: str, method: str = "GET", **headers: str) -> Answer:
        answer: Answer = self.request(method, path, headers={**BROWSER, **headers})
        return answer

    def shared(self, made: Any) -> str:
        return "/v/" + made["shareUrl"].split("/")[-2] + "/"


class LandingTests(PageTestCase):
    def test_a_browser_gets_a_page_that_runs_only_our_own_files(self) -> None:
        """Our choice: the strictest policy under which it works."""
        answer = self.page("/")
        assert answer.status == 200
        assert answer.header("Content-Type") == "text/html; charset=utf-8"
        assert answer.header("Vary") == "Accept"
        assert answer.header("Cache-Control") == "no-store"
        assert answer.header("Referrer-Policy") == "no-referrer"
        assert answer.header("X-Content-Type-Options") == "nosniff"
        policy = answer.header("Content-Security-Policy") or ""
        assert policy.split("; ")[0] == "default-src 'none'"
        for part in ("script-src 'self'", "form-action 'none'", "frame-ancestors 'none'", "base-uri 'none'"):
            assert part in policy.split("; ")
        assert "unsafe" not in policy

    def test_a_terminal_gets_the_same_as_text(self) -> None:
        """Our choice: curl is a client of this server too."""
        answer = self.request("GET", "/", headers={"Accept": "*/*"})
        assert answer.header("Content-Type") == "text/plain; charset=utf-8"
        text = answer.body.decode()
        assert "http://localhost:3000/mcp" in text
        assert "curl -s http://localhost:3000/t -H" in text
        assert all(snippet.client in text for snippet in SNIPPETS)

    def test_the_page_asks_for_what_it_has_to_know(self) -> None:
        """Our choice: one address, and what is wanted of it is said as HTTP has it."""
        known = self.request("GET", "/", headers=PROGRAM).json
        assert known["traces"] is True
        assert known["publicUrl"] is None
        assert {"label", "expect", "seconds"} <= set(known["options"])
        assert [each["client"] for each in known["snippets"]] == [each.client for each in SNIPPETS]
        assert [each["plan"] for each in known["plans"]] == list(PLANS)

    def test_where_no_faults_can_be_ordered_there_are_no_drills(self) -> None:
        """docs: MCP_ECHO_FAULTS."""
        self.serve({"MCP_ECHO_FAULTS": "off"})
        assert self.request("GET", "/", headers=PROGRAM).json["plans"] == []

    def test_head_answers_like_get_without_a_body(self) -> None:
        """RFC 9110 section 9.3.2."""
        got, head = self.page("/"), self.page("/", "HEAD")
        assert (head.status, head.body) == (200, b"")
        assert head.header("Content-Length") == str(len(got.body))
        assert head.header("Content-Type") == got.header("Content-Type")

    def test_a_client_at_the_wrong_address_is_told_so(self) -> None:
        """Our choice: what asks for events, or posts, is a client of MCP and no browser."""
        for method, headers in (
            ("GET", {"Accept": "text/event-stream"}),
            ("GET", {"Accept": "application/json, text/event-stream"}),
            ("GET", {"Accept": "image/png"}),
            ("POST", {**JSON, "Accept": "text/html"}),
            ("DELETE", BROWSER),
        ):
            answer = self.request(method, "/", {} if method == "POST" else None, headers)
            assert answer.status == 404, headers
            assert "Streamable HTTP is at /mcp" in answer.json["error"]["message"]

    def test_looking_is_not_recorded(self) -> None:
        """Our choice: what people look at is not what a client has sent."""
        assert self.service.insight is not None
        assert self.service.insight.plain is not None
        for path in ("/", "/page/base.css", "/page/nothing.js", "/t/page/dom.js", "/v/page/dom.js"):
            self.page(path)
        assert len(self.service.insight.plain.records) == 0
        self.request("POST", "/", {}, JSON)
        assert len(self.service.insight.plain.records) == 1

    def test_another_servers_name_is_refused(self) -> None:
        """basic/transports, Security Warning: a page behind a rebound name must not see this one."""
        for path in ("/", "/page/base.css", self.path(self.make())):
            assert self.page(path, Host="evil.example").status == 421

    def test_off_shows_the_address_and_no_traces(self) -> None:
        """docs: MCP_ECHO_WATCH."""
        made = self.make()
        self.serve({"MCP_ECHO_WATCH": "off"})
        assert self.page("/").status == 200
        known = self.request("GET", "/", headers=PROGRAM).json
        assert (known["traces"], known["recorded"], known["options"]) == (False, False, [])
        text = self.request("GET", "/").body.decode()
        assert "http://localhost:3000/mcp" in text
        assert "trace" not in text
        for path in (self.path(made), self.shared(made), "/t/", "/t"):
            assert self.page(path).status == 404
        assert self.page("/page/base.css").status == 200

    def test_the_operators_address_is_the_one_that_is_shown(self) -> None:
        """docs: MCP_ECHO_PUBLIC_URL."""
        self.serve({"MCP_ECHO_PUBLIC_URL": "https://echo.example", "MCP_ECHO_WATCH": "on"})
        assert "https://echo.example/mcp" in self.request("GET", "/").body.decode()
        assert self.request("GET", "/", headers=PROGRAM).json["publicUrl"] == "https://echo.example"
        made = self.make()
        assert (
            self.request("GET", self.path(made), headers=PROGRAM).json["publicUrl"] == "https://echo.example"
        )


class FileTests(PageTestCase):
    def test_every_file_is_there_beside_each_page(self) -> None:
        """Our choice: a gateway has to let nothing more through than the page itself."""
        for name, file in page_files().items():
            for place in ("/page/", "/t/page/", "/v/page/"):
                answer = self.page(place + name)
                if name.endswith(".html"):
                    assert answer.status == 404
                    continue
                assert (answer.status, answer.body) == (200, file.body)
                assert answer.header("Content-Type") == file.media_type
                assert answer.header("X-Content-Type-Options") == "nosniff"

    def test_a_browser_keeps_what_has_not_changed(self) -> None:
        """RFC 9110 section 13.1.2."""
        tag = self.page("/page/base.css").header("ETag")
        assert tag is not None
        again = self.page("/page/base.css", **{"If-None-Match": f'"other", {tag}'})
        assert (again.status, again.body) == (304, b"")
        assert again.header("ETag") == tag
        assert self.page("/page/base.css", **{"If-None-Match": '"other"'}).status == 200

    def test_there_is_nothing_else(self) -> None:
        """Our choice: names of files, and no paths."""
        for path in (
            "/page/",
            "/page/none.js",
            "/page/../service.py",
            "/page/%2e%2e/x.js",
            "/page/__init__.py",
        ):
            assert self.page(path).status == 404
        assert self.request("POST", "/page/base.css", {}, JSON).status == 404


class TracePageTests(PageTestCase):
    def test_a_browser_gets_a_page_and_others_get_text(self) -> None:
        """Our choice: what is meant for people at a terminal stays as it was."""
        made = self.make(label="mine")
        for path in (self.path(made), self.shared(made)):
            page = self.page(path)
            assert page.header("Content-Type") == "text/html; charset=utf-8"
            assert page.header("Cache-Control") == "no-store"
            assert page.header("Vary") == "Accept"
            text = self.request("GET", path)
            assert text.header("Content-Type") == "text/plain; charset=utf-8"
            assert text.body.decode().startswith("Trace mine, begun ")
            assert self.page(path, "HEAD").body == b""

    def test_the_page_itself_tells_nothing(self) -> None:
        """Our choice: all that is shown is read by the page, so that nothing of a client becomes HTML."""
        made = self.make(label="<img src=x>")
        self.initialize_at(made)
        assert self.page(self.path(made)).body == page_files()["trace.html"].body

    def test_relative_addresses_need_the_slash(self) -> None:
        """Our choice: a page without it would look for its files elsewhere."""
        made = self.make()
        path = self.path(made).rstrip("/")
        sent = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\n\r\n"
        answer = send(self.service.site, sent.encode()).decode()
        assert answer.startswith("HTTP/1.1 308 ")
        assert f"\r\nLocation: {made['trace']}/\r\n" in answer
        assert self.request("GET", self.path(made).rstrip("/")).status == 200

    def test_who_has_the_id_is_told_all_of_the_addresses(self) -> None:
        """Our choice: the address to copy, the one to share, and what may be done."""
        made = self.make(label="mine")
        place = self.request("GET", self.path(made), headers=PROGRAM).json
        assert place["mcpPath"] == f"t/{made['trace']}/mcp"
        assert made["shareUrl"].endswith(place["sharePath"])
        assert place["mayDelete"] is True
        assert place["expires"] == made["expires"]
        assert [each["client"] for each in place["snippets"]] == [each.client for each in SNIPPETS]

    def test_who_may_only_read_is_not_told_the_id(self) -> None:
        """Our choice: what is shown around must not let anybody change or delete it."""
        made = self.make(label="mine")
        answer = self.request("GET", self.shared(made), headers=PROGRAM)
        assert made["trace"] not in answer.body.decode()
        assert answer.json["label"] == "mine"
        assert not answer.json["mayDelete"]
        assert answer.json["mcpPath"] is None
        assert self.page(self.shared(made), "DELETE").status == 405

    def test_the_trace_of_plain_mcp_shows_that_address(self) -> None:
        """Our choice: what people point clients at is /mcp, and nobody ends its record by a click."""
        assert self.service.insight is not None
        plain = self.service.insight.plain
        assert plain is not None
        place = self.request("GET", f"/t/{plain.id}/", headers=PROGRAM).json
        assert (place["mcpPath"], place["mayDelete"]) == ("mcp", False)

    def test_what_is_not_there_or_over_says_so_as_a_page(self) -> None:
        """Our choice: whoever comes back to an old address is told, and nobody is shown JSON."""
        made, other = self.make(), self.make(seconds=5)
        self.request("DELETE", self.path(made))
        self.clock.advance(5)
        for path, reason in (
            (f"/t/{'a' * 32}/", "no such trace"),
            (f"/v/{'a' * 32}/", "no such trace"),
            ("/t/too-short/", "no such trace"),
            ("/t/too-short", "no such trace"),
            (self.path(made), "deleted, 2023-11-14 22:13:20 UTC"),
            (self.shared(made), "deleted, 2023-11-14 22:13:20 UTC"),
            (self.path(other), "expired, 2023-11-14 22:13:25 UTC"),
        ):
            answer = self.page(path)
            assert answer.status == 404, path
            assert answer.header("Content-Type") == "text/html; charset=utf-8"
            assert "script-src 'self'" in (answer.header("Content-Security-Policy") or "")
            assert reason in answer.body.decode()
            assert self.request("GET", path).header("Content-Type") == "application/json"

    def test_a_page_of_another_site_is_shown_nothing(self) -> None:
        """Our choice: the address is the right to read, and no other site reads with it."""
        made = self.make()
        self.initialize_at(made)
        for below in ("", "report", "exchanges", "events", "curl?exchange=1", "evidence.json", "evidence.md"):
            for base in (self.path(made), self.shared(made)):
                answer = self.request("GET", base + below, headers={**FOREIGN, **BROWSER})
                assert answer.status == 403, below
                assert b"tests" not in answer.body
                assert answer.header("Access-Control-Allow-Origin") is None
        own = {"Origin": "http://localhost:3000"}
        assert self.request("GET", self.path(made, "report"), headers=own).status == 200

    def test_what_the_page_reads_is_not_recorded(self) -> None:
        """Our choice: a record that grows by being looked at tells nothing."""
        made = self.make()
        self.initialize_at(made)
        before = self.exchanges(made)
        self.page(self.path(made))
        self.page("/t/page/dom.js")
        self.request("GET", self.path(made), headers=PROGRAM)
        self.request("GET", self.path(made, "curl?exchange=1"))
        assert self.exchanges(made) == before


class CurlTests(PageTestCase):
    def test_an_exchange_can_be_sent_again(self) -> None:
        """docs/evidence.md: what the client wrote in single quotes, variables for what is not recorded."""
        made = self.make()
        headers = {"X-Note": "it's $(id)", "Authorization": "Bearer abcdefghijklmnopqrstuvwxyz", **JSON}
        self.request("POST", self.path(made, "mcp"), b"{", headers)
        for base in (self.path(made), self.shared(made)):
            answer = self.request("GET", f"{base}curl?exchange=1")
            assert answer.header("Content-Type") == "text/plain; charset=utf-8"
            assert answer.header("Cache-Control") == "no-store"
            command = answer.body.decode()
            assert command.startswith("curl -g -i --path-as-is -X 'POST' \"$SERVER\"'/t/'\"$TRACE\"'/mcp'")
            assert "'X-Note: it'\\''s $(id)'" in command
            assert "'Authorization: Bearer '\"$TOKEN\"" in command
            assert made["trace"] not in command

    def test_only_numbers_of_exchanges_that_are_kept(self) -> None:
        """Our choice: bad input gets a clear error."""
        made = self.make()
        self.initialize_at(made)
        for asked, status in (("exchange=99", 404), ("exchange=-1", 400), ("", 400), ("exchange=1x", 400)):
            assert self.request("GET", self.path(made, f"curl?{asked}")).status == status
        session = next(each for each in self.recorded(made) if isinstance(each, SessionChange))
        assert self.request("GET", self.path(made, f"curl?exchange={session.number}")).status == 404

    def recorded(self, made: Any) -> Any:
        assert self.service.insight is not None
        trace = self.service.insight.traces.find(made["trace"])
        assert trace is not None
        return trace.records
