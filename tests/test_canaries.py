"""Secrets are planted wherever a request or a setting can carry one, and looked for in all that comes out.

Our choice: nothing secret leaves in an answer or a log line. Each secret is a text of its own, so that one
that gets out says where it was planted; `EXEMPT` lists what exists to be shown.
"""

from __future__ import annotations

import base64
import io
import json
from dataclasses import replace
from typing import Any
from unittest import mock

import msgspec
import pytest
from twisted.logger import globalLogPublisher

from mcp_echo import service
from mcp_echo.host.logs import observer
from mcp_echo.offer.offer import Offer, diagnostic_offer
from mcp_echo.settings.load import load
from mcp_echo.settings.table import DECLARED, Declared, Settings
from mcp_echo.tap import Options, makeService
from mcp_echo.tools.base import Answer, Call, Tool
from mcp_echo.watch import request_log
from tests.metrics.scraping import MetricsTestCase
from tests.tools.test_catalogue import TOOLS, free_texts
from tests.transport.support import (
    BOTH,
    Posted,
    modern_message,
    routing_headers,
    send,
)

PAGES = ("/health", "/ready")
"""What is served beside /mcp; one more page is one more word here."""

LOGS = [(level, form) for level in ("INFO", "DEBUG") for form in ("text", "json")]
"""Every kind of log: level and format."""

EXEMPT = {
    "message of echo": "echo exists to repeat it; a debug log is confidential and has bodies",
    "label of createEchoSession": "given to be shown with the handle",
    "label of createTrace": "given to be shown with the trace",
    "subject of whoIStheGOAT": "given to be shown in the verdict",
    "symptom of a prompt": "given to stand in the prompt",
    "claim of a token": "bearerDecode exists to show the claims",
    "header of a token": "bearerDecode exists to show the header",
    "id of a request": "JSON-RPC 2.0 section 5: the response has the request's id",
    "name of a client": "sessionInfo shows who the client says it is, and the log says whose session it was",
    "version of a client": "sessionInfo shows it",
    "name of a method": "the error says which method is not offered",
    "Host": "a 421 says which name would have to be allowed",
    "X-User-Id": "authContext exists to show who the gateway vouches for",
    "X-Request-Id": "shown so that a request can be found in the logs of every hop",
}
"""Planted at → why it may come out. A line that nothing comes out for is out of date and fails."""

IN_EXCHANGES = frozenset(
    {
        "header of bearerDecode",
        "trace of clientReport",
        "trace of flowTimeline",
        "trace of tokenExplain",
        "trace of compareTraces",
        "with of compareTraces",
        "trace of armFault",
        "fault of armFault",
        "trace of drillPlan",
        "plan of drillPlan",
        "Last-Event-ID",
    }
)
"""Planted where no name tells of a secret: a debug log, which is confidential, has it with the exchange."""

OWN = "session id of the caller"
"""The one thing that its owner is shown and a log never has."""

SECRET_HEADERS = (
    "Authorization",
    "Proxy-Authorization",
    "Cookie",
    "X-Auth-Token",
    "X-Api-Key",
    "X-Forwarded-Access-Token",
    "X-Amz-Security-Token",
    # What vendors call theirs.
    "Api-Key",
    "Apikey",
    "Cf-Access-Client-Secret",
    "Cf-Access-Jwt-Assertion",
    "Ocp-Apim-Subscription-Key",
    "PRIVATE-TOKEN",
    "Stripe-Signature",
    "X-Access-Key",
    "X-AccessKey",
    "X-Amz-Credential",
    "X-Auth",
    "X-Auth-Key",
    "X-Auth-Request-Access-Token",
    "X-Client-Secret",
    "X-Csrf-Token",
    "X-Database-Password",
    "X-Emby-Authorization",
    "X-Functions-Key",
    "X-Goog-Api-Key",
    "X-Hub-Signature-256",
    "X-Id-Token",
    "X-MasterKey",
    "X-Original-Cookie",
    "X-Passphrase",
    "X-Refresh-Token",
    "X-Serverless-Authorization",
    "X-Session-Id",
    "X-Shopify-Access-Token",
    "X-User-Pwd",
    "X-Vault-Token",
    "Mcp-Param-Api-Key",
    "Mcp-Param-Password",
)
"""Headers whose whole value is a secret."""

