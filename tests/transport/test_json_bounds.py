"""What one request may make the server hold: 8 times its body and 8 MiB, wherever a client can put JSON."""

from __future__ import annotations

import json
import random
import tracemalloc
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from twisted.logger import globalLogPublisher

from mcp_echo.host.logs import observer
from mcp_echo.protocol.strict_json import MAX_VALUES
from mcp_echo.settings.load import load
from tests import json_shapes
from tests.json_shapes import Shape
from tests.transport.support import BOTH, MODERN, Listening, ModernTestCase, claim, modern_message, send
from tests.transport.test_deep_json import LEGACY, MODERN_MESSAGES, PLACE

SEED = 1
ENVELOPE = 100
"""More values than are in any of the messages around a shape."""


def _request(method: str, params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


def _called(name: str, arguments: Any) -> dict[str, Any]:
    return _request("tools/call", {"name": name, "arguments": arguments})


PLACES: dict[str, Any] = {
    **LEGACY,
    "an upper-case argument": _called("echo", {"message": PLACE, "uppercase": True}),
    "data": _called("echo", {"message": "x", "data": PLACE}),
    "arguments": _called("echo", PLACE),
    "a tool": _called(PLACE, {}),
    "a method": {"jsonrpc": "2.0", "id": 1, "method": PLACE},
    "a member twice": b'{"jsonrpc":"2.0","id":1,"id":2,"method":"ping","params":{"x":"<deep>"}}',
    "a member with escapes": b'{"jsonrpc":"2.0","i\\u0064":1,"method":"ping","params":{"x":"<deep>"}}',
    "an error": {"jsonrpc": "2.0", "id": 1, "error": {"code": 1, "message": "x", "data": PLACE}},
    "a whole body": PLACE,
    "a cursor": _request("tools/list", {"cursor": PLACE}),
    "what is cancelled": _request("notifications/cancelled", {"requestId": PLACE}),
    "what is begun": _request(
        "completion/complete",
        {
            "ref": {"type": "ref/prompt", "name": "diagnose-auth"},
            "argument": {"name": "symptom", "value": PLACE},
        },
    ),
}
MODERN_PLACES: dict[str, Any] = {
    **MODERN_MESSAGES,
    "a modern argument": modern_message("tools/call", {"name": "echo", "arguments": {"message": PLACE}}),
    "capabilities that are asked for": modern_message(
        "tools/call",
        {"name": "clientProbe", "arguments": {"feature": "elicitation"}},
        meta=claim(capabilities={"elicitation": {}, "x": PLACE}),
    ),
    "state": modern_message(
        "tools/call",
        {"name": "clientProbe", "arguments": {"feature": "elicitation"}, "requestState": PLACE},
        meta=claim(capabilities={"elicitation": {}}),
    ),
}
OTHERS = sorted(json_shapes.VALID)


def filled_in(message: Any, text: bytes) -> bytes:
    """Return a message with a text in the place for it."""
    whole = message if isinstance(message, bytes) else json.dumps(message).encode()
    return whole.replace(f'"{PLACE}"'.encode(), text)


def largest(shape: Shape, room: int) -> bytes:
    """Return the shape in about as many bytes as there is room for."""
    some = shape(10_000)
    step = max((len(some) - len(shape(1_000))) / 9_000, 0.001)
    count = int((room - len(some)) / step) + 10_000
    # Names that are numbered grow with their number.
    while len(text := shape(count)) > room:
        count = count * 19 // 20
    return text


class JsonMemoryTests(ModernTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.chance = random.Random(SEED)

    def peak(self, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        """Return the bytes of memory that a request takes at most, and the answer."""
        fields = {"Host": "localhost", "Accept": BOTH, "Content-Length": str(len(body)), **headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        data = f"POST /mcp HTTP/1.1\r\n{head}\r\n".encode() + body
        tracemalloc.start()
        try:
            answer = send(self.service.site, data)
            return tracemalloc.get_traced_memory()[1], answer
        finally:
            tracemalloc.stop()

    def check(self, place: str, message: Any, shape: str, text: bytes, headers: dict[str, str]) -> None:
        """Send a text in a place, and see how much memory that takes."""
        body = filled_in(message, text)
        assert len(body) <= self.service.site.limits.body
        peak, answer = self.peak(body, headers)
        with self.subTest(place=place, shape=shape, size=len(body)):
            assert answer[9:10] in (b"2", b"4"), answer[:100]
            # The answer is handed to the transport, which is a list of bytes here and a socket elsewhere.
            assert peak <= 8 * len(body) + 8 * 2**20 + 2 * len(answer), (peak, len(answer))

    def headers_of(self, place: str, session: str) -> dict[str, str]:
        """Return the headers that a message in one of the places needs."""
        if place in MODERN_PLACES:
            message = MODERN_PLACES[place]
            named = {"Mcp-Name": message["params"]["name"]} if message["method"] == "tools/call" else {}
            return {"MCP-Protocol-Version": MODERN, "Mcp-Method": message["method"], **named}
        return {} if "initialize" in str(PLACES[place]) else {"Mcp-Session-Id": session}

    def sweep(self, places: Iterable[str]) -> None:
        """Try the shape that takes most for a value, the one that takes most for a byte, and another."""
        session = self.initialize("2025-03-26")
        everywhere = {**PLACES, **MODERN_PLACES}
        for place in places:
            for name in ("objects 100 deep", "text with one wide character", self.chance.choice(OTHERS)):
                shape = json_shapes.VALID[name]
                text = shape(MAX_VALUES - ENVELOPE)
                if len(text) < MAX_VALUES or len(text) > self.service.site.limits.body - 1000:
                    text = largest(shape, self.service.site.limits.body - 1000)
                self.check(place, everywhere[place], name, text, self.headers_of(place, session))

    @pytest.mark.slow
    def test_a_request_takes_a_few_times_its_body(self) -> None:
        """Our choice, so that a body of 1 MiB takes 16 MiB at most."""
        self.serve({"ECHO_MAX_MESSAGE_SIZE": "200000"})
        self.sweep([*PLACES, *MODERN_PLACES])

    @pytest.mark.slow
    def test_no_more_is_held_for_the_debug_log(self) -> None:
        """As above: what is shown of a body is bounded before it is worked on."""
        for more in ({}, {"MCP_ECHO_REVEAL_SECRETS": "true"}):
            environ = {"ECHO_MAX_MESSAGE_SIZE": "65000", "MCP_ECHO_DEBUG": "true", **more}
            log = observer(load({}, environ).settings, Discard())
            globalLogPublisher.addObserver(log)
            self.addCleanup(globalLogPublisher.removeObserver, log)
            self.serve(environ)
            self.sweep(["an argument", "a result", "capabilities", "a whole body"])
            for name in ("objects 100 deep", "raw controls"):
                shape = json_shapes.VALID[name]
                self.check("a whole body", PLACE, name, largest(shape, 64_000), {})

    def test_the_largest_text_is_echoed_within_the_bound(self) -> None:
        """As above, at the default size: one wide character makes each copy of a text four times as long."""
        session = self.initialize("2025-06-18")
        for name in ("text with one wide character", "text in a wide script", "raw controls"):
            text = largest(json_shapes.VALID[name], self.service.site.limits.body - 1000)
            for place in ("an argument", "an upper-case argument", "a method", "state"):
                message = {**PLACES, **MODERN_PLACES}[place]
                self.check(place, message, name, text, self.headers_of(place, session))


class Discard:
    """An output that keeps nothing."""

    def write(self, text: str, /) -> None:
        """Let the line go."""


class JsonValuesTests(ModernTestCase):
    settings = {"MCP_ECHO_MAX_JSON_VALUES": "1000"}

    def bodies(self, count: int) -> Iterator[tuple[bytes, dict[str, str]]]:
        """Yield messages of so many values, names of members counted, and the headers they need."""
        modern = {"MCP-Protocol-Version": MODERN, "Mcp-Method": "server/discover"}
        ping = _request("ping", {"x": PLACE})
        for message, unit, headers in (
            (ping, [], {}),
            (ping, {"a": ""}, {}),
            ([ping], [[None]], {}),
            (PLACE, 0, {}),
            (modern_message("server/discover", {"x": PLACE}), {}, modern),
        ):
            around = json_shapes.counted(message) - 1
            text = json_shapes.filled(json.dumps(unit).encode(), json_shapes.counted(unit), count - around)
            yield filled_in(message, text), {"Accept": BOTH, **headers}

    def test_more_values_than_may_be_are_too_large(self) -> None:
        """Our choice: RFC 9110 section 15.5.14, with an error that names the setting and what to do."""
        for body, headers in self.bodies(1001):
            answer = self.request("POST", body=body, headers=headers)
            assert answer.status == 413, answer.body
            error = answer.json["error"]
            assert error["code"] == -32600
            assert "id" not in answer.json
            for word in ("MCP_ECHO_MAX_JSON_VALUES", "1000", "send less"):
                assert word in error["message"]

    def test_as_many_values_as_may_be_are_taken(self) -> None:
        """As above, to the value; names of members and empty arrays count as one each."""
        statuses = [
            self.request("POST", body=body, headers=headers).status for body, headers in self.bodies(1000)
        ]
        # A batch needs a session; an array of numbers is a batch of what is no message, and too long.
        assert statuses == [200, 200, 200, 400, 200]

    def test_the_old_transport_has_the_bound_as_well(self) -> None:
        """As above."""
        self.serve({**self.settings, "MCP_ECHO_LEGACY_SSE": "true"})
        listening = Listening(self.begin("GET", "/sse", headers={"Accept": "text/event-stream"}))
        self.client.flush()
        (endpoint,) = [event["data"] for event in listening.events if event.get("event") == "endpoint"]
        answer = self.request("POST", endpoint, body=next(self.bodies(1001))[0])
        assert answer.status == 413
        assert "MCP_ECHO_MAX_JSON_VALUES" in answer.json["error"]["message"]
