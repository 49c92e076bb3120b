"""A session that is kept elsewhere, as a request sees it. No I/O.

While its request is worked on it is a draft: nothing of it is seen by anybody before it is kept. Afterwards
it still takes what late work has for it, as changes that are made as soon as may be.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from mcp_echo.cluster.cached_session import Draft, Operation, Replica, asked_by, question_id
from mcp_echo.cluster.log import SharedLog
from mcp_echo.cluster.record import client_of, describe
from mcp_echo.cluster.stream_log import Ledger
from mcp_echo.protocol.jsonrpc import MessageId, Response, notification_bytes
from mcp_echo.protocol.revisions import Revision
from mcp_echo.sessions.budget import StateBudget
from mcp_echo.sessions.session import Echo, Running, Session, list_changed


class Keeper(Protocol):
    """What a session needs of the store it is kept in."""

    node: str

    @property
    def budget(self) -> StateBudget:
        """Counts what all sessions hold."""

    @property
    def telling(self) -> int | None:
        """The echo count that is being told of now."""

    def later(self, replica: Replica, operation: Operation, size: int = 0) -> None:
        """Make a change as soon as may be.

        Args:
            replica: Of which session.
            operation: The change.
            size: Bytes of messages in it, if they may be lost when too many wait.
        """

    def after(self, effect: Callable[[], object]) -> None:
        """Do something once what the request that is being worked on has changed is kept."""

    def noticed(self, replica: Replica) -> None:
        """A connection has taken a message, which others may want to know in time."""

    def pass_answer(self, session_id: str, message_id: MessageId | None, response: Response | None) -> None:
        """Hand a client's answer that nobody waits for here to the other nodes; None for a malformed one."""

    def pass_cancellation(self, session_id: str, request_id: int | str) -> None:
        """Hand a client's cancellation to the node that works on the request."""


