"""streamProbe: when events are written, what it makes of the answers, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jsonschema
import pytest

from mcp_echo.protocol.errors import TooMuchHeldByOne
from mcp_echo.sessions.limits import Limits
from mcp_echo.settings.load import load
from mcp_echo.tools.base import AskError, SentPing
from mcp_echo.watch.observer import Watch
from mcp_echo.watch.records import ProbeRecord, Record
from tests.tools.support import Nobody, Scene, sent

LEGACY, MODERN = "2025-11-25", "2026-07-28"
POST, GET = "the stream of this POST", "the stream of a GET"

Arrives = Callable[[int, float], float | None]
"""Returns when a ping is answered: its place from 0, and when it was written."""


class _Ping(SentPing):
    def __init__(self, number: int, written: float, arrives: Arrives, now: Callable[[], float]) -> None:
        self.written = written
        self.refused = False
        self.dropped = False
        self._number = number
        self._arrives = arrives
        self._now = now

    @property
    def answered(self) -> float | None:  # type: ignore[override]
        at = self._arrives(self._number, self.written)
        return None if at is None or self._now() < at or self.dropped else at

    def drop(self) -> None:
        self.dropped = True


class Answering(Nobody):
    """A client's end that answers pings when it is told to."""

    def __init__(self, scene: Scene, arrives: Arrives, ways: Sequence[str] = (POST,)) -> None:
        super().__init__(scene.advance)
        self._scene = scene
        self._arrives = arrives
        self._ways = ways
        self.sizes: list[int] = []
        self.pings: list[_Ping] = []
        self.silent = 0.0

    def ways(self) -> Sequence[str]:
        return self._ways

    def send_ping(self, way: str, padding: str) -> SentPing:
        assert way in self._ways
        number = len(self.pings) // len(self._ways)
        self.sizes.append(len(padding))
        ping = _Ping(number, self._scene.now(), self._arrives, self._scene.now)
        self.pings.append(ping)
        return ping

    async def silence(self, seconds: float) -> None:
        self.silent += seconds
        await super().silence(seconds)


class ProbeScene(Scene):
    """A scene whose calls are recorded, and whose late work goes on by hand."""

    def __init__(self, arrives: Arrives, revision: str = LEGACY, ways: Sequence[str] = (POST,)) -> None:
        super().__init__(revision=revision)
        self.client = self.back_channel = Answering(self, arrives, ways)
        self.later: list[Any] = []
        object.__setattr__(self.context, "spawn", self.later.append)

    def request(self, *args: Any, **kwargs: Any) -> Any:
        call = super().request(*args, **kwargs)
        insight = self.context.insight
        assert insight is not None
        call.request.seen.watch = Watch((insight.recorder.see,), self.now, lambda _: None)
        return call

    def probe(self, **arguments: Any) -> Any:
        answer = self.call("streamProbe", arguments)
        assert not answer.is_error, answer.text
        schema = self.tools["streamProbe"].describe(self.revision)["outputSchema"]
        jsonschema.Draft202012Validator(schema).validate(sent(answer))
        self.text_shown = answer.text
        return sent(answer)

    @property
    def records(self) -> list[ProbeRecord]:
        insight = self.context.insight
        assert insight is not None
        assert insight.plain is not None
        kept: list[Record] = list(insight.plain.records)
        return [each for each in kept if isinstance(each, ProbeRecord)]

    @property
    def found(self) -> set[str]:
        insight = self.context.insight
        assert insight is not None
        assert insight.plain is not None
        return {each.id for each in insight.report(insight.plain).findings}


def at_once(_number: int, written: float) -> float:
    return written + 0.01


def never(_number: int, _written: float) -> None:
    return None


def test_events_are_written_at_their_cadence_and_the_answers_timed() -> None:
    """docs/tools.md: streamProbe; the last event comes after the silence."""
    scene = ProbeScene(at_once)
    result = scene.probe(events=4, every=0.5, silence=2, bytes=100)
    assert result["events"] == [[0, 10, 10], [500, 510, 10], [1000, 1010, 10], [3000, 3010, 10]]
    assert result["verdict"] == "prompt"
    assert f"On {POST} (prompt), in ms since the first event:\n- Event 1: written 0, " in scene.text_shown
    assert result["notes"] == ["The stream has outlived 2 s of silence"]
    assert scene.client.silent == pytest.approx(2)
    assert scene.client.sizes == [100] * 4
    assert all(ping.dropped for ping in scene.client.pings)
    assert scene.text_shown.endswith("Verdict: ✅ prompt: each event arrives as it is written")
    (record,) = scene.records
    assert record.written == pytest.approx((0, 0.5, 1.0, 3.0))
    assert record.answered == pytest.approx((0.01, 0.51, 1.01, 3.01))
    assert (record.way, record.cut) == ("post", None)
    assert record.silence == pytest.approx(2)
    assert scene.found == set()


