"""One session: what the server knows of one client between its requests. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from sys import getsizeof
from typing import Any, NamedTuple, Protocol

import msgspec
from msgspec import Raw

from mcp_echo.protocol.jsonrpc import NO_PARAMS, MessageId, Response, notification_bytes
from mcp_echo.protocol.revisions import Revision
from mcp_echo.sessions.budget import Budget, StateBudget
from mcp_echo.sessions.event_log import EventLog, Log
from mcp_echo.sessions.key import SessionKey
from mcp_echo.sessions.record import SessionRecord

MAX_SHOWN_ID = 60
"""Characters of an id that are shown."""

_read_object = msgspec.json.Decoder(dict[str, Any]).decode


class Client:
    """What a client said of itself in ``initialize``.

    Its capabilities are kept as JSON: decoded, they can take thirty times as much.

    Args:
        name: ``clientInfo.name``, or None.
        version: ``clientInfo.version``, or None.
        capabilities: What it declared it can do, an object, decoded or not.
    """

    __slots__ = ("_capabilities", "name", "version")

    def __init__(
        self,
        name: str | None = None,
        version: str | None = None,
        capabilities: dict[str, Any] | Raw = NO_PARAMS,
    ) -> None:
        self.name = name
        self.version = version
        self._capabilities = msgspec.json.encode(capabilities)

    @property
    def capabilities(self) -> dict[str, Any]:
        """What it declared it can do."""
        return _read_object(self._capabilities)


UNKNOWN_CLIENT = Client()
"""The client of a session that was made without ``initialize``."""


class Echo:
    """The last thing echoed in a session, as it was answered.

    Args:
        message: The echoed text.
        data: The echoed bytes in base64, or None.
        mime_type: The media type of ``data``, or None.
    """

    __slots__ = ("data", "message", "mime_type", "size")

    def __init__(self, message: str, data: str | None = None, mime_type: str | None = None) -> None:
        self.message = message
        self.data = data
        self.mime_type = mime_type
        # Taken once: Python makes a text larger when it is first encoded.
        self.size = getsizeof(self) + _footprint(message)
        """Bytes of memory it takes."""
        if data is not None:
            self.size += _footprint(data)
        if mime_type is not None:
            self.size += _footprint(mime_type)


def _footprint(text: str) -> int:
    """Return the bytes of memory that a text takes, with the UTF-8 form that stays with it once encoded."""
    encoded = 0 if text.isascii() else len(text.encode("utf-8", "surrogatepass")) + 1
    return getsizeof(text) + encoded


class Waiting(Protocol):
    """What waits for the response to a request to the client."""

    def keep(self, response: Response) -> None:
        """Here it is."""

    def astray(self, what: str) -> None:
        """Something came that is not an answer to any question that is open."""


def shown_id(message_id: MessageId | None) -> str:
    """Return an id as JSON has it, which tells text from a number; a long one is cut."""
    shown = msgspec.json.encode(message_id).decode()
    return shown if len(shown) <= MAX_SHOWN_ID else f"{shown[:MAX_SHOWN_ID]}…"


def go_astray(
    waiting: Iterable[Waiting], message_id: MessageId | None, *, refused: bool, asked: bool
) -> None:
    """Tell what waits for answers of one that is none.

    Args:
        waiting: What waits.
        message_id: The id of the answer.
        refused: Whether it was malformed.
        asked: Whether a question with that id was asked before, which is over.
    """
    with_id = "without an id" if message_id is None else f"with id {shown_id(message_id)}"
    how = " and was refused as malformed" if refused else ", of a question that is over" if asked else ""
    for each in list(waiting):
        each.astray(f"An answer came {with_id}{how}")


def resource_updated(uri: str) -> bytes:
    """Return the notification that a resource has changed."""
    return notification_bytes("notifications/resources/updated", {"uri": uri})


def list_changed(which: str) -> bytes:
    """Return the notification that a list has changed."""
    return notification_bytes(f"notifications/{which}/list_changed", {})


class Running:
    """Work on a request that takes time."""

    __slots__ = ("cancelled", "stop")

    def __init__(self) -> None:
        self.stop: Callable[[], None] | None = None
        """Stops it; None while it is being started."""
        self.cancelled = False
        """True once the client has cancelled the request."""

    def cancel(self) -> None:
        """Stop it, on the client's wish."""
        self.cancelled = True
        if self.stop is not None:
            self.stop()


