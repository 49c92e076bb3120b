"""Watches what a client does after one exchange was hit by a fault. No I/O."""

from __future__ import annotations

from typing import NamedTuple

from mcp_echo.watch.drill_acts import (
    LEGS,
    Act,
    act_of,
    has_other_token,
    is_of_client,
    kind_of,
    leg_of,
    subject_of,
    wait_of,
)
from mcp_echo.watch.drill_outcomes import DrillVerdict, Outcome
from mcp_echo.watch.records import ExchangeRecord, Record, StreamRecord
from mcp_echo.watch.rules.calls_over_time import CANCELLED_WITHIN, EARLY
from mcp_echo.watch.rules.facts import LAST_EVENT, is_modern, revision_of, value
from mcp_echo.watch.rules.over_time import brings_session, called, crossed, earlier, seconds, session_of

WATCHED = 75.0
"""Seconds for which a drill watches, beside the time that the client was asked to wait: most clients that
give a request up do so after 60 s."""

_LONG = 10_000
"""Milliseconds from which on people are told seconds."""

_WEAK: frozenset[Outcome] = frozenset({"went-on", "ended"})
"""Outcomes that take no other's place."""


_MOST_HELD = 120
"""Seconds that a fault may hold an answer."""


class _Cut(NamedTuple):
    """The end of the stream that has answered."""

    at: float
    tag: str
    retry: int | None


