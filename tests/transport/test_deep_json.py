"""JSON as deep as it may be, wherever a client can put some: what could be read can also be answered."""

from __future__ import annotations

import base64
import json
from typing import Any

from mcp_echo.protocol.strict_json import MAX_DEPTH
from tests.transport.support import BOTH, META, MODERN, ModernTestCase, claim, modern_message

PLACE = "<deep>"


def _deep(levels: int) -> str:
    return "[" * levels + "1" + "]" * levels


def _filled(message: Any, levels: int) -> bytes:
    return json.dumps(message).replace(f'"{PLACE}"', _deep(levels)).encode()


def _levels_around(message: Any) -> int:
    """Return how deep in a message the place is."""
    if message == PLACE:
        return 0
    inner = message.values() if isinstance(message, dict) else message if isinstance(message, list) else ()
    return max((1 + _levels_around(each) for each in inner), default=-1000)


def _call(name: str, arguments: Any, **others: Any) -> dict[str, Any]:
    return {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": name, "arguments": arguments, **others},
    }


def _initialize(**params: Any) -> dict[str, Any]:
    return {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {}, **params},
    }


LEGACY: dict[str, Any] = {
    "capabilities": _initialize(capabilities={"x": PLACE}),
    "clientInfo": _initialize(clientInfo={"name": PLACE}),
    "an argument": _call("echo", {"message": PLACE}),
    "an unknown argument": _call("echo", {"message": "x", "y": PLACE}),
    "the progress token": _call("echo", {"message": "x"}, _meta={"progressToken": PLACE}),
    "a batch": [{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {"x": PLACE}}],
    "an id": {"jsonrpc": "2.0", "id": PLACE, "method": "ping"},
    "a result": {"jsonrpc": "2.0", "id": 1, "result": PLACE},
}

PROBE = {"feature": "elicitation"}
_FORMS = {"elicitation": {}}
MODERN_MESSAGES: dict[str, Any] = {
    "capabilities": modern_message("server/discover", meta=claim(capabilities={"x": PLACE})),
    "clientInfo": modern_message("server/discover", meta=claim(**{f"{META}clientInfo": {"name": PLACE}})),
    "a param that is sealed": modern_message(
        "tools/call", {"name": "clientProbe", "arguments": PROBE, "x": PLACE}, meta=claim(capabilities=_FORMS)
    ),
    "an answer": modern_message(
        "tools/call",
        {"name": "clientProbe", "arguments": PROBE, "inputResponses": {"probe": PLACE}},
        meta=claim(capabilities=_FORMS),
    ),
    "a part of an answer": modern_message(
        "tools/call",
        {
            "name": "clientProbe",
            "arguments": PROBE,
            "inputResponses": {"probe": {"action": "accept", "content": {"x": PLACE}}},
        },
        meta=claim(capabilities=_FORMS),
    ),
    "a filter": modern_message("subscriptions/listen", {"notifications": PLACE}),
}


class DeepJsonTests(ModernTestCase):
    """A parser's own bound moves with the stack, so each place is tried at our bound and around Python's."""

    def _post(self, message: Any, levels: int, headers: dict[str, str]) -> int:
        answer = self.request("POST", body=_filled(message, levels), headers=headers)
        return answer.status

    def _check(self, messages: dict[str, Any], headers: dict[str, dict[str, str]]) -> None:
        for place, message in messages.items():
            fits = MAX_DEPTH - _levels_around(message)
            with self.subTest(place):
                sent = headers.get(place, {})
                assert self._post(message, fits, sent) < 500
                for levels in (fits + 1, 800, *range(900, 1000), 5000):
                    assert self._post(message, levels, sent) == 400, levels

    def test_no_depth_fails_in_the_legacy_era(self) -> None:
        """Our choice: no client can make the server fail; RFC 8259 section 9."""
        session = {"Mcp-Session-Id": self.initialize("2025-11-25")}
        inside = {
            place: session for place in LEGACY if place not in ("capabilities", "clientInfo", "a batch")
        }
        self._check(LEGACY, inside)

    def test_no_depth_fails_in_the_modern_era(self) -> None:
        """As above."""
        headers = {}
        for place, message in MODERN_MESSAGES.items():
            fields = {"Accept": BOTH, "MCP-Protocol-Version": MODERN, "Mcp-Method": message["method"]}
            if message["method"] == "tools/call":
                fields["Mcp-Name"] = message["params"]["name"]
            headers[place] = fields
        self._check(MODERN_MESSAGES, headers)

    def test_no_depth_fails_inside_a_token(self) -> None:
        """As above; a token's claims are shown, so that they are written again one level deeper."""
        session = self.initialize("2025-11-25")
        for levels in (1, MAX_DEPTH - 1, MAX_DEPTH, 500, *range(900, 1000), 2500):
            claims = f'{{"deep":{_deep(levels)}}}'.encode()
            token = ".".join(
                base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (b'{"alg":"none"}', claims)
            )
            answer = self.rpc(
                "tools/call",
                {"name": "bearerDecode", "arguments": {}},
                session=session,
                Authorization=f"Bearer {token}.",
            )
            assert answer.status == 200
            assert ("nested more than" in answer.body.decode()) is (levels >= MAX_DEPTH), levels
