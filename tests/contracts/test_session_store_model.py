"""Session stores beside a model in plain Python, under every order of what may happen to sessions.

What does everything at once is driven by Hypothesis; what has to be waited for follows the same rules at
random.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
import pytest_twisted
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from twisted.internet.defer import ensureDeferred

from mcp_echo.protocol.errors import (
    McpError,
    SessionNotFound,
    TooManySessions,
    TooManySessionsForAddress,
    TooManySessionsForPrincipal,
)
from mcp_echo.sessions.session import Echo, Session
from tests.contracts.session_stores import (
    BOUNDS,
    TIMEOUT,
    Bench,
    Dicts,
    Memory,
    Redis,
    Seen,
    Sqlite,
    look,
)
from tests.examples import examples
from tests.nodes import Reader

LIMIT, OWN_LIMIT, ADDRESS_LIMIT = 5, 2, 2
MAKERS: list[tuple[str | None, str | None]] = [
    (None, None),
    *[(None, "10.0.0.1")] * 3,
    (None, "10.0.0.2"),
    *[("alice", "10.0.0.1"), ("alice", "10.0.0.2")] * 2,
    ("bob", None),
]
"""Who makes a session, and from where."""
OF_PRINCIPALS = (OWN_LIMIT, TooManySessionsForPrincipal, "refused_to_principals")
OF_ADDRESSES = (ADDRESS_LIMIT, TooManySessionsForAddress, "refused_to_addresses")
TIMEOUTS = [None, 7.0, 20.0]
STEPS = [1.0, 5.0, 10.0, 20.0]
HEARTBEAT = 10.0
"""Seconds between two beats, which the lease of a stream needs."""

T = TypeVar("T")


@dataclass
class Known:
    """What the model knows of one session."""

    id: str
    owner: str | None
    handle: bool
    timeout: float
    last: float
    """When it was active last."""
    holder: str | None = None
    used: bool = False
    displaced: bool = False
    echoes: int = 0
    replays: int = 0
    echo: Echo | None = None
    sent: list[bytes] = field(default_factory=list)
    readers: list[Reader] = field(default_factory=list)
    closed: bool = False

    @property
    def whose(self) -> dict[str, Any]:
        """How it is asked for."""
        return {"principal": self.owner, "handle": self.handle}

    def lives(self, now: float) -> bool:
        """Return whether it can be used."""
        return not (self.closed or self.displaced) and now - self.last < self.timeout

    def ending(self) -> str:
        """Return why it has ended."""
        return "closed" if self.closed else "displaced" if self.displaced else "expired"

    def taken(self) -> dict[bytes, str]:
        """Return which messages connections have taken, and on which stream each went out."""
        streams: dict[bytes, str] = {}
        for reader in self.readers:
            for event_id, data in reader.got:
                tag = event_id.partition("-")[0]
                assert streams.setdefault(data, tag) == tag, f"{data!r} went out on two streams"
        return streams

    @property
    def reads(self) -> bool:
        """Whether any connection is there to read."""
        return any(reader.open for reader in self.readers)

    def is_open(self, tag: str) -> bool:
        """Return whether a connection reads a stream."""
        return any(reader.open and reader.stream.tag == tag for reader in self.readers)


class Walk:
    """What may happen to sessions, and what must come of it.

    Args:
        bench: The store.
    """

    rules: dict[str, tuple[int, ...]] = {
        "create": (len(MAKERS), 2, len(TIMEOUTS)),
        "notice": (50,),
        "echo": (50, 40),
        "replay": (50,),
        "queue": (50, 8, 60),
        "listen": (50, 2),
        "pause": (50,),
        "drop": (50,),
        "resume": (50, 50, 4),
        "trespass": (50, 3),
        "close": (50,),
        "advance": (len(STEPS),),
        "sweep": (),
    }
    """What can be done, and of how many kinds each of its arguments is."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.all: list[Known] = []
        self.refused: Counter[str] = Counter()
        self.happened: Counter[str] = Counter()

    async def do(self, name: str, *arguments: int) -> None:
        """Do something, and look whether all is as it must be."""
        await getattr(self, name)(*arguments)
        self.happened[name] += 1
        await self.bench.settle()
        await self.check()

    @property
    def now(self) -> float:
        """Seconds of the clock."""
        return self.bench.time

    @property
    def living(self) -> list[Known]:
        """The sessions that must be there."""
        return [known for known in self.all if known.lives(self.now)]

    async def on(self, place: int, work: Callable[[Known], Awaitable[T]]) -> tuple[Known, T] | None:
        """Do something to a session; return None if there is none, or it is over, as it must be then."""
        if not self.all:
            return None
        # Mostly one that lives.
        candidates = self.living if place % 10 and self.living else self.all
        known = candidates[place % len(candidates)]
        if not known.lives(self.now):
            with pytest.raises(SessionNotFound):
                await work(known)
            self.happened["not found"] += 1
            return None
        result = await work(known)
        known.last, known.used = self.now, True
        return known, result

    # What clients do.

    async def create(self, maker: int, handle: int, timeout: int) -> None:
        """Make a session or a handle, for which another one gives way, unless there are too many in use."""
        (principal, address), lasts = MAKERS[maker], TIMEOUTS[timeout] if handle else None
        holder = principal or address

        async def make() -> Seen:
            if handle:
                return await self.bench.create_handle(principal, lasts, address, used=False)
            return await self.bench.create(principal, address=address, used=False)

        giving, refusal = self.giving_way(principal, holder)
        if refusal is not None:
            kind, counted, rivals = refusal
            with pytest.raises(kind) as refused:
                await make()
            assert refused.value.headers == {"Retry-After": str(self.seconds_until_one_ends(rivals))}
            self.refused[counted] += 1
            self.happened[counted] += 1
            return
        seen = await make()
        known = Known(seen.id, principal, bool(handle), lasts or TIMEOUT, self.now, holder)
        assert (seen.principal, seen.handle, seen.timeout) == (principal, known.handle, known.timeout)
        if giving:
            left = await self.bench.living()
            (gone,) = [each for each in self.living if each.id not in left]
            assert gone in giving
            gone.displaced = True
            self.happened["displaced"] += 1
        self.all.append(known)

    def giving_way(
        self, principal: str | None, holder: str | None
    ) -> tuple[list[Known], tuple[type[McpError], str, list[Known]] | None]:
        """Return the sessions of which one gives way to a new one, and what refuses that if there is none."""
        own = self.of(holder)
        limit, kind, counted = OF_PRINCIPALS if principal else OF_ADDRESSES
        if len(own) >= limit:
            giving = [known for known in own if not known.used][:1]
            return giving, None if giving else (kind, counted, own)
        if len(self.living) < LIMIT:
            return [], None
        shares = [self.of(each) for each in {known.holder for known in self.living} - {None}]
        shares = [share for share in shares if not all(known.used for known in share)]
        most = max(map(len, shares), default=0)
        giving = [next(each for each in share if not each.used) for share in shares if len(share) == most]
        if giving and most >= len(own):
            return giving, None
        return [], (TooManySessions, "refused", self.living)

    def of(self, holder: str | None) -> list[Known]:
        """Return the sessions of a holder that live, the oldest first; nobody's are none."""
        return [known for known in self.living if holder is not None and known.holder == holder]

    def seconds_until_one_ends(self, rivals: Iterable[Known]) -> int:
        remaining = min(known.last + known.timeout for known in rivals) - self.now
        return max(1, min(60, int(remaining) + 1))

    async def notice(self, place: int) -> None:
        """Send a notification, which keeps a session but is no use of it."""
        if self.living:
            await self.see(self.living[place % len(self.living)])

    async def echo(self, place: int, length: int) -> None:
        """Echo something."""
        # Python has one text of a single such letter, which grows when it is first encoded.
        length += length == 1
        text = "é" * length

        def echo(session: Session) -> int:
            session.remember_echo(Echo("".join(["é"] * length)))
            return session.record.echo_count

        done = await self.on(place, lambda known: self.bench.use(known.id, **known.whose, then=echo))
        if done is not None:
            known, count = done
            known.echoes, known.echo = known.echoes + 1, Echo(text)
            assert count == known.echoes

    async def replay(self, place: int) -> None:
        """Ask for the last echo."""

        def replay(session: Session) -> tuple[int, str | None]:
            session.record.replay_count += 1
            return (
                session.record.replay_count,
                None if session.last_echo is None else session.last_echo.message,
            )

        done = await self.on(place, lambda known: self.bench.use(known.id, **known.whose, then=replay))
        if done is not None:
            known, answer = done
            known.replays += 1
            assert answer == (known.replays, None if known.echo is None else known.echo.message)

    async def queue(self, place: int, count: int, size: int) -> None:
        """Queue messages, each of which is like no other."""
        sent = sum(len(known.sent) for known in self.all)
        messages = [b"%d" % number + b"." * size for number in range(sent, sent + count)]
        done = await self.on(place, lambda known: self.bench.queue(known.id, *messages, **known.whose))
        if done is not None:
            done[0].sent += messages

    async def listen(self, place: int, paused: int) -> None:
        """Open a stream, and read it or not."""
        done = await self.on(
            place, lambda known: self.bench.listen(known.id, **known.whose, paused=bool(paused))
        )
        if done is not None:
            known, reader = done
            assert reader is not None
            known.readers.append(reader)

    def a_reader(self, place: int, *, is_open: bool) -> Reader | None:
        readers = [reader for known in self.living for reader in known.readers if reader.open or not is_open]
        return readers[place % len(readers)] if readers else None

    async def pause(self, place: int) -> None:
        """Read no more, or read on."""
        reader = self.a_reader(place, is_open=True)
        if reader is not None:
            reader.paused = not reader.paused
            reader.wake()

    async def drop(self, place: int) -> None:
        """Lose a connection."""
        reader = self.a_reader(place, is_open=True)
        if reader is not None:
            reader.drop()

    async def resume(self, place: int, which: int, back: int) -> None:
        """Come back to a stream, having seen all but the last few messages."""
        if not any(reader.got for known in self.living for reader in known.readers):
            return

        async def work(known: Known) -> None:
            readers = [reader for reader in known.readers if reader.got]
            if not readers:
                await self.bench.use(known.id, **known.whose)
                return
            got = readers[which % len(readers)].got
            seen = got[max(0, len(got) - 1 - back)][0]
            tag, _, number = seen.partition("-")
            taken = known.taken()
            # Twice, since a change may be what pushes out what need not wait for another node any more.
            await self.bench.use(known.id, **known.whose)
            kept = (await self.bench.use(known.id, **known.whose)).messages
            due = {
                (event_id, data)
                for reader in known.readers
                for event_id, data in reader.got
                if data in kept and taken[data] == tag and int(event_id.partition("-")[2]) > int(number)
            }
            known_still = known.is_open(tag) or any(taken.get(data) == tag for data in kept)
            reader = await self.bench.listen(known.id, seen, **known.whose)
            assert (reader is not None) == known_still
            if reader is None:
                return
            await self.bench.settle()
            again = [(event_id, data) for event_id, data in reader.got if data in taken]
            assert again == sorted(due, key=lambda event: int(event[0].partition("-")[2]))
            assert again == reader.got[: len(again)]
            assert not any(other.open and other.stream.tag == tag for other in known.readers)
            known.readers.append(reader)
            self.happened["resumed"] += bool(again)

        await self.on(place, work)

    async def trespass(self, place: int, how: int) -> None:
        """Use what is another's, or a handle as a session."""
        if not self.all:
            return
        known = self.all[place % len(self.all)]
        other = "mallory" if how == 0 else "" if how == 1 else known.owner
        handle = known.handle if how < 2 else not known.handle
        for attempt in (self.bench.use, self.bench.close):
            with pytest.raises(SessionNotFound):
                await attempt(known.id, other, handle)

    async def close(self, place: int) -> None:
        """End a session."""
        done = await self.on(place, lambda known: self.bench.close(known.id, **known.whose))
        if done is not None:
            done[0].closed = True

    # What the world does.

    async def advance(self, place: int) -> None:
        """Let time pass."""
        seconds = STEPS[place]
        while seconds > 0:
            self.bench.advance(min(seconds, HEARTBEAT))
            seconds -= HEARTBEAT
            await self.bench.beat()

    async def sweep(self) -> None:
        """Sweep, after which all sums are exact."""
        await self.bench.sweep()
        living = self.living
        for reader in [reader for known in self.all if known not in living for reader in known.readers]:
            # What it had been given is its still.
            reader.paused = False
            reader.wake()
            assert not reader.open
        assert await self.bench.living() == {known.id for known in living}
        assert await self.bench.counts() == (len(living), sum(known.handle for known in living))
        statistics, ended = self.bench.statistics, [known for known in self.all if known not in living]
        assert statistics["created"] == len(self.all)
        counts = Counter(known.ending() for known in ended)
        assert {name: statistics[name] for name in counts} == counts
        assert {name: statistics[name] for name in self.refused} == self.refused
        endings = {(known.id, known.ending()) for known in ended}
        # A node that saw a session last long before another closed it may take it for expired.
        assert {name for name, _ in self.bench.endings} == {name for name, _ in endings}
        assert endings <= set(self.bench.endings)
        await self.bench.settle()
        # Twice: a node pushes out what need not wait for another one any more with its next change.
        for _ in range(2):
            seen = [await self.see(known) for known in living]
            await self.bench.settle()
        held = await self.bench.holdings()
        assert held.queues == sum(each.queue_bytes for each in seen)
        waiting = [set(each.messages) - set(known.taken()) for each, known in zip(seen, living, strict=True)]
        assert held.waiting == sum(map(len, waiting))
        assert held.echoes == sum(0 if known.echo is None else known.echo.size for known in living)

    async def see(self, known: Known) -> Seen:
        known.last = self.now
        return await self.bench.use(known.id, **known.whose, then=look, notice=True)

    # What must hold.

    async def check(self) -> None:
        """See that one session is what it must be, and that no connection got what it must not."""
        for known in self.all:
            known.taken()
            for reader in known.readers:
                numbers = [int(event_id.partition("-")[2]) for event_id, _ in reader.got]
                assert numbers == sorted(set(numbers))
                assert {data for _, data in reader.got} <= set(known.sent)
        # The one that was used last, so that looking at it keeps none alive.
        latest = max(self.living, key=lambda known: known.last, default=None)
        if latest is None or latest.last != self.now:
            return
        # Twice: what a connection has lost its node tells with the next change that it makes.
        await self.see(latest)
        seen = await self.see(latest)
        assert (seen.echo_count, seen.replay_count) == (latest.echoes, latest.replays)
        assert (seen.last_echo and seen.last_echo[0]) == (latest.echo and latest.echo.message)
        # What is on its way to a connection of another node stays until that has it.
        resting = [data for data in seen.messages if data in latest.taken() or not latest.reads]
        assert len(resting) <= BOUNDS.messages
        assert sum(map(len, resting)) <= BOUNDS.bytes
        assert seen.queue_bytes == sum(map(len, seen.messages))
        assert len(set(seen.messages)) == len(seen.messages)
        assert set(seen.messages) <= set(latest.sent)
        assert seen.open_streams == sum(reader.open for reader in latest.readers)
        # Each message was taken, or waits in the log or at a connection on whichever node, or was lost.
        at_connections = {data for reader in latest.readers for data in reader.waiting()}
        waiting = {*seen.messages, *at_connections} - set(latest.taken())
        assert len(latest.taken()) + len(waiting) + seen.dropped == len(latest.sent)
        if not at_connections - set(seen.messages):
            assert seen.pending == len(waiting)
        self.happened["dropped"] += seen.dropped > 0
        self.happened["pending"] += seen.pending > 0