class SharedSession(Session):
    """A session as one request sees it.

    Args:
        keeper: The store.
        replica: The copy it is drawn from.
        draft: What becomes of it.
        engine_now: Milliseconds of the engine's clock.
        now: Seconds of the steady clock.
        revision: The revision it speaks.
    """

    __slots__ = ("_did", "begun", "draft", "is_open", "keeper", "replica")

    def __init__(
        self,
        keeper: Keeper,
        replica: Replica,
        draft: Draft,
        engine_now: int,
        now: float,
        revision: Revision,
    ) -> None:
        kept = draft.kept
        self.keeper = keeper
        self.replica = replica
        self.draft = draft
        self.is_open = True
        """True while its request is worked on for the first time, before anything of it is kept."""
        self.begun: list[tuple[int | str, Running]] = []
        self._did: list[Operation] = []
        self.id = replica.id
        self.principal = replica.owner
        self.handle = replica.handle
        self.revision = revision
        self.client = client_of(kept.client)
        # A clock that was set back says that it was made later than now.
        self.created = now - max(0, engine_now - replica.created) / 1000
        self.last_activity = now
        self.timeout = kept.timeout / 1000
        self.label = kept.label
        self.used = kept.used
        self.initialized = kept.initialized
        self.requests = kept.requests
        self.responses = kept.responses
        self.response_seconds = kept.response_seconds
        self.echo_count = kept.echo_count
        self.replay_count = kept.replay_count
        self.last_echo = draft.echo
        self.log_level = kept.log_level
        self.legacy_stream = kept.legacy_stream
        self.subscriptions = frozenset(kept.subscriptions)

    @property
    def node(self) -> str:
        """The node that made it."""
        return self.replica.kept.minted

    @property
    def ledger(self) -> Ledger:
        """The log as far as this request knows it."""
        if not self.is_open:
            return self.replica.ledger
        replica = self.replica
        if self.draft.worked_ledger is None and not replica.ledger.rows and not replica.streams:
            # Time changes nothing about it, so that a copy would tell nothing else.
            return replica.ledger
        return self.draft.ledger

    # What is done to it.

    def do(self, operation: Operation, size: int = 0) -> None:
        """Make a change now, in the draft, or else as soon as may be."""
        if self.is_open:
            operation(self.draft)
            # In case it has to be made on another one.
            self._did.append(operation)
        else:
            self.later(operation, size)

    def later(self, operation: Operation, size: int = 0) -> None:
        """Make a change as soon as may be, independently of this request."""
        self.keeper.later(self.replica, operation, size)

    def noticed(self) -> None:
        """A connection has taken a message."""
        self.keeper.noticed(self.replica)

    def seal(self) -> Draft:
        """Return the draft with all that this request has changed."""
        self._write(self.draft.kept)
        self.draft.echo = self.last_echo
        return self.draft

    def _write(self, kept: Any) -> None:
        kept.revision = self.revision.name
        kept.used = self.used
        kept.initialized = self.initialized
        kept.requests = self.requests
        kept.responses = self.responses
        kept.response_seconds = self.response_seconds
        kept.echo_count = self.echo_count
        kept.replay_count = self.replay_count
        kept.log_level = self.log_level
        kept.legacy_stream = self.legacy_stream
        before = self.draft.replica.kept
        if self.subscriptions != frozenset(before.subscriptions):
            kept.subscriptions = sorted(self.subscriptions)
            kept.told = {uri: count for uri, count in kept.told.items() if uri in self.subscriptions}
        if self.client is not client_of(before.client):
            kept.client = describe(self.client)

    def redo(self, draft: Draft, base: Any) -> None:
        """Make the changes of this request on another draft, which others have changed meanwhile.

        Args:
            draft: The draft.
            base: What was kept when this request was worked on.
        """
        kept = draft.kept
        for counter in ("requests", "responses", "response_seconds", "echo_count", "replay_count"):
            more = getattr(self, counter) - getattr(base, counter)
            setattr(kept, counter, getattr(kept, counter) + more)
        for name in ("used", "initialized", "log_level"):
            if getattr(self, name) != getattr(base, name):
                setattr(kept, name, getattr(self, name))
        before = frozenset(base.subscriptions)
        if self.subscriptions != before:
            others = frozenset(kept.subscriptions)
            kept.subscriptions = sorted((others | self.subscriptions) - (before - self.subscriptions))
        if self.echo_count != base.echo_count:
            draft.echo = self.last_echo
        for operation in self._did:
            operation(draft)
        draft.touch = True

    # The session's own interface, where a shared one does otherwise.

    @property
    def log(self) -> SharedLog:
        """The message log."""
        return SharedLog(self)

    @property
    def pending(self) -> int:
        """Messages waiting in the log, as far as is known here."""
        return self.log.pending

    @property
    def dropped(self) -> int:
        """Messages that the log had no room for."""
        return self.log.dropped

    @property
    def open_streams(self) -> int:
        """Event streams that are connected, on whichever node."""
        return self.log.open_streams

    @property
    def queue_bytes(self) -> int:
        """Bytes of messages in the log."""
        return self.ledger.bytes

    @property
    def calls_due(self) -> float:
        """Seconds of the steady clock when its calls on this node would be back within their rate."""
        return self.replica.calls_due

    @calls_due.setter
    def calls_due(self, due: float) -> None:
        self.replica.calls_due = due

    @property
    def in_flight(self) -> int:  # type: ignore[override]
        """Requests that are being worked on, on this node."""
        return self.replica.in_flight + len(self.begun)

    def remember_echo(self, echo: Echo) -> None:
        """Count an echo and keep it for replay, if there is room to keep it."""
        self.echo_count += 1
        before = 0 if self.last_echo is None else self.last_echo.size
        self.last_echo = echo if self.keeper.budget.has_room(echo.size - before) else None
        if self.last_echo is None:
            # Once, however often the request is worked on.
            self.keeper.after(self.keeper.budget.refuse_echo)

    def tell_changed(self, uri: str) -> None:
        """Queue the news of a changed resource, if the client has subscribed to it."""
        if self.is_open:
            super().tell_changed(uri)
            return
        data = notification_bytes("notifications/resources/updated", {"uri": uri})
        # Several nodes may have heard of the same echo; the first to tell does.
        count = self.keeper.telling
        self.later(lambda draft: _tell(draft, uri, count, data), len(data))

    def told_until(self, uri: str, count: int) -> None:
        """From here on it is told of echoes beyond ``count``; of those that it missed, now."""
        data = notification_bytes("notifications/resources/updated", {"uri": uri})
        self.later(lambda draft: _tell_missed(draft, uri, count, data), len(data))

    def tell_list_changed(self, which: str) -> None:
        """Queue the news of a changed list, if this is the node where the client listened last."""
        data = list_changed(which)
        node = self.keeper.node
        self.do(lambda draft: _queue_if(draft.kept.lists == node, draft, data), len(data))

    def follow_lists(self) -> None:
        """Have this node tell it of changed lists from now on."""
        node = self.keeper.node
        self.do(lambda draft: setattr(draft.kept, "lists", node))

    def stay(self) -> None:
        """Have its end heard of on this node, where something hangs on it."""
        self.replica.stays = True

    def begin(self, request_id: int | str) -> Running:
        """Note that work on a request goes on, and return it."""
        running = Running()
        # Of a session that was made for this very request too.
        self.used = True
        if self.is_open:
            self.begun.append((request_id, running))
        else:
            self._begin(request_id, running)
        return running

    def _begin(self, request_id: int | str, running: Running) -> None:
        self.replica.running[request_id] = running
        self.replica.in_flight += 1

    def close_draft(self) -> None:
        """What it was changed to is kept now."""
        self.is_open = False
        begun, self.begun = self.begun, []
        for request_id, running in begun:
            self._begin(request_id, running)

    def running(self, request_id: int | str) -> Running | None:
        """Return the work on a request, if it goes on, on this node."""
        return self.replica.running.get(request_id)

    def finish(self, request_id: int | str) -> None:
        """Note that the work on a request, which has begun, is over."""
        self.replica.in_flight -= 1
        self.replica.running.pop(request_id, None)

    def expect_answer(self, promise: Any) -> str:
        """Return the id for a request to the client, whose response will keep ``promise``."""
        self.replica.asked += 1
        number = question_id(self.keeper.node, self.replica.asked)
        self.replica.expected[number] = promise
        return number

    def take_expected(self, number: Any) -> Any:
        """Return the promise that waits here for the response with this id, once; None if none does."""
        if not isinstance(number, str):
            return None
        if not self.is_open:
            return self.replica.expected.pop(number, None)
        # Who waits for it goes on at once, which must not be within an attempt that may come to nothing.
        return _HeldPromise(self, number) if number in self.replica.expected else None

    def was_asked(self, message_id: MessageId | None) -> bool:
        """Return whether an id may be that of a question to the client; another node's is taken for one."""
        node, number = asked_by(message_id)
        return node is not None and (node != self.keeper.node or number <= self.replica.asked)

    def pass_answer(self, message_id: MessageId | None, response: Response | None) -> None:
        """Hand an answer that nobody here waits for to the node that asked; see `Session.pass_answer`."""
        refused = response is None
        self.keeper.after(lambda: self.replica.go_astray(message_id, refused=refused))
        self.keeper.pass_answer(self.id, message_id, response)

    def pass_cancellation(self, request_id: int | str) -> None:
        """Stop what the same batch has begun before, or hand the cancellation on."""
        begun = [running for begun_id, running in self.begun if begun_id == request_id]
        if begun:
            self.keeper.after(begun[-1].cancel)
        else:
            self.keeper.pass_cancellation(self.id, request_id)

    def answered(self, seconds: float) -> None:
        """Count an answer that took ``seconds``."""
        if self.is_open:
            super().answered(seconds)
        else:
            self.later(lambda draft: _count_answer(draft, seconds))

    def end(self) -> None:
        """Do nothing: the store ends what is kept."""


