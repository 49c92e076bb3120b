"""What is served besides POST /mcp, and who is let in at all."""

from __future__ import annotations

import re
from pathlib import Path

from mcp_echo import __version__
from tests.transport.support import ServerTestCase

MEMORY = {"kind": "memory", "available": True, "breaker": "closed", "latency_seconds": None}


class HealthTests(ServerTestCase):
    def test_health_has_the_documented_shape_and_true_numbers(self) -> None:
        """The README's GET /health."""
        self.serve({"MCP_SESSION_TIMEOUT": "10"})
        self.initialize()
        self.clock.advance(10)
        self.store.expire()
        self.initialize()
        self.clock.advance(5)
        answer = self.request("GET", "/health")
        assert answer.status == 200
        assert answer.json == {
            "status": "healthy",
            "sessions": {"scope": "process", "active": 1, "total_created": 2, "expired": 1},
            "store": MEMORY,
            "node": self.store.node,
            "node_tag": self.initialize()[9:13],
            "uptime_seconds": 15,
            "version": __version__,
        }

    def test_ready_until_the_server_drains(self) -> None:
        """Our interface for load balancers."""
        assert self.request("GET", "/ready").status == 200
        self.service.health.draining = True
        answer = self.request("GET", "/ready")
        assert (answer.status, answer.json) == (503, {"status": "draining", "store": MEMORY})

    def test_health_answers_under_any_host_name(self) -> None:
        """Our choice: probes come by address; the answer holds counts alone."""
        for path in ("/health", "/ready"):
            assert self.request("GET", path, headers={"Host": "10.0.0.7"}).status == 200

    def test_head_is_answered_without_a_body(self) -> None:
        """RFC 9110 section 9.3.2."""
        answer = self.request("HEAD", "/health")
        assert (answer.status, answer.body) == (200, b"")