SCHEMES = (
    "Bearer {}",
    "bearer   {}",
    "DPoP {}",
    "Token {}",
    "ApiKey {}",
    "Negotiate {}",
    'Digest username="u", realm="r", response="{}"',
    "AWS4-HMAC-SHA256 Credential=AKIA/20260101/eu/s3/aws4_request, Signature={}",
    "{}",
    "{} and the rest of it",
)
"""Values of Authorization."""

URL_HEADERS = ("Referer", "X-Original-URL", "X-Forwarded-Uri", "X-Callback", "Link")
"""Headers that have URLs in them."""

TELLING_MEMBERS = (
    "token", "access_token", "refreshToken", "password", "passwd", "passphrase", "secret", "clientSecret",
    "apiKey", "api_key", "privateKey", "accessKeyId", "key", "credentials", "authorization", "cookie",
    "signature", "jwt", "client_assertion", "code_verifier", "sessionId",
)  # fmt: skip
"""Members of JSON objects that say that their value is a secret."""

URL_PARAMETERS = (
    "token",
    "access_token",
    "api_key",
    "key",
    "secret",
    "password",
    "signature",
    "code",
    "id_token",
)

SECRET_VALUES = {"MCP_ECHO_STATE_KEY": base64.urlsafe_b64encode(b"canary-in-a-state-key-32-bytes!!").decode()}
"""Setting → a value it can have, for each that is a secret."""


class Canaries:
    """The secrets planted so far."""

    def __init__(self) -> None:
        self._planted: dict[str, str] = {}

    def plant(self, where: str) -> str:
        """Return a new secret; ``where`` says what carries it."""
        canary = f"c4nary{len(self._planted):04}q7"
        self.watch(canary, where)
        return canary

    def watch(self, text: str, where: str) -> str:
        """Look out for ``text`` too, and return it."""
        self._planted[text] = where
        return text

    def token(self, where: str) -> str:
        """Return a JWT whose signature is a secret."""
        header = {"alg": "RS256", "kid": self.plant("header of a token")}
        claims = {"sub": self.plant("claim of a token"), "exp": 4102444800}
        signature = self.plant(f"signature of a token in {where}")
        return ".".join((*(_base64url(part) for part in (header, claims)), signature))

    def url(self, where: str) -> str:
        """Return a URL with secrets in it."""
        user = f"user:{self.plant(f'password of a URL in {where}')}"
        query = "&".join(f"{name}={self.plant(f'{name} of a URL in {where}')}" for name in URL_PARAMETERS)
        fragment = f"access_token={self.plant(f'fragment in {where}')}"
        return f"https://{user}@host.example/path?page=1&{query}#{fragment}"

    def basic(self, where: str) -> str:
        """Return the value of ``Authorization`` in the Basic scheme."""
        password = self.plant(where)
        encoded = base64.b64encode(f"user:{password}".encode()).decode()
        return f"Basic {self.watch(encoded, where)}"

    def members(self, where: str) -> dict[str, Any]:
        """Return a JSON object with a secret under each telling name."""
        flat = {name: self.plant(f"{name} in {where}") for name in TELLING_MEMBERS}
        nested = [{"password": [self.plant(f"list under a telling name in {where}")]}]
        number = int(self.watch(f"90{len(self._planted):06}17", f"number under a telling name in {where}"))
        return {
            **flat,
            "nested": nested,
            "secret_number": number,
            "note": self.token(where),
            "url": self.url(where),
        }

    def found(self, output: str) -> set[str]:
        """Return where the secrets in ``output`` were planted."""
        return {where for canary, where in self._planted.items() if canary in output}