class Watched:
    """One exchange that was hit, and what comes after it.

    Args:
        hit: The exchange.
        name: What its client calls itself; None where that is not known.
    """

    def __init__(self, hit: ExchangeRecord, name: str | None) -> None:
        self.hit = hit
        self._name = name
        self._subject = subject_of(hit)
        self._before = earlier(hit)
        self._wait = wait_of(hit)
        self._tag: str | None = None
        """The name of the stream that answers."""
        self._cut: _Cut | None = None
        self._found: DrillVerdict | None = None
        self._is_over = False
        if self._subject == "slow":
            self._begin_slow()

    def see(self, record: Record) -> bool:
        """Look at what came later; return whether the verdict stands.

        Args:
            record: The next one by when it began.
        """
        if self._is_over or record.at >= self._deadline:
            self._is_over = True
        elif isinstance(record, StreamRecord):
            self._stream(record)
        elif isinstance(record, ExchangeRecord) and is_of_client(self.hit, record, self._name):
            self._exchange(record, act_of(self.hit, record))
        return self._is_over

    def stop(self, at: float) -> None:
        """Watch no longer, for want of room.

        Args:
            at: When; seconds of the wall clock.
        """
        self._found = self.verdict(at)
        self._is_over = True
        if self._found.outcome == "nothing-yet":
            summary = "Others were hit before anything came, and this one was watched no longer."
            self._found = DrillVerdict(outcome="unwatched", summary=summary)

    def verdict(self, now: float) -> DrillVerdict:
        """Return the verdict as it stands.

        Args:
            now: Seconds of the wall clock.
        """
        if self._found is not None:
            return self._found
        if self._is_over or now >= self._deadline:
            watched = seconds(self._deadline - self._before.answered)
            return DrillVerdict(outcome="silent", summary=f"Nothing has come in {watched}.")
        quiet = seconds(now - self._before.answered)
        return DrillVerdict(
            outcome="nothing-yet", summary=f"Nothing has come for {quiet}: it may wait, or have given up."
        )

    @property
    def _deadline(self) -> float:
        held = _MOST_HELD if self._subject == "slow" and self.hit.streamed else 0
        return self._before.answered + WATCHED + (self._wait or held)

    def _stream(self, record: StreamRecord) -> None:
        """Learn when the stream that answered was over."""
        if record.session is None or record.session != session_of(self.hit) or record.at < self.hit.at:
            return
        if record.kind in ("open", "resume"):
            answers = record.tag.startswith("g" if self.hit.http_method == "GET" else "r")
            self._tag = self._tag or (record.tag if answers else None)
        if record.tag != self._tag or record.kind not in ("hang-up", "close") or self._cut is not None:
            return
        self._cut = _Cut(record.at, record.tag, record.retry)
        if self._subject == "slow" and record.kind == "close":
            self._end_slow(record, record.at, left=record.why == "left")

    def _exchange(self, record: ExchangeRecord, act: Act) -> None:
        if self._subject == "slow":
            self._while_slow(record, act)
        elif self._subject == "session":
            self._without_session(record, act)
        elif self._subject == "flow":
            self._in_flow(record, act)
        else:
            self._after(record, act)

    # The answer takes its time.

    def _begin_slow(self) -> None:
        hit = self.hit
        if hit.left is not None:
            self._end_slow(hit, hit.at + hit.left, left=True)
        elif hit.status is not None and hit.last is not None and not hit.streamed:
            self._end_slow(hit, hit.at + hit.last, left=False)

    def _end_slow(self, record: Record, at: float, *, left: bool) -> None:
        passed = _milliseconds(at - self.hit.at)
        hung_up = f"Hung up after {_span(passed)}, before the answer had ended."
        self._found = DrillVerdict(
            outcome="left" if left else "stayed",
            summary=hung_up if left else f"Waited {_span(passed)} for the answer.",
            milliseconds=passed,
            exchange=record.number,
        )

    def _while_slow(self, record: ExchangeRecord, act: Act) -> None:
        end = self.hit.at + (self.hit.left or self.hit.last or _MOST_HELD)
        if act == "cancel" and record.at <= end + (CANCELLED_WITHIN if self.hit.left is not None else 0):
            self._say("cancelled", record, "Cancelled the request", since=self.hit.at)
        elif record.at > end and self._found is None:
            # The server itself has closed the connection, without an answer.
            self._after(record, act)
        elif record.at > end + CANCELLED_WITHIN:
            self._is_over = True
        elif act == "repeat" and record.at <= end:
            self._say("repeated", record, "Sent the same request again", since=self.hit.at)
        elif act == "initialize" and record.at <= end:
            self._say("began-anew", record, "Began anew", since=self.hit.at)

    # The session is gone.

    def _without_session(self, record: ExchangeRecord, act: Act) -> None:
        if act == "initialize":
            self._say("began-anew", record, "Began anew")
        elif act == "delete":
            self._say("ended", record, "Ended the session with DELETE")
        elif act != "none" and brings_session(record):
            if not crossed(self._before, record):
                self._say("kept-dead-id", record, "Sent the dead session id again")
        else:
            self._after(record, act)

    # A document or a step of OAuth is not as it should be.

    def _in_flow(self, record: ExchangeRecord, act: Act) -> None:
        leg, before = leg_of(record), leg_of(self.hit) or ""
        if act != "leg" or leg is None:
            self._after(record, act)
        elif LEGS[leg] > LEGS[before]:
            self._say("went-on", record, f"Went on with {leg}")
        elif LEGS[leg] < LEGS[before]:
            self._say("began-anew", record, f"Began again with {leg}")
        elif record.path != self.hit.path:
            self._say("asked-elsewhere", record, f"Asked {record.path.rstrip('.')}")
        else:
            self._say("repeated", record, "Took the same step again")

    # Everything else.

    def _after(self, record: ExchangeRecord, act: Act) -> None:
        if act == "cancel":
            self._say("cancelled", record, "Cancelled the request")
        elif act == "repeat":
            self._again(record)
        elif act == "resume":
            self._resumed(record)
        elif act == "initialize":
            how = "Fell back to initialize" if is_modern(self.hit) else "Began anew"
            self._say("began-anew", record, how)
        elif act == "delete":
            self._say("ended", record, "Ended the session with DELETE")
        elif act == "leg":
            self._say("asked-for-token", record, f"Asked for {leg_of(record)}")
        elif self._subject == "redirect" and act == "listen" and record.path != self.hit.path:
            self._say("followed", record, "Followed the redirect with GET")
        elif act == "request" and not crossed(self._before, record):
            self._request(record)

    def _request(self, record: ExchangeRecord) -> None:
        if self._subject == "token" and has_other_token(self.hit, record):
            self._say("asked-for-token", record, "Came with another token")
        else:
            self._say("went-on", record, f"Went on with {called(record.messages[0])}")

    def _again(self, record: ExchangeRecord) -> None:
        if self._wait is not None:
            self._after_wait(record, self._wait)
        elif self._subject == "redirect" and record.path != self.hit.path:
            self._say("followed", record, "Followed the redirect")
        elif self._subject == "token" and has_other_token(self.hit, record):
            self._say("asked-for-token", record, "Came back with another token")
        else:
            self._say("repeated", record, "Sent the same request again")

    def _after_wait(self, record: ExchangeRecord, wait: int) -> None:
        if record.at - self._before.answered >= wait * EARLY:
            self._say("waited", record, "Came back", f", as Retry-After: {wait} asks")
        else:
            self._say("did-not-wait", record, "Came back", f"; Retry-After asked for {wait} s")

    def _resumed(self, record: ExchangeRecord) -> None:
        if not self.hit.streamed and kind_of(self.hit) != "cut":
            return
        cut, named = self._cut, value(record, LAST_EVENT) or ""
        since = None if cut is None else cut.at
        if is_modern(self.hit):
            wrong = f" with {LAST_EVENT}, which {revision_of(self.hit).name} does not have"
            self._say("resumed-wrong", record, "Came back", wrong, since)
        elif record.gap is not None:
            self._say("resumed-wrong", record, "Came back", f" with a {LAST_EVENT} that leads nowhere", since)
        elif cut is not None and record.status == 200 and named.rpartition("-")[0] != cut.tag:
            # It takes up another stream.
            return
        elif cut is not None and (record.at - cut.at) * 1000 < (cut.retry or 0) * EARLY:
            self._say("did-not-wait", record, "Came back", f"; retry asked for {cut.retry} ms", since)
        elif record.status == 200:
            self._say("resumed", record, "Resumed", f" with the right {LAST_EVENT}", since)
        else:
            answer = f" with {LAST_EVENT}; it was answered {record.status or 'nothing'}"
            self._say("resumed", record, "Came back", answer, since)

    def _say(
        self, outcome: Outcome, record: Record, did: str, more: str = "", since: float | None = None
    ) -> None:
        """Note an outcome, unless one was noted that says more.

        Args:
            outcome: What it is.
            record: What shows it.
            did: What the client did, as the sentence begins.
            more: What the sentence goes on with, behind the time.
            since: Seconds of the wall clock that it is timed from; None for the answer.
        """
        self._is_over = not self._may_change(outcome)
        if self._found is not None and outcome in _WEAK:
            return
        passed = _milliseconds(record.at - (self._before.answered if since is None else since))
        summary = f"{did} after {_span(passed)}{more}."
        self._found = DrillVerdict(
            outcome=outcome, summary=summary, milliseconds=passed, exchange=record.number
        )

    def _may_change(self, outcome: Outcome) -> bool:
        """Return whether what comes after an outcome may say more."""
        if outcome == "ended":
            return self._subject == "session"
        return outcome == "went-on" and (self._wait is not None or self.hit.streamed)


def _milliseconds(span: float) -> int:
    return max(round(span * 1000), 0)


def _span(milliseconds: int) -> str:
    return f"{milliseconds:,} ms" if milliseconds < _LONG else seconds(milliseconds / 1000)