def test_events_that_arrive_together_are_collected_by_something() -> None:
    """Seen: through a relay that holds what comes for two seconds."""
    begun: list[float] = []

    def together(number: int, written: float) -> float:
        begun.append(written)
        return begun[0] + 2.2 + number * 0.015

    scene = ProbeScene(together)
    result = scene.probe()
    assert result["verdict"] == "buffered"
    clump = f"Events 1 to 5 on {POST}, written over 1200 ms, were answered within 60 ms"
    assert result["notes"] == [clump]
    assert f"- Note: {clump}\n" in scene.text_shown
    assert scene.found == {"stream-buffered"}


def test_what_nobody_answers_is_pushed_and_then_waited_for_after_the_end() -> None:
    """Our choice: some gateways pass a full buffer on, others only what has ended."""
    scene = ProbeScene(never)
    result = scene.probe()
    assert result["verdict"] == "unanswered"
    assert scene.client.sizes == [0] * 5 + [64 * 1024]
    assert scene.elapsed == pytest.approx(1.2 + 3 + 3, abs=0.2)
    assert result["events"] == [[0], [300], [600], [900], [1200]]
    assert scene.records == []

    ended = scene.now()
    scene.client._arrives = lambda _number, _written: ended + 0.5
    for ping in scene.client.pings:
        ping._arrives = scene.client._arrives
    (late,) = scene.later
    with pytest.raises(StopIteration):
        late.send(None)
    (record,) = scene.records
    assert None not in record.answered
    assert scene.found == {"stream-buffered"}
    assert all(ping.dropped for ping in scene.client.pings)


def test_each_stream_that_leads_to_the_client_is_told_of() -> None:
    """Our choice: a gateway may treat the stream of a POST and that of a GET differently."""
    scene = ProbeScene(at_once, ways=(POST, GET))
    result = scene.probe(events=3)
    assert result["events"] == [[0, 10, 10], [300, 310, 10], [600, 610, 10]]
    assert result["notes"] == [f"On {GET} (prompt) the answers took, in ms: 10, 10, 10"]
    assert f"\nOn {GET} (prompt), in ms since the first event:\n" in scene.text_shown
    assert [each.way for each in scene.records] == ["post", "get"]
    assert [each.silence for each in scene.records] == [0.0, 0.0]


def test_silence_is_that_of_the_stream_of_the_call_alone() -> None:
    """Our choice: what the stream of a GET carries is the session's, and may be anything."""
    scene = ProbeScene(at_once, ways=(POST, GET))
    scene.probe(events=3, silence=2)
    assert [each.silence for each in scene.records] == [pytest.approx(2), 0.0]


class Leaving(Answering):
    """A client's end that is gone after some seconds of silence."""

    after = 2.0

    async def silence(self, seconds: float) -> None:
        if self.silent + seconds > self.after:
            self.request.left = self._scene.now() + self.after - self.silent
        await super().silence(seconds)


def test_a_stream_that_is_cut_while_it_is_silent_is_a_finding_at_once() -> None:
    """docs/findings.md: once in a streamProbe."""
    scene = ProbeScene(at_once)
    client = Leaving(scene, at_once)
    scene.client = scene.back_channel = client
    whole = scene.request

    def request(*args: Any, **kwargs: Any) -> Any:
        call = whole(*args, **kwargs)
        client.request = call.request.seen
        return call

    scene.request = request  # type: ignore[method-assign]
    result = scene.probe(events=3, silence=10)
    assert (result["verdict"], result["cutAfter"]) == ("cut-idle", pytest.approx(2.0))
    assert result["notes"] == ["The stream was closed from the other end before event 3"]
    assert len(result["events"]) == 2
    assert scene.elapsed == pytest.approx(0.3 + 2.0, abs=0.11)
    assert scene.found == {"stream-cut-idle"}


def test_an_answer_too_early_to_tell_is_called_so() -> None:
    """Our choice: two events, or three within 100 ms, show nothing of what a gateway does."""
    scene = ProbeScene(at_once)
    assert scene.probe(events=2)["verdict"] == "answered"
    assert scene.probe(events=3, every=0.05)["verdict"] == "answered"
    assert scene.probe(events=3)["verdict"] == "prompt"


