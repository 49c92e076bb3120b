"""The events of a trace for a reader that is slower than they come."""

from __future__ import annotations

import json
from typing import Any, cast

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mcp_echo.transport.edge.exchange import HttpExchange
from mcp_echo.transport.trace_events import TraceEvents
from mcp_echo.watch.records import ExchangeRecord
from mcp_echo.watch.rules.table import RULES
from mcp_echo.watch.traces import Trace, TraceLimits, Traces, Wanted
from tests.transport.support import parse_events


class SlowReader:
    """What a reader has read so far; it has the producer wait after a few pieces."""

    def __init__(self, at_once: int) -> None:
        self.lines: list[bytes] = []
        self.body = b""
        self.producer: Any = None
        self._at_once = self._room = at_once

    def when_left(self, do: Any) -> None:
        pass

    def open(self, status: int) -> None:
        assert status == 200

    def registerProducer(self, producer: Any, _streaming: bool) -> None:
        self.producer = producer

    def write(self, data: bytes) -> None:
        self.body += data
        self._room -= 1
        if self._room == 0:
            self.producer.pauseProducing()

    def read_on(self) -> None:
        self._room = self._at_once
        self.producer.resumeProducing()

    @property
    def numbers(self) -> list[int]:
        return [int(each["id"]) for each in parse_events(self.body) if "id" in each]

    @property
    def beat(self) -> Any:
        beats = [each for each in parse_events(self.body) if each["event"] == "beat"]
        return json.loads(beats[-1]["data"])


class SlowReaderTests(SynchronousTestCase):
    def setUp(self) -> None:
        clock = Clock()
        limits = TraceLimits(10, 60, 20, 10**6, 10**6)
        self.traces = Traces(limits, RULES, clock.seconds)
        self.trace: Trace = self.traces.plan(Wanted(), "tests", 10)
        self.traces.add(self.trace)
        self.clock = clock

    def come(self, count: int) -> None:
        for _ in range(count):
            record = ExchangeRecord(number=self.trace.next_number(), at=self.clock.seconds())
            self.traces.keep(self.trace, record, 10)

    def follow(self, at_once: int, after: int = 0) -> SlowReader:
        reader = SlowReader(at_once)
        TraceEvents(cast(HttpExchange, reader), self.trace, set(), self.clock).start(after)
        return reader

    def test_it_is_given_the_rest_when_it_reads_on(self) -> None:
        """Our choice: a page that is opened late has everything that is kept."""
        self.come(15)
        reader = self.follow(6)
        assert reader.numbers == [1, 2, 3, 4, 5]
        self.come(2)
        while len(reader.numbers) < 17:
            before = len(reader.numbers)
            reader.read_on()
            assert len(reader.numbers) > before
        assert reader.numbers == list(range(1, 18))
        self.come(1)
        reader.read_on()
        assert reader.numbers[-1] == 18
        assert reader.beat["leftOut"] == 0

    def test_what_is_kept_no_more_is_counted(self) -> None:
        """Our choice: who reads is told what is missing."""
        self.come(10)
        reader = self.follow(4)
        assert reader.numbers == [1, 2, 3]
        self.come(20)
        for _ in range(8):
            reader.read_on()
        assert reader.numbers == [1, 2, 3, *range(11, 31)]
        assert reader.beat == {"leftOut": 7, "dropped": 10, "oldest": 11, "newest": 30}

    def test_who_comes_back_goes_on_where_it_was(self) -> None:
        """HTML, Server-sent events, Last-Event-ID."""
        self.come(10)
        assert self.follow(100, after=7).numbers == [8, 9, 10]
        assert self.follow(100, after=10).numbers == []

    def test_who_comes_back_after_the_server_began_anew_has_everything(self) -> None:
        """Our choice: numbers begin anew as well, and those that the reader has are of another record."""
        self.come(3)
        reader = self.follow(100, after=10)
        assert reader.numbers == [1, 2, 3]
        assert reader.beat["newest"] == 3
