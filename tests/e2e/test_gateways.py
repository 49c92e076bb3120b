"""The daemon behind nginx, Caddy and Traefik, with the configurations of docs/gateways.md.

What a proxy must leave as it is: the Streamable HTTP transport's headers, statuses and streams.
https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#streamable-http
"""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from mcp_echo.auth.identity_headers import ANY_SERVICE
from mcp_echo.auth.identity_headers import IDENTITY_HEADERS as IDENTITY_ROWS
from mcp_echo.http.cors import EXPOSED_HEADERS
from mcp_echo.redaction import fingerprint
from tests.e2e import daemon as daemons
from tests.e2e import environments, gateways
from tests.e2e.conftest import Needs, absent
from tests.e2e.daemon import MODULE, Daemon
from tests.e2e.gateways import ANONYMOUS, NAME, TOKEN, USER, Gateway, Places
from tests.e2e.wire import JSON, Events, ModernWire, Wire
from tests.ports import free_port

pytestmark = pytest.mark.slow

LEGACY = "2025-11-25"
MODERN = "2026-07-28"

ORIGIN = "https://app.example.com"

SETTINGS = {
    "MCP_ECHO_ALLOWED_HOSTS": f"localhost,127.0.0.1,{NAME}",
    "MCP_ECHO_ALLOWED_ORIGINS": ORIGIN,
    "MCP_ECHO_KEEPALIVE_INTERVAL": "0.5",
}

FORGED = "admin"
"""Who a client would like to be."""

COMMON_HOPS = (
    ANY_SERVICE,
    "oauth2-proxy or a service like it",
    "Authelia",
)
IDENTITY_HEADERS = (
    *(row.name for row in IDENTITY_ROWS if row.hop in COMMON_HOPS and not row.name.endswith("*")),
    "X-WEBAUTH-USER",
)
"""What the files drop when a client sends it: what services that authenticate for a gateway set."""


class Answered(NamedTuple):
    """A response that was read to its end."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def error(self) -> str:
        """The message of the JSON-RPC error in it."""
        message: str = json.loads(self.body)["error"]["message"]
        return message


class Deployment(NamedTuple):
    """A gateway and the daemon behind it."""

    gateway: Gateway
    daemon: Daemon

    def legacy(self, **kwargs: Any) -> Wire:
        """Return a client of a new session."""
        return Wire(self.gateway.connect, LEGACY, **kwargs)

    def modern(self) -> ModernWire:
        """Return a client without a session."""
        return ModernWire(self.gateway.connect, MODERN)

    def send(
        self,
        method: str,
        headers: dict[str, str],
        body: bytes | None = None,
        token: str | None = TOKEN,
        path: str = "/mcp",
    ) -> Answered:
        """Send one request."""
        with closing(self.gateway.connect_with(token)) as connection:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return Answered(response.status, response.headers, response.read())


Deploy = Callable[..., Deployment]


def program_of(kind: str, program: Needs) -> str:
    """Return the path of a gateway's program."""
    if kind not in environments.GATEWAYS:
        return program(kind)
    if not environments.is_made(kind):
        absent(f"no {kind} in {environments.cache()}: run python tests/e2e/setup_clients.py")
    return environments.script(kind, kind)


@contextmanager
def deployed(kind: str, path: str, directory: Path, settings: dict[str, str]) -> Iterator[Deployment]:
    """Run a daemon, the authenticating service and a gateway before them."""
    port = free_port()
    with (
        daemons.running([*MODULE, "--port", str(port)], directory, port, {**SETTINGS, **settings}) as daemon,
        gateways.authentication() as authentication,
        gateways.running(kind, path, Places(directory, port, authentication)) as gateway,
    ):
        yield Deployment(gateway, daemon)


@pytest.fixture(scope="module", params=list(gateways.KINDS))
def kind(request: pytest.FixtureRequest) -> str:
    """The name of a gateway."""
    return str(request.param)


