"""Traces that several nodes have in common."""

from __future__ import annotations

from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mcp_echo.cluster.traces import DEAD_SECONDS, FLUSH_SECONDS
from mcp_echo.protocol.errors import TracesUnavailable
from mcp_echo.watch.parts import Part, TraceGone
from mcp_echo.watch.records import ExchangeRecord, NodeChange, Record
from mcp_echo.watch.report import report_of
from mcp_echo.watch.traces import TooManyTraces, Trace, Wanted, share_of
from tests.cluster.trace_nodes import LIMITS, TraceNode, pass_time
from tests.transport.engine_support import ClockedRecords


class _Count(msgspec.Struct):
    counted: int = 0


COUNT = Part("count", _Count)


def _count(part: _Count) -> int:
    part.counted += 1
    return part.counted


def clocked(clock: Clock) -> ClockedRecords:
    """Return what nodes share, with the clock of the test."""
    kept = ClockedRecords()
    kept.clock = clock
    return kept


class Two:
    """Two nodes with one clock."""

    def __init__(self, limits: object = LIMITS) -> None:
        self.clock = Clock()
        self.kept = clocked(self.clock)
        self.a = TraceNode(self.kept, "a", self.clock, limits)  # type: ignore[arg-type]
        self.b = TraceNode(self.kept, "b", self.clock, limits)  # type: ignore[arg-type]


def exchanges(trace: Trace | None) -> list[tuple[int, str]]:
    """Return the numbers of the exchanges of a trace, and where each was seen."""
    assert trace is not None
    return [(each.number, each.node) for each in trace.records if isinstance(each, ExchangeRecord)]


def test_all_nodes_have_one_key_that_secrets_are_masked_with() -> None:
    """docs: equal secrets look equal in the records of all nodes."""
    two = Two()
    assert two.a.key == two.b.key != b""


def test_what_is_made_on_one_node_is_used_on_another_and_both_show_all_of_it() -> None:
    """docs: a trace is there on each node."""
    two = Two()
    made = two.a.make(Wanted("mine", ("X-Needed",)))
    for node in (two.b, two.a, two.b):
        node.record(made.id)
        two.clock.advance(FLUSH_SECONDS)
    first, second = two.a.bring(made.id), two.b.bring(made.id)
    assert exchanges(first) == exchanges(second) == [(1, "b"), (2, "a"), (3, "b")]
    assert first is not None
    assert second is not None
    assert (second.label, second.expect, second.expires) == ("mine", ("X-Needed",), first.expires)
    assert first.exchanges == second.exchanges == 3


def test_a_share_key_leads_to_it_on_each_node_and_no_id_leads_to_another_trace() -> None:
    """docs: the share key reads."""
    two = Two()
    made = two.a.make()
    brought = two.b.do(two.b.store.find_shared(made.share))
    assert brought.id == made.id
    assert two.b.bring(made.share) is None
    assert two.b.bring("x" * 32) is None
    assert len(two.kept.records) == 1


def test_a_node_that_has_a_copy_hears_of_what_others_record() -> None:
    """docs: readers of events see what comes to other nodes."""
    two = Two()
    made = two.a.make()
    heard: list[Record | None] = []
    brought = two.b.bring(made.id)
    assert brought is not None
    brought.readers.append(heard.append)
    two.a.record(made.id)
    pass_time(two.clock, 2, two.a, two.b)
    assert [each.number for each in heard if each is not None] == [1]


def test_what_was_recorded_first_is_judged_first_whoever_keeps_it_first() -> None:
    """Our choice: no correct client is accused because one node was slower to keep than another."""
    two = Two()
    made = two.a.make()
    first = two.a.find(made.id)
    second = two.b.find(made.id)
    assert first is not None
    assert second is not None
    # Its timer runs already, so that it keeps what it is given now before the other does.
    two.b.store.take(second, two.b.exchange("ping", "another"), 0)
    two.clock.advance(FLUSH_SECONDS * 0.8)
    begins = msgspec.structs.replace(two.a.exchange("initialize"), made=True)
    two.a.store.take(first, begins, 0)
    two.clock.advance(FLUSH_SECONDS * 0.1)
    two.b.store.take(second, two.b.exchange("tools/list"), 0)
    two.clock.advance(FLUSH_SECONDS * 0.1)
    methods = []
    for node in (two.a, two.b):
        trace = node.bring(made.id)
        assert trace is not None
        methods.append([each.messages[0].method for each in trace.records])
        assert [each.number for each in trace.records] == [1, 3, 2]
    assert methods == [["ping", "initialize", "tools/list"]] * 2


