"""What one client does with one session, step by step. No I/O."""

from __future__ import annotations

from mcp_echo.protocol.texts import timestamp
from mcp_echo.watch.findings import ClientName, Flow, FlowState
from mcp_echo.watch.records import ExchangeRecord, MessageRecord, SessionChange, StreamRecord
from mcp_echo.watch.rules.over_time import answered, clock, gone, seconds
from mcp_echo.watch.steps import Steps

STEPS = ("initialize", "initialized", "list", "call", "get-stream", "resume", "delete")
OPTIONAL = frozenset({"list", "call", "get-stream", "resume", "delete"})

READY_WITHIN = 10.0
"""Seconds from the answer to ``initialize`` to ``notifications/initialized``."""

BACK_WITHIN = 30.0
"""Seconds in which a client that was asked back comes for the rest of an answer."""

LISTS = frozenset({"tools/list", "prompts/list", "resources/list", "resources/templates/list"})
CALLS = frozenset({"tools/call", "prompts/get", "resources/read", "completion/complete"})

MOST_LISTS = 50
"""Pages of lists that are told apart."""

_ENDS = {
    "closed": "it was ended at {}",
    "expired": "it expired at {}, without DELETE",
    "displaced": "it made room for others at {}",
}


class LegacyFlow:
    """The flow of one session.

    Args:
        record: The exchange that made the session, or tried to, or the first that is seen of it.
    """

    def __init__(self, record: ExchangeRecord) -> None:
        self.steps = Steps(STEPS)
        self.begun = record.at
        self._session = record.session
        self._client = _client(record)
        self._revision = record.revision
        self._made = record.made
        self._answered = answered(record)
        """When the session was there."""
        self._failure = ""
        """What the last request that failed was answered with, and when."""
        self._lost: float | None = None
        """When its client was told that it is gone."""
        self._anew: float | None = None
        """When its client began another after that."""
        self._asked_back: dict[str, float] = {}
        """Stream of an answer → when its client was asked back for the rest."""
        self._ended: str | None = None
        self._listed: set[tuple[str, str | None]] = set()

    def exchange(self, record: ExchangeRecord) -> None:
        """Take the steps that an exchange shows."""
        self._client = self._client or _client(record)
        self._revision = self._revision or record.revision
        if gone(record) and self._lost is None:
            self._lost = answered(record)
        if record.http_method == "GET":
            self._get(record)
        elif record.http_method == "DELETE":
            self._take("delete", record, again="delete" in self.steps)
        for message in record.messages:
            self._message(record, message)

    def _get(self, record: ExchangeRecord) -> None:
        resumes = bool(record.values("last-event-id"))
        if resumes:
            self._asked_back.clear()
        step = "resume" if resumes else "get-stream"
        self._take(step, record, again=step == "get-stream" and step in self.steps)

    def _message(self, record: ExchangeRecord, message: MessageRecord) -> None:
        method = message.method or ""
        if method == "initialize":
            self._take("initialize", record, message, again="initialize" in self.steps)
        elif method == "notifications/initialized":
            self._take("initialized", record, again="initialized" in self.steps)
        elif method in LISTS:
            page = (method, message.params.cursor)
            self._take("list", record, message, again=page in self._listed)
            if len(self._listed) < MOST_LISTS:
                self._listed.add(page)
        elif method in CALLS:
            self._take("call", record, message)

    def _take(
        self, step: str, record: ExchangeRecord, message: MessageRecord | None = None, *, again: bool = False
    ) -> None:
        failure = failure_of(record, message)
        if failure is not None:
            self._failure = f"{failure} at {clock(answered(record))}"
        self.steps.take(
            step,
            record.number,
            record.at,
            failure=self._failure if failure is not None else None,
            again=again,
        )

    def stream(self, record: StreamRecord) -> None:
        """Wait for the client, where it was asked back for the rest of an answer."""
        if record.kind == "hang-up" and record.tag.startswith("r") and len(self._asked_back) < MOST_LISTS:
            self._asked_back[record.tag] = record.at
        elif record.kind == "resume":
            self._asked_back.pop(record.tag, None)

    def change(self, record: SessionChange) -> None:
        """Learn that the session has ended."""
        if record.kind == "end":
            self._ended = _ENDS.get(record.reason or "", "it ended at {}").format(clock(record.at))

    def begun_anew(self, at: float) -> None:
        """Learn that its client has begun another session, where it was told that this one is gone."""
        if self._lost is not None and self._anew is None:
            self._anew = at

    def flow(self, now: float) -> Flow:
        """Return the flow as it stands.

        Args:
            now: Seconds of the wall clock.
        """
        missing = self._missing(now)
        state, verdict = self._verdict(missing)
        return Flow(
            kind="legacy",
            state=state,
            verdict=verdict,
            steps=self.steps.shown(missing, OPTIONAL if state != "running" else ()),
            session=self._session,
            client=self._client,
            revision=self._revision,
            begun=timestamp(self.begun),
        )

    def _missing(self, now: float) -> set[str]:
        missing = set()
        if "initialize" not in self.steps:
            missing.add("initialize")
        elif self._made and "initialized" not in self.steps and now >= self._answered + READY_WITHIN:
            missing.add("initialized")
        if any(now >= at + BACK_WITHIN for at in self._asked_back.values()):
            missing.add("resume")
        return missing

    def _verdict(self, missing: set[str]) -> tuple[FlowState, str]:
        if "initialize" in self.steps and not self._made:
            return "failed", f"initialize got {self._failure or 'an answer without a session id'}"
        if self._lost is not None:
            return "failed", f"The session was answered 404 at {clock(self._lost)}, and {self._since_lost()}"
        if missing:
            return "stopped", self._stopped(missing)
        if self.steps.worked(("list", "call", "get-stream", "resume")):
            return "complete", self._done()
        if self._failure and ("list" in self.steps or "call" in self.steps):
            return "failed", f"Every request failed; the last got {self._failure}"
        return "running", self._so_far()

    def _since_lost(self) -> str:
        if self._anew is None:
            return "no new initialize has come since"
        return f"a new one was begun at {clock(self._anew)}"

    def _so_far(self) -> str:
        if "initialized" not in self.steps:
            return f"initialize was answered at {clock(self._answered)}, and nothing has come yet"
        since = clock(self.steps["initialized"].at)
        return f"The client is ready since {since}; {self._ended or 'it has asked for nothing yet'}"

    def _stopped(self, missing: set[str]) -> str:
        begun = clock(self._answered)
        if "initialize" in missing:
            return f"A request without initialize made the session at {begun}"
        if "resume" in missing:
            at = clock(max(self._asked_back.values()))
            return f"The client was asked at {at} to come back for the rest of an answer, and has not"
        came = [step for step in STEPS[2:] if step in self.steps]
        if came:
            return (
                f"initialize was answered at {begun} and {', '.join(came)} came since, but no"
                " notifications/initialized"
            )
        return f"initialize was answered at {begun} and nothing has come with the session id since"

    def _done(self) -> str:
        calls = self.steps["call"]
        did = f"{counted(calls.count)}, the last at {clock(calls.last)}" if calls.count else "no call"
        ready = ""
        if "initialized" in self.steps:
            ready = f"The client was ready after {seconds(self.steps['initialized'].at - self.begun)}; "
        how = "it ended the session with DELETE" if "delete" in self.steps else self._ended
        failures = self.steps.failures(("list", "call", "resume", "delete"))
        return f"{ready}{did}; {how or 'the session is open'}{failures}"


def counted(calls: int) -> str:
    """Return for people how many calls there were."""
    return "1 call" if calls == 1 else f"{calls} calls"


def failure_of(record: ExchangeRecord, message: MessageRecord | None = None) -> str | None:
    """Return how an exchange, or one message of it, failed; None where it did not."""
    if message is not None and message.error is not None:
        return f"{record.status} ({message.error})"
    if record.left is not None:
        return f"no answer (the client had left after {seconds(record.left)})"
    if record.status is None:
        return "no answer"
    return str(record.status) if record.status >= 400 else None


def _client(record: ExchangeRecord) -> ClientName | None:
    return None if record.client is None else ClientName(record.client, record.client_version)