@pytest.fixture(scope="module")
def behind(kind: str, program: Needs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A deployment that tests can share."""
    with deployed(kind, program_of(kind, program), tmp_path_factory.mktemp(kind), {}) as deployment:
        yield deployment


@pytest.fixture
def deploy(kind: str, program: Needs, tmp_path: Path) -> Iterator[Deploy]:
    """Deploy with settings of the test's own: ``deploy(MCP_MAX_SESSIONS="1")``."""
    with ExitStack() as stack:

        def deploy(**settings: str) -> Deployment:
            path = program_of(kind, program)
            return stack.enter_context(deployed(kind, path, tmp_path, settings))

        yield deploy


def request_body(method: str, **params: Any) -> bytes:
    """Return a request as bytes."""
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()


def wait_for_open_streams(wire: Wire, wanted: int) -> None:
    """Return once the daemon carries this many streams of the session."""
    deadline = time.monotonic() + 15
    while wire.call("sessionInfo")["openStreams"] != wanted:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def subscribed(wire: Wire) -> Events:
    """Open the session's stream and have each echo send an event on it."""
    events = Events(wire.stream())
    wire.ask("resources/subscribe", {"uri": "echo://session"})
    return events


# Requests and answers.


def test_a_session_works_from_initialize_to_delete(behind: Deployment) -> None:
    """Session Management: the id comes back in a response header and goes in request headers."""
    with behind.legacy() as wire:
        assert wire.session_id is not None
        wire.call("echo", message="through the gateway")
        assert wire.call("replayLastEcho")["message"] == "through the gateway"
        assert wire.delete() == 204
        assert behind.send("GET", wire.headers).status == 404


def test_a_modern_request_keeps_its_routing_headers(behind: Deployment) -> None:
    """2026-07-28 Server Validation: one that lost Mcp-Method or Mcp-Name would be refused with 400."""
    with behind.modern() as wire:
        response, _ = wire.ask("tools/call", {"name": "echo", "arguments": {"message": "hello"}})

    assert response["result"]["structuredContent"]["message"] == "hello"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Mcp-Method", "tools/call"),
        ("Mcp-Name", "printHeader"),
        ("Mcp-Param-Region", "=?base64?w6k=?="),
        ("Last-Event-ID", "0_17"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("X-Request-Id", "c0ffee"),
    ],
)
def test_a_header_arrives_as_it_was_sent(behind: Deployment, name: str, value: str) -> None:
    """The transport's request headers, and the ones that tell requests apart in logs and traces."""
    with behind.legacy() as wire:
        arrived = headers_of(wire, {name: value})

    assert arrived[name.lower()] == [value]


def test_the_session_the_revision_and_the_token_arrive(behind: Deployment) -> None:
    """Authorization is for the gateway, but the tools that explain a token need it here too."""
    with behind.legacy() as wire:
        arrived = headers_of(wire)

    assert arrived["mcp-session-id"] == [wire.session_id]
    assert arrived["mcp-protocol-version"] == [LEGACY]
    assert arrived["authorization"] == [f"Bearer [{len(TOKEN)} characters, sha256 {fingerprint(TOKEN)}]"]
    assert arrived["host"] in ([NAME], [f"{NAME}:{behind.gateway.port}"])


def test_a_long_header_arrives(behind: Deployment) -> None:
    """Tokens of a few KiB are common, and nginx's own limit is 8 KiB a line."""
    with behind.legacy() as wire:
        arrived = headers_of(wire, {"X-Long": "x" * 12_000})

    assert arrived["x-long"] == ["x" * 12_000]


def headers_of(wire: Wire, sent: dict[str, str] | None = None) -> dict[str, list[str]]:
    """Return the headers that printHeader shows: name in lower case → values."""
    arrived: dict[str, list[str]] = {}
    for field in wire.call("printHeader", sent)["headers"]:
        arrived.setdefault(field["name"].lower(), []).append(field["value"])
    return arrived


def test_a_refusal_for_size_is_the_daemon_s_own(behind: Deployment) -> None:
    """RFC 9110 section 15.5.14; the gateway's page would not say which setting to change."""
    body = request_body("tools/call", name="echo", arguments={"message": "x" * 1_200_000})

    response = behind.send("POST", JSON, body)

    assert response.status == 413
    assert "MCP_ECHO_MAX_MESSAGE_SIZE" in response.error