class RoutingTests(ServerTestCase):
    def test_an_unknown_path_is_404_in_json(self) -> None:
        """Our choice: errors are JSON everywhere."""
        for path in ("/nope", "/mcp/x", "/mcp//", "//mcp", "/MCP", "/%6dcp", "/health/", "/%ff"):
            answer = self.request("GET", path)
            assert (answer.status, answer.header("Content-Type")) == (404, "application/json"), path
            message = answer.json["error"]["message"]
            assert f"there is no '{path}' here" in message
            assert ("/health" if "health" in path else "/mcp") in message.partition(";")[2]

    def test_the_endpoint_with_a_slash_behind_it_is_the_endpoint(self) -> None:
        """Our choice, as clients and gateways add one (https://github.com/open-webui/mcpo/issues/209)."""
        call = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        answer = self.request("POST", "/mcp/", body=call)
        assert (answer.status, answer.json["result"]) == (200, {})
        assert self.request("OPTIONS", "/mcp/").status == 204
        assert self.request("PUT", "/mcp/").status == 405

    def test_guards_stand_before_routes(self) -> None:
        """DNS rebinding: whoever may not be here learns nothing of what is."""
        for method, path in (("POST", "//mcp"), ("GET", "/nope"), ("PUT", "/mcp"), ("GET", "//health")):
            for headers, status in (
                ({"Host": "evil.example"}, 421),
                ({"Origin": "http://evil.example"}, 403),
            ):
                assert self.request(method, path, headers=headers).status == status, (method, path)

    def test_a_page_sees_why_it_was_refused(self) -> None:
        """Fetch: an answer without CORS headers is a network error to the page."""
        self.serve({"ECHO_MAX_MESSAGE_SIZE": "1024"})
        page = {"Origin": "http://localhost:6274"}
        refused = [
            self.request("GET", "/.well-known/oauth-protected-resource", headers=page),
            self.request("PUT", "/mcp", headers=page),
            self.request("POST", "/mcp", body=b"x" * 1025, headers=page),
            self.request("POST", "/mcp", body=b"x", headers={**page, "Expect": "x"}),
        ]
        assert [each.status for each in refused] == [404, 405, 413, 417]
        for each in refused:
            assert each.header("Access-Control-Allow-Origin") == page["Origin"], each.status

    def test_a_client_of_the_other_transport_is_told_where_to_go(self) -> None:
        """Our choice: who comes for HTTP+SSE sees no more than the text of an error."""
        begun = self.request("GET", headers={"Accept": "text/event-stream"})
        assert begun.status == 400
        assert "2024-11-05" in begun.json["error"]["message"]
        assert "/sse of a server started with --legacy-sse" in begun.json["error"]["message"]
        posted = self.request("POST", "/sse", body={})
        assert (posted.status, posted.header("Allow")) == (405, "GET")
        assert posted.json["error"]["message"].endswith("; Streamable HTTP is at /mcp")

    def test_a_websocket_is_named(self) -> None:
        """Our choice: its client shows the text of the refusal, if anything."""
        answer = self.request("GET", headers={"Upgrade": "websocket", "Connection": "Upgrade"})
        assert answer.status == 400
        assert "WebSocket" in answer.json["error"]["message"]

    def test_an_offer_of_http_2_is_declined_in_silence(self) -> None:
        """RFC 9110 section 7.8; Java's HttpClient makes it with the first request on a connection."""
        headers = {
            "Upgrade": "h2c",
            "Connection": "Upgrade, HTTP2-Settings",
            "HTTP2-Settings": "AAMAAABkAAQAAP__",
        }
        for _ in range(2):
            answer = self.request("POST", body={"jsonrpc": "2.0", "id": 1, "method": "ping"}, headers=headers)
            assert answer.json["result"] == {}

    def test_a_body_that_is_coded_is_415_and_named(self) -> None:
        """RFC 9110 section 15.5.16."""
        for coding in ("gzip", "br", "gzip, identity"):
            answer = self.request("POST", body=b"x", headers={"Content-Encoding": coding})
            assert answer.status == 415
            assert f"'{coding}'" in answer.json["error"]["message"]
        ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        assert self.request("POST", body=ping, headers={"Content-Encoding": "Identity"}).status == 200

    def test_a_wrong_method_is_405_with_allow(self) -> None:
        """RFC 9110 section 15.5.6."""
        for method, path, allowed in (
            ("PUT", "/mcp", {"GET", "POST", "DELETE", "OPTIONS"}),
            ("HEAD", "/mcp", {"GET", "POST", "DELETE", "OPTIONS"}),
            ("POST", "/health", {"GET"}),
        ):
            answer = self.request(method, path)
            assert answer.status == 405
            assert set((answer.header("Allow") or "").split(", ")) == allowed
            assert answer.header("Content-Type") == "application/json"


GUIDE = (Path(__file__).parents[2] / "docs" / "hosts.md").read_text(encoding="utf-8")
HOSTS = {
    **dict(
        re.findall(r"^\| (?:from|through|the|by) [^|]* \| `([^`]+)`[^|]* \| `([^`]+)`", GUIDE, re.MULTILINE)
    ),
    "mcp-echo.tools.svc.cluster.local:3000": "mcp-echo.tools.svc.cluster.local",
    "MCP.Example.com": "mcp.example.com",
    "[2001:db8::1]:3000": "[2001:db8::1]",
}
"""Host header → the entry of the list that lets it in; most of them are what the guide says."""


