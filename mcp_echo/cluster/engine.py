"""What a shared store needs of the engine that keeps its records: SQLite, Redis. No I/O.

An engine keeps one record a session, and knows of its contents only what it has to: who owns it, when it
expires, how much it holds, and the entries of its message log. Everything else is the store's, in ``state``.

Each operation on a record happens wholly or not at all, and only if the record exists, has not expired, and
belongs to the owner named; to anybody else it is missing. A record has a version, which each change raises by
one; a change that was worked out from another version than the one that is kept changes nothing, and is
answered with what is kept. So whoever works out a change from a copy need not hold a lock, and counters that
many nodes raise come out exact.

Time is the engine's: the clock of the Redis server, or one that all users of one SQLite file share. It tells
how much time has passed, and what day it is only roughly: see `mcp_echo.stores.sqlite.clock`.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Literal, NamedTuple, Protocol

from msgspec import UNSET, UnsetType

from mcp_echo.sessions.store import Counts, StoreHealth


class Entry(NamedTuple):
    """One message in the log of a session."""

    sequence: int
    """Its place in the log, 1 or more. Later entries have higher ones; none is ever used again."""
    stream: str
    """The tag of the stream it belongs to; empty while it waits for whichever listens next."""
    data: bytes
    """The message, JSON in UTF-8."""


class SessionBytes(NamedTuple):
    """What one session holds, or all together."""

    queued: int = 0
    """Bytes of messages in its log."""
    echoed: int = 0
    """Bytes of its last echo."""
    waiting: int = 0
    """Messages in its log that no connection has taken yet."""


class Totals(NamedTuple):
    """The sums over all records that have not been swept."""

    records: int = 0
    handles: int = 0
    held: SessionBytes = SessionBytes()


class RecordLimits(NamedTuple):
    """How many records there may be."""

    records: int
    per_owner: int | None = None
    """How many of them one owner may have; None for any number."""
    per_address: int | None = None
    """How many of them one address may have, where there is no owner; None for any number."""

    def of(self, owner: str | None) -> int | None:
        """Return how many an owner may have, or an address where it is None."""
        return self.per_address if owner is None else self.per_owner


class KeptRecord(NamedTuple):
    """A record as it is kept."""

    version: int
    state: bytes
    """What the store keeps of the session, but for its last echo and its log."""
    echo: bytes | None
    """The last echo, apart because it may be large and seldom changes; None for none."""
    created: int
    """Milliseconds of the engine's clock when it was made."""
    used: int
    """Milliseconds of the engine's clock at its last use."""
    entries: tuple[Entry, ...]
    """Those entries of the log, oldest first, whose sequence is greater than the one asked about."""


class Create(NamedTuple):
    """Make a record, if there is room; its first version is 1. Answered with `Applied` or `Full`."""

    id: str
    """No record has ever had it: it is random."""
    owner: str | None
    """The principal; None is an owner like any other."""
    handle: bool
    """Whether it is named by a handle; a handle is no session id, nor the other way round."""
    timeout: int
    """Milliseconds of idleness after which it is gone."""
    state: bytes
    address: str | None = None
    """The network address of its maker. Its holder is its owner or, where that is None, this address. It
    counts against the holder's share, which is looked at first. Where both are None it counts against none,
    and never gives way."""
    used: bool = False
    """Whether it is in use from the beginning; otherwise a change says so.

    A record that is not in use may give way to a new one. Where a holder's share is full, its own oldest such
    record does. Where there are as many records as may be, it is the oldest of the holder that has most of
    all, among those that have such a record; unless the newcomer's holder has more."""


class Change(NamedTuple):
    """Change a record. Answered with `Applied`, `Conflict` or `Missing`."""

    id: str
    owner: str | None
    handle: bool
    version: int
    """The version that the change was worked out from."""
    touch: bool
    """Whether it counts as a use: its time to live begins anew. Otherwise it stays as it is."""
    state: bytes
    echo: bytes | UnsetType | None = UNSET
    """The last echo from now on; None takes away the one that is kept, UNSET leaves it."""
    drop: tuple[int, ...] = ()
    """Sequences of entries to take out of the log; those that are not there are no harm."""
    add: tuple[Entry, ...] = ()
    """Entries to append, in order; all sequences are higher than any before."""
    held: SessionBytes = SessionBytes()
    """What the session holds from now on."""
    known: int = 0
    """In case of conflict: the highest sequence whose entries need not be told again."""
    tell: tuple[str, ...] = ()
    """Names of nodes that are to hear, once it is done, that this record has changed; this node knows."""
    used: bool = False
    """Whether it is in use, and gives way to no other from now on."""


class Load(NamedTuple):
    """Read a record; this is no use of it. Answered with `Found` or `Missing`."""

    id: str
    owner: str | None
    handle: bool
    known: int = 0
    """The highest sequence whose entries need not be told again."""