def test_a_full_server_s_refusal_says_when_to_come_back(deploy: Deploy) -> None:
    """RFC 9110 section 15.6.4, Retry-After; a gateway that tried again would hide it."""
    behind = deploy(MCP_MAX_SESSIONS="1", MCP_ECHO_MAX_SESSIONS_PER_ADDRESS="2")
    with behind.legacy() as client:
        client.ask("tools/list")
        response = behind.send("POST", JSON, request_body("initialize", protocolVersion=LEGACY))

    assert response.status == 503
    assert int(response.headers["Retry-After"]) > 0
    assert "MCP_ECHO_MAX_SESSIONS" in response.error


def test_a_path_that_is_not_for_clients_stays_inside(behind: Deployment) -> None:
    """Our choice: /health and /ready tell the version and the session counts."""
    assert behind.send("GET", {}, path="/health").status == 404


def test_traces_and_pages_are_let_through_to_those_who_are_known(behind: Deployment) -> None:
    """Our choice: a trace is an endpoint as /mcp is, and who reads it has its key besides."""
    made = behind.send("POST", JSON, b"{}", path="/t")
    assert made.status == 201
    trace = f"/t/{json.loads(made.body)['trace']}"
    assert behind.send("POST", JSON, request_body("ping"), path=f"{trace}/mcp").status == 200
    report = behind.send("GET", {}, path=f"{trace}/report")
    assert json.loads(report.body)["exchanges"] == 1
    share = "/v/" + json.loads(made.body)["shareUrl"].split("/v/")[1]
    assert behind.send("GET", {}, path=f"{share}report").status == 200
    for path in (f"{trace}/report", f"{share}report", "/t", "/"):
        assert behind.send("GET", {}, path=path, token=None).status == 401


def test_metadata_is_let_through_to_everybody(behind: Deployment) -> None:
    """RFC 9728 section 3: a client looks for it before it has a token. What is not there, the daemon says."""
    path = "/.well-known/oauth-protected-resource/mcp"
    answer = behind.send("GET", {"X-User-Id": FORGED}, path=path, token=None)
    assert answer.status == 404
    assert answer.error.startswith("Not found: ")


