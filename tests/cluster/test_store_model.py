"""Sessions on several nodes under every order of events, beside what must hold in each of them.

Requests queue messages; connections come, stall, are lost, come back on another node with an event id; nodes
die and new ones come; operations of the engine are answered in any order, refused, or carried out without an
answer. Messages are numbered, and the number is the message.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any, Literal

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from mcp_echo.cluster.store import HEARTBEAT, SharedStore
from mcp_echo.cluster.stream_log import LEASE, Bounds
from mcp_echo.protocol.errors import StoreUnavailable
from tests.engines import DictRecords
from tests.examples import examples
from tests.nodes import Node, Reader, reading

ROOM = Bounds(1000, 1_000_000)
"""What is pushed out is no part of this."""

places = st.integers(0, 50)
fates = st.sampled_from(["done"] * 6 + ["refused", "answer lost"])


class SharedSessionMachine(RuleBasedStateMachine):
    """What may happen to one session that two nodes serve."""

    @initialize()
    def begin(self) -> None:
        self.clock = Clock()
        self.records = DictRecords()
        self.names = 0
        self.nodes = [self.new_node(), self.new_node()]
        self.session = self.nodes[0].create()
        self.sent = 0
        self.acknowledged: set[int] = set()
        self.uncertain: set[int] = set()
        self.readers: list[tuple[Node, Reader]] = []
        self.late: list[tuple[Node, int]] = []
        self.deaths = self.resumptions = 0
        for node in self.nodes:
            node.engine.stepping = True

    def new_node(self) -> Node:
        self.names += 1
        return Node(self.records, f"n{self.names}", self.clock, timeout=100_000.0, bounds=ROOM)

    def node(self, place: int) -> Node:
        return self.nodes[place % len(self.nodes)]

    # What clients do.

    @rule(place=places, late=st.booleans())
    def queue(self, place: int, late: bool) -> None:
        self.sent += 1
        number, node = self.sent, self.node(place)

        def work(store: SharedStore) -> None:
            session = store.use(self.session, None)
            if late:
                # As work does that goes on after its request.
                store.after(lambda: session.log.queue(b"%d" % number))
            else:
                session.log.queue(b"%d" % number)

        def over(outcome: object) -> None:
            if isinstance(outcome, Failure):
                outcome.trap(StoreUnavailable)
                self.uncertain.add(number)
            elif late:
                # It dies with its node, if that is sooner than it is kept.
                self.uncertain.add(number)
                self.late.append((node, number))
            else:
                self.acknowledged.add(number)

        node.start(work).addBoth(over)

    @rule(place=places)
    def listen(self, place: int) -> None:
        self.open(self.node(place), None)

    @precondition(lambda self: any(reader.got for _, reader in self.readers))
    @rule(place=places, which=places, back=st.integers(0, 3))
    def come_back(self, place: int, which: int, back: int) -> None:
        """A client comes back, having seen all but the last few messages."""
        candidates = [reader for _, reader in self.readers if reader.got]
        reader = candidates[which % len(candidates)]
        seen = reader.got[max(0, len(reader.got) - 1 - back)][0]
        self.resumptions += 1
        self.open(self.node(place), seen)

    def open(self, node: Node, last_event_id: str | None) -> None:
        def over(outcome: Any) -> None:
            if isinstance(outcome, Failure):
                outcome.trap(StoreUnavailable)
            else:
                self.readers.append((node, outcome))

        node.start(lambda store: reading(store, self.session, last_event_id)).addBoth(over)

    def a_reader(self, which: int) -> tuple[Node, Reader] | None:
        candidates = [(node, reader) for node, reader in self.readers if reader.open and node.alive]
        return candidates[which % len(candidates)] if candidates else None

    @rule(which=places)
    def lose_connection(self, which: int) -> None:
        found = self.a_reader(which)
        if found is not None:
            found[1].drop()

    @rule(which=places)
    def stall(self, which: int) -> None:
        found = self.a_reader(which)
        if found is not None:
            found[1].paused = not found[1].paused
            found[1].wake()

    # What the world does.

    @rule(place=places, operation=places, fate=fates)
    def step(self, place: int, operation: int, fate: Literal["done", "refused", "answer lost"]) -> None:
        node = self.node(place)
        if node.engine.under_way:
            node.engine.step(operation, fate)

    @rule()
    def run(self) -> None:
        """Let all that is under way come to its end."""
        for _ in range(300):
            busy = [node for node in self.nodes if node.engine.under_way]
            if not busy:
                break
            for node in busy:
                node.engine.step()

    @rule(seconds=st.sampled_from([0.5, 1.0, HEARTBEAT, LEASE / 1000 + 1]))
    def advance(self, seconds: float) -> None:
        """Let time pass; nodes that live get to say so in time."""
        while seconds > 0:
            step = min(seconds, HEARTBEAT)
            seconds -= step
            self.records.advance(step)
            self.clock.advance(step)
            for node in self.nodes:
                node.store.maintenance.acknowledge()
                if step == HEARTBEAT:
                    node.store.maintenance.beat()
            if step == HEARTBEAT:
                self.run()

    @rule(place=places)
    def die(self, place: int) -> None:
        dead = self.node(place)
        dead.kill()
        self.deaths += 1
        self.nodes = [node for node in self.nodes if node is not dead]
        while len(self.nodes) < 2:
            self.nodes.append(self.new_node_now())
        for node, reader in self.readers:
            if node is dead:
                reader.open = False

    def new_node_now(self) -> Node:
        node = self.new_node()
        node.engine.stepping = True
        return node

    # What must hold.

    @invariant()
    def within_a_connection_ids_grow(self) -> None:
        if not hasattr(self, "readers"):
            return
        for _, reader in self.readers:
            numbers = [int(event_id.partition("-")[2]) for event_id, _ in reader.got]
            assert numbers == sorted(set(numbers)), reader.got
            assert all(event_id.startswith(f"{reader.stream.tag}-") for event_id, _ in reader.got)

    @invariant()
    def an_id_means_one_message(self) -> None:
        if not hasattr(self, "readers"):
            return
        meant: dict[str, set[bytes]] = defaultdict(set)
        for _, reader in self.readers:
            for event_id, data in reader.got:
                meant[event_id].add(data)
        assert all(len(each) == 1 for each in meant.values()), meant

    def teardown(self) -> None:
        if not hasattr(self, "readers"):
            return
        self.run()
        for node, reader in self.readers:
            if reader.open and node.alive:
                reader.paused = False
                reader.wake()
                reader.drop()
        for _ in range(3):
            self.run()
            self.advance(LEASE / 1000 + 1)
        self.open(self.nodes[0], None)
        for _ in range(3):
            self.run()
            self.advance(LEASE / 1000 + 1)
        self.run()
        got = Counter(int(data) for _, reader in self.readers for data in {data for _, data in reader.got})
        got_ids = Counter(
            int(data)
            for data, _ in {(data, event_id) for _, reader in self.readers for event_id, data in reader.got}
        )
        missing = self.acknowledged - set(got)
        assert not missing, f"lost: {sorted(missing)}"
        survivors = {number for node, number in self.late if node.alive}
        assert not survivors - set(got), f"late work lost: {sorted(survivors - set(got))}"
        assert set(got) <= self.acknowledged | self.uncertain
        if not self.deaths:
            twice = [number for number, count in got_ids.items() if count > 1]
            assert not twice, f"under two ids: {twice}"
            if not self.resumptions:
                assert all(count == 1 for count in got.values()), got
        for node in self.nodes:
            assert not node.engine.under_way
            cached = node.store.cache.get(self.session)
            assert cached is None or not (cached.busy or cached.waiting or cached.later)


SharedSessionMachine.TestCase.settings = settings(
    max_examples=examples(400), stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestSharedSession = SharedSessionMachine.TestCase
