"""Whatever is ordered, and whatever comes: nothing breaks that was not ordered to. docs/faults.md."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from mcp_echo.faults.kinds import kinds_shown
from tests.transport.faults.support import FaultTestCase
from tests.transport.support import BOTH, Posted, modern_message, routing_headers
from tests.transport.test_traces import JSON

PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
METHODS = [None, None, None, "tools/call", "tools/list", "initialize", "GET", "ping", "none/such"]
BODIES = (
    b"",
    b"[]",
    b"{",
    b'{"jsonrpc":"2.0"}',
    b"null",
    b"\xff",
    b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]',
)


def any_value(chance: random.Random, option: dict[str, Any]) -> Any:
    """Return a value that an option takes."""
    if option["choices"]:
        return chance.choice(option["choices"])
    if option["kind"] == "boolean":
        return chance.random() < 0.5
    if option["kind"] == "list":
        return chance.sample(["X-Team", "Accept", "User-Agent"], 2)
    if option["kind"] == "string":
        return chance.choice(["echo", "printHeader", "nöne"])
    least, most = option["least"] or 0, min(option["most"], 2000)
    value = chance.choice([least, most, chance.uniform(least, most)])
    return value if option["kind"] == "number" else int(value)


def any_order(chance: random.Random) -> dict[str, Any]:
    """Return an order that may be given."""
    kind = chance.choice(kinds_shown())
    options = {each["name"]: any_value(chance, each) for each in kind.options if chance.random() < 0.6}
    match = {"method": chance.choice(METHODS), "tool": chance.choice([None, None, "echo"])}
    match["nth"] = chance.choice([None, None, 1, 2])
    return {
        "fault": kind.fault,
        "options": options,
        "match": {name: value for name, value in match.items() if value is not None},
        "after": chance.choice([0, 0, 1]),
        "times": chance.choice([1, 2, 100]),
        "seconds": chance.choice([1, 30, 3600]),
        "probability": chance.choice([0, 0.5, 1]),
    }


class AnyOrderTests(FaultTestCase):
    cases = 150

    def test_nothing_breaks_that_was_not_ordered_to(self) -> None:
        """Our choice: no 5xx that was not ordered, nothing outside the trace, nothing left armed."""
        for case in range(self.cases):
            chance = random.Random(case)  # to be had again
            with self.subTest(case):
                self.one(chance)
        assert self.flushLoggedErrors() == []

    def one(self, chance: random.Random) -> None:
        if chance.random() < 0.2:
            self.request("DELETE", self.path(self.made))
            self.made = self.make()
            self.endpoint = f"/t/{self.made['trace']}/mcp"
        for _ in range(chance.randint(1, 3)):
            answer = self.request("POST", self.path(self.made, "faults"), any_order(chance), JSON)
            # An option may go with another one only.
            assert answer.status in (201, 400), answer.body
        named = self.begin_session()
        for _ in range(chance.randint(1, 5)):
            chance.choice(self.traffic)(self, chance, named)
            self.clock.advance(chance.choice([0, 0.1, 2]))
            self.client.flush()
        self.nothing_else_is_hit()
        self.request("DELETE", self.path(self.made, "faults"))
        self.pass_time(1.2, step=0.6)
        self.is_calm()
        self.leave()

    def begin_session(self) -> str:
        """Return the id of a new session; another word where a fault has kept it."""
        begun = {"protocolVersion": "2025-11-25", "capabilities": {}}
        posted = self.post({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": begun}, None)
        named = None if posted.status is None else posted.headers.getRawHeaders("Mcp-Session-Id")
        return named[0] if named else "none"

    def nothing_else_is_hit(self) -> None:
        own, self.endpoint = self.endpoint, "/mcp"
        answer = self.request("POST", body=PING)
        assert (answer.status, answer.header("X-MCP-Echo-Fault")) == (200, None)
        assert self.request("GET", "/health").status == 200
        assert self.request("GET", self.path(self.made, "report")).status == 200
        self.endpoint = own

    def is_calm(self) -> None:
        assert not {each["state"] for each in self.orders()} & {"armed", "waiting"}
        answer = self.request("POST", body=PING)
        assert (answer.status, answer.header("X-MCP-Echo-Fault")) == (200, None)

    def post(self, message: Any, session: str | None) -> Posted:
        """POST a message, and insist on a mark on what the server would not have answered."""
        named = {} if session is None else {"Mcp-Session-Id": session}
        posted = Posted(self, message, {"Accept": BOTH, **JSON, **named})
        if posted.status is not None and posted.status >= 500:
            assert posted.headers.getRawHeaders("X-MCP-Echo-Fault"), posted.body
        return posted

    def calls(self, chance: random.Random, session: str) -> None:
        tool = chance.choice(["echo", "printHeader", "clientProbe", "none"])
        arguments = {"echo": {"message": "é"}, "clientProbe": {"feature": "progress"}}.get(tool, {})
        params = {"name": tool, "arguments": arguments, "_meta": {"progressToken": 1}}
        message = {"jsonrpc": "2.0", "id": chance.choice([1, "a"]), "method": "tools/call", "params": params}
        self.post(message, session)

    def lists(self, _chance: random.Random, session: str) -> None:
        self.post({"jsonrpc": "2.0", "id": 3, "method": "tools/list"}, session)

    def speaks_modern(self, chance: random.Random, _session: str) -> None:
        message = modern_message("tools/call", {"name": "echo", "arguments": {"message": "x"}})
        if chance.random() < 0.5:
            message = modern_message("tools/list")
        Posted(self, message, routing_headers(message))

    def listens(self, _chance: random.Random, session: str) -> None:
        self.client.request(
            "GET",
            f"http://localhost:3000{self.endpoint}",
            headers={"Accept": "text/event-stream", "Mcp-Session-Id": session},
        ).addErrback(lambda _: None)
        self.client.flush()

    def breaks(self, chance: random.Random, session: str) -> None:
        posted = self.client.request(
            "POST",
            f"http://localhost:3000{self.endpoint}",
            data=chance.choice(BODIES),
            headers={"Accept": BOTH, "Mcp-Session-Id": session},
        )
        posted.addErrback(lambda _: None)
        self.client.flush()

    def ends(self, _chance: random.Random, session: str) -> None:
        self.request("DELETE", headers={"Mcp-Session-Id": session})

    traffic: tuple[Callable[..., None], ...] = (
        calls,
        calls,
        calls,
        lists,
        speaks_modern,
        listens,
        breaks,
        ends,
    )