def test_http_2_clients_are_served(behind: Deployment, program: Needs) -> None:
    """RFC 9113: gateways speak it to clients and HTTP/1.1 to the daemon, streams included."""
    with behind.legacy() as wire:
        stream = curl(program, behind, wire)
        with subprocess.Popen([*stream, "--no-buffer"], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            wire.ask("resources/subscribe", {"uri": "echo://session"})
            wire.call("echo", message="over HTTP/2")
            heard = next(line for line in process.stdout if b"resources/updated" in line)
            process.kill()
        posted = subprocess.run(
            [*curl(program, behind, wire), "--data", request_body("ping").decode(), "--write-out",
             "\n%{http_version}"], capture_output=True, check=True,
        )  # fmt: skip

    assert heard.startswith(b"data: ")
    answer, version = posted.stdout.decode().split("\n")
    assert json.loads(answer)["result"] == {}
    assert version == "2"


def curl(program: Needs, behind: Deployment, wire: Wire) -> list[str]:
    """Return the command that sends a request of a session over HTTP/2."""
    sent = {**wire.headers, "Authorization": f"Bearer {TOKEN}"}
    port = behind.gateway.port
    return [
        program("curl"), "--silent", "--http2", "--max-time", "15",
        "--cacert", str(behind.gateway.certificate), "--resolve", f"{NAME}:{port}:127.0.0.1",
        *(part for name, value in sent.items() for part in ("--header", f"{name}: {value}")),
        f"https://{NAME}:{port}/mcp",
    ]  # fmt: skip


# Who is calling.


def test_the_gateway_s_word_for_the_caller_arrives(behind: Deployment) -> None:
    """Our choice: what auth_request, forward_auth and ForwardAuth are configured for."""
    with behind.legacy() as wire:
        context = wire.call("authContext")

    assert (context["userId"], context["userName"]) == (USER["X-User-Id"], USER["X-User-Name"])


@pytest.mark.parametrize("token", [TOKEN, ANONYMOUS], ids=["named", "nameless"])
def test_a_client_cannot_say_who_it_is(behind: Deployment, token: str) -> None:
    """Our choice: identity headers from outside are dropped, also when the gateway has none to set."""
    forged = dict.fromkeys(IDENTITY_HEADERS, FORGED)
    with Wire(lambda: behind.gateway.connect_with(token), LEGACY) as wire:
        arrived = headers_of(wire, forged)

    known = {name.lower(): [value] for name, value in USER.items()} if token == TOKEN else {}
    identity = {name.lower() for name in IDENTITY_HEADERS}
    assert {name: values for name, values in arrived.items() if name in identity and any(values)} == known


def test_a_session_is_its_user_s_where_the_gateway_is_trusted(deploy: Deploy) -> None:
    """Our choice, after Security Best Practices, Session Hijacking: bound to whom the gateway names."""
    behind = deploy(MCP_ECHO_TRUSTED_PROXIES="127.0.0.1")
    with behind.legacy() as wire:
        assert wire.call("authContext")["principal"]["name"] == USER["X-User-Id"]
        for token, status in ((ANONYMOUS, 404), (TOKEN, 200)):
            assert behind.send("POST", wire.headers, request_body("ping"), token).status == status


def test_a_client_cannot_say_where_it_is(behind: Deployment) -> None:
    """RFC 7239 section 8.1: forwarding headers from outside are as good as anybody's word."""
    forged = {
        "X-Forwarded-For": "203.0.113.7",
        "X-Forwarded-Host": "forged.example",
        "X-Forwarded-Proto": "gopher",
        "X-Real-IP": "203.0.113.7",
        "Forwarded": "for=203.0.113.7",
    }
    with behind.legacy() as wire:
        arrived = headers_of(wire, forged)

    for name, value in forged.items():
        assert all(value not in seen for seen in arrived.get(name.lower(), [])), name
    assert arrived["x-forwarded-for"] == ["127.0.0.1"]
    assert arrived["x-forwarded-proto"] == ["https"]


@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
def test_without_a_token_nothing_gets_through(behind: Deployment, method: str) -> None:
    """RFC 9110 section 15.5.2: 401 says how to authenticate."""
    body = request_body("ping") if method == "POST" else None

    response = behind.send(method, JSON, body, token=None)

    assert response.status == 401
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="mcp"'


def test_a_preflight_is_answered_by_the_daemon(behind: Deployment) -> None:
    """Fetch, CORS-preflight fetch: it has no credentials, and two answers at once would be invalid."""
    asked = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "mcp-session-id",
    }
    response = behind.send("OPTIONS", asked, token=None)

    assert response.status == 204
    assert response.headers.get_all("Access-Control-Allow-Origin") == [ORIGIN]


def test_an_answer_s_cors_headers_reach_the_page(behind: Deployment) -> None:
    """Fetch: a page reads Mcp-Session-Id only if the answer exposes it."""
    body = request_body("initialize", protocolVersion=LEGACY)

    response = behind.send("POST", {**JSON, "Origin": ORIGIN}, body)

    assert response.headers.get_all("Access-Control-Allow-Origin") == [ORIGIN]
    assert set(response.headers["Access-Control-Expose-Headers"].split(", ")) == set(EXPOSED_HEADERS)


# Event streams.


def test_an_answer_s_events_arrive_one_by_one(behind: Deployment) -> None:
    """Sending Messages, rule 6: the server asks in mid-answer; were the question held back, nobody would
    answer it and the call could not end."""
    pong = {"role": "assistant", "content": {"type": "text", "text": "pong"}, "model": "m"}
    with behind.legacy(capabilities={"sampling": {}}, answers={"sampling/createMessage": pong}) as wire:
        response, before = wire.ask(
            "tools/call", {"name": "clientProbe", "arguments": {"feature": "sampling"}}
        )

    assert [message["method"] for message in before] == ["sampling/createMessage"]
    assert response["result"]["structuredContent"]["answer"] == pong


def test_a_stream_s_events_arrive_one_by_one(behind: Deployment) -> None:
    """Listening for Messages: each echo is sent only when the event of the one before has arrived."""
    with behind.legacy() as wire:
        events = subscribed(wire)
        for number in range(3):
            wire.call("echo", message=f"echo {number}")
            assert "notifications/resources/updated" in events.next("message")["data"]


