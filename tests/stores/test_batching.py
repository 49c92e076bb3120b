"""How operations that wait are carried out together, with nothing behind the queue but a test."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred

from mcp_echo.protocol.errors import StoreUnavailable
from mcp_echo.stores import batching
from mcp_echo.stores.batching import Queue, Room


class Bench:
    """A queue whose batches a test carries out."""

    def __init__(self, room: Room | None = None) -> None:
        self.ready = True
        """Whether batches are taken."""
        self.batches: list[list[str]] = []
        self.told: list[tuple[str, Any]] = []
        """What became of each, in the order in which it was told."""
        self.queue: Queue[str] = Queue(self.begin, room or Room())

    def begin(self) -> None:
        if self.ready:
            self.batches.append(self.queue.take())

    def add(self, *names: str, size: int = 0, first: bool = False) -> Deferred[Any]:
        for name in names:
            answer = self.queue.add(name, size, first)
            answer.addErrback(lambda failure: failure.type)
            answer.addCallback(lambda outcome, name=name: self.told.append((name, outcome)))
        return answer

    def answer(self) -> None:
        """Carry out the batch that is on the way."""
        self.queue.done([name.upper() for name in self.batches[-1]])


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_what_comes_while_others_are_on_the_way_goes_together(bench: Bench) -> None:
    """Our choice: the price of a batch is shared, and a client that is alone does not wait."""
    bench.add("a", "b", "c")
    assert bench.batches == [["a"]]
    bench.answer()
    assert bench.batches == [["a"], ["b", "c"]]
    bench.answer()
    assert bench.told == [("a", "A"), ("b", "B"), ("c", "C")]
    bench.add("d")
    assert bench.batches[-1] == ["d"]


def test_the_next_batch_is_begun_before_the_last_one_is_told_of(bench: Bench) -> None:
    """Our choice: the store works while this process does."""
    begun: list[int] = []
    bench.add("a").addCallback(lambda _: begun.append(len(bench.batches)))
    bench.add("b")
    bench.answer()
    assert begun == [2]


def test_a_batch_is_bounded_in_number_and_in_size(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Our choice: nothing else is done while one is worked on; what is larger than that goes alone."""
    monkeypatch.setattr(batching, "BATCH_CALLS", 3)
    monkeypatch.setattr(batching, "BATCH_BYTES", 10)
    bench.add("first")
    bench.add(*"abcd", size=1)
    bench.add(*"ef", size=5)
    bench.add("large", size=99)
    bench.add("g", size=1)
    for _ in range(5):
        bench.answer()
    assert bench.batches == [["first"], ["a", "b", "c"], ["d", "e"], ["f"], ["large"], ["g"]]


def test_what_goes_first_is_in_the_next_batch_before_all_others(bench: Bench) -> None:
    """Our choice: of a batch Redis refuses what it has no memory for only until something was written."""
    bench.add("a", "b")
    bench.add("trial", first=True)
    bench.answer()
    assert bench.batches == [["a"], ["trial", "b"]]


def test_each_is_told_what_became_of_it(bench: Bench) -> None:
    """Interface, submit: a mistake in one request is no failure of the others."""
    bench.add("a", "b", "c", "d")
    bench.answer()
    bench.queue.done(["B", ValueError("wrong"), "D"])
    assert bench.told == [("a", "A"), ("b", "B"), ("c", ValueError), ("d", "D")]


def test_what_there_is_no_outcome_for_waits_again_before_what_came_later(bench: Bench) -> None:
    """Interface, submit: in order; an answer that is long comes in several parts."""
    bench.add("a", "b", "c", "d")
    bench.answer()
    bench.add("e")
    bench.queue.done(["B"])
    assert bench.batches[-1] == ["c", "d", "e"]
    assert bench.told == [("a", "A"), ("b", "B")]


def test_a_batch_that_failed_is_refused_and_the_next_goes_on(bench: Bench) -> None:
    """Our choice: whoever waits may have better luck."""
    bench.add("a", "b")
    bench.queue.fail()
    assert bench.told == [("a", StoreUnavailable)]
    assert bench.batches == [["a"], ["b"]]


