"""A session that an engine keeps, as a request sees it. No I/O.

While its request is worked on it is a draft: nothing of it is seen by anybody before it is kept. Afterwards
it still takes what late work has for it, as changes that are made as soon as may be.
"""

from __future__ import annotations

from typing import Any, Protocol

from mcp_echo.cluster.bus import Bus
from mcp_echo.cluster.cached_session import CachedSession, Draft, Operation, asked_by, question_id
from mcp_echo.cluster.log import SharedLog
from mcp_echo.cluster.maintenance import Maintenance
from mcp_echo.cluster.record import client_of, describe, merged
from mcp_echo.cluster.repository import Repository
from mcp_echo.cluster.stream_log import StreamLog
from mcp_echo.protocol.jsonrpc import MessageId, Response
from mcp_echo.protocol.revisions import Revision
from mcp_echo.sessions.record import SessionRecord
from mcp_echo.sessions.session import Client, Echo, Running, Session, list_changed, resource_updated


class Keeper(Protocol):
    """What a session needs of the store it is kept in."""

    repository: Repository
    """Counts what all sessions hold."""
    maintenance: Maintenance
    """Makes late changes."""
    bus: Bus
    """The other nodes."""


class SharedSession(Session):
    """A session as one request works on it, and as the late work of that request has it afterwards.

    Until the request's work is kept, all changes are made in its draft. From then on they are changes of
    their own, which are made as soon as may be.

    Args:
        keeper: The store.
        cached: The copy it is drawn from.
        draft: What becomes of it.
        revision: The revision it speaks.
        now: Seconds of the steady clock.
    """

    __slots__ = ("_base", "_done", "_expected_work", "cached", "draft", "keeper")

    def __init__(
        self, keeper: Keeper, cached: CachedSession, draft: Draft, revision: Revision, now: float
    ) -> None:
        self.keeper = keeper
        self.cached = cached
        self.draft: Draft | None = draft
        """What the request makes of it; None once that is kept."""
        self._base = cached.stored
        self._done: list[Operation] = []
        self._expected_work = 0
        self.id = cached.id
        self.principal = cached.owner
        self.handle = cached.handle
        self.revision = revision
        self.client = client_of(draft.stored.client)
        # A clock that was set back says that it was made later than now.
        self.created = now - max(0, draft.now - cached.created) / 1000
        self.last_activity = now
        self.timeout = draft.stored.timeout / 1000
        self.last_echo = draft.echo
        self.calls_due = cached.calls_due

    @property
    def record(self) -> SessionRecord:  # type: ignore[override]
        """What requests change of it."""
        return (self.draft or self.cached).stored.record

    @property
    def working(self) -> Draft:
        """The draft, while there is one.

        Raises:
            RuntimeError: What the request has made of it is kept already.
        """
        if self.draft is None:
            raise RuntimeError("what a request has made of this session is kept already")
        return self.draft

    @property
    def node(self) -> str:
        """The node that made it."""
        return self.cached.stored.minted

    @property
    def stream_log(self) -> StreamLog:
        """The log as far as this request knows it."""
        draft, cached = self.draft, self.cached
        if draft is None:
            return cached.stream_log
        if draft.worked_log is None and not cached.stream_log.states and not cached.streams:
            # Time changes nothing about it, so that a copy would tell nothing else.
            return cached.stream_log
        return draft.stream_log

    # What is done to it.

    def do(self, operation: Operation, size: int = 0) -> None:
        """Make a change now, in the draft, or else as soon as may be."""
        if self.draft is None:
            self.later(operation, size)
        else:
            operation(self.draft)
            # In case it has to be made on another one.
            self._done.append(operation)

    def later(self, operation: Operation, size: int = 0) -> None:
        """Make a change as soon as may be, independently of this request."""
        self.keeper.maintenance.later(self.cached, operation, size)

    def delivered(self) -> None:
        """A connection has taken a message."""
        self.keeper.maintenance.delivered(self.cached)

    def settle(self) -> None:
        """What the request has made of it is kept, or is sure to be."""
        self.cached.calls_due = self.calls_due
        self.draft = None

    def kept_later(self) -> Operation:
        """Return what the request has made of it as a change that others may have come before.

        It is for a session that does not decide the answer: counters are counted on, and messages are added.
        """
        before, made, echo, done = self._base.record, self.record, self.last_echo, self._done
        refused = self.working.echo_refused

        def repeat(draft: Draft) -> None:
            draft.stored.record = merged(before, made, draft.stored.record)
            if made.echo_count != before.echo_count:
                draft.echo, draft.echo_refused = echo, refused
            for operation in done:
                operation(draft)
            draft.touch = True

        return repeat

    # The session's own interface, where a shared one does otherwise.

    @property
    def _log(self) -> SharedLog:  # type: ignore[override]
        """The message log; what the session tells of it is known here as far as the copy is."""
        return SharedLog(self)

    @property
    def queue_bytes(self) -> int:
        """Bytes of messages in the log."""
        return self.stream_log.size

    @property
    def in_flight(self) -> int:  # type: ignore[override]
        """Requests that are being worked on, on this node."""
        return self.cached.in_flight + (0 if self.draft is None else self._expected_work)

    def speak(self, revision: Revision, client: Client) -> None:
        """Have it speak a revision, with a client that says this of itself."""
        super().speak(revision, client)
        stored = self.working.stored
        stored.revision, stored.client = revision.name, describe(client)

    def remember_echo(self, echo: Echo) -> None:
        """Count an echo and keep it for replay, if there is room to keep it."""
        draft = self.working
        draft.stored.record.echo_count += 1
        before = 0 if self.last_echo is None else self.last_echo.size
        self.last_echo = echo if self.keeper.repository.budget.has_room(echo.size - before) else None
        draft.echo, draft.echo_refused = self.last_echo, self.last_echo is None

    def tell_changed(self, uri: str) -> None:
        """Queue the news of a changed resource, if the client has subscribed to it."""
        if self.draft is not None:
            if uri in self.draft.stored.record.subscriptions:
                self.log.queue(resource_updated(uri))
            return
        data = resource_updated(uri)
        # Several nodes may have heard of the same echo; the first to tell does.
        count = self.keeper.repository.telling
        self.later(lambda draft: _tell(draft, uri, count, data), len(data))

    def told_until(self, uri: str, count: int) -> None:
        """From here on it is told of echoes beyond ``count``; of those that it missed, now."""
        data = resource_updated(uri)
        self.later(lambda draft: _tell_missed(draft, uri, count, data), len(data))

    def tell_list_changed(self, which: str) -> None:
        """Queue the news of a changed list, if this is the node where the client listened last."""
        data = list_changed(which)
        node = self.keeper.bus.node
        self.do(lambda draft: _queue_if(draft.stored.lists == node, draft, data), len(data))

    def follow_lists(self) -> None:
        """Have this node tell it of changed lists from now on."""
        node = self.keeper.bus.node
        self.do(lambda draft: setattr(draft.stored, "lists", node))

    def stay(self) -> None:
        """Have its end heard of on this node, where something hangs on it."""
        self.cached.stays = True

    def expect_work(self) -> None:
        """Count a request that is about to take its time, on this node."""
        super().expect_work()
        self._expected_work += 1

    def begin(self, request_id: int | str) -> Running:
        """Note that work on a request goes on, on this node, and return it."""
        running = self.cached.running[request_id] = Running()
        self.cached.in_flight += 1
        return running

    def running(self, request_id: int | str) -> Running | None:
        """Return the work on a request, if it goes on, on this node."""
        return self.cached.running.get(request_id)

    def finish(self, request_id: int | str) -> None:
        """Note that the work on a request, which has begun, is over."""
        self.cached.in_flight -= 1
        self.cached.running.pop(request_id, None)

    def expect_answer(self, promise: Any) -> str:
        """Return the id for a request to the client, whose response will keep ``promise``."""
        self.cached.asked += 1
        number = question_id(self.keeper.bus.node, self.cached.asked)
        self.cached.expected[number] = promise
        return number

    def take_expected(self, number: Any) -> Any:
        """Return the promise that waits here for the response with this id, once; None if none does."""
        return self.cached.expected.pop(number, None) if isinstance(number, str) else None

    def was_asked(self, message_id: MessageId | None) -> bool:
        """Return whether an id may be that of a question to the client; another node's is taken for one."""
        node, number = asked_by(message_id)
        return node is not None and (node != self.keeper.bus.node or number <= self.cached.asked)

    def pass_answer(self, message_id: MessageId | None, response: Response | None) -> None:
        """Hand an answer that nobody here waits for to the node that asked; see `Session.pass_answer`."""
        self.cached.go_astray(message_id, refused=response is None)
        self.keeper.bus.pass_answer(self.id, message_id, response)

    def pass_cancellation(self, request_id: int | str) -> None:
        """Hand a cancellation to the node that works on the request."""
        self.keeper.bus.pass_cancellation(self.id, request_id)

    def answered(self, seconds: float) -> None:
        """Count an answer that took ``seconds``."""
        if self.draft is None:
            self.later(lambda draft: draft.stored.record.count_answer(seconds))
        else:
            self.draft.stored.record.count_answer(seconds)

    def end(self) -> None:
        """Do nothing: the store ends what is kept."""


def _queue_if(wanted: bool, draft: Draft, data: bytes) -> None:
    if wanted:
        draft.stream_log.queue(data)


def _tell(draft: Draft, uri: str, count: int | None, data: bytes) -> None:
    stored = draft.stored
    unwanted = uri not in stored.record.subscriptions
    if unwanted or (count is not None and stored.told.get(uri, 0) >= count):
        return
    if count is not None:
        stored.told = {**stored.told, uri: count}
    draft.stream_log.queue(data)


def _tell_missed(draft: Draft, uri: str, count: int, data: bytes) -> None:
    stored = draft.stored
    if uri not in stored.record.subscriptions:
        return
    told = stored.told.get(uri, count)
    for _ in range(count - told):
        draft.stream_log.queue(data)
    stored.told = {**stored.told, uri: max(told, count)}
