"""Faults of when and how an answer is sent, and of the JSON-RPC message that it is. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from mcp_echo.faults import events
from mcp_echo.faults.answer import Answer, Cut, Piece, Sending, World
from mcp_echo.faults.asked import Asked, is_response, read_object
from mcp_echo.faults.fault import MOST_SECONDS, Fault
from mcp_echo.protocol.errors import InternalError
from mcp_echo.protocol.jsonrpc import error_bytes, result_bytes

Seconds = Annotated[float, Meta(ge=0, le=MOST_SECONDS)]


class Delay(Fault):
    """Answers late."""

    summary = "Answers later: the whole answer, or each event of a stream."
    any_leg = True

    seconds: Seconds = 2.0
    up_to: Seconds | None = None
    of: Literal["answer", "events"] = "answer"

    def __post_init__(self) -> None:
        if self.up_to is not None and self.up_to < self.seconds:
            raise ValueError("upTo is less than seconds")

    def changes(self, asked: Asked, answer: Answer) -> bool:
        """Return whether there are events, where those are to be late."""
        return self.of == "answer" or answer.body is None

    def whole(self, asked: Asked, answer: Answer, world: World) -> Sending:
        """Return the answer, late."""
        seconds = self.seconds + ((self.up_to or self.seconds) - self.seconds) * world.chance
        return Sending(answer, wait=seconds) if self.of == "answer" else Sending(answer, each=seconds)


class Silence(Fault):
    """Says nothing."""

    summary = (
        "Says nothing for that long: no answer, and then the connection closes; or a stream without events."
    )
    any_leg = True

    seconds: Seconds = 30.0

    def whole(self, asked: Asked, answer: Answer, world: World) -> Sending:
        """Return nothing, late; a stream goes on behind the silence."""
        if answer.body is None:
            return Sending(answer, quiet=self.seconds)
        return Sending(None, wait=self.seconds, cut="close")


class Drip(Fault):
    """Answers slowly."""

    summary = "Sends the answer at so many bytes a second, for 120 s at most."
    any_leg = True

    bytes_per_second: Annotated[int, Meta(ge=1, le=1_000_000)] = 100

    def whole(self, asked: Asked, answer: Answer, world: World) -> Sending:
        """Return the answer with its rate."""
        least = -(-len(answer.body or b"") // MOST_SECONDS)
        return Sending(answer, rate=max(self.bytes_per_second, least))


class CutOff(Fault):
    """Breaks an answer off."""

    summary = "Breaks the answer off: a stream behind so many events, another answer in its middle."
    any_leg = True

    after: Annotated[int, Meta(ge=0, le=1000)] = 1
    reset: bool = False
    retry_ms: Annotated[int, Meta(ge=0, le=60_000)] | None = None
    event_id: bool = False
    """Whether events that have no id, as in the modern era, get one: does a client resume what it cannot?"""

    @property
    def variant(self) -> str:
        """How."""
        return "reset" if self.reset else ""

    @property
    def _cut(self) -> Cut:
        return "reset" if self.reset else "close"

    def changes(self, asked: Asked, answer: Answer) -> bool:
        """Return whether there is anything to break off."""
        return answer.body is None or len(answer.body) > 1

    def whole(self, asked: Asked, answer: Answer, world: World) -> Sending:
        """Return the first half of an answer; a stream opens, and ends at once where it has to."""
        if answer.body is None:
            return Sending(answer)
        half = answer.body[: len(answer.body) // 2]
        return Sending(answer, pieces=(Piece(half),), cut=self._cut)

    def event(self, asked: Asked, block: bytes) -> Sequence[Piece]:
        """Return an event, with an id where that is wanted and it has none."""
        lacks = self.event_id and not any(line.startswith(b"id:") for line in block.split(b"\n"))
        return (Piece(events.with_id(block, b"fault-1") if lacks else block),)

    def cut_after(self, events: int) -> Cut | None:
        """Return how a stream is cut."""
        return self._cut if events >= self.after else None

    @property
    def retry(self) -> int | None:
        """Milliseconds that a client is told to wait."""
        return self.retry_ms


class ContentType(Fault):
    """Says that the answer is something else."""

    summary = "Says another Content-Type than the answer has."
    any_leg = True

    value: Literal[
        "text/html",
        "text/plain",
        "application/octet-stream",
        "application/xml",
        "application/json; charset=latin-1",
        "text/event-stream",
        "application/json",
        "none",
    ] = "text/html"

    @property
    def variant(self) -> str:
        """The type."""
        return self.value

    def changes(self, asked: Asked, answer: Answer) -> bool:
        """Return whether the answer has a type, and another one."""
        return bool(answer.values("Content-Type")) and answer.values("Content-Type") != [self.value]

    def whole(self, asked: Asked, answer: Answer, world: World) -> Sending:
        """Return the answer with the other type."""
        values = () if self.value == "none" else (self.value,)
        return Sending(answer.with_header("Content-Type", *values))


class WrongAnswer(Fault):
    """Answers a request with something that is not its answer."""

    summary = (
        "Answers a request with another id, twice, with no JSON, with an error in the middle of a stream …"
    )

    as_: Literal["wrong-id", "null-id", "twice", "not-json", "html", "error-mid-stream", "after-cancel"] = (
        "wrong-id"
    )

    @property
    def answers_late(self) -> bool:
        """Whether it answers a request that was cancelled."""
        return self.as_ == "after-cancel"

    def hits(self, asked: Asked) -> bool:
        """Return whether it is one request, which can have one answer."""
        return super().hits(asked) and asked.is_request

    def changes(self, asked: Asked, answer: Answer) -> bool:
        """Return whether it is an answer to the request, or to one that was cancelled."""
        if self.answers_late:
            # A request that was cancelled gets no message.
            return answer.body == b"" and answer.status in (200, 202)
        if answer.body is None:
            return True
        in_stream = self.as_ in ("twice", "error-mid-stream")
        return is_response(answer.body, asked) and (asked.streams or not in_stream)

    def whole(self, asked: Asked, answer: Answer, world: World) -> Sending:
        """Return the wrong answer; a stream opens as it should."""
        if answer.body is None:
            return Sending(answer)
        if self.answers_late:
            late = result_bytes(asked.id or 0, {})
            return Sending(answer._replace(status=200).with_body(late, "application/json"))
        if self.as_ == "html":
            return Sending(answer.with_body(_HTML, "text/html; charset=utf-8"))
        if self.as_ == "not-json":
            return Sending(answer.with_body(_NOT_JSON))
        if self.as_ in ("twice", "error-mid-stream"):
            block = events.message(answer.body)
            return Sending(events.as_stream(answer), pieces=self.event(asked, block))
        return Sending(answer.with_body(self._with_other_id(answer.body)))

    def event(self, asked: Asked, block: bytes) -> Sequence[Piece]:
        """Return what is written in the place of the event that carries the answer."""
        data = events.data_of(block)
        if data is None or not is_response(data, asked) or self.answers_late:
            return (Piece(block),)
        if self.as_ == "twice":
            return (Piece(block), Piece(block))
        return (Piece(events.with_data(block, self._instead(data, asked))),)

    def _instead(self, data: bytes, asked: Asked) -> bytes:
        if self.as_ == "error-mid-stream":
            return error_bytes(asked.id, InternalError())
        if self.as_ == "html":
            return _HTML
        return _NOT_JSON if self.as_ == "not-json" else self._with_other_id(data)

    def _with_other_id(self, data: bytes) -> bytes:
        value = read_object(data) or {}
        given = value.get("id")
        other = f"{given}-wrong" if isinstance(given, str) else int(given or 0) + 1_000_000
        return msgspec.json.encode({**value, "id": None if self.as_ == "null-id" else other})


_HTML = b"<!doctype html><title>502 Bad Gateway</title><h1>502 Bad Gateway</h1>"
_NOT_JSON = b'{"jsonrpc": "2.0", "result": {oops'


class WrongEvents(Fault):
    """Writes events otherwise than they should be, or as few write them."""

    summary = "Writes events twice, without ids, with CRLF, with a split character, behind many comments …"

    as_: Literal["duplicate", "no-id", "crlf", "split-utf8", "comment-flood", "id-reused"] = "duplicate"
    comment_bytes: Annotated[int, Meta(ge=1, le=1024 * 1024)] = 65_536

    def changes(self, asked: Asked, answer: Answer) -> bool:
        """Return whether the answer is an event stream, or one message that can be one."""
        if answer.body is None:
            return True
        return asked.streams and asked.is_request and is_response(answer.body, asked)

    def whole(self, asked: Asked, answer: Answer, world: World) -> Sending:
        """Return the answer as a stream of one event, or an opening as it should be."""
        if answer.body is None:
            return Sending(answer)
        block = events.message(answer.body, None if self.as_ == "no-id" else "fault-1")
        return Sending(events.as_stream(answer), pieces=self.event(asked, block))

    def event(self, asked: Asked, block: bytes) -> Sequence[Piece]:
        """Return what is written in the place of an event."""
        return events.CHANGES[self.as_](block, self.comment_bytes)