# What does everything at once.


def at_once(work: Awaitable[T]) -> T:
    """Return the result of what waits for nothing."""
    results: list[Any] = []
    ensureDeferred(work).addBoth(results.append)  # type: ignore[arg-type]
    (result,) = results
    if hasattr(result, "raiseException"):
        result.raiseException()
    return result  # type: ignore[no-any-return]


class SessionStoreMachine(RuleBasedStateMachine):
    """Walks as Hypothesis likes."""

    bench: type[Bench]

    @initialize()
    def begin(self) -> None:
        bench = self.bench(Path(), LIMIT, OWN_LIMIT, limit_per_address=ADDRESS_LIMIT)
        at_once(bench.open())
        self.walk = Walk(bench)


def _rule(name: str, kinds: tuple[int, ...]) -> Any:
    def step(self: SessionStoreMachine, **arguments: int) -> None:
        at_once(self.walk.do(name, *arguments.values()))

    step.__name__ = name
    return rule(**{f"of_{place}": st.integers(0, kind - 1) for place, kind in enumerate(kinds)})(step)


def _machine(bench: type[Bench]) -> Any:
    rules = {name: _rule(name, kinds) for name, kinds in Walk.rules.items()}
    made = type(f"{bench.__name__}Machine", (SessionStoreMachine,), {**rules, "bench": bench})
    case = made.TestCase
    case.settings = settings(
        max_examples=examples(50),
        stateful_step_count=30,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    return case


TestMemory = _machine(Memory)
TestDicts = _machine(Dicts)


# What has to be waited for, and the others as well, so that all are known to have walked far.

MUST_HAPPEN = {
    *Walk.rules,
    *("not found", "refused", "refused_to_principals", "refused_to_addresses", "displaced"),
    *("resumed", "dropped", "pending"),
}


@pytest.mark.parametrize("seed", [2, 3])
@pytest.mark.parametrize(
    "kind",
    [Memory, Dicts, *(pytest.param(kind, marks=pytest.mark.slow) for kind in (Sqlite, Redis))],
    ids=lambda kind: kind.__name__.lower(),
)
@pytest_twisted.ensureDeferred
async def test_a_long_walk_goes_as_in_the_model(kind: type[Bench], seed: int, tmp_path: Path) -> None:
    """Design of the interface, all of it: whatever happens in whichever order, on two nodes where there can
    be two."""
    bench, chance = kind(tmp_path, LIMIT, OWN_LIMIT, limit_per_address=ADDRESS_LIMIT), random.Random(seed)
    try:
        await bench.open()
        walk = Walk(bench)
        names = list(walk.rules)
        rare = dict.fromkeys(("close", "advance", "sweep"), 1)
        weights = [{**rare, "create": 8}.get(name, 4) for name in names]
        for _ in range(400):
            (name,) = chance.choices(names, weights)
            await walk.do(name, *(chance.randrange(kinds) for kinds in walk.rules[name]))
        await walk.do("sweep")
        assert {what for what in MUST_HAPPEN if not walk.happened[what]} == set()
    finally:
        await bench.stop()
