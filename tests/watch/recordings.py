"""Recordings of real clients, as the records that the server would have kept of them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.parser import Parser
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from mcp_echo.protocol.revisions import MODERN
from mcp_echo.transport.edge.head import Head
from mcp_echo.watch.masking import Masker
from mcp_echo.watch.oauth_facts import OauthFacts
from mcp_echo.watch.oauth_records import OauthRecord
from mcp_echo.watch.records import ExchangeRecord, MessageRecord, Params, Record, Result, StreamRecord

DIRECTORY = Path(__file__).parents[1] / "recordings"

_MARK = re.compile(r"([><x]) (\d+\.\d+) (c\d+)")
_META = "io.modelcontextprotocol/"
_WELL_KNOWN = {
    "/.well-known/oauth-protected-resource": "resource-metadata",
    "/.well-known/oauth-authorization-server": "server-metadata",
}

TRACE = "k3J9abcDEF0123456789xyzQ"
"""The id of the trace in the recordings that have one."""

MASKER = Masker(b"of the recordings")
_MODERN = {revision.name for revision in MODERN}


def names(kind: str) -> list[str]:
    """Return the names of the recordings of a kind: ``plain``, ``drill``, ``oauth`` or ``stepup``."""
    return sorted(path.stem for path in DIRECTORY.glob(f"{kind}-*.txt"))


@dataclass
class Passed:
    """One request and its answer, as they passed."""

    at: float
    connection: str
    start: str
    headers: list[tuple[str, str]]
    body: str
    answered: float | None = None
    status: int | None = None
    answer_headers: list[tuple[str, str]] = field(default_factory=list)
    answer: str = ""
    left: float | None = None
    """When the client closed the connection of a stream, or of what was not answered."""

    def values(self, name: str) -> list[str]:
        """Return the values of a request header."""
        return [value for key, value in self.headers if key.lower() == name]

    def answer_value(self, name: str) -> str | None:
        """Return the value of an answer header."""
        return next((value for key, value in self.answer_headers if key.lower() == name), None)

    @property
    def path(self) -> str:
        """The path that was asked for, with ``{trace}`` in it."""
        return self.start.split()[1].partition("?")[0].replace(TRACE, "{trace}")

    @property
    def query(self) -> bytes:
        """The query that was asked with."""
        return self.start.split()[1].partition("?")[2].encode()

    @property
    def streamed(self) -> bool:
        """Whether a stream answers."""
        return (self.answer_value("content-type") or "").startswith("text/event-stream")


def passed(text: str) -> list[Passed]:
    """Return what passed, in the order in which it was sent."""
    every: list[Passed] = []
    open_on: dict[str, list[Passed]] = {}
    for mark, at, connection, block in _blocks(text):
        waiting = open_on.setdefault(connection, [])
        if mark == ">":
            start, headers, body = _parts(block)
            waiting.append(Passed(at, connection, start, headers, body))
            every.append(waiting[-1])
        elif mark == "<":
            one = next(each for each in waiting if each.status is None)
            start, one.answer_headers, one.answer = _parts(block)
            one.answered, one.status = at, int(start.split()[1])
        else:
            for one in waiting:
                if one.status is None or one.streamed:
                    one.left = at
    return every


def _blocks(text: str) -> Iterator[tuple[str, float, str, str]]:
    marks = [
        (place, found) for place, line in enumerate(text.split("\n")) if (found := _MARK.fullmatch(line))
    ]
    lines = text.split("\n")
    for (place, found), following in zip(
        marks, [*[place for place, _ in marks[1:]], len(lines)], strict=True
    ):
        yield found[1], float(found[2]), found[3], "\n".join(lines[place + 1 : following])


def _parts(block: str) -> tuple[str, list[tuple[str, str]], str]:
    head, _, body = block.partition("\n\n")
    start, _, lines = head.partition("\n")
    return start, Parser().parsestr(lines + "\n\n").items(), body.strip("\n")


def records(name: str) -> list[Record]:
    """Return a recording as the records that the server would have kept, in their order.

    Args:
        name: As of `names`.
    """
    every = passed((DIRECTORY / f"{name}.txt").read_text())
    date = next(value for each in every if (value := each.answer_value("date")) is not None)
    begun = parsedate_to_datetime(date).timestamp()
    keeper = _Keeper(begun)
    events = [(each.answered if each.answered is not None else each.left or each.at, each) for each in every]
    for _, each in sorted(events, key=lambda event: event[0]):
        keeper.keep(each)
    return keeper.numbered()


class _Keeper:
    """Makes records of what passed.

    Args:
        begun: When the recording began; seconds of the wall clock.
    """

    def __init__(self, begun: float) -> None:
        self._begun = begun
        self._sessions: dict[str, tuple[str | None, str | None, str | None]] = {}
        """Session → revision, name and version of its client."""
        self._kept: list[tuple[float, Record]] = []

    def keep(self, one: Passed) -> None:
        """Make the records of one exchange."""
        messages = _messages(one)
        message = messages[0] if messages else None
        sent = next(iter(one.values("mcp-session-id")), None)
        made = one.answer_value("mcp-session-id") if message and message.method == "initialize" else None
        session = made or sent
        modern = bool(_MODERN & {*one.values("mcp-protocol-version"), *(each.revision for each in messages)})
        if made is not None and message is not None:
            params, result = message.params, message.result
            self._sessions[made] = (result.protocol_version, params.client, params.client_version)
        revision, client, version = self._sessions.get(session or "", (None, None, None))
        if message is not None and client is None:
            revision, client, version = message.revision, message.params.client, message.params.client_version
        messages = [_of_session(each, "modern" if modern else "legacy", revision) for each in messages]
        when = one.answered if one.answered is not None else one.left
        self._add(
            when or one.at,
            ExchangeRecord(
                number=0,
                at=self._begun + one.at,
                connection=int(one.connection[1:]),
                peer="127.0.0.1",
                address="127.0.0.1",
                http_method=one.start.split()[0],
                path=one.path,
                query=MASKER.query(one.query),
                http_version="1.1",
                headers=tuple((name, _shown(name, value)) for name, value in one.headers),
                body_bytes=len(one.body),
                body_hash=_fingerprint(one.body) if one.body else None,
                status=one.status,
                answer_headers=tuple((name, _shown(name, value)) for name, value in one.answer_headers),
                sent=len(one.answer),
                first=_span(one.at, one.answered),
                last=None if one.streamed else _span(one.at, one.answered),
                left=_span(one.at, one.left) if one.status is None else None,
                streamed=one.streamed,
                session=None if session is None else f"{session[:8]}…",
                session_form="none" if sent is None else "ours",
                known=sent is not None and one.status != 404,
                made=made is not None,
                client=client,
                client_version=version,
                era="modern" if modern else "legacy",
                revision=revision,
                messages=tuple(messages),
                oauth=_oauth(one),
            ),
        )
        if one.streamed and not modern:
            self._stream(one, None if session is None else f"{session[:8]}…")

    def _stream(self, one: Passed, session: str | None) -> None:
        opened = one.answered or one.at
        tag = f"{'g' if one.start.startswith('GET') else 'r'}{one.connection[1:]}"
        fields: dict[str, Any] = {"number": 0, "session": session, "tag": tag}
        self._add(opened, StreamRecord(at=self._begun + opened, kind="open", **fields))
        hang_up = re.search(r"^retry: (\d+)$", one.answer, re.MULTILINE)
        if hang_up is not None:
            gone = StreamRecord(at=self._begun + opened, kind="hang-up", retry=int(hang_up[1]), **fields)
            self._add(opened, gone)
        if one.left is not None:
            why: Any = "left" if hang_up is None else "hang-up"
            lasted = one.left - opened
            close = StreamRecord(at=self._begun + one.left, kind="close", why=why, seconds=lasted, **fields)
            self._add(one.left, close)

    def _add(self, when: float, record: Record) -> None:
        self._kept.append((when, record))

    def numbered(self) -> list[Record]:
        """Return the records in the order in which they were made, with their numbers."""
        ordered = sorted(self._kept, key=lambda kept: kept[0])
        return [_numbered(record, number) for number, (_, record) in enumerate(ordered, 1)]


def _numbered(record: Record, number: int) -> Record:
    fields = {name: getattr(record, name) for name in record.__struct_fields__}
    return type(record)(**{**fields, "number": number})


def _of_session(message: MessageRecord, era: Any, revision: str | None) -> MessageRecord:
    fields = {name: getattr(message, name) for name in message.__struct_fields__}
    return MessageRecord(**{**fields, "era": era, "revision": message.revision or revision})


def _shown(name: str, value: str) -> str:
    """Return a header's value as records have it, where a rule compares it with another."""
    return MASKER.header(name, value) if name.lower() in ("authorization", "location") else value