class GuardTests(ServerTestCase):
    """https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#security-warning"""

    PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}

    def status(self, method: str = "POST", **headers: str) -> int:
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.request(method, body=self.PING if method == "POST" else None, headers=fields).status

    def test_a_foreign_origin_is_403_for_every_method(self) -> None:
        """MUST validate Origin; MUST respond with 403."""
        for method in ("POST", "GET", "DELETE", "OPTIONS"):
            for origin in (
                "http://evil.example",
                "http://localhost.evil.example",
                "http://localhost:3000.evil.example",
                "null",
                "",
                "http://localhost:*",
            ):
                assert self.status(method, Origin=origin) == 403, (method, origin)

    def test_the_refusal_carries_no_id_and_no_cors_header(self) -> None:
        """The body MAY be a JSON-RPC error response that has no id."""
        answer = self.request("POST", body=self.PING, headers={"Origin": "http://evil.example"})
        assert (set(answer.json), answer.json["error"]["code"]) == ({"jsonrpc", "error"}, -32600)
        assert answer.header("Access-Control-Allow-Origin") is None

    def test_loopback_pages_are_let_in_by_default(self) -> None:
        """Our default: local developer tools run in browsers."""
        for origin in ("http://localhost:6274", "http://127.0.0.1", "https://[::1]:8443"):
            assert self.status(Origin=origin) == 200, origin

    def test_of_several_origins_each_has_to_be_let_in(self) -> None:
        """RFC 6454 section 7.3: a client sends one; our choice: no second line hides the first."""
        ours, evil = "http://localhost", "http://evil.example"
        for several in ([ours, evil], [evil, ours]):
            answer = self.request("POST", body=self.PING, headers={"Origin": several})
            assert answer.status == 403

    def test_a_foreign_host_is_421(self) -> None:
        """DNS rebinding; RFC 9110 section 15.5.20."""
        for host in ("evil.example", "localhost.evil.example", "127.0.0.1.nip.io:3000", "localhost:", "*"):
            assert self.status(Host=host) == 421, host

    def refused(self, **headers: str) -> str:
        """Return the message of a refusal."""
        answer = self.request("POST", body=self.PING, headers=headers)
        message: str = answer.json["error"]["message"]
        return message

    def test_a_refused_host_is_told_which_entry_lets_it_in(self) -> None:
        """docs/hosts.md: tunnels, containers and neighbours; each entry is tried."""
        assert len(HOSTS) == 10, "the rows of docs/hosts.md, and three more"
        assert self.refused(Host="abc-1-2-3-4.ngrok-free.app") in GUIDE
        for host, entry in HOSTS.items():
            self.serve({})
            assert self.refused(Host=host) == (
                f"Host not allowed here; add {entry} to --allowed-hosts (MCP_ECHO_ALLOWED_HOSTS) "
                "if it is this server's"
            )
            self.serve({"MCP_ECHO_ALLOWED_HOSTS": f"localhost,{entry}"})
            assert self.status(Host=host) == 200

    def test_a_refused_origin_is_told_which_entry_lets_it_in(self) -> None:
        """As above; the default port of a scheme needs no mention (RFC 6454 section 4)."""
        for origin, entry in (
            ("https://App.example", "https://app.example"),
            ("https://app.example:443", "https://app.example"),
            ("http://app.example:8080", "http://app.example:8080"),
            ("vscode-webview://abc", "vscode-webview://abc"),
        ):
            self.serve({})
            assert f"add {entry} to --allowed-origins" in self.refused(Origin=origin)
            self.serve({"MCP_ECHO_ALLOWED_ORIGINS": entry})
            assert self.status(Origin=origin) == 200

    def test_a_refusal_repeats_nothing_but_a_name(self) -> None:
        """CWE-79, CWE-117: what is no host name, too long, or a secret by its shape is not in the answer."""
        token = "ghp_" + "a1B2" * 9
        for host in ("<img src=x>", "a b", "x" * 5000, "*", "a.example:*", token, "\xe9.example"):
            message = self.refused(Host=host)
            assert host not in message
            assert len(message) < 150
        assert "; add it to --allowed-hosts" in self.refused(Host=token)
        for origin in ("null", "x://<b>", "https://" + "x" * 5000, f"https://{token}"):
            assert "; add it to --allowed-origins" in self.refused(Origin=origin)

    def test_own_names_are_answered_with_any_port(self) -> None:
        """Our default: a published or forwarded port is another one."""
        for host in ("localhost", "LOCALHOST:8080", "127.0.0.1:3000", "[::1]:3000"):
            assert self.status(Host=host) == 200, host

    def test_the_lists_can_be_set(self) -> None:
        """MCP_ECHO_ALLOWED_HOSTS, MCP_ECHO_ALLOWED_ORIGINS."""
        self.serve(
            {"MCP_ECHO_ALLOWED_HOSTS": "a.example:8080", "MCP_ECHO_ALLOWED_ORIGINS": "https://app.example"}
        )
        assert self.status(Host="a.example:8080") == 200
        assert self.status(Host="a.example") == 421
        assert self.status(Host="a.example:8080", Origin="https://app.example") == 200
        assert self.status(Host="a.example:8080", Origin="https://app.example:443") == 200
        assert self.status(Host="a.example:8080", Origin="http://app.example") == 403

    def test_the_address_it_binds_is_its_name(self) -> None:
        """Our choice: who binds 192.0.2.7 is asked for 192.0.2.7."""
        self.serve({"MCP_ECHO_HOST": "192.0.2.7"})
        assert self.status(Host="192.0.2.7:3000") == 200


