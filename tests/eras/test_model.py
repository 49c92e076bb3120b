"""A server beside a model too simple to be wrong, under every order of what its clients may do.

Sessions are made, used, left alone, deleted; messages are queued for them; streams are opened, lost and
resumed. Everything goes through HTTP, in memory, but for the messages that the server itself queues. Messages
are numbered, and the number is the message.
"""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule
from twisted.logger import LogEvent, globalLogPublisher

from mcp_echo.protocol.jsonrpc import notification_bytes
from tests.examples import examples
from tests.transport.support import Answer, Listening, ServerTestCase

TIMEOUT = 100
MAX_SESSIONS = 4
MAX_QUEUE = 5
PRINCIPALS = ("alice", "bob")


class Host(ServerTestCase):
    """The server, with small bounds."""

    settings = {
        "MCP_SESSION_TIMEOUT": str(TIMEOUT),
        "MCP_MAX_SESSIONS": str(MAX_SESSIONS),
        "MCP_ECHO_MAX_QUEUE_MESSAGES": str(MAX_QUEUE),
        "MCP_ECHO_TRUSTED_PROXIES": "127.0.0.1",
    }

    __test__ = False

    def runTest(self) -> None:
        """The machine does what is to be done."""


class Model:
    """What one session has to be like."""

    def __init__(self, session_id: str, principal: str, now: float) -> None:
        self.id = session_id
        self.principal = principal
        self.last_used = now
        self.closed = False
        self.requests = 1
        self.echoes = 0
        self.replays = 0
        self.last_echo: str | None = None
        self.kept: list[int] = []
        """The messages in the log, oldest first."""
        self.waiting: list[int] = []
        """Those that no connection has taken."""
        self.dropped = 0
        self.connection: Connection | None = None
        self.ids: dict[int, str] = {}
        """Message → the event id it was delivered under."""
        self.used = False

    def lives(self, now: float) -> bool:
        return not self.closed and now - self.last_used < TIMEOUT


class Connection:
    """A client's end of a stream, and what has to have come on it."""

    def __init__(self, listening: Listening, pump: Any) -> None:
        self.listening = listening
        self.pump = pump
        self.expected: list[int] = []

    @property
    def events(self) -> list[tuple[str, int]]:
        """The event id and the number of each message that came."""
        ids = [event["id"] for event in self.listening.events if event.get("event") == "message"]
        return list(zip(ids, (each["params"]["n"] for each in self.listening.messages), strict=True))


texts = st.text(st.characters(codec="utf-8"), max_size=20)


