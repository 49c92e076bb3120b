"""A trace, seen from the test that it is made for: an address to send to, and what was wrong there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, Literal
from urllib.parse import urlsplit

Level = Literal["error", "warning", "info"]

LEVELS: tuple[Level, ...] = ("error", "warning", "info")
"""The levels of findings, the worst first."""

_ANSWER_SECONDS = 10.0
_LONGEST_LABEL = 100
"""Characters; a test's name has its parameters in it."""
_LONGEST_QUOTE = 500


class TraceError(RuntimeError):
    """The server does not do with a trace what it was asked to."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that was not kept."""

    id: str
    level: Level
    summary: str
    """What was found, and what was wanted."""
    advice: str
    """What to do next."""
    count: int = 1
    """How often it was found."""
    url: str | None = None
    """Where the rule is written."""
    keyword: str | None = None
    """MUST, SHOULD or MAY, as the rule has it."""
    confidence: str | None = None
    """``certain`` or ``likely``."""
    subject: str | None = None
    """Which line of the request it is about, as ``header:3``."""

    @classmethod
    def read(cls, told: Mapping[str, Any]) -> Finding:
        """Return a finding of a report."""
        rule = told.get("rule") or {}
        return cls(
            id=told["id"],
            level=told["level"],
            summary=told["summary"],
            advice=told["advice"],
            count=told.get("count", 1),
            url=rule.get("url"),
            keyword=rule.get("keyword"),
            confidence=told.get("confidence"),
            subject=told.get("subject") or None,
        )

    def __str__(self) -> str:
        times = f", {self.count} times" if self.count > 1 else ""
        lines = [f"{self.level} {self.id}{times}: {self.summary}", self.advice]
        rule = " ".join(each for each in (self.keyword, self.url) if each)
        return "\n    ".join(line for line in (*lines, rule) if line)


class Trace:
    """An MCP endpoint of a test's own, and the record of what came to it.

    Args:
        server: The URL of the server, without a path.
        label: What to call it, on its page.

    Raises:
        TraceError: The server makes none.
        OSError: The server cannot be reached.
    """

    def __init__(self, server: str, label: str) -> None:
        made = _answer("POST", f"{server}/t", {"label": label[:_LONGEST_LABEL]})
        self.id: str = made["trace"]
        self.url: str = made["mcpUrl"]
        """The address of the MCP endpoint."""
        self.page_url: str | None = made.get("pageUrl")
        """A page for people that shows what comes, as it comes."""
        self._place = f"{server}/t/{self.id}"

    def report(self) -> dict[str, Any]:
        """Return what the server says of all that has come: ``verdict``, ``findings``, ``flows`` and more.

        Raises:
            TraceError: The server has none.
            OSError: The server cannot be reached.
        """
        report: dict[str, Any] = _answer("GET", f"{self._place}/report")
        return report

    def findings(self, level: Level = "info") -> list[Finding]:
        """Return the rules that were not kept, the worst first.

        Args:
            level: The least that is returned; ``info`` for all.

        Raises:
            TraceError: The server has no report.
            OSError: The server cannot be reached.
        """
        wanted = LEVELS[: LEVELS.index(level) + 1]
        found = [Finding.read(each) for each in self.report().get("findings", ())]
        return sorted(
            (each for each in found if each.level in wanted), key=lambda each: LEVELS.index(each.level)
        )

    def close(self) -> None:
        """End it; one that has ended already is no harm.

        Raises:
            TraceError: The server does not.
            OSError: The server cannot be reached.
        """
        status, body = _ask("DELETE", self._place)
        if status != 404:
            _check("DELETE", self._place, status, body)


def _answer(method: str, url: str, body: object = None) -> Any:
    """Return the JSON that a request is answered with."""
    status, answer = _ask(method, url, body)
    _check(method, url, status, answer)
    return json.loads(answer)


def _check(method: str, url: str, status: int, answer: bytes) -> None:
    if not 200 <= status < 300:
        said = answer[:_LONGEST_QUOTE].decode("utf-8", "replace")
        raise TraceError(f"{method} {url} was answered with {status}: {said}")


def _ask(method: str, url: str, body: object = None) -> tuple[int, bytes]:
    """Return status and body of an answer; no proxy of the environment stands between."""
    parts = urlsplit(url)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = kind(parts.netloc, timeout=_ANSWER_SECONDS)
    headers = {} if method == "GET" else {"Content-Type": "application/json"}
    try:
        connection.request(method, parts.path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except HTTPException as error:
        raise TraceError(f"{method} {url} was not answered in HTTP: {error!r}") from None
    finally:
        connection.close()