class CorsTests(ServerTestCase):
    """https://fetch.spec.whatwg.org/#http-cors-protocol"""

    ORIGIN = "http://localhost:6274"

    def preflight(self, **headers: str):
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.request(
            "OPTIONS",
            headers={"Origin": self.ORIGIN, "Access-Control-Request-Method": "POST", **fields},
        )

    def test_a_preflight_is_told_what_may_be_sent(self) -> None:
        answer = self.preflight()
        assert (answer.status, answer.body) == (204, b"")
        assert answer.header("Access-Control-Allow-Origin") == self.ORIGIN
        assert answer.header("Vary") == "Origin"
        assert answer.header("Access-Control-Allow-Methods") == "GET, POST, DELETE, OPTIONS"
        assert answer.header("Access-Control-Max-Age") == "86400"
        allowed = (answer.header("Access-Control-Allow-Headers") or "").split(", ")
        for name in (
            "Content-Type",
            "Authorization",
            "Mcp-Session-Id",
            "MCP-Protocol-Version",
            "Last-Event-ID",
        ):
            assert name in allowed

    def test_parameter_headers_are_allowed_by_name(self) -> None:
        """No wildcard covers them beside Authorization."""
        answer = self.preflight(Access_Control_Request_Headers="mcp-param-region, x-other")
        allowed = answer.header("Access-Control-Allow-Headers") or ""
        assert "mcp-param-region" in allowed
        assert "x-other" not in allowed

    def test_answers_expose_the_headers_a_client_needs(self) -> None:
        answer = self.rpc("ping", Origin=self.ORIGIN)
        exposed = (answer.header("Access-Control-Expose-Headers") or "").split(", ")
        for name in ("Mcp-Session-Id", "WWW-Authenticate", "MCP-Protocol-Version"):
            assert name in exposed

    def test_errors_can_be_read_by_the_page_too(self) -> None:
        answer = self.rpc("ping", session="gone", Origin=self.ORIGIN)
        assert (answer.status, answer.header("Access-Control-Allow-Origin")) == (404, self.ORIGIN)

    def test_requests_without_an_origin_get_no_cors_headers(self) -> None:
        assert self.rpc("ping").header("Access-Control-Allow-Origin") is None

    def test_any_origin_goes_without_credentials(self) -> None:
        """The pair of * and credentials is refused by browsers."""
        self.serve({"MCP_ECHO_ALLOWED_ORIGINS": "*"})
        answer = self.rpc("ping", Origin="https://anyone.example")
        assert answer.header("Access-Control-Allow-Origin") == "*"
        assert answer.header("Access-Control-Allow-Credentials") is None

    def test_credentials_go_with_a_listed_origin(self) -> None:
        self.serve({"MCP_ECHO_ALLOWED_ORIGINS": "https://app.example", "MCP_ECHO_CORS_CREDENTIALS": "true"})
        answer = self.rpc("ping", Origin="https://app.example")
        assert answer.header("Access-Control-Allow-Origin") == "https://app.example"
        assert answer.header("Access-Control-Allow-Credentials") == "true"