def _base64url(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


class _Anything(msgspec.Struct):
    password: str = ""
    note: str = ""


def _failing(call: Call, arguments: _Anything) -> Answer:
    """Fail as code does that quotes what it could not use."""
    quoted = [value for name, value in call.headers if name.lower() != "x-user-id"]
    key = call.context.settings.state_key
    raise RuntimeError(f"cannot use {quoted}, {key}, {arguments.password} or {arguments.note}")


async def _failing_later(call: Call, arguments: _Anything) -> Answer:
    await call.back_channel.sleep(0.1)
    return _failing(call, arguments)


def _offer_that_fails(settings: Settings) -> Offer:
    offer = diagnostic_offer(settings)
    broken = {
        name: Tool(name, name, name, _Anything, None, run)  # type: ignore[arg-type]
        for name, run in (("failing", _failing), ("failingLater", _failing_later))
    }
    return replace(offer, tools={**offer.tools, **broken})


class CanaryCase(MetricsTestCase):
    """One server that writes every kind of log, and a client that plants."""

    settings = {
        "MCP_ECHO_DEBUG": "true",
        "MCP_ECHO_ALLOWED_ORIGINS": "*",
        "MCP_ECHO_CONFORMANCE": "client",
        "MCP_ECHO_LEGACY_SSE": "true",
        "MCP_ECHO_METRICS_PORT": "9464",
        **SECRET_VALUES,
    }

    def setUp(self) -> None:
        self.canaries = Canaries()
        for name, value in SECRET_VALUES.items():
            self.canaries.watch(value, name)
        self.answers: list[str] = []
        self.logs = {kind: io.StringIO() for kind in LOGS}
        for (level, form), output in self.logs.items():
            logging = load({}, {"ECHO_LOG_LEVEL": level, "MCP_ECHO_LOG_FORMAT": form})
            watching = observer(logging.settings, output)
            globalLogPublisher.addObserver(watching)
            self.addCleanup(globalLogPublisher.removeObserver, watching)
        with mock.patch.object(service, "diagnostic_offer", _offer_that_fails):
            super().setUp()
        self.serve_with_urls()

    def serve_with_urls(self) -> None:
        """Serve with a URL that has secrets in it as the value of a setting that takes any text."""
        with mock.patch.object(service, "diagnostic_offer", _offer_that_fails):
            self.serve({**self.settings, "LOG_FILE": self.canaries.url("a setting")})

    # Whatever goes out is kept.

    def request(self, *args: Any, **kwargs: Any) -> Any:
        answer = super().request(*args, **kwargs)
        self.answers.append(f"{sorted(answer.headers.getAllRawHeaders())} {answer.body.decode()}")
        return answer

    def later(self, message: dict[str, Any], headers: dict[str, Any]) -> Posted:
        """POST a message whose answer takes time, and let it pass."""
        posted = Posted(self, message, headers)
        self.pass_time(3)
        self.answers.append(posted.body.decode())
        return posted

    def check(self) -> None:
        """Fail if a secret has got out."""
        self.flushLoggedErrors()
        outputs = {"an answer": "\n".join(self.answers)}
        outputs |= {
            f"the {level} log in {form}": kept.getvalue() for (level, form), kept in self.logs.items()
        }
        got_out = {name: self.canaries.found(output) for name, output in outputs.items()}
        for page in PAGES:
            got_out[page] = self.canaries.found(super().request("GET", page).body.decode())
        got_out["/metrics"] = self.canaries.found(self.ask("GET").body.decode())
        unwanted = {
            name: sorted(where for where in found if not may_come_out(where, name))
            for name, found in got_out.items()
        }
        shown = {name: found for name, found in unwanted.items() if found}
        assert shown == {}, f"mask it, or say in EXEMPT of {__file__} why it may come out"
        # Nothing is found in an output that is not kept. Whoever has no session is no news at level INFO.
        assert all(output for name, output in outputs.items() if "INFO" not in name)

    # What is sent.

    def headers(self, authorization: str | None = None) -> dict[str, str]:
        """Return a secret in each header; ``authorization`` instead of the one made up for it."""
        values = {name: self.canaries.plant(name) for name in SECRET_HEADERS}
        values["Cookie"] = f"session={values['Cookie']}; theme=dark; {self.canaries.plant('bare cookie')}"
        values["Proxy-Authorization"] = self.canaries.basic("Proxy-Authorization")
        values["Authorization"] = authorization or self.canaries.basic("Authorization: Basic")
        values |= {name: self.canaries.url(name) for name in URL_HEADERS}
        values["X-Whatever"] = self.canaries.token("X-Whatever")
        values["X-Original-Auth"] = f"Bearer {self.canaries.plant('a bearer token in a header of any name')}"
        values["X-User-Id"] = self.canaries.plant("X-User-Id")
        values["X-Request-Id"] = self.canaries.plant("X-Request-Id")
        values["Origin"] = "https://app.example"
        return values

    def arguments(self) -> dict[str, dict[str, Any]]:
        """Return the arguments for each tool, secrets wherever there is room for text.

        A handle and bytes with their type are none: what is no such thing is refused.
        """
        plant, apart = self.canaries.plant, ("session", "data", "mimeType")
        planted = {
            name: {each: plant(f"{each} of {name}") for each in free_texts(name) if each not in apart}
            for name in TOOLS
        }
        return {
            **planted,
            "bearerDecode": {"token": self.canaries.token("the argument of bearerDecode")},
            "conformanceReport": {},
            "failing": {
                "password": plant("password of a call that fails"),
                "note": self.canaries.token("a failure"),
            },
            "clientProbe": {"feature": "logging"},
        }

    def client_info(self) -> dict[str, Any]:
        plant = self.canaries.plant
        return {
            "name": f"{plant('name of a client')} {self.canaries.token('the name of a client')}",
            "version": plant("version of a client"),
            "websiteUrl": self.canaries.url("clientInfo"),
            **self.canaries.members("clientInfo"),
        }

    def open_legacy(self) -> str:
        """Return a session whose client has said secrets of itself."""
        capabilities = {"experimental": self.canaries.members("the capabilities"), "sampling": {}}
        session = self.initialize("2025-06-18", clientInfo=self.client_info(), capabilities=capabilities)
        self.canaries.watch(session, OWN)
        return session

    def open_modern(self) -> tuple[str, dict[str, Any]]:
        """Return a handle and the ``_meta`` of a client that has said secrets of itself."""
        meta = modern_message("ping")["params"]["_meta"]
        meta["io.modelcontextprotocol/clientInfo"] = self.client_info()
        handle = self.handle(label=self.canaries.plant("label of createEchoSession"))
        self.canaries.watch(handle, OWN)
        return handle, meta


class CanaryTests(CanaryCase):
    """A secret of its own in every place, and every output looked through."""

    def test_no_legacy_tool_shows_a_secret(self) -> None:
        session = self.open_legacy()
        for scheme in (None, *SCHEMES):
            authorization = scheme and scheme.format(self.canaries.plant(f"Authorization: {scheme}"))
            fields = {name.replace("-", "_"): value for name, value in self.headers(authorization).items()}
            for name, arguments in self.arguments().items():
                self.rpc("tools/call", {"name": name, "arguments": arguments}, session=session, **fields)
        self.check()

    def test_no_modern_tool_shows_a_secret(self) -> None:
        handle, meta = self.open_modern()
        takes_handle = ("echo", "replayLastEcho", "sessionInfo")
        for scheme in (None, *SCHEMES):
            authorization = scheme and scheme.format(self.canaries.plant(f"Authorization: {scheme}"))
            headers = self.headers(authorization)
            for name, arguments in self.arguments().items():
                whole = {**arguments, "session": handle} if name in takes_handle else arguments
                params = {"name": name, "arguments": whole}
                self.modern("tools/call", params, meta=meta, headers=headers)
        self.check()

    def test_no_token_that_cannot_be_read_is_shown(self) -> None:
        """A token that bearerDecode cannot decode is a secret like any other."""
        session = self.open_legacy()
        plant = self.canaries.plant
        header = _base64url({"alg": "RS256"})
        tokens = [
            plant("an opaque token"),
            f"Bearer {plant('an opaque token with its scheme')}",
            f"{plant('part 1')}.{plant('part 2')}.{plant('part 3')}",
            f"{header}.{plant('payload that is no JSON')}.{plant('signature after it')}",
            f"{header}.{_base64url([plant('payload that is no object')])}.x",
            f"{header}.{plant('key of a JWE')}.{plant('vector')}.{plant('text')}.{plant('tag')}",
            ".".join(plant(f"part {number} of many") for number in range(7)),
            plant("a long token") * 1000,
        ]
        for token in tokens:
            self.call("bearerDecode", {"token": token}, session=session)
            self.call("bearerDecode", session=session, Authorization=f"Bearer {token[:8000]}")
        self.check()

    def test_no_list_resource_or_prompt_shows_a_secret(self) -> None:
        session = self.open_legacy()
        handle, meta = self.open_modern()
        headers = self.headers()
        fields = {name.replace("-", "_"): value for name, value in headers.items()}
        symptom = {"symptom": self.canaries.plant("symptom of a prompt")}
        prompt = {"name": "diagnose-auth", "arguments": symptom}
        reference = {"type": "ref/prompt", "name": "diagnose-auth"}
        value = self.canaries.token("what is to be completed")
        asked: list[tuple[str, dict[str, Any]]] = [
            *((f"{kind}/list", {}) for kind in ("tools", "resources", "prompts", "resources/templates")),
            ("resources/read", {"uri": "echo://server"}),
            ("resources/read", {"uri": f"echo://session/{handle}"}),
            ("resources/read", {"uri": f"echo://session/{handle}/messages"}),
            ("prompts/get", prompt),
            ("completion/complete", {"ref": reference, "argument": {"name": "symptom", "value": value}}),
        ]
        for method, params in (*asked, ("resources/read", {"uri": "echo://session"})):
            self.rpc(method, params, session=session, **fields)
        for method, params in (*asked, ("server/discover", {})):
            self.modern(method, params, meta=meta, headers=headers)
        self.check()

    def test_no_error_shows_a_secret(self) -> None:
        """Malformed requests of every kind, with secrets where they break."""
        session = self.open_legacy()
        plant, token, url = self.canaries.plant, self.canaries.token, self.canaries.url
        named = {"Mcp-Session-Id": session}
        self.rpc(plant("name of a method"), session=session)
        for text in (token, url):
            for method, params in (
                (text("a method"), {}),
                ("tools/call", {"name": text("the name of a tool"), "arguments": {}}),
                ("tools/call", {"name": "printHeader", "arguments": {"category": text("a choice")}}),
                ("tools/call", {"name": "echo", "arguments": {text("a member's name"): 1}}),
                ("resources/read", {"uri": text("the URI of a resource")}),
                ("prompts/get", {"name": text("the name of a prompt")}),
                ("prompts/get", {"name": "diagnose-auth", "arguments": {text("an argument"): "x"}}),
                ("logging/setLevel", {"level": text("a level")}),
                ("initialize", {"protocolVersion": text("a revision")}),
                ("initialize", {"protocolVersion": [text("a revision that is a list")]}),
            ):
                self.rpc(method, params, session=session)
                self.modern(method, params)
            self.rpc("ping", session=session, MCP_Protocol_Version=text("MCP-Protocol-Version"))
            self.modern("ping", headers={"MCP-Protocol-Version": text("MCP-Protocol-Version")})
            self.modern("ping", headers={"Mcp-Method": text("Mcp-Method")})
            self.modern("tools/call", {"name": "echo"}, headers={"Mcp-Name": text("Mcp-Name")})
            self.modern("ping", meta={**modern_message("")["params"]["_meta"],
                                      "io.modelcontextprotocol/protocolVersion": text("_meta")})  # fmt: skip
        self.rpc(
            "tools/call", {"name": "sessionInfo", "arguments": self.canaries.members("arguments")}, session
        )
        self.rpc("ping", session=session, message_id=plant("id of a request"))
        self.rpc("ping", session=plant("a session id that nobody was given"))
        self.request("GET", headers={"Mcp-Session-Id": plant("a session id for GET"), "Accept": BOTH})
        self.request("GET", headers={**named, "Last-Event-ID": plant("Last-Event-ID"), "Accept": "text/html"})
        self.request("DELETE", headers={"Mcp-Session-Id": plant("a session id for DELETE")})
        for body in (
            plant("a body that is no JSON").encode(),
            b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"password":"' + plant("a cut body").encode(),
            b'{"password":"' + plant("a body that is not UTF-8").encode() + b'\xff"}',
            json.dumps({"password": plant("a body that is no message")}).encode(),
            json.dumps([{"jsonrpc": "2.0", "secret": plant("an array")}]).encode(),
            json.dumps(
                {
                    "jsonrpc": "2.0",
                    "id": 1,
                    "method": "ping",
                    "params": [{"password": plant("params in a list")}],
                }
            ).encode(),
            json.dumps(
                {"jsonrpc": "1.0", "id": 1, "method": "ping", "token": plant("another protocol")}
            ).encode(),
            json.dumps(
                {"jsonrpc": "2.0", "id": 1, "result": self.canaries.members("a stray answer")}
            ).encode(),
            f'{{"token":"{plant("a body that is too large") * 100_000}"}}'.encode(),
        ):
            self.request("POST", body=body, headers=named)
        self.check()

    def test_no_refusal_of_the_http_layer_shows_a_secret(self) -> None:
        plant = self.canaries.plant
        query = f"token={plant('a query')}&password={plant('a query')}"
        for method, path in (
            ("GET", f"/nowhere?{query}"),
            ("GET", f"/{plant('a path')}"),
            ("PUT", f"/mcp?{query}"),
            ("GET", f"/mcp?{query}"),
            ("POST", f"/mcp?{query}"),
            ("GET", f"/health?{query}"),
            ("GET", f"/ready?{query}"),
            ("OPTIONS", f"/mcp?{query}"),
            ("POST", f"/messages?session_id={plant('session_id of /messages')}"),
        ):
            self.request(method, path, b"{}" if method == "POST" else None, self.headers())
        self.request("GET", headers={"Host": plant("Host")})
        for head in (
            f"GET /mcp HTTP/1.1\r\nAuthorization {plant('a header line without a colon')}\r\n\r\n",
            f"GET /mcp?{query} HTTP/9.9\r\n",
            f"{plant('a request line')}\r\n",
            f"POST /mcp HTTP/1.1\r\nContent-Length: {plant('Content-Length')}\r\n\r\n",
            f"POST /mcp HTTP/1.1\r\nTransfer-Encoding: {plant('Transfer-Encoding')}\r\n\r\n",
            f"GET /mcp HTTP/1.1\r\nCookie: {plant('a header that is too long') * 2000}\r\n\r\n",
        ):
            self.answers.append(send(self.service.site, head.encode()).decode())
        self.rpc("ping")
        self.check()

    def test_no_failure_shows_a_secret_of_its_request(self) -> None:
        """Code that fails quotes what it could not use, and the log has the traceback."""
        session = self.open_legacy()
        handle, meta = self.open_modern()
        for authorization in (None, f"Bearer {self.canaries.plant('Authorization: Bearer')}"):
            headers = self.headers(authorization)
            arguments = self.arguments()["failing"]
            for name in ("failing", "failingLater"):
                params = {"name": name, "arguments": arguments}
                legacy = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
                self.later(legacy, {**headers, "Mcp-Session-Id": session})
                modern = modern_message("tools/call", params, meta=meta)
                self.later(modern, {**headers, **routing_headers(modern), "X-Handle": handle})
        assert all("Traceback" in output.getvalue() for output in self.logs.values())
        with mock.patch.object(self.service.server, "post", side_effect=RuntimeError(repr(headers))):
            self.request("POST", body={"password": arguments["password"]}, headers=headers)
        self.check()

    def test_no_answer_of_the_client_s_shows_a_secret(self) -> None:
        """clientProbe reports what came back, by the names of its members."""
        meta = modern_message("", meta=None)["params"]["_meta"]
        meta["io.modelcontextprotocol/clientCapabilities"] = {"elicitation": {}, "roots": {}}
        call = {"name": "clientProbe", "arguments": {"feature": "elicitation"}}
        asked = self.modern("tools/call", call, meta=meta).json["result"]
        content = {"answer": "x", **self.canaries.members("an answer")}
        answered = {
            **call,
            "inputResponses": {
                key: {"action": "accept", "content": content} for key in asked["inputRequests"]
            },
            "requestState": asked["requestState"],
        }
        answer = self.modern("tools/call", answered, meta=meta).json["result"]
        assert answer["structuredContent"]["answer"]["action"] == "accept"
        self.check()

    def test_no_tool_shows_a_secret_in_the_place_of_any_text(self) -> None:
        """Each text for itself: some are looked at only where another one is not given."""
        session = self.open_legacy()
        for name, published in TOOLS.items():
            for each in free_texts(name):
                # A handle, bytes and their type are repeated to tell what is wrong with their form.
                if each in ("session", "data", "mimeType") or not published.calls:
                    continue
                arguments = {**published.calls[0], each: self.canaries.plant(f"{each} of {name}")}
                self.rpc("tools/call", {"name": name, "arguments": arguments}, session=session)
        self.check()

    def test_the_stream_and_the_transport_of_2024_show_no_secret(self) -> None:
        session = self.open_legacy()
        headers = {**self.headers(), "Mcp-Session-Id": session, "Accept": "text/event-stream"}
        self.rpc("resources/subscribe", {"uri": "echo://session"}, session=session)
        self.call("echo", {"message": self.canaries.plant("message of echo")}, session=session)
        stream = self.begin("GET", headers=headers)
        old = self.begin("GET", "/sse", headers=self.headers())
        self.answers.append(
            f"{sorted(stream.headers.getAllRawHeaders())} {sorted(old.headers.getAllRawHeaders())}"
        )
        self.leave()
        self.check()

    def test_every_exemption_is_needed(self) -> None:
        """A place that nothing comes out of must not be excused."""
        session = self.open_legacy()
        fields = {name.replace("-", "_"): value for name, value in self.headers().items()}
        for name, arguments in self.arguments().items():
            self.rpc("tools/call", {"name": name, "arguments": arguments}, session=session, **fields)
        symptom = {"symptom": self.canaries.plant("symptom of a prompt")}
        self.rpc("prompts/get", {"name": "diagnose-auth", "arguments": symptom}, session=session)
        self.rpc("ping", session=session, message_id=self.canaries.plant("id of a request"))
        self.rpc(self.canaries.plant("name of a method"), session=session)
        self.request("GET", headers={"Host": self.canaries.plant("Host")})
        self.flushLoggedErrors()
        found = self.canaries.found("\n".join(self.answers))
        assert {*EXEMPT, OWN} - found == set()


class RequestLogTests(CanaryCase):
    """The same with a line for each exchange, and without the debug log."""

    settings = {**CanaryCase.settings, "MCP_ECHO_DEBUG": "false", "MCP_ECHO_ACCESS_LOG": "on"}

    def setUp(self) -> None:
        self.patch(request_log, "MOST_LINES", 1_000_000)
        super().setUp()

    def check(self) -> None:
        """Fail if a secret has got out, or if there are no lines that one could be in."""
        super().check()
        assert all(" ms" in output.getvalue() for output in self.logs.values())

    test_no_error_shows_a_secret = CanaryTests.test_no_error_shows_a_secret
    test_no_list_resource_or_prompt_shows_a_secret = (
        CanaryTests.test_no_list_resource_or_prompt_shows_a_secret
    )
    test_no_refusal_shows_a_secret = CanaryTests.test_no_refusal_of_the_http_layer_shows_a_secret
    test_the_stream_shows_no_secret = CanaryTests.test_the_stream_and_the_transport_of_2024_show_no_secret


def may_come_out(where: str, output: str) -> bool:
    """Return whether what was planted there may be in this output."""
    in_exchange = where in IN_EXCHANGES and output.startswith("the DEBUG log")
    return where in EXEMPT or in_exchange or (where == OWN and output == "an answer")


def test_every_secret_setting_is_planted() -> None:
    """Our choice: who adds a secret setting adds a value for it here."""
    assert {each.variables[0] for each in DECLARED if each.secret} == set(SECRET_VALUES)


@pytest.mark.parametrize(
    "setting", [each for each in DECLARED if not each.is_flag], ids=lambda each: each.option
)
def test_a_refused_setting_does_not_show_its_secrets(
    setting: Declared, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Our choice: the line that says why the daemon does not start is pasted into chats and tickets."""
    canaries = Canaries()
    value = canaries.plant("a secret setting") if setting.secret else canaries.url("a setting")
    if setting.name == "log_file":
        # Nowhere, since any path that can be made would be.
        value = f"/dev/null/{value}"
    for each in DECLARED:
        for variable in each.variables:
            monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("MCP_ECHO_PORT", "0")
    monkeypatch.setenv(setting.variables[0], value)
    options = Options()
    said = ""
    try:
        options.parseOptions([])
        makeService(options)
    except SystemExit as refused:
        said = str(refused)
    printed = capsys.readouterr()

    assert canaries.found(said + printed.out + printed.err) == set()