class ServerMachine(RuleBasedStateMachine):
    """What may happen to a server."""

    sessions = Bundle("sessions")

    def __init__(self) -> None:
        super().__init__()
        self.host = Host()
        self.host.setUp()
        self.models: list[Model] = []
        self.made = 0
        self.failures: list[LogEvent] = []
        globalLogPublisher.addObserver(self._note_failure)

    def _note_failure(self, event: LogEvent) -> None:
        if "log_failure" in event:
            self.failures.append(event)

    @property
    def now(self) -> float:
        return float(self.host.clock.seconds())

    def _use(self, model: Model, answer: Answer, status: int = 200) -> bool:
        """Check that a request found its session exactly if there is one; return whether it did."""
        if not model.lives(self.now):
            assert (answer.status, answer.json["error"]["code"]) == (404, -32603)
            model.closed = True
            return False
        assert answer.status == status, answer.body
        model.last_used = self.now
        model.used = model.used or status == 200
        return True

    def _rpc(
        self, model: Model, method: str, params: dict[str, Any] | None = None, principal: str | None = None
    ) -> Answer:
        return self.host.rpc(method, params, session=model.id, X_User_Id=principal or model.principal)

    def _call(self, model: Model, name: str, arguments: dict[str, Any]) -> dict[str, Any] | None:
        answer = self._rpc(model, "tools/call", {"name": name, "arguments": arguments})
        if not self._use(model, answer):
            return None
        model.requests += 1
        result: dict[str, Any] = answer.json["result"]
        return result

    @rule(
        target=sessions,
        revision=st.sampled_from(["2025-03-26", "2025-06-18", "2025-11-25"]),
        principal=st.sampled_from(PRINCIPALS),
    )
    def initialize(self, revision: str, principal: str) -> Any:
        answer = self.host.rpc("initialize", {"protocolVersion": revision}, X_User_Id=principal)
        living = [model for model in self.models if model.lives(self.now)]
        if len(living) >= MAX_SESSIONS and answer.status == 200:
            # One that was never used has given way.
            left = {session.id for session in self.host.store}
            (gone,) = [model for model in living if model.id not in left]
            assert not gone.used
            gone.closed = True
        elif len(living) >= MAX_SESSIONS:
            assert answer.status == 503
            assert 1 <= int(answer.header("Retry-After") or 0) <= 60
            return multiple()
        session = answer.header("Mcp-Session-Id")
        assert session is not None
        assert session not in {model.id for model in self.models}
        self.models.append(Model(session, principal, self.now))
        return self.models[-1]

    @rule(model=sessions, text=texts)
    def echo(self, model: Model, text: str) -> None:
        result = self._call(model, "echo", {"message": text})
        if result is not None:
            model.echoes += 1
            model.last_echo = text
            assert result["isError"] is False
            if "structuredContent" in result:
                assert result["structuredContent"]["message"] == text
                assert result["structuredContent"]["echoCount"] == model.echoes
            assert f"Echo count in session: {model.echoes}" in result["content"][0]["text"]

    @rule(model=sessions)
    def replay(self, model: Model) -> None:
        result = self._call(model, "replayLastEcho", {})
        if result is None:
            return
        assert result["isError"] is (model.last_echo is None)
        if model.last_echo is not None:
            model.replays += 1
            assert f"This session has replayed {model.replays} messages" in result["content"][0]["text"]
            if "structuredContent" in result:
                assert result["structuredContent"] == {
                    "message": model.last_echo,
                    "originalEchoCount": model.echoes,
                    "replayCount": model.replays,
                }

    @rule(model=sessions)
    def look(self, model: Model) -> None:
        answer = self._rpc(model, "resources/read", {"uri": "echo://session"})
        if self._use(model, answer):
            model.requests += 1
        result = self._call(model, "sessionInfo", {})
        if result is not None and "structuredContent" in result:
            found = result["structuredContent"]
            expected = {
                "session": model.id,
                "totalRequests": model.requests,
                "echoCount": model.echoes,
                "replayCount": model.replays,
                "pendingMessages": len(model.waiting),
                "droppedMessages": model.dropped,
                "openStreams": int(model.connection is not None),
            }
            assert {name: found[name] for name in expected} == expected

    @rule(model=sessions, count=st.integers(0, MAX_QUEUE + 2))
    def queue(self, model: Model, count: int) -> None:
        """The server has news for a session."""
        [session] = [each for each in self.host.store if each.id == model.id] or [None]
        if session is None:
            return
        for _ in range(count):
            self.made += 1
            if len(model.kept) == MAX_QUEUE:
                oldest = model.kept.pop(0)
                if oldest in model.waiting:
                    model.waiting.remove(oldest)
                    model.dropped += 1
            model.kept.append(self.made)
            if model.connection is None:
                model.waiting.append(self.made)
            else:
                model.connection.expected.append(self.made)
            session.log.queue(notification_bytes("notifications/message", {"n": self.made}))
        self.host.client.flush()

    @rule(model=sessions, seen=st.none() | st.integers(0, 30))
    def listen(self, model: Model, seen: int | None) -> None:
        """A client opens its stream, behind one of the messages that it has had or at what is queued."""
        if model.connection is not None:
            return
        had = sorted(model.ids)
        last = None if seen is None or not had else had[seen % len(had)]
        headers = {"X-User-Id": model.principal}
        if last is not None:
            headers["Last-Event-ID"] = model.ids[last]
        before = set(self.host.client._agent._pumps)
        listening = self.host.listen(model.id, **headers)
        if not model.lives(self.now):
            assert listening.status == 404
            return
        assert listening.status == 200
        model.last_used = self.now
        (pump,) = set(self.host.client._agent._pumps) - before
        model.connection = Connection(listening, pump)
        if last is not None:
            stream = model.ids[last].partition("-")[0]
            behind = [each for each in model.kept if each in model.ids and each > last]
            model.connection.expected += [
                each for each in behind if model.ids[each].partition("-")[0] == stream
            ]
        model.connection.expected += model.waiting
        model.waiting = []

    @rule(model=sessions)
    def lose_the_connection(self, model: Model) -> None:
        if model.connection is not None:
            self._check_stream(model)
            model.connection.pump.clientIO.abortConnection()
            self.host.client.flush()
            model.connection = None

    @rule(model=sessions, had=st.integers(1, 3), missed=st.integers(0, 3), seen=st.integers(0, 30))
    def lose_and_resume(self, model: Model, had: int, missed: int, seen: int) -> None:
        """What streams are lost for: something came, something more was missed."""
        self.listen(model, None)
        self.queue(model, had)
        self.lose_the_connection(model)
        self.queue(model, missed)
        self.listen(model, seen)

    @rule(model=consumes(sessions))
    def delete(self, model: Model) -> None:
        named = {"Mcp-Session-Id": model.id, "X-User-Id": model.principal}
        if self._use(model, self.host.request("DELETE", headers=named), 204):
            model.closed = True
        assert self._rpc(model, "ping").status == 404

    @rule(model=sessions)
    def try_as_somebody_else(self, model: Model) -> None:
        """Another principal finds no such session, and changes nothing of it: the model does not."""
        [stranger] = set(PRINCIPALS) - {model.principal}
        named = {"Mcp-Session-Id": model.id, "X-User-Id": stranger}
        echo = {"name": "echo", "arguments": {"message": "x"}}
        for answer in (
            self._rpc(model, "tools/call", echo, stranger),
            self.host.request("GET", headers=named),
            self.host.request("DELETE", headers=named),
        ):
            assert answer.status == 404

    @rule(seconds=st.sampled_from([1, 1, 1, TIMEOUT // 2, TIMEOUT - 1, TIMEOUT]))
    def wait(self, seconds: int) -> None:
        self.host.clock.advance(seconds)

    @rule()
    def sweep(self) -> None:
        expected = {model.id for model in self.models if model.lives(self.now)}
        self.host.store.expire()
        self.host.client.flush()
        assert {session.id for session in self.host.store} == expected
        for model in self.models:
            if model.connection is not None and not model.lives(self.now):
                self._check_stream(model)
                assert model.connection.listening.over
                model.connection = None

    @invariant()
    def streams_carry_what_they_should(self) -> None:
        for model in self.models:
            if model.connection is not None:
                self._check_stream(model)

    def _check_stream(self, model: Model) -> None:
        assert model.connection is not None
        events = model.connection.events
        assert [number for _, number in events] == model.connection.expected
        places = [int(event_id.partition("-")[2]) for event_id, _ in events]
        assert places == sorted(set(places))
        assert len({event_id.partition("-")[0] for event_id, _ in events}) <= 1
        for event_id, number in events:
            # What is replayed has the id it had; what is new has one that nothing else in the session has.
            assert model.ids.setdefault(number, event_id) == event_id
        assert len(set(model.ids.values())) == len(model.ids)

    @invariant()
    def the_counts_are_right(self) -> None:
        """What a sweep has not looked at yet may still be counted, what lives is."""
        alive = sum(model.lives(self.now) for model in self.models)
        active = self.host.request("GET", "/health").json["sessions"]["active"]
        assert alive <= active <= MAX_SESSIONS

    def teardown(self) -> None:
        self.host.leave()
        globalLogPublisher.removeObserver(self._note_failure)
        assert self.failures == []


TestServer = ServerMachine.TestCase
TestServer.settings = settings(
    max_examples=examples(30),
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
