"""What waiting requests and open streams hold together, however they come.

Our choice, all of it: what clients have held is bounded in bytes, and of each of them.
"""

from __future__ import annotations

import gc
import json
import tracemalloc
from collections.abc import Iterable
from typing import Any

import pytest
from twisted.internet.address import UNIXAddress
from twisted.internet.testing import StringTransportWithDisconnection

from mcp_echo.fixtures import tasks
from mcp_echo.sessions.held import CALL_BYTES, STREAM_BYTES
from tests.transport.support import (
    BOTH,
    Answer,
    Listening,
    ModernTestCase,
    Posted,
    claim,
    modern_message,
    routing_headers,
)

CALL = {"name": "clientProbe", "arguments": {"feature": "cancellation", "seconds": 30}}
ONE, OTHER = "203.0.113.7", "198.51.100.1"


class HeldTestCase(ModernTestCase):
    settings = {
        "MCP_ECHO_TRUSTED_PROXIES": "127.0.0.1",
        "MCP_ECHO_LEGACY_SSE": "true",
        "MCP_ECHO_MAX_HELD_BYTES": str(8 * 65536),
        "MCP_ECHO_MAX_STREAMS_PER_SESSION": "100",
        "MCP_ECHO_MAX_REQUESTS_IN_FLIGHT": "100",
    }

    def tearDown(self) -> None:
        """Nothing may stay behind once the clients are gone and their work is over."""
        self.leave()
        self.doCleanups()
        self.pass_time(31, 0.5)
        assert (self.held.total, len(self.held)) == (0, 0)

    @property
    def held(self) -> Any:
        return self.service.server.context.limits.held

    def begin_session(self, address: str, revision: str = "2025-11-25") -> str:
        params = {"protocolVersion": revision}
        session = self.rpc("initialize", params, X_Forwarded_For=address).header("Mcp-Session-Id")
        assert session is not None
        return session

    def probe(self, address: str, pad: int = 0, session: str | None = None, number: int = 1) -> Posted:
        """Begin a call that waits."""
        headers = {"X-Forwarded-For": address, "Accept": BOTH}
        headers["Mcp-Session-Id"] = session or self.begin_session(address)
        params = {**CALL, "_meta": {"pad": "x" * pad}}
        message = {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}
        return Posted(self, message, headers)

    def modern_probe(self, address: str, pad: int = 0) -> Posted:
        return self.post("tools/call", {**CALL, "pad": "x" * pad}, headers={"X-Forwarded-For": address})

    def kept_of(self, message: Any, headers: dict[str, str]) -> float:
        """Return the mean of the bytes that the server keeps of a request while it waits."""
        self.post_bare(message, headers)
        gc.collect()
        tracemalloc.start()
        for _ in range(8):
            self.post_bare(message, headers)
        gc.collect()
        kept, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return kept / 8

    def post_bare(self, message: Any, headers: dict[str, str]) -> None:
        """POST on a connection of which the client keeps nothing."""
        body = json.dumps(message).encode()
        lines = {"Host": "localhost", "Content-Length": len(body), "Accept": BOTH, **headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        transport = StringTransportWithDisconnection()
        transport.protocol = channel = self.service.site.buildProtocol(UNIXAddress("/run/mcp.sock"))
        channel.makeConnection(transport)
        channel.dataReceived(f"POST /mcp HTTP/1.1\r\n{head}\r\n".encode() + body)
        assert b"HTTP/1.1 4" not in transport.value()
        self.addCleanup(transport.loseConnection)

    def assert_refused(self, answer: Answer | Posted, status: int = 429) -> None:
        setting = "MCP_ECHO_MAX_HELD_BYTES" + ("_PER_CLIENT" if status == 429 else "")
        assert (answer.status, setting in answer.json["error"]["message"]) == (status, True)
        retry_after = answer.headers.getRawHeaders("Retry-After")
        assert retry_after == (["5"] if status == 503 else None)


class CallTests(HeldTestCase):
    def test_what_the_calls_of_one_address_hold_is_bounded(self) -> None:
        """Each in a session of its own, where no limit of a session is reached."""
        probes = [self.probe(ONE, 100_000) for _ in range(5)]
        assert [each.status for each in probes[:2]] == [None, None]
        for refused in probes[2:]:
            self.assert_refused(refused)
        assert self.held.refused_to_holders == 3
        assert self.probe(OTHER, 100_000).status is None, "another address has its own share"
        assert 200_000 < self.held.of(f"address {ONE}") <= 4 * 65536

    def test_what_the_calls_of_all_hold_is_bounded(self) -> None:
        for number in range(8):
            self.probe(f"203.0.113.{number}", 100_000)
        self.assert_refused(self.probe(OTHER, 100_000), 503)
        assert self.held.total <= 8 * 65536
        assert self.held.refused > 0

    def test_both_eras_have_one_share(self) -> None:
        self.probe(ONE, 100_000)
        assert self.modern_probe(ONE, 100_000).status is None
        self.assert_refused(self.modern_probe(ONE, 100_000))
        self.assert_refused(self.probe(ONE, 100_000))

    def test_each_call_of_a_batch_is_counted(self) -> None:
        """2025-03-26 basic, Batching."""
        session = self.begin_session(ONE, "2025-03-26")
        params = {**CALL, "arguments": {**CALL["arguments"], "seconds": 1}}
        batch = [{"jsonrpc": "2.0", "id": n, "method": "tools/call", "params": params} for n in range(30)]
        headers = {"X-Forwarded-For": ONE, "Accept": "application/json", "Mcp-Session-Id": session}
        posted = Posted(self, batch, headers)
        self.pass_time(2)
        answers = posted.json
        refused = [each for each in answers if "error" in each]
        assert len(answers) == 30
        assert len(answers) - len(refused) == 4 * 65536 // (CALL_BYTES + 2048), answers
        assert all("MCP_ECHO_MAX_HELD_BYTES_PER_CLIENT" in each["error"]["message"] for each in refused)

    def test_calls_on_the_transport_of_2024_11_05_are_counted(self) -> None:
        """2024-11-05 basic/transports: the answer comes on the stream."""
        stream = Listening(self.begin("GET", "/sse", headers={"X-Forwarded-For": ONE}))
        self.client.flush()
        where = stream.events[0]["data"]
        for number in range(30):
            message = {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": CALL}
            assert self.request("POST", where, message, {"X-Forwarded-For": ONE}).status == 202
        self.client.flush()
        refused = [each for each in stream.messages if "error" in each]
        assert 10 < len(refused) < 30
        assert "MCP_ECHO_MAX_HELD_BYTES_PER_CLIENT" in refused[0]["error"]["message"]

    def test_an_end_of_each_kind_lets_go(self) -> None:
        """An answer, a cancellation, a client that leaves, a session that ends."""
        session = self.begin_session(ONE)
        answered, cancelled = [self.probe(ONE, 90_000, session, number) for number in (1, 2)]
        body = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 2}}
        self.request("POST", body=body, headers={"Mcp-Session-Id": session, "X-Forwarded-For": ONE})
        self.pass_time(0.1)
        left = self.modern_probe(ONE, 90_000)
        left.leave()
        assert self.modern_probe(ONE, 90_000).status is None
        self.pass_time(31, 0.5)
        assert (answered.status, cancelled.over, self.held.total) == (200, True, 0)

    def test_a_principal_has_a_share_of_its_own(self) -> None:
        headers = {"X-Forwarded-For": ONE, "X-User-Id": "alice"}
        posted = [self.post("tools/call", {**CALL, "pad": "x" * 100_000}, headers=headers) for _ in range(3)]
        assert [each.status for each in posted[:2]] == [None, None]
        self.assert_refused(posted[2])
        assert self.modern_probe(ONE, 100_000).status is None

    def test_a_waiting_call_lets_go_of_its_body(self) -> None:
        """What the body takes was twice its size and more; what is left has nothing to do with it."""
        self.serve({"MCP_ECHO_MAX_HELD_BYTES": str(1 << 30)})
        session = self.begin_session(ONE)
        params = {**CALL, "_meta": {"pad": "x" * 900_000}}
        legacy = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        modern = modern_message("tools/call", {**CALL, "pad": "x" * 900_000})
        batches = {"Mcp-Session-Id": self.begin_session(ONE, "2025-03-26")}
        for message, headers in (
            (legacy, {"Mcp-Session-Id": session}),
            ([legacy], batches),
            (modern, routing_headers(modern)),
        ):
            assert self.kept_of(message, headers) < 100_000

    def test_secrets_in_a_body_that_is_let_go_of_are_known_still(self) -> None:
        """The log masks them, also where late work fails."""
        seen: list[frozenset[str]] = []

        def note(_text: str, secrets: Iterable[str] = (), **_more: Any) -> None:
            seen.append(frozenset(secrets))

        patch = pytest.MonkeyPatch()
        self.addCleanup(patch.undo)
        patch.setattr(self.service.http._journal, "failure", note)
        self.service.server._modern._journal = self.service.http._journal
        self.service.server._modern._finish = _broken
        meta = {"name": "clientProbe", "arguments": {"feature": "cancellation", "seconds": 0.1}}
        self.post("tools/call", {**meta, "token": "a-secret-in-the-body"})
        self.pass_time(1)
        assert any("a-secret-in-the-body" in secrets for secrets in seen), seen


