"""The event log beside a model that is too simple to be wrong, under every order of events.

A connection comes, takes what it is given, is lost, comes back with an event id; messages are queued and
appended meanwhile. Messages are numbered, and the number is the message.
"""

from __future__ import annotations

from collections import defaultdict, deque

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from mcp_echo.sessions.event_log import EventLog, Stream
from tests.examples import examples

MAX_MESSAGES = 6
MAX_BYTES = 60


class Connection:
    """A client's end of a stream: what it has been given, in order."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.got: list[int] = []
        self.alive = True
        self.woken = False

    def wake(self) -> None:
        self.woken = True

    def replaced(self) -> None:
        self.alive = False


class LogMachine(RuleBasedStateMachine):
    """What may happen to one session's log."""

    connections = Bundle("connections")
    # Event ids that a client may hold: the id, its stream, and how many of the stream's messages came before.
    cursors = Bundle("cursors")

    def __init__(self) -> None:
        super().__init__()
        self.log = EventLog(MAX_MESSAGES, MAX_BYTES)
        self.made = 0
        self.kept: deque[tuple[int, int]] = deque()
        """(number, size) of the messages in the log."""
        self.passing: dict[int, int] = {}
        """Number → size, of the messages that are in the log no more and wait for their connection alone."""
        self.news: set[int] = set()
        """Messages that belong to no answer."""
        self.waiting: set[int] = set()
        """Messages that some connection is still to take, for the first time or once more."""
        self.taken: set[int] = set()
        self.lost = 0
        """Messages pushed out before anyone took them."""
        self.replays_lost = 0
        """Messages pushed out between their replay being asked for and being taken."""
        self.order: dict[Stream, list[int]] = defaultdict(list)
        """The messages of a stream: those appended to it, or those that went out on it first."""
        self.rivals = False
        """Whether two listening connections have ever been there at once."""
        self.alive: list[Connection] = []

    def _append(self, size: int, stream: Stream | None) -> None:
        self.made += 1
        data = str(self.made).encode().ljust(size)
        while self.kept and (
            len(self.kept) == MAX_MESSAGES or sum(kept for _, kept in self.kept) + len(data) > MAX_BYTES
        ):
            number, kept = self.kept.popleft()
            if any(number in unread for unread in self._coming()):
                self.passing[number] = kept
            else:
                self._lose(number)
        self.kept.append((self.made, len(data)))
        self.waiting.add(self.made)
        if stream is None:
            self.news.add(self.made)
            self._bound_news(len(data))
            self.log.queue(data)
        else:
            self.order[stream].append(self.made)
            self.log.append(stream, data)

    def _coming(self) -> list[list[int]]:
        """Return the messages that each connection is about to take."""
        return [[int(event.data) for event in each.stream.unread] for each in self.alive]

    def _lose(self, number: int) -> None:
        self.passing.pop(number, None)
        if number in self.waiting:
            self.waiting.discard(number)
            self.lost += number not in self.taken
            self.replays_lost += number in self.taken

    def _bound_news(self, size: int) -> None:
        """The one listening connection gets one more message, at the cost of its oldest ones."""
        listener = next((each for each in self.log._streams.values() if each.listening and each.reader), None)
        news = [] if listener is None else [int(event.data) for event in listener.unread]
        sizes = dict(self.kept) | self.passing
        while len(news) >= MAX_MESSAGES or sum(sizes[number] for number in news) + size > MAX_BYTES:
            oldest = news.pop(0)
            self._lose(oldest)
            self.kept = deque((number, kept) for number, kept in self.kept if number != oldest)

    def _connect(self, stream: Stream) -> Connection:
        connection = Connection(stream)
        self.log.attach(stream, connection)
        self.alive = [each for each in self.alive if each.alive]
        self.alive.append(connection)
        self.rivals |= sum(each.stream.listening for each in self.alive) > 1
        return connection

    @rule(size=st.integers(1, 25))
    def queue(self, size: int) -> None:
        self._append(size, None)

    @rule(target=connections)
    def listen(self) -> Connection:
        return self._connect(self.log.listen())

    @rule(target=connections)
    def answer(self) -> Connection:
        return self._connect(self.log.answer())

    @rule(connection=connections, size=st.integers(1, 25), last=st.booleans())
    def append(self, connection: Connection, size: int, last: bool) -> None:
        stream = connection.stream
        if stream.listening or stream.ended:
            return
        self._append(size, stream)
        if last:
            self.log.end(stream)

    @rule(target=cursors, connection=connections, at_most=st.integers(1, 4))
    def take(self, connection: Connection, at_most: int) -> object:
        """Write some messages; the client may later name any of them, or where it began."""
        stream, order = connection.stream, self.order[connection.stream]
        if not connection.alive:
            return multiple()
        coming = int(stream.unread[0].data) if stream.unread else None
        held = [(self.log.position(stream), stream, order.index(coming) if coming in order else len(order))]
        while at_most and (event := self.log.take(stream)) is not None:
            at_most -= 1
            number = int(event.data)
            assert number in self.waiting, "delivered twice on one connection, or after it was pushed out"
            assert all(number not in other for each, other in self.order.items() if each is not stream), (
                "delivered on two streams"
            )
            assert connection.woken, "nobody told the connection"
            if number not in order:
                order.append(number)
            self.waiting.discard(number)
            self.passing.pop(number, None)
            self.taken.add(number)
            connection.got.append(number)
            held.append((event.id_on(stream), stream, order.index(number) + 1))
        if not self.rivals:
            assert connection.got == sorted(connection.got), "out of order"
        return multiple(*held)

    @rule(connection=consumes(connections))
    def lose(self, connection: Connection) -> None:
        if not connection.alive:
            return
        connection.alive = False
        for event in connection.stream.unread:
            if int(event.data) in self.passing:
                self._lose(int(event.data))
        self.alive.remove(connection)
        self.log.detach(connection.stream)
        if connection.stream.listening:
            # What had gone out on this stream before waits for nobody but the client that resumes it.
            self.waiting -= set(self.order[connection.stream])

    @rule(target=connections, cursor=cursors)
    def resume(self, cursor: tuple[str, Stream, int]) -> object:
        event_id, stream, seen = cursor
        found = self.log.resume(event_id)
        kept = {number for number, _ in self.kept}
        if found is None:
            assert not kept & set(self.order[stream]), "forgot a stream that could still be resumed"
            return multiple()
        assert found is stream
        for number in set(self.order[stream][:seen]) & self.taken:
            self.waiting.discard(number)
            self.passing.pop(number, None)
        self.waiting |= set(self.order[stream][seen:]) & (kept | set(self.passing))
        return self._connect(stream)

    @invariant()
    def the_bounds_hold(self) -> None:
        assert len(self.log) == len(self.kept) <= MAX_MESSAGES
        assert sum(size for _, size in self.kept) <= MAX_BYTES
        assert self.log.bytes == sum(size for _, size in self.kept) + sum(self.passing.values())

    @invariant()
    def only_connections_have_what_is_not_kept(self) -> None:
        assert set(self.passing) <= {number for unread in self._coming() for number in unread}

    @invariant()
    def nothing_is_lost_but_what_is_counted(self) -> None:
        assert self.lost <= self.log.dropped <= self.lost + self.replays_lost
        assert self.log.pending == len(self.waiting)

    @invariant()
    def every_connection_is_known(self) -> None:
        assert self.log.open_streams == sum(connection.alive for connection in self.alive)

    @invariant()
    def no_message_waits_while_a_listener_listens(self) -> None:
        if any(connection.alive and connection.stream.listening for connection in self.alive):
            assert not self.log._queued

    def teardown(self) -> None:
        """A last listener gets whatever was queued and went out nowhere."""
        for connection in list(self.alive):
            self.lose(connection)
        last = Connection(self.log.listen())
        self.log.attach(last.stream, last)
        got = set()
        while (event := self.log.take(last.stream)) is not None:
            got.add(int(event.data))
        owned = {number for numbers in self.order.values() for number in numbers}
        assert got == self.waiting - owned


TestEventLogAgainstAModel = LogMachine.TestCase
TestEventLogAgainstAModel.settings = settings(
    max_examples=examples(150), stateful_step_count=30, deadline=None, report_multiple_bugs=False
)
