"""Makes records of what passes, for the trace that each belongs to: an observer. No I/O."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mcp_echo.host.clocks import Clocks
from mcp_echo.http.hops import named_hop
from mcp_echo.protocol.session_ids import is_untagged, node_tag, tag_in
from mcp_echo.watch import facts, oauth_notes
from mcp_echo.watch.challenged import ChallengedClients
from mcp_echo.watch.masking import Masker
from mcp_echo.watch.oauth_facts import MOST_READ, size_of
from mcp_echo.watch.records import (
    ExchangeRecord,
    JsonId,
    MessageRecord,
    Params,
    ProbeRecord,
    Record,
    Result,
    SentRecord,
    SessionChange,
    SessionForm,
    StreamRecord,
)
from mcp_echo.watch.rules.shapes import shape_of_authorization, shape_of_session_id
from mcp_echo.watch.seen import (
    Asked,
    BodyEvent,
    Event,
    Head,
    ProbeEvent,
    Seen,
    SentEvent,
    SessionEvent,
    StreamEvent,
)
from mcp_echo.watch.traces import Trace

MOST_SESSIONS = 20_000
"""Sessions whose trace is known; that of the one which was learned first is forgotten for one more."""

_ORDINARY = frozenset({"server", "date", "content-length", "connection", "transfer-encoding"})
"""Header lines that answers have whatever they say."""


class Notes:
    """What is noted of an exchange while it goes on."""

    __slots__ = ("body", "hash", "oauth", "results", "told")

    def __init__(self) -> None:
        self.oauth = oauth_notes.OauthNotes()
        self.told: list[facts.Message] = []
        self.results: dict[JsonId | None, Result] = {}
        self.hash: str | None = None
        self.body: str | None = None


class Recorder:
    """Keeps records in traces.

    Args:
        take: Keeps a record of a trace; see `mcp_echo.watch.trace_store.TraceStore.take`.
        masker: Hides what nobody may read.
        node: The name of this node.
        clocks: The steady clock, which exchanges are timed by, and the wall clock.
        canonical: The URL that clients reach the server at; None where the operator has not said it.
        body_bytes: Bytes of a body that are kept (``MCP_ECHO_RECORD_BODY``).
    """

    def __init__(
        self,
        take: Callable[[Trace, Record, int], list[str]],
        masker: Masker,
        node: str,
        clocks: Clocks,
        *,
        canonical: str | None = None,
        body_bytes: int = 0,
    ) -> None:
        self._take = take
        self._masker = masker
        self._node = node
        self._tag = node_tag(node)
        self._clocks = clocks
        self._canonical = canonical
        self._body_bytes = body_bytes
        self.challenged = ChallengedClients()
        self._sessions: dict[str, Trace] = {}
        """Session id → its trace."""

    def sessions_of(self, trace: Trace) -> list[str]:
        """Return the ids of the sessions of a trace that this node has served."""
        return [session_id for session_id, its in self._sessions.items() if its is trace]

    def see(self, event: Event) -> None:
        """Record an event, if it belongs to a trace."""
        if isinstance(event, Seen):
            if event.trace is not None:
                self._exchange(event, event.trace)
            if event.pace is not None:
                event.pace.over(event)
        elif isinstance(event, BodyEvent):
            self._body(event)
        elif isinstance(event, StreamEvent):
            self._stream(event)
        elif isinstance(event, SentEvent):
            self._sent(event)
        elif isinstance(event, ProbeEvent):
            self._probe(event)
        else:
            self._session(event)

    def _body(self, event: BodyEvent) -> None:
        seen = event.seen
        if seen.trace is None:
            return
        notes = seen.notes = seen.notes or Notes()
        if seen.leg is not None:
            oauth_notes.take(event, notes.oauth, self._masker)
        elif event.status is not None:
            notes.results = facts.of_answer(event.data, self._masker)
        else:
            notes.told = facts.of_request(event.data, self._masker)
        if event.status is None:
            notes.hash = self._masker.fingerprint(event.data)
            if self._body_bytes:
                body = event.data[: self._body_bytes].decode("utf-8", "replace")
                notes.body = seen.trace.masked(self._masker.text(body))

    def _exchange(self, seen: Seen, trace: Trace) -> None:
        if seen.session is not None:
            self._learn(seen.session, trace)
        record = self.record(seen, trace, trace.next_number())
        size = 0 if seen.head is None else len(seen.head.raw)
        # Of the legs of OAuth the bodies are kept as well, masked and cut.
        size += 0 if seen.leg is None else min(seen.received + seen.sent, MOST_READ)
        size += 0 if record.token is None else size_of(record.token)
        if not trace.made.plain:
            self.challenged.note(record, trace.id)
        seen.findings = tuple(self._take(trace, record, size))

    def record(self, seen: Seen, trace: Trace, number: int) -> ExchangeRecord:
        """Return what is known of an exchange by now, masked."""
        masker, notes, caller = self._masker, seen.notes or Notes(), seen.caller
        client, refusal = seen.client, seen.refusal
        name, version = self._name_of(seen, notes)
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
            answer_headers=self._answer_headers(seen, trace),
            sent=seen.sent,
            first=_since(seen.arrived, seen.first),
            last=_since(seen.arrived, seen.last),
            left=_since(seen.arrived, seen.left),
            streamed=seen.streamed,
            refusal=None if refusal is None else type(refusal).__name__,
            reason=None if refusal is None else masker.text(refusal.message),
            known=seen.session is not None,
            made=seen.made,
            partial=seen.pace is not None and seen.pace.passed(seen.session or "") > 0,
            tombstone=seen.tombstone,
            fault=seen.fault,
            order=seen.order,
            gap=seen.gap,
            declared=None if client is None else facts.capabilities(client.capabilities, masker),
            canonical=self._canonical,
            expects=trace.expect,
            principal=_shown(seen.principal, masker),
            client=name,
            client_version=version,
            era=seen.era,
            revision=seen.revision,
            messages=self._messages(seen, notes),
            batch=seen.batch is not None,
            joined=seen.joined,
            **({} if seen.head is None else self._request(seen, seen.head, trace)),
        )

    def _name_of(self, seen: Seen, notes: Notes) -> tuple[str | None, str | None]:
        """Return the name and version of a client, masked; of one that is refused, as its request says."""
        if seen.client is not None:
            return _shown(seen.client.name, self._masker), _shown(seen.client.version, self._masker)
        said = next((each.params for each in notes.told if each.params.client is not None), Params())
        return said.client, said.client_version

    def _request(self, seen: Seen, head: Head, trace: Trace) -> dict[str, Any]:
        masker = self._masker
        if seen.joined is not None:
            # It may be of somebody else, whom nobody here has a right to read.
            return {
                "http_method": head.method.decode("latin-1"),
                "path": masker.text(head.path.decode("latin-1")),
                "http_version": head.version.decode("latin-1"),
            }
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
            "token": oauth_notes.token_of(seen, masker, trace.id),
            "oauth": oauth_notes.record(seen, head, (seen.notes or Notes()).oauth, masker, trace.id),
        }

    def _form_of(self, session_id: str) -> SessionForm:
        """Return what an id looks like; those of a version before say nothing of their node."""
        return shape_of_session_id(
            session_id,
            lambda text: tag_in(text) == self._tag or is_untagged(text),
            lambda text: tag_in(text) is not None,
        )

    def _answer_headers(self, seen: Seen, trace: Trace) -> tuple[tuple[str, str], ...]:
        lines = (line.decode("latin-1").rstrip().partition(": ") for line in seen.lines)
        return tuple(
            (name, trace.masked(self._masker.header(name, value)))
            for name, _, value in lines
            if name.lower() not in _ORDINARY
        )

    def _messages(self, seen: Seen, notes: Notes) -> tuple[MessageRecord, ...]:
        if seen.era is None and not notes.told:
            return ()
        asked = list(seen.messages)
        told = notes.told or [facts.Message()] * len(asked)
        # Who is asked for a token, or hit by a fault, is so before anybody looks at the message.
        asks = seen.era is None and (seen.status in (401, 403) or seen.fault is not None)
        return tuple(self._message(*each, notes, asks=asks) for each in zip(asked, told, strict=False))

    def _message(self, asked: Asked, told: facts.Message, notes: Notes, *, asks: bool) -> MessageRecord:
        kind: Any = "request"
        method = _shown(asked.method, self._masker) or (told.method if asks else None)
        if method is None:
            kind = "response" if told.id_form != "absent" and asked.era is not None else "unreadable"
        elif told.id_form == "absent" and asked.id is None:
            kind = "notification"
        shown = self._masker.text(asked.id) if isinstance(asked.id, str) else asked.id
        return MessageRecord(
            kind=kind,
            method=method,
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
        known = None if event.session is None else self._sessions.get(event.session)
        trace: Trace | None = known or event.trace
        if trace is None:
            return
        self._take(
            trace,
            StreamRecord(
                number=trace.next_number(),
                node=self._node,
                at=self._wall_of(event.at),
                kind=event.kind,
                session=None if event.session is None else self._masker.session(event.session),
                tag=event.tag,
                why=event.why,
                seconds=event.seconds,
                retry=event.retry,
                waiting=event.waiting,
                silent=event.silent,
            ),
            0,
        )

    def _sent(self, event: SentEvent) -> None:
        trace = self._sessions.get(event.session)
        if trace is None:
            return
        self._take(
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
            0,
        )

    def _probe(self, event: ProbeEvent) -> None:
        trace = event.trace
        if trace is None:
            return
        hop = None if event.head is None else named_hop(event.head.headers())
        self._take(
            trace,
            ProbeRecord(
                number=trace.next_number(),
                node=self._node,
                at=self._wall_of(event.at),
                way=event.way,
                written=tuple(round(each, 4) for each in event.written),
                answered=tuple(None if each is None else round(each, 4) for each in event.answered),
                silence=event.silence,
                cut=event.cut,
                session=None if event.session is None else self._masker.session(event.session),
                hop=_shown(hop, self._masker),
            ),
            0,
        )

    def _session(self, event: SessionEvent) -> None:
        trace = event.trace or self._sessions.get(event.session)
        if trace is None:
            return
        if event.kind == "begin":
            self._learn(event.session, trace)
        else:
            self._sessions.pop(event.session, None)
        self._take(
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
            0,
        )

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