def _broken(*_: object) -> None:
    raise RuntimeError("broken")


class StreamTests(HeldTestCase):
    MOST = 4 * 65536 // STREAM_BYTES

    def test_streams_are_counted_however_many_sessions_they_are_of(self) -> None:
        """A session's own limit says nothing of how many sessions there are."""
        for _ in range(self.MOST):
            headers = {"X-Forwarded-For": ONE, "Accept": "text/event-stream"}
            headers["Mcp-Session-Id"] = session = self.begin_session(ONE)
            assert self.begin("GET", headers=headers).code == 200
        self.assert_refused(self.request("GET", headers={**headers, "Mcp-Session-Id": session}))
        self.assert_refused(self.request("GET", "/sse", headers={"X-Forwarded-For": ONE}))
        wanted = {"notifications": {"toolsListChanged": True}}
        self.assert_refused(self.post("subscriptions/listen", wanted, headers={"X-Forwarded-For": ONE}))
        assert self.listen(self.begin_session(OTHER), **{"X-Forwarded-For": OTHER}).status == 200
        self.leave()
        assert self.held.total == 0

    def test_subscriptions_are_counted(self) -> None:
        wanted = {"notifications": {"toolsListChanged": True}}
        opened = [
            self.post("subscriptions/listen", wanted, headers={"X-Forwarded-For": ONE})
            for _ in range(self.MOST + 1)
        ]
        assert [each.status for each in opened] == [200] * self.MOST + [429]

    def test_streams_of_the_transport_of_2024_11_05_are_counted(self) -> None:
        statuses = [
            self.begin("GET", "/sse", headers={"X-Forwarded-For": ONE}).code for _ in range(self.MOST)
        ]
        assert statuses == [200] * self.MOST
        created = self.store.statistics.created
        self.assert_refused(self.request("GET", "/sse", headers={"X-Forwarded-For": ONE}))
        assert self.store.statistics.created == created, "a refusal leaves no session behind"

    def test_a_stream_that_is_refused_for_its_session_holds_nothing(self) -> None:
        self.serve({**self.settings, "MCP_ECHO_MAX_STREAMS_PER_SESSION": "1"})
        session = self.begin_session(ONE)
        self.listen(session, **{"X-Forwarded-For": ONE})
        headers = {"X-Forwarded-For": ONE, "Accept": "text/event-stream", "Mcp-Session-Id": session}
        for _ in range(3):
            assert self.request("GET", headers=headers).status == 429
        assert self.held.total == STREAM_BYTES

    def test_a_client_that_comes_back_takes_the_place_of_its_own_stream(self) -> None:
        """It may be back before the server has noticed that the connection before is lost."""
        streams = []
        for _ in range(self.MOST):
            session = self.begin_session(ONE)
            streams.append(self.listen(session, **{"X-Forwarded-For": ONE}))
        headers = {"Mcp-Session-Id": session, "X-Forwarded-For": ONE}
        self.rpc("logging/setLevel", {"level": "debug"}, **headers)
        self.rpc("tools/call", {"name": "echo", "arguments": {"message": "m"}}, **headers)
        self.client.flush()
        last = streams[-1].events[-1]["id"]
        for _ in range(3):
            assert self.listen(session, **{"X-Forwarded-For": ONE, "Last-Event-ID": last}).status == 200
        assert self.held.total == self.MOST * STREAM_BYTES

    def test_a_subscription_lets_go_of_its_request(self) -> None:
        """It may be open for days."""
        wanted = {"notifications": {"toolsListChanged": True}, "pad": "x" * 900_000}
        message = modern_message("subscriptions/listen", wanted)
        assert self.kept_of(message, routing_headers(message)) < 100_000


