"""Makes records of what passes, for the trace that each belongs to: an observer. No I/O."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from mcp_echo.host.clocks import Clocks
from mcp_echo.protocol.session_ids import is_untagged, node_tag, tag_in
from mcp_echo.watch import facts
from mcp_echo.watch.masking import Masker
from mcp_echo.watch.records import (
    ExchangeRecord,
    JsonId,
    MessageRecord,
    Record,
    Result,
    SentRecord,
    SessionChange,
    SessionForm,
    StreamRecord,
)
from mcp_echo.watch.rules.shapes import shape_of_authorization, shape_of_session_id
from mcp_echo.watch.seen import Asked, BodyEvent, Event, Head, Seen, SentEvent, SessionEvent, StreamEvent
from mcp_echo.watch.traces import Trace, Traces

MOST_SESSIONS = 20_000
"""Sessions whose trace is known; that of the one which was learned first is forgotten for one more."""

_ORDINARY = frozenset({"server", "date", "content-length", "connection", "transfer-encoding"})
"""Header lines that answers have whatever they say."""


class Notes:
    """What is noted of an exchange while it goes on."""

    __slots__ = ("body", "hash", "results", "told")

    def __init__(self) -> None:
        self.told: list[facts.Message] = []
        self.results: dict[JsonId | None, Result] = {}
        self.hash: str | None = None
        self.body: str | None = None


class Recorder:
    """Keeps records in traces.

    Args:
        traces: The traces.
        masker: Hides what nobody may read.
        node: The name of this node.
        clocks: The steady clock, which exchanges are timed by, and the wall clock.
        canonical: The URL that clients reach the server at; None where the operator has not said it.
        body_bytes: Bytes of a body that are kept (``MCP_ECHO_RECORD_BODY``).
    """

    def __init__(
        self,
        traces: Traces,
        masker: Masker,
        node: str,
        clocks: Clocks,
        *,
        canonical: str | None = None,
        body_bytes: int = 0,
    ) -> None:
        self._traces = traces
        self._masker = masker
        self._node = node
        self._tag = node_tag(node)
        self._clocks = clocks
        self._canonical = canonical
        self._body_bytes = body_bytes
        self._sessions: dict[str, Trace] = {}
        """Session id → its trace."""
        self.found: Callable[[Trace], object] = lambda _trace: None
        """Told of a trace in which a rule is broken that was not broken there before."""

    def see(self, event: Event) -> None:
        """Record an event, if it belongs to a trace."""
        if isinstance(event, Seen):
            if event.trace is not None:
                self._exchange(event, event.trace)
        elif isinstance(event, BodyEvent):
            self._body(event)
        elif isinstance(event, StreamEvent):
            self._stream(event)
        elif isinstance(event, SentEvent):
            self._sent(event)
        else:
            self._session(event)

    def _body(self, event: BodyEvent) -> None:
        seen = event.seen
        if seen.trace is None:
            return
        notes = seen.notes = seen.notes or Notes()
        if event.status is None:
            notes.told = facts.of_request(event.data, self._masker)
            notes.hash = self._masker.fingerprint(event.data)
            if self._body_bytes:
                notes.body = self._masker.text(event.data[: self._body_bytes].decode("utf-8", "replace"))
        else:
            notes.results = facts.of_answer(event.data, self._masker)

    def _exchange(self, seen: Seen, trace: Trace) -> None:
        trace.exchanges += 1
        if seen.session is not None:
            self._learn(seen.session, trace)
        record = self.record(seen, trace, trace.next_number())
        seen.findings = tuple(self._keep(trace, record, 0 if seen.head is None else len(seen.head.raw)))

    def record(self, seen: Seen, trace: Trace, number: int) -> ExchangeRecord:
        """Return what is known of an exchange by now, masked."""
        masker, notes, caller = self._masker, seen.notes or Notes(), seen.caller
        client, refusal = seen.client, seen.refusal
        return ExchangeRecord(
            number=number,
            node=self._node,
            at=self._wall_of(seen.arrived),
            connection=seen.connection,
            peer=seen.peer,
            address=caller.address,
            proxied=caller.trusted,
            body_bytes=seen.received,
            body_hash=notes.hash,
            body=notes.body,
            status=seen.status,
            answer_headers=self._answer_headers(seen),
            sent=seen.sent,
            first=_since(seen.arrived, seen.first),
            last=_since(seen.arrived, seen.last),
            left=_since(seen.arrived, seen.left),
            streamed=seen.streamed,
            refusal=None if refusal is None else type(refusal).__name__,
            reason=None if refusal is None else masker.text(refusal.message),
            known=seen.session is not None,
            made=seen.made,
            tombstone=seen.tombstone,
            gap=seen.gap,
            declared=None if client is None else facts.capabilities(client.capabilities, masker),
            canonical=self._canonical,
            expects=trace.expect,
            principal=_shown(seen.principal, masker),
            client=_shown(None if client is None else client.name, masker),
            client_version=_shown(None if client is None else client.version, masker),
            era=seen.era,
            revision=seen.revision,
            messages=self._messages(seen, notes),
            batch=seen.batch is not None,
            **({} if seen.head is None else self._request(seen, seen.head, trace)),
        )

    def _request(self, seen: Seen, head: Head, trace: Trace) -> dict[str, Any]:
        masker = self._masker
        sent = head.values(b"mcp-session-id")
        session = seen.session or (sent[0] if sent else None)
        return {
            "http_method": head.method.decode("latin-1"),
            "path": masker.text(trace.masked(head.path.decode("latin-1"))),
            "query": masker.query(head.query),
            "http_version": head.version.decode("latin-1"),
            "headers": tuple(
                (name, trace.masked(value)) for name, value in masker.headers(list(head.headers()))
            ),
            "authorization": shape_of_authorization(head.values(b"authorization")),
            "session": None if session is None else masker.session(session),
            "session_form": self._form_of(sent[0]) if sent else "none",
        }

    def _form_of(self, session_id: str) -> SessionForm:
        """Return what an id looks like; those of a version before say nothing of their node."""
        return shape_of_session_id(
            session_id,
            lambda text: tag_in(text) == self._tag or is_untagged(text),
            lambda text: tag_in(text) is not None,
        )

    def _answer_headers(self, seen: Seen) -> tuple[tuple[str, str], ...]:
        lines = (line.decode("latin-1").rstrip().partition(": ") for line in seen.lines)
        return tuple(
            (name, self._masker.header(name, value))
            for name, _, value in lines
            if name.lower() not in _ORDINARY
        )

    def _messages(self, seen: Seen, notes: Notes) -> tuple[MessageRecord, ...]:
        if seen.era is None and not notes.told:
            return ()
        asked = list(seen.messages)
        told = notes.told or [facts.Message()] * len(asked)
        return tuple(self._message(*each, notes) for each in zip(asked, told, strict=False))

    def _message(self, asked: Asked, told: facts.Message, notes: Notes) -> MessageRecord:
        kind: Any = "request"
        if asked.method is None:
            kind = "response" if told.id_form != "absent" and asked.era is not None else "unreadable"
        elif told.id_form == "absent" and asked.id is None:
            kind = "notification"
        shown = self._masker.text(asked.id) if isinstance(asked.id, str) else asked.id
        return MessageRecord(
            kind=kind,
            method=_shown(asked.method, self._masker),
            id=shown,
            id_form=told.id_form,
            name=_shown(asked.tool, self._masker) or told.name,
            era=asked.era,
            revision=asked.revision,
            outcome=asked.outcome,
            error=asked.error,
            seconds=None if asked.seconds is None else round(asked.seconds, 6),
            stray=asked.stray,
            params=told.params,
            result=notes.results.get(asked.id, Result()),
        )

    def _stream(self, event: StreamEvent) -> None:
        trace = None if event.session is None else self._sessions.get(event.session)
        if trace is None or event.session is None:
            return
        self._keep(
            trace,
            StreamRecord(
                number=trace.next_number(),
                node=self._node,
                at=self._wall_of(event.at),
                kind=event.kind,
                session=self._masker.session(event.session),
                tag=event.tag,
                why=event.why,
                seconds=event.seconds,
                retry=event.retry,
                waiting=event.waiting,
            ),
        )

    def _sent(self, event: SentEvent) -> None:
        trace = self._sessions.get(event.session)
        if trace is None:
            return
        self._keep(
            trace,
            SentRecord(
                number=trace.next_number(),
                node=self._node,
                at=self._wall_of(event.at),
                state=event.state,
                kind=event.kind,
                method=event.method,
                id=event.id,
                error=event.error,
                seconds=event.seconds,
                session=self._masker.session(event.session),
            ),
        )

    def _session(self, event: SessionEvent) -> None:
        trace = event.trace or self._sessions.get(event.session)
        if trace is None:
            return
        if event.kind == "begin":
            self._learn(event.session, trace)
        else:
            self._sessions.pop(event.session, None)
        self._keep(
            trace,
            SessionChange(
                number=trace.next_number(),
                node=self._node,
                at=self._wall_of(event.at),
                kind=event.kind,
                session=self._masker.session(event.session),
                client=_shown(event.client, self._masker),
                revision=event.revision,
                reason=event.reason,
            ),
        )

    def _keep(self, trace: Trace, record: Record, size: int = 0) -> list[str]:
        """Keep a record; return the ids of the rules that it breaks."""
        broken = trace.see(record)
        if broken and isinstance(record, ExchangeRecord):
            record = msgspec.structs.replace(record, findings=tuple(broken))
        self._traces.keep(trace, record, size)
        if trace.are_new(broken):
            self.found(trace)
        return broken

    def _learn(self, session_id: str, trace: Trace) -> None:
        self._sessions[session_id] = trace
        if len(self._sessions) > MOST_SESSIONS:
            del self._sessions[next(iter(self._sessions))]

    def _wall_of(self, at: float) -> float:
        return self._clocks.wall() - (self._clocks.now() - at)


def _since(arrived: float, at: float | None) -> float | None:
    return None if at is None else round(at - arrived, 6)


def _shown(text: str | None, masker: Masker) -> str | None:
    return None if text is None else masker.name(text)
