"""Two daemons with one store: whatever a client does, it may do on either of them.

The duties are those of one server, which a client must not be able to tell from two.
https://modelcontextprotocol.io/specification/2025-11-25/basic/transports
"""

from __future__ import annotations

import itertools
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.nodes import (
    PATIENCE,
    STORES,
    Elsewhere,
    Node,
    address_of,
    modern_call,
    node,
    nodes,
    structured,
    wait_until,
)
from tests.e2e.wire import JSON, Events, ModernWire, Wire

pytestmark = pytest.mark.slow

LEGACY = "2025-11-25"
MODERN = "2026-07-28"

SETTINGS = {"MCP_ECHO_TRUSTED_PROXIES": "127.0.0.1", "MCP_ECHO_MAX_SESSIONS_PER_PRINCIPAL": "1000"}

UPDATED = "notifications/resources/updated"

Pair = tuple[Node, Node]
Run = Callable[..., Pair]


@pytest.fixture(scope="module", params=STORES)
def store(request: pytest.FixtureRequest) -> str:
    """The kind of the store."""
    return str(request.param)


@pytest.fixture(scope="module")
def pair(store: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Two nodes, for all tests that leave them alive."""
    directory = tmp_path_factory.mktemp(store)
    with nodes(address_of(store, directory), directory, ["--legacy-sse"], SETTINGS) as (a, b):
        yield a, b


@pytest.fixture
def run(store: str, tmp_path: Path) -> Iterator[Run]:
    """Run two nodes of the test's own: ``run(MCP_MAX_SESSIONS="1")``."""
    with ExitStack() as stack:

        def run(**settings: str) -> Pair:
            a, b = stack.enter_context(nodes(address_of(store, tmp_path), tmp_path, env=settings))
            return a, b

        yield run


def updates(count: int, events: Events) -> list[dict[str, str]]:
    """Return the next so many events, which are all news of a resource."""
    found = [events.next("message") for _ in range(count)]
    assert [json.loads(event["data"])["method"] for event in found] == [UPDATED] * count
    return found


def set_level(wire: Wire, level: str = "info") -> None:
    """Have the session's tool calls queue log messages."""
    response, _ = wire.ask("logging/setLevel", {"level": level})
    assert response["result"] == {}


def call(wire: Wire, tool: str, **arguments: Any) -> Any:
    """Call a tool as a client that reads no event stream there: what else there is to say is queued."""
    return wire.call(tool, {"Accept": "application/json"}, **arguments)


def logged(event: dict[str, str]) -> str:
    """Return which tool an event's log message is about."""
    return str(json.loads(event["data"])["params"]["data"]["tool"])


def open_streams(wire: Wire) -> int:
    """Return how many streams of the session the server says are open."""
    return int(call(wire, "sessionInfo")["openStreams"])


# Sessions and handles.


def test_a_session_made_on_one_node_goes_on_on_another_and_back(pair: Pair) -> None:
    """Session Management: the id names one session, with one last echo and one count, wherever it is sent."""
    a, b = pair
    with Wire(a.port, LEGACY) as here, Elsewhere(b.port, here) as there:
        counts = [
            call(client, "echo", message=f"echo {number}")["echoCount"]
            for number, client in enumerate([here, there, there, here, there])
        ]
        replays = [call(client, "replayLastEcho")["message"] for client in (here, there)]
        info = call(there, "sessionInfo")

    assert counts == [1, 2, 3, 4, 5]
    assert replays == ["echo 4"] * 2
    assert (info["mintedBy"], info["servedBy"]) == (a.name, b.name)
    assert info["replayCount"] == 2


def test_a_session_deleted_on_one_node_is_gone_on_the_other(pair: Pair) -> None:
    """Session Management, rule 5: after DELETE the session id is answered 404."""
    a, b = pair
    with Wire(a.port, LEGACY) as here, Elsewhere(b.port, here) as there, Elsewhere(a.port, here) as again:
        call(here, "echo", message="x")
        assert there.delete() == 204
        assert [again.status(method) for method in ("POST", "GET", "DELETE")] == [404] * 3


def test_a_session_deleted_on_one_node_ends_its_stream_on_the_other(pair: Pair) -> None:
    """Session Management: nothing more comes in a session that is over."""
    a, b = pair
    with Wire(a.port, LEGACY) as here, Elsewhere(b.port, here) as there:
        stream = here.stream()
        assert there.delete() == 204
        assert b'"jsonrpc"' not in stream.read()


def test_a_handle_made_on_one_node_goes_on_on_another(pair: Pair) -> None:
    """Our choice: in the modern era a handle is what a session id is in the other."""
    a, b = pair
    with ModernWire(a.port, MODERN) as here, ModernWire(b.port, MODERN) as there:
        handle = structured(here, "createEchoSession")["session"]
        assert structured(there, "echo", message="there", session=handle)["echoCount"] == 1
        assert structured(here, "replayLastEcho", session=handle)["message"] == "there"
        info = structured(there, "sessionInfo", session=handle)
        assert (info["mintedBy"], info["servedBy"]) == (a.name, b.name)
        assert not modern_call(there, "closeEchoSession", session=handle)["isError"]
        assert modern_call(here, "echo", message="late", session=handle)["isError"]


def test_another_principal_gets_the_same_404_on_either_node(pair: Pair) -> None:
    """Our choice, after Security Best Practices, Session Hijacking: whose it is, every node knows."""
    a, b = pair
    with Wire(a.port, LEGACY, user="alice") as here:
        refused = []
        for where, user in itertools.product((a, b), ("mallory", None)):
            with Elsewhere(where.port, here) as there:
                del there.headers["X-User-Id"]
                there.headers |= {} if user is None else {"X-User-Id": user}
                response = there.send("POST", there.headers, {"jsonrpc": "2.0", "id": 1, "method": "ping"})
                refused.append((response.status, response.read()))
        with Elsewhere(b.port, here) as there:
            assert there.status("POST") == 200

    assert refused == [(404, refused[0][1])] * 4


# A stream that one node holds, and requests that come to the other.


def test_what_requests_on_one_node_queue_comes_at_once_on_a_stream_of_the_other(pair: Pair) -> None:
    """Listening for Messages: log messages and news of the session, each when it happens and in order."""
    a, b = pair
    with Wire(a.port, LEGACY) as here, Elsewhere(b.port, here) as there:
        events = Events(here.stream())
        set_level(there)
        for tool in ("authContext", "printHeader", "sessionInfo"):
            call(there, tool)
            assert logged(events.next("message")) == tool
        set_level(here, "emergency")
        there.ask("resources/subscribe", {"uri": "echo://session"})
        for number in range(3):
            call(here if number == 1 else there, "echo", message=f"echo {number}")
            updates(1, events)


def test_an_echo_in_a_handle_is_told_once_wherever_it_is_made(pair: Pair) -> None:
    """resources/subscribe: one session subscribes on a node, listens on another, and echoes come on both."""
    a, b = pair
    with ModernWire(a.port, MODERN) as left, ModernWire(b.port, MODERN) as right:
        handle = structured(left, "createEchoSession")["session"]
        uri = f"echo://session/{handle}"
        with Wire(a.port, LEGACY) as here, Elsewhere(b.port, here) as there:
            here.ask("resources/subscribe", {"uri": uri})
            events = Events(there.stream())
            set_level(there)
            for wire in (left, right, right, left, right, left):
                structured(wire, "echo", message="x", session=handle)
                assert json.loads(updates(1, events)[0]["data"])["params"]["uri"] == uri
            # Were one told twice, it would come before this.
            call(here, "authContext")
            assert logged(events.next("message")) == "authContext"


@pytest.mark.parametrize("suffix", ["", "/messages"])
def test_a_modern_subscription_hears_once_of_each_echo_on_another_node(pair: Pair, suffix: str) -> None:
    """2026-07-28 subscriptions/listen: the news it asked for, each once, and nothing else."""
    a, b = pair
    with ModernWire(a.port, MODERN) as here, ModernWire(b.port, MODERN) as there:
        handle = structured(there, "createEchoSession")["session"]
        uri = f"echo://session/{handle}{suffix}"
        heard = here.listen({"resourceSubscriptions": [uri], "toolsListChanged": True})
        assert next(heard)["params"]["notifications"]["resourceSubscriptions"] == [uri]
        for number in range(20):
            structured(there if number % 4 else here, "echo", message="x", session=handle)
        news = [next(heard) for _ in range(20)]
        # Without a listener of its own, the probe's node would have nobody to tell.
        local = there.listen({"toolsListChanged": True})
        next(local)
        # Were there another one, it would come before this.
        probe = _probe_lists(there)
        methods = [next(heard)["method"] for _ in range(1)]
        here.ask("tools/list")
        probe.join()

    assert [(each["method"], each["params"]["uri"]) for each in news] == [(UPDATED, uri)] * 20
    assert methods == ["notifications/tools/list_changed"]


class _Probe(threading.Thread):
    """Calls clientProbe while the test goes on."""

    def __init__(self, wire: ModernWire | Wire, **arguments: Any) -> None:
        super().__init__(daemon=True)
        self._wire = wire
        self._params = {"name": "clientProbe", "arguments": arguments}
        self.result: Any = None

    def run(self) -> None:
        response, _ = self._wire.ask("tools/call", self._params)
        self.result = response["result"]["structuredContent"]


def _probe_lists(wire: ModernWire | Wire) -> _Probe:
    probe = _Probe(wire, feature="list-changed", seconds=15)
    probe.start()
    return probe


def test_a_changed_list_is_told_and_read_across_nodes(pair: Pair) -> None:
    """list_changed: a listener on one node hears of the change on another, which hears that it has read."""
    a, b = pair
    with (
        ModernWire(a.port, MODERN) as here,
        ModernWire(b.port, MODERN) as local,
        ModernWire(b.port, MODERN) as there,
    ):
        elsewhere = here.listen({"toolsListChanged": True})
        assert next(elsewhere)["method"] == "notifications/subscriptions/acknowledged"
        # Without a listener of its own, the probe's node would have nobody to tell.
        next(local.listen({"toolsListChanged": True}))
        probe = _probe_lists(there)
        assert next(elsewhere)["method"] == "notifications/tools/list_changed"
        here.ask("tools/list")
        probe.join(PATIENCE)

    assert probe.result["problems"] == []


# Questions, answers and cancellations.


@pytest.mark.parametrize("feature", ["elicitation", "sampling"])
def test_a_client_s_answer_reaches_the_node_that_asked(pair: Pair, feature: str) -> None:
    """Sending Messages: a response is a POST like any other, and may come to any node."""
    a, b = pair
    answers = {
        "elicitation": {"action": "accept", "content": {"answer": "forty-two"}},
        "sampling": {"role": "assistant", "content": {"type": "text", "text": "pong"}, "model": "m"},
    }
    with Wire(a.port, LEGACY, {feature: {}}) as here, Elsewhere(b.port, here) as there:
        heard = here.listen()
        here.headers["Accept"] = "application/json"
        probe = _Probe(here, feature=feature)
        probe.start()
        question = next(message for message in heard if "id" in message)
        reply = {"jsonrpc": "2.0", "id": question["id"], "result": answers[feature]}
        assert there.send("POST", there.headers, reply).status == 202
        probe.join(PATIENCE)

    assert probe.result["answer"] == answers[feature]
    assert probe.result["problems"] == []


def test_a_cancellation_reaches_the_node_that_works_on_the_request(pair: Pair) -> None:
    """basic/utilities/cancellation: the notification is a POST like any other."""
    a, b = pair
    with Wire(a.port, LEGACY) as here, Elsewhere(b.port, here) as there:
        events = Events(here.stream())
        call = {"name": "clientProbe", "arguments": {"feature": "cancellation", "seconds": 30}}
        request = {"jsonrpc": "2.0", "id": "slow", "method": "tools/call", "params": call}
        cancelled = {
            "jsonrpc": "2.0",
            "method": "notifications/cancelled",
            "params": {"requestId": "slow"},
        }
        working = threading.Thread(target=here.send, args=("POST", {**here.headers}, request), daemon=True)
        working.start()
        # Whether the request or its cancellation is first is up to the threads.
        while working.is_alive():
            assert there.send("POST", there.headers, cancelled).status == 202
            working.join(0.1)
        assert "cancelled after" in events.next("message")["data"]


@pytest.mark.parametrize("back", [False, True])
def test_a_sealed_state_of_one_node_is_opened_by_the_other(pair: Pair, back: bool) -> None:
    """2026-07-28 MRTR: the retry may come to any node; the key they share is in the store."""
    first, second = reversed(pair) if back else pair
    declared = {"elicitation": {}}
    with ModernWire(first.port, MODERN, declared) as here, ModernWire(second.port, MODERN, declared) as there:
        asked = modern_call(here, "clientProbe", feature="elicitation")
        answers = {key: {"action": "accept", "content": {"answer": "x"}} for key in asked["inputRequests"]}
        params = {
            "name": "clientProbe",
            "arguments": {"feature": "elicitation"},
            "requestState": asked["requestState"],
            "inputResponses": answers,
        }
        response, _ = there.ask("tools/call", params)

    assert response["result"]["structuredContent"]["problems"] == []


# Resuming.


def _streamed(here: Wire, there: Wire, count: int) -> str:
    """Have a stream of ``here`` carry so many events and one more; return the id of the one before that."""
    events = Events(here.stream())
    set_level(there)
    ids = []
    for _ in range(count + 1):
        call(there, "authContext")
        ids.append(events.next("message")["id"])
    assert len(set(ids)) == count + 1
    return ids[-2]


@pytest.mark.parametrize("end", ["graceful", "killed"])
def test_what_a_node_streamed_before_its_end_is_resumed_on_another(run: Run, end: str) -> None:
    """Resumability and Redelivery: everything after Last-Event-ID, once, and in order."""
    a, b = run()
    with Wire(a.port, LEGACY) as here, Elsewhere(b.port, here) as there:
        last = _streamed(here, there, 3)
        a.terminate() if end == "graceful" else a.kill()
        for tool in ("printHeader", "sessionInfo"):
            call(there, tool)
        events = Events(there.stream(Last_Event_ID=last))
        found = [events.next("message") for _ in range(3)]
        call(there, "corsAnalysis")
        found.append(events.next("message"))

    assert [logged(each) for each in found] == ["authContext", "printHeader", "sessionInfo", "corsAnalysis"]
    assert len({last, *(each["id"] for each in found)}) == 5


def test_a_stream_that_is_new_gets_what_a_node_that_ended_had_not_written(run: Run) -> None:
    """Our choice: what waits, waits for whichever stream listens next."""
    a, b = run()
    with Wire(a.port, LEGACY) as here, Elsewhere(b.port, here) as there:
        _streamed(here, there, 1)
        a.terminate()
        call(there, "printHeader")
        events = Events(there.stream())
        assert logged(events.next("message")) == "printHeader"


def test_the_id_of_the_first_message_leads_back_to_the_stream_on_any_node(pair: Pair) -> None:
    """2025-11-25 Resumability and Redelivery, rule 2: what came after it is sent, on whichever node."""
    a, b = pair
    with Wire(a.port, LEGACY) as here, Elsewhere(b.port, here) as there:
        response = here.stream()
        set_level(there)
        call(there, "printHeader")
        first = Events(response).next("message")
        assert logged(first) == "printHeader"
        response.close()
        here.hang_up()
        call(there, "corsAnalysis")
        events = Events(there.stream(Last_Event_ID=first["id"]))
        assert logged(events.next("message")) == "corsAnalysis"


def test_an_answer_begun_on_one_node_is_resumed_on_another(pair: Pair) -> None:
    """Sending Messages, rule 6: a client that lost the answer's stream comes back for it by GET."""
    a, b = pair
    with Wire(a.port, LEGACY) as here, Elsewhere(b.port, here) as there:
        call = {
            "name": "clientProbe",
            "arguments": {"feature": "progress"},
            "_meta": {"progressToken": "p"},
        }
        request = {"jsonrpc": "2.0", "id": "long", "method": "tools/call", "params": call}
        response = here.send("POST", {**here.headers, "Accept": "text/event-stream"}, request)
        last = Events(response).next("message")["id"]
        response.close()
        here.hang_up()
        rest = [json.loads(each["data"]) for each in Events(there.stream(Last_Event_ID=last)).all()
                if '"jsonrpc"' in each.get("data", "")]  # fmt: skip

    assert [each["params"]["progress"] for each in rest[:-1]] == [50, 100]
    assert rest[-1]["id"] == "long"


def test_a_client_that_comes_back_on_another_node_closes_the_connection_it_left(pair: Pair) -> None:
    """Multiple Connections: a message goes out on one stream, which one connection carries."""
    a, b = pair
    with Wire(a.port, LEGACY) as here, Elsewhere(b.port, here) as there:
        set_level(here)
        old = here.stream()
        call(here, "authContext")
        last = Events(old).next("message")["id"]
        new = Events(there.stream(Last_Event_ID=last))
        assert b'"jsonrpc"' not in old.read()
        call(here, "printHeader")
        assert logged(new.next("message")) == "printHeader"
        assert open_streams(here) == 1


# The transport of 2024-11-05.


def test_the_old_transport_takes_messages_on_any_node(pair: Pair) -> None:
    """2024-11-05 HTTP with SSE: answers come on the one stream, whichever node took the message."""
    a, b = pair
    with ExitStack() as stack:
        client, here, there = (stack.enter_context(ModernWire(each.port, MODERN)) for each in (a, a, b))
        stream = client.send("GET", JSON, path="/sse")
        events = Events(stream)
        path = events.next("endpoint")["data"]
        answers = []
        for number, sender in enumerate((here, there, there, here)):
            call = {"name": "echo", "arguments": {"message": f"echo {number}"}}
            message = {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": call}
            assert sender.send("POST", JSON, message, path).status == 202
            answers.append(json.loads(events.next("message")["data"])["result"]["content"][0]["text"])
        stream.close()
        client.hang_up()
        ping = {"jsonrpc": "2.0", "id": 9, "method": "ping"}
        wait_until(lambda: there.send("POST", JSON, ping, path).status == 404)

    assert [answer.split("\n")[0] for answer in answers] == [f"echo {number}" for number in range(4)]


# Limits.


def _initialize(port: int, count: int, found: list[tuple[int, str | None]]) -> None:
    opening = {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "w", "version": "1"}}
    for number in range(count):
        with ModernWire(port, MODERN) as client:
            message = {"jsonrpc": "2.0", "id": number, "method": "initialize", "params": opening}
            response = client.send("POST", JSON, message)
            found.append((response.status, response.headers["Retry-After"]))


def test_no_more_sessions_are_made_than_may_be_on_all_nodes_together(run: Run) -> None:
    """MCP_MAX_SESSIONS: exact, also while two nodes make sessions at once; a sweep ends them on both."""
    a, b = run(
        MCP_MAX_SESSIONS="50",
        MCP_SESSION_TIMEOUT="3",
        MCP_SESSION_CLEANUP_INTERVAL="1",
    )
    found: list[tuple[int, str | None]] = []
    clients = [
        threading.Thread(target=_initialize, args=(where.port, 20, found))
        for where in (a, b)
        for _ in range(3)
    ]
    for client in clients:
        client.start()
    for client in clients:
        client.join()

    # Those that nobody has used give way to later ones.
    assert Counter(status for status, _ in found) == {200: 120}
    assert max(where.probe("/health")[1]["sessions"]["active"] for where in (a, b)) == 50
    for where in (a, b):
        wait_until(lambda where=where: where.probe("/health")[1]["sessions"]["active"] == 0)
        with Wire(where.port, LEGACY) as wire:
            assert wire.session_id


# One daemon that ends, and begins anew.


@pytest.mark.parametrize("end", ["graceful", "killed"])
def test_sessions_outlive_the_only_daemon(tmp_path: Path, end: str) -> None:
    """Our choice: a store in a file is there for this: ids, counts, the last echo and the queue survive."""
    address = address_of("sqlite", tmp_path)
    with node(address, tmp_path) as first, Wire(first.port, LEGACY) as wire:
        set_level(wire)
        for number in range(3):
            call(wire, "echo", message=f"echo {number}")
        minted = first.name
        first.terminate() if end == "graceful" else first.kill()
    with node(address, tmp_path) as second, Elsewhere(second.port, wire) as again:
        assert call(again, "replayLastEcho")["message"] == "echo 2"
        events = Events(again.stream())
        assert [logged(events.next("message")) for _ in range(4)] == ["echo"] * 3 + ["replayLastEcho"]
        info = call(again, "sessionInfo")

    assert (info["echoCount"], info["replayCount"], info["mintedBy"]) == (3, 1, minted)
    assert info["servedBy"] != minted