def test_what_comes_too_late_is_shown_and_nothing_is_concluded_from_it() -> None:
    """As above, where the store was slow: then nobody knows any more what it stood between."""
    two = Two()
    made = two.a.make()
    first, second = two.a.find(made.id), two.b.find(made.id)
    assert first is not None
    assert second is not None
    two.b.store.take(second, msgspec.structs.replace(two.b.exchange("initialize"), made=True), 0)
    two.b.engine.stepping = True
    two.clock.advance(FLUSH_SECONDS)
    two.a.store.take(first, two.a.exchange("notifications/initialized", kind="notification"), 0)
    pass_time(two.clock, 2, two.a)
    two.b.engine.stepping = False
    while two.b.engine.under_way:
        two.b.engine.step()
    two.a.store.take(first, two.a.exchange("tools/list"), 0)
    pass_time(two.clock, 30, two.a, two.b)
    trace = two.a.bring(made.id)
    assert trace is not None
    assert len(trace.records) == 3
    assert "initialized-never-sent" not in {each.id for each in report_of(trace, two.a.wall()).findings}


def test_state_rules_see_what_came_to_all_nodes_and_count_it_once() -> None:
    """docs: rules about several exchanges are held against what came to all nodes."""
    two = Two()
    made = two.a.make()
    begins = msgspec.structs.replace(
        two.a.exchange("initialize"),
        made=True,
    )
    trace = two.a.bring(made.id)
    assert trace is not None
    two.a.store.take(trace, begins, 0)
    two.b.record(made.id, "tools/list")
    pass_time(two.clock, 30, two.a, two.b)
    for node in (two.a, two.b):
        brought = node.bring(made.id)
        assert brought is not None
        found = {each.id: each.count for each in report_of(brought, node.wall()).findings}
        assert found["initialized-never-sent"] == 1
    assert (two.a.noticed + two.b.noticed).count("initialized-never-sent") == 1


def test_more_than_a_trace_keeps_drops_the_oldest_on_all_nodes() -> None:
    """MCP_ECHO_TRACE_EXCHANGES: the newest are kept, and how many were let go of is said."""
    two = Two()
    made = two.a.make()
    for place in range(60):
        (two.a, two.b)[place % 2].record(made.id)
    two.clock.advance(FLUSH_SECONDS)
    for node in (two.a, two.b):
        trace = node.bring(made.id)
        assert trace is not None
        assert len(trace.records) == LIMITS.exchanges
        assert (trace.exchanges, trace.dropped) == (60, 10)
    assert len(two.kept.records[share_of(made.id)].entries) == LIMITS.exchanges


def test_a_burst_of_more_than_a_trace_keeps_keeps_the_newest() -> None:
    """As above, where one change brings more than there is room for."""
    two = Two()
    made = two.a.make()
    trace = two.a.bring(made.id)
    assert trace is not None
    for _ in range(LIMITS.exchanges):
        two.a.store.take(trace, two.a.exchange(), 0)
    two.a.store.take(trace, two.a.exchange(), 0)
    two.clock.advance(FLUSH_SECONDS)
    two.b.record(made.id)
    two.clock.advance(FLUSH_SECONDS)
    trace = two.b.bring(made.id)
    assert trace is not None
    assert len(trace.records) == LIMITS.exchanges
    assert (trace.exchanges, trace.unrecorded, trace.dropped) == (52, 1, 1)


def test_what_waits_to_be_kept_is_bounded_in_bytes_too() -> None:
    """Our choice: nothing that a client sends is held without bound while a store is slow."""
    two = Two(LIMITS._replace(bytes=2500))
    made = two.a.make()
    trace = two.a.bring(made.id)
    assert trace is not None
    for _ in range(3):
        two.a.store.take(trace, two.a.exchange(), 1000)
    two.clock.advance(FLUSH_SECONDS)
    trace = two.a.bring(made.id)
    assert trace is not None
    assert (trace.exchanges, trace.unrecorded) == (3, 1)


def test_bytes_are_bounded_as_records_are() -> None:
    """MCP_ECHO_TRACE_BYTES."""
    two = Two(LIMITS._replace(bytes=2000))
    made = two.a.make()
    for _ in range(30):
        two.a.record(made.id)
        two.clock.advance(FLUSH_SECONDS)
    kept = two.kept.records[share_of(made.id)]
    assert sum(len(entry.data) for entry in kept.entries.values()) <= 2000
    assert kept.held.queued == sum(len(entry.data) for entry in kept.entries.values())
    assert kept.held.waiting == len(kept.entries)