class Terms(NamedTuple):
    """What a session is made with."""

    revision: Revision
    """The protocol revision it speaks."""
    client: Client
    """What the client said of itself."""
    timeout: float
    """Seconds of idleness after which it is gone."""
    label: str | None = None
    """What its maker calls it, or None."""


class Session:
    """The state of one session.

    All times are seconds of a clock that never jumps: what day it was is told from how long ago it was.

    Args:
        key: Its id, which the server made, and whose it is.
        terms: What it is made with.
        now: Seconds of the steady clock.
        new_log: Makes the message queue, on its first use.
        budget: Counts what it holds; None for a budget of its own, without limit.
        holder: In whose share it counts; None for nobody's.
    """

    __slots__ = (
        "_asked",
        "_budget",
        "_expected",
        "_log",
        "_new_log",
        "_running",
        "calls_due",
        "client",
        "created",
        "handle",
        "holder",
        "id",
        "in_flight",
        "last_activity",
        "last_echo",
        "principal",
        "record",
        "revision",
        "timeout",
    )

    def __init__(
        self,
        key: SessionKey,
        terms: Terms,
        now: float,
        *,
        new_log: Callable[[], EventLog] = EventLog,
        budget: Budget | None = None,
        holder: str | None = None,
    ) -> None:
        self.id, self.principal, self.handle = key
        self.revision, self.client, self.timeout, label = terms
        self.holder = holder
        self.created = self.last_activity = now
        self.record = SessionRecord(label)
        """What requests change of it."""
        self.last_echo: Echo | None = None
        """What was echoed last; None before the first echo, and after one that there was no room to keep."""
        # Most sessions never need these; an empty dict in each would cost more than the session.
        self._running: dict[int | str, Running] | None = None
        self._expected: dict[int, Any] | None = None
        self.in_flight = 0
        """Requests that are being worked on."""
        self.calls_due = 0.0
        """Seconds of the steady clock when its calls would be back within their rate."""
        self._asked = 0
        self._new_log: Callable[[], EventLog] | None = new_log
        """None once the session has ended."""
        self._log: EventLog | None = None
        self._budget: Budget = StateBudget() if budget is None else budget
        self._budget.whole.sessions += self._own_size

    @property
    def _own_size(self) -> int:
        """Bytes of memory it takes without what it refers to; the same from first to last."""
        return getsizeof(self) + getsizeof(self.id)

    @property
    def log(self) -> Log:
        """The message queue; made on first use, since most sessions never need one."""
        if self._log is None:
            # Work that goes on for a while after the end keeps nothing any more.
            self._log = EventLog(keeps=False) if self._new_log is None else self._new_log()
            self._log.count_in(self._budget)
        return self._log

    @property
    def key(self) -> SessionKey:
        """What it is found by."""
        return SessionKey(self.id, self.principal, self.handle)

    @property
    def node(self) -> str | None:
        """The node that made it; None where no other node can serve it."""
        return None

    @property
    def pending(self) -> int:
        """Messages waiting in the queue."""
        return 0 if self._log is None else self._log.pending

    @property
    def dropped(self) -> int:
        """Messages that the queue had no room for."""
        return 0 if self._log is None else self._log.dropped

    @property
    def open_streams(self) -> int:
        """Event streams that are connected."""
        return 0 if self._log is None else self._log.open_streams

    @property
    def queue_bytes(self) -> int:
        """Bytes of messages in the queue's log."""
        return 0 if self._log is None else self._log.bytes

    @property
    def ends(self) -> float:
        """Seconds of the steady clock when it has been idle for too long, if it is not used until then."""
        return self.last_activity + self.timeout

    def is_expired(self, now: float) -> bool:
        """Return whether it has been idle for too long."""
        return now - self.last_activity >= self.timeout

    def speak(self, revision: Revision, client: Client) -> None:
        """Have it speak a revision, with a client that says this of itself."""
        self.revision, self.client = revision, client

    def remember_echo(self, echo: Echo) -> None:
        """Count an echo and keep it for replay, if there is room to keep it."""
        self.record.echo_count += 1
        before = 0 if self.last_echo is None else self.last_echo.size
        if self._new_log is not None:
            self.last_echo = echo if self._budget.keep_echo(before, echo.size) else None

    def tell_changed(self, uri: str) -> None:
        """Queue the news of a changed resource, if the client has subscribed to it."""
        if uri in self.record.subscriptions:
            self.log.queue(resource_updated(uri))

    def told_until(self, uri: str, count: int) -> None:
        """Do nothing: there is no other node that could have told it of echoes."""

    def tell_list_changed(self, which: str) -> None:
        """Queue the news of a changed list."""
        self.log.queue(list_changed(which))

    def follow_lists(self) -> None:
        """Have this node tell it of changed lists: here there is no other."""

    def stay(self) -> None:
        """Have its end heard of on this node, where something hangs on it: here it always is."""

    def expect_work(self) -> None:
        """Count a request that is about to take its time; `begin` notes it once it does."""
        # Of a session that was made for this very request too.
        self.record.used = True

    def begin(self, request_id: int | str) -> Running:
        """Note that work on a request goes on, and return it."""
        if self._running is None:
            self._running = {}
        self.in_flight += 1
        running = self._running[request_id] = Running()
        return running

    def running(self, request_id: int | str) -> Running | None:
        """Return the work on a request, if it goes on."""
        return None if self._running is None else self._running.get(request_id)

    def finish(self, request_id: int | str) -> None:
        """Note that the work on a request, which has begun, is over."""
        self.in_flight -= 1
        if self._running is not None:
            self._running.pop(request_id, None)

    def expect_answer(self, promise: Any) -> int | str:
        """Return the id for a request to the client, whose response will keep ``promise``.

        At the end of the session it is kept with None.
        """
        if self._expected is None:
            self._expected = {}
        self._asked += 1
        self._expected[self._asked] = promise
        return self._asked

    def take_expected(self, number: Any) -> Any:
        """Return the promise that waits for the response with this id, once; None if none does."""
        return None if self._expected is None else self._expected.pop(number, None)

    def was_asked(self, message_id: MessageId | None) -> bool:
        """Return whether an id may be that of a question to the client, open or over."""
        return isinstance(message_id, int) and 0 < message_id <= self._asked

    def pass_answer(self, message_id: MessageId | None, response: Response | None) -> None:
        """Tell the questions that are open of an answer that is none to any of them.

        Args:
            message_id: The answer's id.
            response: The answer; None for one that was refused because it was malformed.
        """
        if self._expected:
            asked = self.was_asked(message_id)
            go_astray(self._expected.values(), message_id, refused=response is None, asked=asked)

    def pass_cancellation(self, request_id: int | str) -> None:
        """Hand a cancellation of what nobody here works on to the node that does: here there is none."""

    def answered(self, seconds: float) -> None:
        """Count an answer that took ``seconds``."""
        self.record.count_answer(seconds)

    def end(self) -> None:
        """End the session's streams, and give up what it holds."""
        for promise in list((self._expected or {}).values()):
            promise.keep(None)
        if self._log is not None:
            self._log.close()
        if self._new_log is not None:
            self._budget.whole.sessions -= self._own_size
            if self.last_echo is not None:
                self._budget.count_echo(-self.last_echo.size)
        self._new_log = None
        self.last_echo = None