class _HeldPromise:
    """A promise that is kept once the request that brought the answer is.

    Args:
        session: The session.
        number: The id of what was asked.
    """

    def __init__(self, session: SharedSession, number: str) -> None:
        self._session = session
        self._number = number

    def keep(self, value: Any) -> None:
        """It is known now."""

        def keep() -> None:
            promise = self._session.replica.expected.pop(self._number, None)
            if promise is not None:
                promise.keep(value)

        self._session.keeper.after(keep)


def _queue_if(wanted: bool, draft: Draft, data: bytes) -> None:
    if wanted:
        draft.ledger.queue(data)


def _tell(draft: Draft, uri: str, count: int | None, data: bytes) -> None:
    kept = draft.kept
    if uri not in kept.subscriptions or (count is not None and kept.told.get(uri, 0) >= count):
        return
    if count is not None:
        kept.told = {**kept.told, uri: count}
    draft.ledger.queue(data)


def _tell_missed(draft: Draft, uri: str, count: int, data: bytes) -> None:
    kept = draft.kept
    if uri not in kept.subscriptions:
        return
    told = kept.told.get(uri, count)
    for _ in range(count - told):
        draft.ledger.queue(data)
    kept.told = {**kept.told, uri: max(told, count)}


def _count_answer(draft: Draft, seconds: float) -> None:
    draft.kept.responses += 1
    draft.kept.response_seconds += seconds