def test_a_node_that_dies_loses_its_last_moment_and_the_report_says_that_it_died() -> None:
    """docs: kill -9 loses at most the last 100 ms of record."""
    two = Two()
    made = two.a.make()
    two.b.record(made.id)
    two.clock.advance(0.1)
    died = two.b.wall()
    two.b.record(made.id)
    two.b.kill()
    pass_time(two.clock, DEAD_SECONDS + 3, two.a, two.b)
    trace = two.a.bring(made.id)
    assert exchanges(trace) == [(1, "b")]
    assert trace is not None
    (change,) = report_of(trace, two.a.wall()).nodes
    assert (change.node, change.kind) == ("b", "died")
    assert abs(change.at - died) <= 1
    pass_time(two.clock, 30, two.a)
    assert sum(isinstance(each, NodeChange) for each in trace.records) == 1


def test_of_three_nodes_one_says_that_another_has_died() -> None:
    """As above: once, however many have seen it."""
    two = Two()
    third = TraceNode(two.kept, "c", two.clock)
    made = two.a.make()
    two.b.record(made.id)
    two.clock.advance(FLUSH_SECONDS)
    third.bring(made.id)
    two.b.kill()
    pass_time(two.clock, DEAD_SECONDS + 3, two.a, third)
    trace = third.bring(made.id)
    assert trace is not None
    assert [(each.node, each.kind) for each in trace.records if isinstance(each, NodeChange)] == [
        ("b", "died")
    ]


def test_a_node_that_begins_after_another_has_died_says_so_too() -> None:
    """As above: when it was heard of last is when it recorded something last."""
    two = Two()
    made = two.a.make()
    two.a.record(made.id)
    two.clock.advance(FLUSH_SECONDS)
    two.a.kill()
    two.b.kill()
    third = TraceNode(two.kept, "c", two.clock)
    third.bring(made.id)
    pass_time(two.clock, DEAD_SECONDS + 3, third)
    trace = third.bring(made.id)
    assert trace is not None
    assert [(each.node, each.kind) for each in trace.records if isinstance(each, NodeChange)] == [
        ("a", "died")
    ]


def test_a_node_that_lives_is_not_said_to_have_died() -> None:
    """Our choice: no accusation without silence."""
    two = Two()
    made = two.a.make()
    two.b.record(made.id)
    pass_time(two.clock, 60, two.a, two.b)
    trace = two.a.bring(made.id)
    assert trace is not None
    assert not report_of(trace, two.a.wall()).nodes


def test_a_node_that_stops_keeps_what_waits_and_says_that_it_has_stopped() -> None:
    """Our choice: nothing is lost by an orderly stop."""
    two = Two()
    made = two.a.make()
    two.b.record(made.id)
    two.b.do(two.b.store.stop())
    two.b.alive = False
    pass_time(two.clock, DEAD_SECONDS + 3, two.a)
    trace = two.a.bring(made.id)
    assert exchanges(trace) == [(1, "b")]
    assert trace is not None
    assert [each.kind for each in report_of(trace, two.a.wall()).nodes] == ["stopped"]


def test_what_cannot_be_kept_is_counted_and_told_of_when_it_can() -> None:
    """docs: the store is down: recording stops and is counted."""
    two = Two()
    made = two.a.make()
    trace = two.a.bring(made.id)
    assert trace is not None
    two.a.engine.available = False
    two.a.store.take(trace, two.a.exchange(), 0)
    two.clock.advance(FLUSH_SECONDS)
    assert two.a.bring(made.id) is trace
    with pytest.raises(TracesUnavailable):
        two.a.bring("x" * 32)
    two.a.engine.available = True
    pass_time(two.clock, 2, two.a)
    for node in (two.a, two.b):
        brought = node.bring(made.id)
        assert brought is not None
        assert (brought.exchanges, brought.unrecorded, len(brought.records)) == (1, 1, 0)


def test_an_exchange_that_is_only_counted_is_counted_on_all_nodes() -> None:
    """docs: more exchanges in a second than are recorded are counted."""
    two = Two()
    made = two.a.make()
    trace = two.a.bring(made.id)
    assert trace is not None
    two.a.store.skip(trace)
    two.b.record(made.id)
    two.clock.advance(FLUSH_SECONDS)
    brought = two.b.bring(made.id)
    assert brought is not None
    assert (brought.exchanges, brought.unrecorded, len(brought.records)) == (2, 1, 1)