class Peek(NamedTuple):
    """Read a record of any owner: a node that reads its streams may. Answered as `Load` is."""

    id: str
    known: int = 0


class Close(NamedTuple):
    """End a record. Answered with `Applied` or `Missing`."""

    id: str
    owner: str | None
    handle: bool
    tell: tuple[str, ...] = ()


class Count(NamedTuple):
    """Count the records of a holder; see `Create.address`. Answered with `Counted`.

    Records that have expired are taken away first, so that none of them counts.
    """

    owner: str | None
    address: str


class Sweep(NamedTuple):
    """Take away the records that have expired, and bring `Engine.totals` up to date. Answered with `Swept`.

    It is refused only if none could be: some may have to wait for a server that cannot be reached.
    """


class Broadcast(NamedTuple):
    """Tell every other node. Answered with `Applied`.

    Those that cannot hear it now hear it later, for a minute, also if they have yet to start.
    """

    payload: bytes


class Secret(NamedTuple):
    """Read the secret that all nodes share. Answered with `SecretKept`."""

    proposal: bytes
    """What it is from now on, if none was kept so far."""


Operation = Create | Change | Load | Peek | Close | Count | Sweep | Broadcast | Secret


class Applied(NamedTuple):
    """It is done, and stays done."""

    created: int
    """Milliseconds of the engine's clock when the record, or the broadcast, was made."""


class Found(NamedTuple):
    """Here it is."""

    record: KeptRecord


class Conflict(NamedTuple):
    """Nothing was changed: the record has another version than the change was worked out from."""

    record: KeptRecord


class Missing(NamedTuple):
    """There is no such record, it has expired, or it is another owner's; all read the same."""


class Full(NamedTuple):
    """The record was not made: there are as many as may be, and none gives way."""

    whose: Literal["all", "holder"]
    """Whether all records are too many, or those of its holder."""
    seconds: int
    """Whole seconds, from 1 to 60, after which one of them may have expired, if nobody uses it. Of a holder's
    records no more than `mcp_echo.sessions.store.SAMPLE` are looked at for it."""


class Counted(NamedTuple):
    """So many it has."""

    records: int


class Ended(NamedTuple):
    """A record that has expired, or has given way to a new one."""

    id: str
    lifetime: int
    """Milliseconds from its creation to its end."""
    reason: Literal["expired", "displaced"] = "expired"


class Swept(NamedTuple):
    """What has ended: by this sweep, and since the last one, to make room."""

    ended: list[Ended]
    """Each record is told of once, by one node."""


class SecretKept(NamedTuple):
    """The secret that all nodes share."""

    value: bytes


Outcome = Applied | Found | Conflict | Missing | Full | Counted | Swept | SecretKept


class EngineListener(Protocol):
    """The part of a node that hears what other nodes do."""

    def invalidated(self, record_id: str) -> None:
        """A record has changed, or has ended, by a change that was to tell this node."""

    def receive(self, payload: bytes) -> None:
        """Another node has broadcast this."""

    def caught_up(self) -> None:
        """Nudges may have been lost until now, and will not be from now on: look at everything held.

        Called once soon after the start, and whenever it is so.
        """

    def replaced(self) -> None:
        """The records are others than until now, as when an operator has put back an earlier copy of them.

        Nothing that is known of them here is right any more.
        """


class Engine(Protocol):
    """Keeps records. All failures to reach it are `StoreUnavailable`."""

    node: str
    """The name of this node among all that share the records."""
    faults: tuple[type[Exception], ...]
    """What an operation fails with, beside `StoreUnavailable`, on a record that is not what was kept."""

    @property
    def totals(self) -> Totals:
        """The sums as of the last operation."""

    @property
    def counts(self) -> Counts:
        """What was made and has ended, as of the last operation."""

    def open(self) -> None:
        """Open what has to be opened before the server starts, blocking.

        Raises:
            EngineRefused: It cannot be used; the message is one line for the operator.
        """

    def start(self, listener: EngineListener) -> None:
        """Begin to work, and to tell ``listener`` what other nodes do."""

    def stop(self) -> Awaitable[None]:
        """Finish what was begun, and let go of everything."""

    def now(self) -> int:
        """Return the milliseconds of the engine's clock, as well as it is known here."""

    def submit(self, operation: Operation) -> Awaitable[Outcome]:
        """Carry out an operation, together with others that are waiting.

        Raises:
            StoreUnavailable: It was not carried out, as far as is known: when the answer was lost it may have
                been.
        """

    def health(self) -> StoreHealth:
        """Return how it is doing."""


class EngineRefused(Exception):
    """An engine cannot be used; the message is one line for the operator."""
