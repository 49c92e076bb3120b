"""What one client does in the modern era, step by step. No I/O."""

from __future__ import annotations

from mcp_echo.protocol.texts import timestamp
from mcp_echo.watch.findings import ClientName, Flow, FlowState
from mcp_echo.watch.legacy_flow import CALLS, LISTS, MOST_LISTS, counted, failure_of
from mcp_echo.watch.records import ExchangeRecord, MessageRecord
from mcp_echo.watch.rules.over_time import answered, called, clock
from mcp_echo.watch.steps import Steps

STEPS = ("discover", "list", "call", "input-required", "retry", "listen")
OPTIONAL = frozenset(STEPS)

RETRIED_WITHIN = 60.0
"""Seconds in which a client comes back with what it was asked for."""

_WORK = ("discover", "list", "call", "retry", "listen")


class ModernFlow:
    """The flow of one caller.

    Args:
        record: The first exchange of that caller.
    """

    def __init__(self, record: ExchangeRecord) -> None:
        self.steps = Steps(STEPS)
        self.begun = record.at
        self._client: ClientName | None = None
        self._revision = record.revision
        self._failure = ""
        """What the last request that failed was answered with, and when."""
        self._asked: dict[tuple[str, str], tuple[str, float]] = {}
        """Method and name of a call → what it was asked, and when."""
        self._listed: set[tuple[str, str | None]] = set()
        self._last = record.at
        self._fell_back: float | None = None
        """When its client began a session instead, where nothing had worked."""

    def exchange(self, record: ExchangeRecord) -> None:
        """Take the steps that an exchange shows."""
        self._last = record.at
        self._revision = record.revision or self._revision
        if record.client is not None:
            self._client = ClientName(record.client, record.client_version)
        for message in record.messages:
            if message.kind == "request":
                self._request(record, message)

    def _request(self, record: ExchangeRecord, message: MessageRecord) -> None:
        call = (message.method or "", message.name or "")
        step = _step(message)
        if step == "retry":
            self._asked.pop(call, None)
        if step is not None:
            self._take(step, record, message)
        if message.result.asks or message.result.state is not None:
            self.steps.take("input-required", record.number, answered(record))
            if len(self._asked) < MOST_LISTS:
                self._asked[call] = (called(message), answered(record))

    def _take(self, step: str, record: ExchangeRecord, message: MessageRecord) -> None:
        failure = failure_of(record, message)
        if failure is not None:
            self._failure = f"{failure} at {clock(answered(record))}"
        page = (message.method or "", message.params.cursor)
        again = step in ("list", "discover") and page in self._listed
        if len(self._listed) < MOST_LISTS:
            self._listed.add(page)
        self.steps.take(
            step,
            record.number,
            record.at,
            failure=self._failure if failure is not None else None,
            again=again,
        )

    def fell_back(self, at: float) -> None:
        """Learn that its client has begun a session of the legacy era, where nothing has worked here."""
        if self._fell_back is None and not self.steps.worked(_WORK):
            self._fell_back = at

    def flow(self, now: float) -> Flow:
        """Return the flow as it stands.

        Args:
            now: Seconds of the wall clock.
        """
        late = {call: asked for call, asked in self._asked.items() if now >= asked[1] + RETRIED_WITHIN}
        state, verdict = self._verdict(late)
        return Flow(
            kind="modern",
            state=state,
            verdict=verdict,
            steps=self.steps.shown({"retry"} if late else (), OPTIONAL if state != "running" else ()),
            client=self._client,
            revision=self._revision,
            begun=timestamp(self.begun),
        )

    def _verdict(self, late: dict[tuple[str, str], tuple[str, float]]) -> tuple[FlowState, str]:
        if late:
            what, at = next(iter(late.values()))
            return (
                "stopped",
                f"{what} was answered with questions at {clock(at)}, and has not come again since",
            )
        if self._asked:
            what, at = next(iter(self._asked.values()))
            return "running", f"{what} was answered with questions at {clock(at)}, and may come again"
        if self.steps.worked(_WORK):
            calls = self.steps["call"].count + self.steps["retry"].count
            failures = self.steps.failures(_WORK)
            return "complete", f"{counted(calls)}; the last request came at {clock(self._last)}{failures}"
        return "failed", f"Every request failed; the last got {self._failure or 'no answer'}{self._instead()}"

    def _instead(self) -> str:
        return f", and a session was begun at {clock(self._fell_back)}" if self._fell_back is not None else ""


def _step(message: MessageRecord) -> str | None:
    """Return the step that a request is; None for what is none."""
    if message.params.inputs is not None or message.params.state is not None:
        return "retry"
    if message.method in LISTS:
        return "list"
    if message.method in CALLS:
        return "call"
    return {"server/discover": "discover", "subscriptions/listen": "listen"}.get(message.method or "")