def test_one_that_is_ended_on_one_node_has_ended_on_all_and_they_say_when() -> None:
    """docs: DELETE; the 404 says when it ended."""
    two = Two()
    made = two.a.make()
    two.b.bring(made.id)
    two.a.do(two.a.store.end(made))
    for node in (two.a, two.b):
        assert node.bring(made.id) is None
        ended = node.traces.ended(made.id)
        assert ended is not None
        assert (ended.reason, ended.at) == ("deleted", node.wall())
    assert not two.kept.records


def test_one_whose_time_is_over_has_ended_on_all_nodes() -> None:
    """createTrace: seconds."""
    two = Two()
    made = two.a.make(Wanted(seconds=60))
    two.b.bring(made.id)
    pass_time(two.clock, 61, two.a, two.b)
    for node in (two.a, two.b):
        assert node.bring(made.id) is None
        ended = node.traces.ended(made.id)
        assert ended is not None
        assert ended.reason == "expired"


def test_a_holder_has_a_share_over_all_nodes() -> None:
    """docs: as many traces as one may have."""
    two = Two()
    two.a.make(share=2)
    two.b.make(share=2)
    with pytest.raises(TooManyTraces, match="You have 2"):
        two.a.make(share=2)


def test_where_there_are_as_many_as_may_be_the_oldest_gives_way_and_all_hear_of_it() -> None:
    """docs: at the bound the oldest trace of whoever has most gives way."""
    two = Two(LIMITS._replace(traces=2))
    first = two.a.make()
    two.b.bring(first.id)
    two.a.make()
    two.a.make()
    pass_time(two.clock, 6, two.a, two.b)
    assert two.b.bring(first.id) is None
    ended = two.b.traces.ended(first.id)
    assert ended is not None
    assert ended.reason == "displaced"


def test_one_that_does_not_expire_is_the_same_on_all_nodes_and_comes_back() -> None:
    """MCP_ECHO_TRACE_FILE: its address stays."""
    two = Two()
    told: list[Trace] = []
    made = two.a.traces.standing("named", "k" * 32)
    two.a.store.stand(made, told.append)
    two.b.store.stand(two.b.traces.standing("named", "k" * 32), lambda _: None)
    pass_time(two.clock, 1, two.a, two.b)
    two.b.record("k" * 32)
    two.clock.advance(FLUSH_SECONDS)
    assert exchanges(two.a.bring("k" * 32)) == [(1, "b")]
    two.kept.records.clear()
    two.a.store.replaced()
    pass_time(two.clock, 2, two.a)
    assert len(told) == 2
    assert exchanges(two.a.bring("k" * 32)) == []


def test_parts_are_changed_by_one_node_after_the_other() -> None:
    """Our choice: no change loses another."""
    two = Two()
    made = two.a.make()
    brought = two.b.bring(made.id)
    assert brought is not None
    # It has not heard of what the other one does.
    two.kept.nodes.pop("b")
    assert two.a.do(two.a.store.change(made, COUNT, _count)) == 1
    assert COUNT.read(brought).counted == 0
    assert two.b.do(two.b.store.change(brought, COUNT, _count)) == 2
    assert COUNT.read(brought).counted == 2
    two.a.bring(made.id)
    assert COUNT.read(made).counted == 2


def _last_of_three(part: _Count) -> None:
    if part.counted < 2:
        raise ValueError("too few")
    part.counted += 1


def test_work_that_fails_for_what_another_node_has_kept_is_done_again_on_that() -> None:
    """Our choice: nobody is refused for what one node does not know yet."""
    two = Two()
    made = two.a.make()
    brought = two.b.bring(made.id)
    assert brought is not None
    two.kept.nodes.pop("b")
    with pytest.raises(ValueError, match="too few"):
        two.b.do(two.b.store.change(brought, COUNT, _last_of_three))
    two.a.do(two.a.store.change(made, COUNT, _count))
    two.a.do(two.a.store.change(made, COUNT, _count))
    two.b.do(two.b.store.change(brought, COUNT, _last_of_three))
    assert COUNT.read(brought).counted == 3


def test_a_part_of_a_trace_that_has_ended_takes_no_change() -> None:
    """Our choice: nobody is to think that something was kept which is gone."""
    two = Two()
    made = two.a.make()
    two.kept.records.clear()
    with pytest.raises(TraceGone):
        two.a.do(two.a.store.change(made, COUNT, _count))


