"""What clients do one thing after the other, and what the rules about it say; time is driven by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mcp_echo.watch.findings import Finding
from mcp_echo.watch.judge import Judge
from mcp_echo.watch.records import (
    ExchangeRecord,
    ProbeRecord,
    Record,
    SentRecord,
    SessionChange,
    StreamRecord,
)
from mcp_echo.watch.rules.rule import Rule
from mcp_echo.watch.rules.table import RULES as EVERY_RULE
from tests.watch.rules.building import LEGACY, MODERN, REVISIONS, exchange

RULES: dict[str, Rule] = {name: rule for name, rule in EVERY_RULE.items() if rule.begin is not None}
"""The rules about several records."""

BEGUN = 1_800_000_000.0


class Story:
    """Records in order; each comes a second after the one before, unless a test waits longer.

    Args:
        revision: The revision that the clients speak.
    """

    def __init__(self, revision: str = LEGACY) -> None:
        self.revision = revision
        self.now = BEGUN
        self.records: list[Record] = []

    @property
    def number(self) -> int:
        """The number of the next record."""
        return len(self.records) + 1

    def wait(self, seconds: float) -> Story:
        """Let time pass."""
        self.now += seconds
        return self

    def add(self, record: Record) -> Story:
        """Add a record, and a second."""
        self.records.append(record)
        self.now += 1
        return self

    def post(
        self,
        method: str | None,
        session: str | None = "s1",
        message: Mapping[str, Any] | None = None,
        **facts: Any,
    ) -> Story:
        """Send a message.

        Args:
            method: The JSON-RPC method.
            session: The id that it is sent with, or that ``initialize`` makes; None for none.
            message: Fields of the message that differ.
            facts: Fields of the record that differ.
        """
        revision = facts.pop("revision", self.revision)
        usual: dict[str, Any] = {"number": self.number, "at": self.now}
        if not REVISIONS[revision].stateless:
            opens = method == "initialize"
            usual.update(
                session=session,
                session_form="none" if opens or session is None else "ours",
                made=opens and session is not None,
            )
        fields = {"id": self.number, **(message or {})}
        if method is not None and method.startswith("notifications/"):
            del fields["id"]
        return self.add(exchange(method, revision, message=fields, **{**usual, **facts}))

    def initialize(self, session: str | None = "s1", **facts: Any) -> Story:
        """Begin a session."""
        return self.post("initialize", session, **facts)

    def ready(self, session: str | None = "s1", **facts: Any) -> Story:
        """Begin a session and say that the client is ready."""
        self.initialize(session, **facts)
        return self.post("notifications/initialized", session, **{"status": 202, **facts})

    def call(self, session: str | None = "s1", **facts: Any) -> Story:
        """Call a tool, always the same way."""
        message = {"params": {"arguments": "f00d", **_modern(self.revision)}, **facts.pop("message", {})}
        return self.post("tools/call", session, message, **facts)

    def get(self, session: str | None = "s1", **facts: Any) -> Story:
        """Open a stream to listen on."""
        return self.post(None, session, http_method="GET", **{"streamed": True, "last": None, **facts})

    def delete(self, session: str = "s1", **facts: Any) -> Story:
        """End a session."""
        return self.post(None, session, http_method="DELETE", **{"status": 204, **facts})

    def stream(self, kind: str, tag: str = "g1", session: str | None = "s1", **facts: Any) -> Story:
        """Something happens to a stream."""
        fields: dict[str, Any] = {"kind": kind, "tag": tag, "session": session, **facts}
        return self.add(StreamRecord(number=self.number, at=self.now, **fields))

    def sent(
        self, method: str, state: Literal["waiting", "written", "answered", "unanswered"], **facts: Any
    ) -> Story:
        """Something becomes of a message of the server's."""
        kind: Any = "notification" if method.startswith("notifications/") else "request"
        fields: dict[str, Any] = {"session": "s1", "id": None if kind == "notification" else 900, **facts}
        return self.add(
            SentRecord(number=self.number, at=self.now, method=method, state=state, kind=kind, **fields)
        )

    def probe(self, written: Sequence[float], answered: Sequence[float | None] = (), **facts: Any) -> Story:
        """A stream is probed, and these are the times of its events and of their answers."""
        fields: dict[str, Any] = {"way": "post", "session": "s1", **facts}
        times = {"written": tuple(written), "answered": tuple(answered)}
        return self.add(ProbeRecord(number=self.number, at=self.now, **times, **fields))

    def expire(self, session: str = "s1", reason: str = "expired") -> Story:
        """A session ends."""
        return self.add(
            SessionChange(number=self.number, at=self.now, kind="end", session=session, reason=reason)
        )

    def browser(self, http_method: str, names: str = "", *, granted: bool = True, **facts: Any) -> Story:
        """A web page sends a request, or its browser asks first whether it may."""
        headers: dict[str, Any] = {"Origin": "https://page.example"}
        if http_method != "OPTIONS":
            return self.post("tools/list", headers=headers, http_method=http_method, **facts)
        headers |= {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": names or None}
        allowed = (
            ("Access-Control-Allow-Origin", "https://page.example"),
            ("Access-Control-Allow-Headers", "Content-Type, Mcp-Session-Id, MCP-Protocol-Version"),
        )
        answer = {"answer_headers": allowed if granted else ()}
        return self.post(
            None, None, http_method="OPTIONS", headers=headers, **{"status": 204, **answer, **facts}
        )


def _modern(revision: str) -> dict[str, Any]:
    stateless = REVISIONS[revision].stateless
    return {"modern": True, "protocol_version": revision} if stateless else {}


@dataclass(frozen=True)
class Case:
    """What one rule says of some stories.

    Args:
        broken: Those that break it, each with what the summary says.
        kept: Those that keep it, or to which it does not apply.
    """

    broken: list[tuple[Story, str]]
    kept: list[Story]


def judged(rule: Rule, story: Story) -> tuple[Finding, ...]:
    """Return what a rule says of a story, and of the silence after it."""
    return _judge(rule, story).findings()


def is_held(rule: Rule, story: Story) -> bool:
    """Return whether a rule says that a story keeps it, and not only nothing."""
    return _judge(rule, story).held == 1


def _judge(rule: Rule, story: Story) -> Judge:
    judge = Judge({rule.id: rule})
    for record in story.records:
        judge.due(record.at)
        judge.see(record)
    judge.due(story.now)
    return judge


def retry(story: Story, message: Mapping[str, Any], method: str = "tools/call", **facts: Any) -> Story:
    """Send a modern request with these fields of its message; its params are completed."""
    params = {**_modern(MODERN), **message.get("params", {})}
    return story.post(method, message={**message, "params": params}, **facts)


def first(story: Story) -> ExchangeRecord:
    """Return the first record of a story."""
    record = story.records[0]
    assert isinstance(record, ExchangeRecord)
    return record