def _leg(one: Passed) -> Any:
    """Return which leg of OAuth a request is, where the server of the recordings has that."""
    if one.status == 404:
        return None
    for place, leg in _WELL_KNOWN.items():
        if one.path.startswith(place):
            return leg
    last = one.path.rpartition("/")[2]
    return last if last in ("register", "authorize", "token") else None


def _head(one: Passed) -> Head:
    head = Head("\r\n".join([one.start, *(f"{name}: {value}" for name, value in one.headers)]).encode())
    head.check(100)
    return head


def _oauth(one: Passed) -> OauthRecord | None:
    read, leg, head = OauthFacts(MASKER, TRACE), _leg(one), _head(one)
    lines = [f"{name}: {value}".encode() for name, value in one.answer_headers]
    if leg is None:
        return read.challenge(head, one.status, lines)
    answered = read.answered(leg, one.status or 0, lines, one.answer.encode())
    return OauthRecord(leg=leg, asked=read.asked(leg, head, one.body.encode()), answered=answered)


def _messages(one: Passed) -> list[MessageRecord]:
    body = json.loads(one.body) if one.body.startswith("{") and _leg(one) is None else None
    if body is None:
        return []
    params = body.get("params", {})
    meta = params.get("_meta", {})
    client = params.get("clientInfo") or meta.get(f"{_META}clientInfo") or {}
    declared = params.get("capabilities", meta.get(f"{_META}clientCapabilities"))
    request = "id" in body
    code = re.search(r'"code": ?(-?\d+)', one.answer) if '"error"' in one.answer else None
    return [
        MessageRecord(
            kind="request" if request else "notification",
            method=body["method"],
            id=body.get("id"),
            id_form=("string" if isinstance(body["id"], str) else "integer") if request else "absent",
            name=params.get("name"),
            revision=meta.get(f"{_META}protocolVersion"),
            outcome=one.status if request else None,
            error=int(code[1]) if code else None,
            seconds=_span(one.at, one.answered),
            params=Params(
                client=client.get("name"),
                client_version=client.get("version"),
                capabilities=None if declared is None else tuple(_dotted(declared)),
                protocol_version=params.get("protocolVersion", meta.get(f"{_META}protocolVersion")),
                modern=f"{_META}protocolVersion" in meta,
                progress="absent" if "progressToken" not in meta else "integer",
                arguments=_fingerprint(json.dumps(params["arguments"])) if "arguments" in params else None,
            ),
            result=_result(one.answer),
        )
    ]


def _dotted(declared: dict[str, Any]) -> Iterator[str]:
    for name, value in declared.items():
        yield name
        yield from (f"{name}.{inner}" for inner in value)


def _result(answer: str) -> Result:
    # Answers are cut, so that what is wanted is looked for where it stands.
    revision = re.search(r'"protocolVersion": ?"([^"]*)"', answer)
    return Result(protocol_version=revision[1] if revision else None)


def _fingerprint(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _span(begin: float, end: float | None) -> float | None:
    return None if end is None else end - begin