@settings(deadline=None, max_examples=150)
@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"),
            st.sampled_from(["record", "record", "record", "flush", "deaf", "look", "part", "skip", "lost"]),
        ),
        max_size=60,
    )
)
def test_whatever_nodes_do_all_have_the_same_records_in_one_order(steps: list[tuple[str, str]]) -> None:
    """Our choice: there is one record, whoever looks at it; nothing is lost that was kept, or there twice."""
    clock = Clock()
    kept = clocked(clock)
    nodes = {name: TraceNode(kept, name, clock, LIMITS._replace(exchanges=20)) for name in "abc"}
    made = nodes["a"].make()
    recorded = skipped = changed = 0
    for name, step in steps:
        node = nodes[name]
        trace = node.find(made.id) if step in ("record", "look", "part", "skip") else None
        if step == "record" and trace is not None:
            recorded += 1
            node.store.take(trace, node.exchange(session=f"s{recorded}"), 0)
        elif step == "skip" and trace is not None:
            skipped += 1
            node.store.skip(trace)
        elif step == "part" and trace is not None:
            changed += 1
            node.do(node.store.change(trace, COUNT, _count))
        elif step == "flush":
            clock.advance(FLUSH_SECONDS)
        elif step == "deaf":
            kept.nodes.pop(name, None)
        elif step == "lost":
            node.store.replaced()
    # What waited in a copy that was let go of is not there; here each has flushed before.
    clock.advance(FLUSH_SECONDS)
    seen = [node.bring(made.id) for node in nodes.values()]
    assert all(trace is not None for trace in seen)
    views = [
        [(r.number, r.node, r.session) for r in t.records if isinstance(r, ExchangeRecord)] for t in seen if t
    ]
    assert views[0] == views[1] == views[2]
    assert len(views[0]) <= 20
    totals = {(t.exchanges, t.dropped, t.unrecorded, COUNT.read(t).counted) for t in seen if t}
    assert len(totals) == 1
    if not any(step == "lost" for _, step in steps):
        ((exchanged, dropped, unrecorded, parts),) = totals
        assert (exchanged, unrecorded, parts) == (recorded + skipped, skipped, changed)
        assert dropped == max(0, recorded - 20)
        newest = [session for _, _, session in views[0]]
        assert len(newest) == len(set(newest)) == min(recorded, 20)


@settings(deadline=None, max_examples=200)
@given(
    st.lists(
        st.tuples(
            st.sampled_from("ab"),
            st.sampled_from(["take", "take", "time", "part", "step", "step", "refused"]),
        ),
        max_size=60,
    ),
    st.randoms(use_true_random=False),
)
def test_in_whichever_order_the_engine_answers_nothing_is_lost_or_there_twice(
    steps: list[tuple[str, str]], random: Random
) -> None:
    """Our choice: as above, with operations of one node and of several under way at the same time."""
    two = Two(LIMITS._replace(exchanges=1000, bytes=10_000_000))
    nodes = {"a": two.a, "b": two.b}
    made = two.a.make()
    traces = {name: node.find(made.id) for name, node in nodes.items()}
    for node in nodes.values():
        node.engine.stepping = True
    changes = recorded = 0
    outcomes: list[bool] = []
    for name, step in steps:
        node, trace = nodes[name], traces[name]
        assert trace is not None
        if step == "take":
            recorded += 1
            node.store.take(trace, node.exchange(session=f"s{recorded}"), 0)
        elif step == "part":
            changes += 1
            change = Deferred.fromCoroutine(node.store.change(trace, COUNT, _count))
            # At once: Hypothesis may give an example up in its midst.
            change.addCallbacks(lambda _: True, lambda failure: not failure.trap(TracesUnavailable))
            change.addCallback(outcomes.append)
        elif step == "time":
            two.clock.advance(FLUSH_SECONDS)
        elif node.engine.under_way:
            fate = "refused" if step == "refused" else "done"
            node.engine.step(random.randrange(len(node.engine.under_way)), fate)
    for node in nodes.values():
        node.engine.stepping = False
        while node.engine.under_way:
            node.engine.step(random.randrange(len(node.engine.under_way)))
    pass_time(two.clock, 5, two.a, two.b)
    assert len(outcomes) == changes
    for node in nodes.values():
        trace = node.bring(made.id)
        assert trace is not None
        shown = [each.session for each in trace.records if isinstance(each, ExchangeRecord)]
        assert len(shown) == len(set(shown))
        assert (trace.exchanges, len(shown) + trace.unrecorded) == (recorded, recorded)
        assert COUNT.read(trace).counted == sum(outcomes)