def test_a_modern_subscription_s_events_arrive_one_by_one(behind: Deployment) -> None:
    """2026-07-28 subscriptions/listen: the answer to a POST that stays open; each echo waits for an event."""
    with behind.modern() as wire:
        made, _ = wire.ask("tools/call", {"name": "createEchoSession", "arguments": {}})
        handle = made["result"]["structuredContent"]["session"]
        uri = f"echo://session/{handle}"
        events = wire.listen({"resourceSubscriptions": [uri]})
        heard = [next(events)["method"]]
        for number in range(2):
            echo = {"message": f"echo {number}", "session": handle}
            wire.ask("tools/call", {"name": "echo", "arguments": echo})
            heard.append(next(events)["method"])

    assert heard == ["notifications/subscriptions/acknowledged", *["notifications/resources/updated"] * 2]


def test_a_quiet_stream_gets_keep_alives(behind: Deployment) -> None:
    """Our choice: one every MCP_ECHO_KEEPALIVE_INTERVAL, so that no hop takes the stream for dead."""
    with behind.legacy() as wire:
        events = Events(wire.stream(Accept="text/event-stream"))

        assert [json.loads(events.next("keep-alive")["data"]) for _ in range(3)] == [{"type": "ping"}] * 3


def test_a_stream_is_not_compressed(behind: Deployment) -> None:
    """Our choice: a compressor collects what it should pass on."""
    with behind.legacy() as wire:
        response = wire.stream(Accept_Encoding="gzip, br, zstd")

        assert response.headers["Content-Encoding"] is None


def test_a_stream_that_was_cut_is_resumed(behind: Deployment) -> None:
    """Resumability and Redelivery: the daemon learns of the cut, keeps what comes, and sends it once."""
    with behind.legacy() as wire:
        response = wire.stream()
        events = Events(response)
        wire.ask("resources/subscribe", {"uri": "echo://session"})
        wire.call("echo", message="before the cut")
        last = events.next("message")
        wait_for_open_streams(wire, 1)
        wire.hang_up()
        response.close()
        wait_for_open_streams(wire, 0)
        wire.call("echo", message="after the cut")
        resumed = Events(wire.stream(Last_Event_ID=last["id"])).next("message")

    assert "notifications/resources/updated" in resumed["data"]
    assert resumed["id"] != last["id"]


def test_a_stream_ends_properly_when_the_daemon_drains(deploy: Deploy) -> None:
    """RFC 9112 section 7.1, the last chunk: http.client raises IncompleteRead when it is missing."""
    behind = deploy()
    with behind.legacy() as wire:
        response = wire.stream()
        wait_for_open_streams(wire, 1)
        behind.daemon.terminate()

        assert b"retry: " in response.read()


def test_a_stream_outlives_a_reload_of_nginx(program: Needs, tmp_path: Path) -> None:
    """nginx, Controlling nginx: after HUP the old workers serve their connections to the end."""
    with deployed("nginx", program("nginx"), tmp_path, {}) as behind, behind.legacy() as wire:
        events = subscribed(wire)
        behind.gateway.process.send_signal(signal.SIGHUP)
        wire.call("echo", message="after the reload")

        assert "notifications/resources/updated" in events.next("message")["data"]


def test_nginx_keeps_a_user_at_one_of_two_daemons(
    program: Needs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our choice: sessions live in one process, so that requests are routed by who sends them."""
    first, second = free_port(), free_port()
    servers = f"hash $user_id consistent;\n    server 127.0.0.1:{second};\n    server 127.0.0.1:{first};"
    path = program("nginx")
    filled_in = Places.filled_in
    monkeypatch.setattr(
        Places,
        "filled_in",
        lambda places, name: filled_in(places, name).replace(f"server 127.0.0.1:{first};", servers),
    )
    with ExitStack() as stack:
        for port in (first, second):
            directory = tmp_path / str(port)
            directory.mkdir()
            command = [*MODULE, "--port", str(port)]
            daemon = stack.enter_context(daemons.running(command, directory, port, SETTINGS))
        places = Places(tmp_path, first, stack.enter_context(gateways.authentication()))
        behind = Deployment(stack.enter_context(gateways.running("nginx", path, places)), daemon)
        with behind.legacy() as wire:
            counts = [wire.call("echo", message="again")["echoCount"] for _ in range(6)]

    assert counts == [1, 2, 3, 4, 5, 6]