def test_without_a_stream_nothing_is_sent() -> None:
    """Our choice: the reason, in place of a verdict."""
    scene = ProbeScene(at_once, ways=())
    scene.client.obstacle = "This request's Accept does not list text/event-stream"
    result = scene.probe()
    assert result["verdict"] == "not-sent"
    assert result["events"] == []
    assert result["notes"][0] == f"{scene.client.obstacle}, and no stream of a GET is open"
    assert (scene.elapsed, scene.records) == (0, [])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"events": 50, "every": 30}, "written after 1470 s: at most 165 s are possible"),
        ({"events": 20, "every": 5, "silence": 120}, "written after 210 s"),
        ({"events": 50, "bytes": 16384}, "819200 bytes: at most 262144"),
        ({"events": 1, "silence": 1}, "takes 2 events at least"),
    ],
)
def test_what_would_take_too_long_or_too_much_is_refused(arguments: Any, said: str) -> None:
    """Our choice: 180 s in all, and 256 KiB of padding."""
    scene = ProbeScene(at_once)
    answer = scene.call("streamProbe", arguments)
    assert answer.is_error
    assert said in answer.text
    assert scene.client.pings == []


def test_a_way_that_takes_no_event_is_told_of() -> None:
    """Our choice: a stream may end while it is probed."""
    scene = ProbeScene(at_once)

    def closed(way: str, _padding: str) -> SentPing:
        raise AskError(f"No ping could be sent on {way}")

    scene.client.send_ping = closed  # type: ignore[method-assign]
    result = scene.probe()
    assert f"No ping could be sent on {POST}" in result["notes"]
    assert scene.records == []


# The modern era, which has no pings.


def test_modern_events_are_news_of_progress_which_nobody_acknowledges() -> None:
    """2026-07-28 basic/patterns/progress; its servers send no requests."""
    scene = ProbeScene(never, MODERN)
    scene.progress_token = "t"
    result = scene.probe(events=3, bytes=10)
    assert result["verdict"] == "unacknowledged"
    params = [params for method, params in scene.client.notified if method == "notifications/progress"]
    assert [(each["progress"], each["total"], each["message"]) for each in params] == [
        (1, 3, "x" * 10),
        (2, 3, "x" * 10),
        (3, 3, "x" * 10),
    ]
    assert result["events"] == [[0], [300], [600]]
    assert any("/probe/stream" in note for note in result["notes"])
    (record,) = scene.records
    assert record.answered == ()
    assert scene.found == set()


def test_a_modern_call_without_a_token_is_told_where_to_look() -> None:
    """As above: without a token there is nothing to send."""
    scene = ProbeScene(never, MODERN)
    result = scene.probe()
    assert result["verdict"] == "not-sent"
    assert result["notes"][0] == "The request has no progressToken in its _meta"
    assert "/probe/stream" in result["notes"][1]


@pytest.mark.parametrize("way", [GET, "the session's one stream"])
def test_without_a_stream_of_the_call_nothing_is_said_of_silence(way: str) -> None:
    """Our choice: such a stream carries what the session has, keep-alives included."""
    scene = ProbeScene(at_once, ways=(way,))
    result = scene.probe(events=3, silence=2)
    assert result["verdict"] == "prompt"
    assert result["notes"] == [
        "Other streams than that of the call may have carried something in the silence"
    ]
    assert scene.client.silent == 0
    (record,) = scene.records
    assert (record.way, record.silence, record.cut) == ("get", 0.0, None)


def test_what_the_events_hold_counts_in_the_share_of_the_caller() -> None:
    """Our choice: whatever a client can make the server hold has a share and a bound."""
    scene = ProbeScene(at_once)
    limits = scene.context.limits
    owner = limits.owner(None, "127.0.0.1")
    held: list[int] = []
    scene.client._arrives = lambda _number, written: held.append(limits.held.of(owner)) or written
    scene.probe(events=4, bytes=1000)
    assert set(held) == {4000 + 64 * 1024}
    assert limits.held.of(owner) == 0
    scene = ProbeScene(at_once)
    object.__setattr__(
        scene.context, "limits", Limits(load({}, {"MCP_ECHO_MAX_HELD_BYTES": "100000"}).settings)
    )
    with pytest.raises(TooMuchHeldByOne):
        scene.call("streamProbe", {"events": 4})
    assert scene.client.pings == []