class TaskTests(HeldTestCase):
    """The tasks extension of the conformance set: tasks outlive their requests by minutes."""

    META = claim(capabilities={"extensions": {"io.modelcontextprotocol/tasks": {}}})

    def setUp(self) -> None:
        super().setUp()
        self.serve({**self.settings, "MCP_ECHO_CONFORMANCE": "tasks"})

    def begin_task(self, address: str, **arguments: Any) -> Answer:
        params = {"name": "slow_compute", "arguments": {"seconds": 20, **arguments}}
        return self.modern("tools/call", params, meta=self.META, headers={"X-Forwarded-For": address})

    def test_a_client_has_a_share_of_the_tasks(self) -> None:
        """Our choice: half of all there may be, running or over."""
        patch = pytest.MonkeyPatch()
        self.addCleanup(patch.undo)
        patch.setattr(tasks, "MAX_TASKS_OF_ONE", 3)
        answers = [self.begin_task(ONE, seconds=0).json["result"] for _ in range(5)]
        assert ["taskId" in each for each in answers] == [True] * 3 + [False] * 2
        assert "You have 3 tasks already" in answers[3]["content"][0]["text"]
        assert "taskId" in self.begin_task(OTHER).json["result"]
        self.pass_time(tasks.TTL + 20, 10)
        assert "taskId" in self.begin_task(ONE, seconds=0).json["result"]

    def test_what_running_tasks_hold_is_counted(self) -> None:
        answers = [self.begin_task(ONE) for _ in range(30)]
        refused = [each for each in answers if each.status == 429]
        assert 10 < len(refused) < 30
        self.assert_refused(refused[0])
        assert self.held.of(f"address {ONE}") > 100_000

    def test_a_task_lets_go_of_the_request_that_began_it(self) -> None:
        self.serve({"MCP_ECHO_CONFORMANCE": "tasks"})
        params = {"name": "slow_compute", "arguments": {"seconds": 20}, "pad": "x" * 900_000}
        message = modern_message("tools/call", params, meta=self.META)
        assert self.kept_of(message, routing_headers(message)) < 100_000
