"""Every request has its answer, and a client that reads gets what is meant for it, however slowly it reads.

JSON-RPC 2.0, Response object: the server MUST reply with a Response; basic/transports, Sending Messages, rule
6: the stream SHOULD eventually include a response for each request that was sent.
"""

from __future__ import annotations

from typing import Any

from tests.transport.slow import SlowClient
from tests.transport.support import BOTH, ServerTestCase

STREAM = "text/event-stream"
JSON = "application/json"
SMALL = {"MCP_ECHO_MAX_QUEUE_MESSAGES": "2", "MCP_ECHO_MAX_QUEUE_BYTES": "1024"}
TINY = {**SMALL, "MCP_ECHO_MAX_STATE_BYTES": "65536"}
BOUNDS = [{}, SMALL, TINY]


def call(message_id: Any, tool: str, **arguments: Any) -> dict[str, Any]:
    params = {"name": tool, "arguments": arguments}
    return {"jsonrpc": "2.0", "id": message_id, "method": "tools/call", "params": params}


def echo(message_id: Any, size: int) -> dict[str, Any]:
    return call(message_id, "echo", message="x" * size)


def ids(client: SlowClient) -> list[Any]:
    """Return the ids of the responses, in order."""
    return [each["id"] for each in client.messages if "method" not in each]


class AnswerTestCase(ServerTestCase):
    def post(self, body: Any, session: str, accept: str = BOTH) -> SlowClient:
        headers = {"Mcp-Session-Id": session, "Accept": accept}
        client = SlowClient(self.service.site, "POST", headers, body)
        self.addCleanup(client.leave)
        return client

    def get(self, session: str, **headers: str) -> SlowClient:
        fields = {"Mcp-Session-Id": session, "Accept": STREAM, **headers}
        client = SlowClient(self.service.site, "GET", fields)
        self.addCleanup(client.leave)
        return client

    def finish(self, *clients: SlowClient) -> None:
        """Let time pass, and have the clients read, until nothing happens any more."""
        for _ in range(30):
            self.clock.advance(0.05)
            for client in clients:
                client.read_all()


class WholeAnswerTests(AnswerTestCase):
    def test_a_batch_of_large_answers_comes_whole(self) -> None:
        """The log keeps a part of them; the connection gets all."""
        batch = [echo(number, 10_000) for number in range(100)]
        for bounds in BOUNDS:
            for accept in (BOTH, STREAM, JSON, "*/*"):
                self.serve(bounds)
                client = self.post(batch, self.initialize("2025-03-26"), accept)
                self.finish(client)
                assert (client.status, ids(client), client.over) == (200, list(range(100)), True)
                assert client.reads >= 100 or accept in (JSON, "*/*"), "it has read slowly"


class EndedSessionTests(AnswerTestCase):
    def test_a_call_in_progress_is_answered_on_its_stream_after_the_session_s_end(self) -> None:
        """Our choice: a request that was taken is answered; only what listens ends with the session."""
        session = self.initialize("2025-11-25")
        probe = call("a", "clientProbe", feature="progress")
        probe["params"]["_meta"] = {"progressToken": 1}
        listening, client = self.get(session), self.post(probe, session)
        self.request("DELETE", headers={"Mcp-Session-Id": session})
        self.finish(listening, client)
        assert listening.over
        assert [each.get("method", "answer") for each in client.messages] == [
            *["notifications/progress"] * 3,
            "answer",
        ]
        assert (client.over, self.store.budget.queues) == (True, 0)
