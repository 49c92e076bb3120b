"""Replays the transcripts beside this file: what they show is what the server says.

A transcript is for people to read and for this test to replay. Lines with `#` are remarks. Lines with `>` are
a request: method and path, headers, an empty line, the body. Lines with `<` are its answer: the status, the
headers that matter, an empty line, the body. Lines with `<<` are what came meanwhile on the stream that was
opened last. `…` stands for anything that is left out; `<name>` for a value that differs from run to run and
is the same wherever the name stands in one transcript.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from mcp_echo.protocol.revisions import KNOWN
from tests.transport.support import Listening, ServerTestCase

HERE = Path(__file__).parent

_LINE = re.compile(r"(>|<<|<)(?: (.*))?")
_PLACEHOLDER = re.compile(r"(<[a-z][a-z0-9-]*>|…)")


@dataclass
class Exchange:
    """One request and what the server said to it, as text."""

    sent: str
    answered: str = ""
    streamed: str = ""


@dataclass
class Values:
    """What the placeholders of one transcript stand for."""

    known: dict[str, str] = field(default_factory=dict)

    def fill(self, text: str) -> str:
        """Return a request's text with what the server has said in place of the placeholders."""
        return _PLACEHOLDER.sub(lambda found: self.known[found[0]], text)

    def match(self, expected: str, actual: str) -> bool:
        """Return whether a text is what was expected, and learn what new placeholders stand for."""
        groups: dict[str, str] = {}
        pattern = "".join(self._piece(piece, groups) for piece in _PLACEHOLDER.split(expected))
        found = re.fullmatch(pattern, actual, re.DOTALL)
        if found is not None:
            self.known |= {name: found[group] for name, group in groups.items()}
        return found is not None

    def _piece(self, piece: str, groups: dict[str, str]) -> str:
        """Return the pattern of a piece; a placeholder that is new gets a group."""
        if piece == "…":
            return ".*?"
        if not _PLACEHOLDER.fullmatch(piece):
            return re.escape(piece)
        if piece in self.known:
            return re.escape(self.known[piece])
        if piece in groups:
            return f"(?P={groups[piece]})"
        groups[piece] = f"value{len(groups)}"
        return f"(?P<{groups[piece]}>[\\w.:=-]+)"


def read(transcript: Path) -> Iterator[Exchange]:
    """Yield the exchanges of a transcript."""
    lines = [line for line in transcript.read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]
    exchange: Exchange | None = None
    for mark, group in groupby((_LINE.fullmatch(line) for line in lines), lambda found: found and found[1]):
        text = "\n".join((found and found[2]) or "" for found in group)
        if mark == ">":
            if exchange is not None:
                yield exchange
            exchange = Exchange(text)
            continue
        assert exchange is not None, f"{transcript} does not begin with a request"
        assert mark is not None, f"{transcript} has a line without a mark"
        if mark == "<":
            exchange.answered = text
        else:
            exchange.streamed = text
    if exchange is not None:
        yield exchange


def split(text: str) -> tuple[str, dict[str, str], str]:
    """Return the first line, the headers and the body of a request or an answer."""
    head, _, body = text.partition("\n\n")
    first, *fields = head.split("\n")
    return first, dict(line.split(": ", 1) for line in fields), body


class TranscriptTests(ServerTestCase):
    """One test per revision."""

    settings = {"MCP_ECHO_LEGACY_SSE": "true"}

    def replay(self, revision: str) -> None:
        """Say what the transcript of a revision says, and compare what comes back."""
        values = Values()
        stream: Listening | None = None
        read_so_far = 0
        for exchange in read(HERE / f"{revision}.txt"):
            answer = self._say(values.fill(exchange.sent))
            self._compare_answer(values, exchange, answer)
            if stream is not None:
                self._compare(values, exchange.streamed, stream.body[read_so_far:], exchange)
            if not answer.over:
                stream = answer
            read_so_far = len(stream.body) if stream is not None else 0
        self.leave()

    def _say(self, text: str) -> Listening:
        request, headers, body = split(text)
        method, path = request.split(" ")
        answer = Listening(self.begin(method, path, body.encode() or None, headers))
        self.client.flush()
        return answer

    def _compare_answer(self, values: Values, exchange: Exchange, answer: Listening) -> None:
        status, headers, body = split(exchange.answered)
        assert str(answer.status) == status, exchange.sent
        for name, expected in headers.items():
            (actual,) = answer.headers.getRawHeaders(name) or ("",)
            self._compare(values, expected, actual.encode(), exchange)
        self._compare(values, body, answer.body, exchange)

    def _compare(self, values: Values, expected: str, actual: bytes, exchange: Exchange) -> None:
        text = actual.decode().rstrip("\n")
        if not values.match(expected, text):
            self.fail(f"After\n{exchange.sent}\n\nexpected\n{expected}\n\ngot\n{text}")

    def test_2024_11_05(self) -> None:
        """2024-11-05 basic/transports, HTTP with SSE."""
        self.replay("2024-11-05")

    def test_2025_03_26(self) -> None:
        """2025-03-26 basic/transports, Streamable HTTP, and basic, Batching."""
        self.replay("2025-03-26")

    def test_2025_06_18(self) -> None:
        """2025-06-18 basic/transports, Protocol Version Header, and server/tools, Structured Content."""
        self.replay("2025-06-18")

    def test_2025_11_25(self) -> None:
        """2025-11-25 basic/transports, Resumability and Redelivery, and server/resources, Subscriptions."""
        self.replay("2025-11-25")

    def test_2026_07_28(self) -> None:
        """2026-07-28 basic/transports/streamable-http and basic/patterns: mrtr and subscriptions."""
        self.replay("2026-07-28")

    def test_every_revision_has_its_transcript(self) -> None:
        """Our choice: a revision that is added gets a conversation that people can read."""
        named = {path.stem for path in HERE.glob("*.txt")}
        tested = {name.removeprefix("test_").replace("_", "-") for name in dir(self) if "test_20" in name}
        assert named == tested == {revision.name for revision in KNOWN}