def test_a_batch_that_was_put_back_waits_until_it_is_to_go_on(bench: Bench) -> None:
    """Redis cluster specification, resharding: what is sent back at once would come back at once."""
    bench.add("a", "b")
    bench.queue.put_back()
    assert bench.batches == [["a"]]
    bench.queue.go_on()
    assert bench.batches == [["a"], ["a", "b"]]


def test_what_waits_is_refused_and_what_is_on_the_way_is_not(bench: Bench) -> None:
    """Our choice: nobody waits for what is not tried; what was begun may have been done."""
    bench.add("a", "b", "c")
    bench.queue.refuse()
    assert bench.told == [("b", StoreUnavailable), ("c", StoreUnavailable)]
    bench.answer()
    assert bench.told[-1] == ("a", "A")
    assert bench.batches == [["a"]]


def test_refusals_name_a_time_that_is_not_everybodys(bench: Bench) -> None:
    """docs/scaling.md: a Retry-After of 1 to 3 seconds at random."""
    bench.ready = False
    waiting = [bench.queue.add(f"{number}") for number in range(50)]
    bench.queue.refuse()
    assert {failed(each).retry_after for each in waiting} == {1, 2, 3}


def failed(answer: Deferred[Any]) -> Any:
    found: list[Any] = []
    answer.addErrback(lambda failure: found.append(failure.value))
    return found[0]


def test_what_waits_waits_for_a_queue_that_is_not_ready(bench: Bench) -> None:
    """Our choice: a moment without a connection is no refusal."""
    bench.ready = False
    bench.add("a", "b")
    assert bench.batches == []
    bench.ready = True
    bench.queue.go_on()
    bench.queue.go_on()
    assert bench.batches == [["a", "b"]]


@pytest.mark.parametrize("end", ["done", "failed", "refused"])
def test_only_so_much_may_wait_in_all_queues_together(monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    """Design decision 8: nothing is buffered without bound, and what is over makes room."""
    monkeypatch.setattr(batching, "WAITING_CALLS", 4)
    monkeypatch.setattr(batching, "WAITING_BYTES", 100)
    room = Room()
    one, two = Bench(room), Bench(room)
    for _ in range(5):
        for each in (one, two):
            each.ready, each.told = False, []
            each.add("a", "b", size=10)
        two.add("too many")
        assert two.told == [("too many", StoreUnavailable)]
        for each in (one, two):
            each.ready = True
            each.queue.go_on()
            if end == "done":
                each.answer()
            elif end == "failed":
                each.queue.fail()
            else:
                each.queue.put_back()
                each.queue.refuse()
            assert len(each.told) == 2 + (each is two)
    one.ready = False
    one.add("fits", size=90)
    one.add("too large", size=11)
    assert one.told[2:] == [("too large", StoreUnavailable)]


def test_it_is_finished_once_nothing_waits_or_is_on_the_way(bench: Bench) -> None:
    """Interface, stop: finish what was begun."""
    assert bench.queue.finish().called
    bench.add("a", "b")
    finished = [bench.queue.finish(), bench.queue.finish()]
    bench.answer()
    assert not finished[0].called
    bench.answer()
    assert all(each.called for each in finished)
    assert bench.told == [("a", "A"), ("b", "B")]
    bench.ready = False
    bench.add("c")
    last = bench.queue.finish()
    assert not last.called
    bench.queue.refuse()
    assert last.called


def test_who_gives_up_waiting_hinders_nobody(bench: Bench) -> None:
    """Twisted's Deferred: whoever waits may cancel; the operation may be carried out all the same."""
    bench.add("a")
    leaving = bench.add("b")
    bench.add("c")
    leaving.cancel()
    bench.answer()
    bench.answer()
    assert bench.batches == [["a"], ["b", "c"]]
    assert bench.told[-1] == ("c", "C")
