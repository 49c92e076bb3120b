"""Log lines for people or for machines. Nothing a client sends can forge, split or colour one."""

from __future__ import annotations

import errno
import json
import os
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import Any, Protocol

from twisted.logger import (
    FilteringLogObserver,
    ILogObserver,
    LogEvent,
    LogLevel,
    LogLevelFilterPredicate,
    formatEvent,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from mcp_echo.redaction import excerpt, mask_known, mask_session_ids, mask_tokens, one_line
from mcp_echo.settings.table import ConfigError, Settings

FIELDS = (
    "worker",
    "session_id",
    "client_name",
    "protocol_version",
    "http_method",
    "path",
    "method",
    "tool",
    "kind",
    "peer",
    "status",
    "milliseconds",
    "error",
    "leg",
    "oauth_error",
    "refusal",
    "findings",
    "remedy",
    "mcp_url",
    "page_url",
    "unix_socket",
    "trace_page_file",
)
"""Event fields that are shown beside the text, in this order; for people those that it does not name."""

WHOLE = {"request": "> ", "answer": "< "}
"""Event fields that are lines of their own → what each begins with."""

_BARE = re.compile(r"[\w.:/,-]+")

_TWISTED = ("twisted", "log_legacy", "-")
"""The namespaces of the log that Twisted writes to."""
_PORTS = ("twisted.internet.tcp", "twisted.internet.unix")
"""Those of ports, which tell there alone that a connection could not be taken (accept(2), EMFILE)."""

_LEVELS = {
    "DEBUG": LogLevel.debug,
    "INFO": LogLevel.info,
    "WARNING": LogLevel.warn,
    "ERROR": LogLevel.error,
    "CRITICAL": LogLevel.critical,
}
_SEVERITY = tuple(_LEVELS.values())


class Output(Protocol):
    """What lines are written to."""

    def write(self, text: str, /) -> object:
        """Write a line, all of it, or raise OSError."""


class LogOutput:
    """A file descriptor that lines are written to, each with one system call and nothing kept back.

    A buffered file would keep what it could not write, fail again with each line, and in the end with the
    process.

    Args:
        file: An unbuffered file.
    """

    def __init__(self, file: FileIO) -> None:
        self._file = file
        self._torn = False

    def write(self, text: str, /) -> None:
        """Write a line.

        Raises:
            OSError: It cannot be written, or only the beginning of it, as when a disk becomes full.
        """
        line = text.encode("utf-8", "backslashreplace")
        if self._torn:
            line = b"\n" + line
        written = self._file.write(line) or 0
        if written:
            self._torn = written < len(line)
        if written < len(line):
            raise OSError(errno.ENOSPC, f"only {written} of {len(line)} bytes were taken")


def on_terminal(settings: Settings) -> bool:
    """Return whether the log goes to standard output, and that is a terminal."""
    return settings.log_file is None and sys.__stdout__ is not None and sys.__stdout__.isatty()


class LogFile(LogOutput):
    """A log file that is appended to.

    Args:
        path: Where it is; its directories are made.

    Raises:
        ConfigError: It cannot be written.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        super().__init__(_appending(path))

    def reopen(self) -> None:
        """Write to whatever has the file's name now: the old file has been moved away.

        Raises:
            ConfigError: It cannot be written; the old file is kept.
        """
        file = _appending(self._path)
        self._file.close()
        self._file, self._torn = file, False

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def _appending(path: str) -> FileIO:
    try:
        file = Path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        return file.open("ab", buffering=0)
    except OSError as error:
        raise ConfigError(f"MCP_ECHO_LOG_FILE {path} cannot be written: {error.strerror}") from None


def standard_output() -> LogOutput:
    """Return standard output.

    Raises:
        ConfigError: It is closed, and its descriptor may be a client's connection by now.
    """
    if sys.__stdout__ is None:
        raise ConfigError("standard output is closed: set MCP_ECHO_LOG_FILE, or send it to /dev/null")
    return LogOutput(FileIO(1, "w", closefd=False))


def _complain(text: str) -> None:
    """Write a line to standard error, if there is one: twistd has turned ``sys.stderr`` into a log."""
    if sys.__stderr__ is not None:
        with suppress(OSError):
            os.write(2, f"mcp-echo: {text}\n".encode("utf-8", "backslashreplace"))


@implementer(ILogObserver)
@dataclass(eq=False)
class LineObserver:
    """Writes each event as one line. Where that fails, it counts what is lost, and the server goes on."""

    output: Output
    """Where to."""
    render: Callable[[LogEvent], str]
    """Turns an event into a line without its end."""
    complain: Callable[[str], None] = _complain
    """Told once when lines begin to be lost. Not a log: this is the log."""
    _lost: int = field(default=0, init=False)

    def __call__(self, event: LogEvent) -> None:
        line = self.render(event)
        try:
            if self._lost:
                self._write(self.render(self._loss(event)))
                self._lost = 0
            self._write(line)
        except OSError as error:
            if not self._lost:
                self.complain(f"log lines are lost until they can be written again: {error}")
            self._lost += 1

    def _write(self, line: str) -> None:
        self.output.write(f"{line}\n")

    def _loss(self, event: LogEvent) -> LogEvent:
        return {
            "log_time": event["log_time"],
            "log_level": LogLevel.warn,
            "log_namespace": "mcp_echo",
            "log_format": "{lost} log lines could not be written",
            "lost": self._lost,
        }


def render_text(event: LogEvent) -> str:
    """Return the event for people; a traceback or an exchange is indented under it."""
    said = event.get("log_format") or ""
    beside = [(name, value) for name, value in _fields(event) if f"{{{name}}}" not in said]
    fields = "".join(f" {name}={_quoted(value)}" for name, value in beside)
    source = event.get("log_namespace", "-")
    line = f"{_time(event)} [{source}#{_level(event)}] {one_line(_text(event))}{fields}"
    trace = _traceback(event)
    below = [] if trace is None else trace.splitlines()
    for name, mark in WHOLE.items():
        below += [f"{mark}{each}" for each in event.get(name, ())]
    return "\n\t".join([line, *map(one_line, below)])


def render_json(event: LogEvent) -> str:
    """Return the event as one JSON object in ASCII."""
    entry: dict[str, Any] = {
        "time": _time(event),
        "level": _level(event),
        "logger": event.get("log_namespace", "-"),
        "message": _text(event),
        **dict(_fields(event)),
        **{name: event[name] for name in WHOLE if name in event},
    }
    trace = _traceback(event)
    if trace is not None:
        entry["traceback"] = trace
    return json.dumps(entry, default=str)


def _time(event: LogEvent) -> str:
    return datetime.fromtimestamp(event["log_time"], UTC).isoformat(timespec="milliseconds")


def _level(event: LogEvent) -> str:
    level = event.get("log_level")
    return level.name if level is not None else "info"


def _text(event: LogEvent) -> str:
    return _masked(formatEvent(event))


_SHORTEST_MASKED = 8
"""Characters of the shortest text of letters and digits alone that may be masked."""

_LONGEST_FIELD = 512
"""Characters of a field that a line shows; names and methods of real clients are shorter."""

_MOST_CLEAN, _LONGEST_CLEAN = 256, 64
_clean: set[str] = set()
"""Some texts that were found to have nothing to mask: most lines say the same few things."""


def _masked(text: str) -> str:
    # A secret is longer, or has a mark in it: a dot, a space, a slash, an equals sign, a hyphen.
    if (len(text) < _SHORTEST_MASKED and text.isalnum()) or text in _clean:
        return text
    # Any UUID may be a session's id: which ones are is not known here.
    masked = mask_session_ids(mask_tokens(text), lambda _: True)
    if masked == text and len(text) <= _LONGEST_CLEAN and len(_clean) < _MOST_CLEAN:
        _clean.add(text)
    return masked


def _fields(event: LogEvent) -> list[tuple[str, Any]]:
    return [(name, _field(event[name])) for name in FIELDS if event.get(name) is not None]


def _field(value: Any) -> Any:
    return _masked(excerpt(value, _LONGEST_FIELD)) if isinstance(value, str) else value


def _quoted(value: Any) -> str:
    text = one_line(",".join(value) if isinstance(value, list) else str(value))
    if _BARE.fullmatch(text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _traceback(event: LogEvent) -> str | None:
    failure = event.get("log_failure")
    if not isinstance(failure, Failure):
        return None
    return _masked(mask_known(failure.getTraceback(), event.get("secrets", ())))


def observer(settings: Settings, output: Output, worker: int | None = None) -> ILogObserver:
    """Return the observer that the settings describe.

    Args:
        settings: Level and format.
        output: Where lines go.
        worker: Which of several processes this is that write to the same log; None for the only one.
    """
    render: Callable[[LogEvent], str] = render_json if settings.log_format == "json" else render_text
    if worker is not None:
        render = _marked(render, worker)
    level = LogLevel.debug if settings.debug else _LEVELS[settings.log_level]
    # Twisted tells how it starts and stops: for those who look for a fault in this program.
    others = level if level == LogLevel.debug else max(level, LogLevel.warn, key=_SEVERITY.index)
    predicate = LogLevelFilterPredicate(defaultLogLevel=level)
    for namespace in _TWISTED:
        predicate.setLogLevelForNamespace(namespace, others)
    for namespace in _PORTS:
        predicate.setLogLevelForNamespace(namespace, level)
    filtering: ILogObserver = FilteringLogObserver(LineObserver(output, render), [predicate])
    return filtering


def _marked(render: Callable[[LogEvent], str], worker: int) -> Callable[[LogEvent], str]:
    return lambda event: render({**event, "worker": worker})


@implementer(ILogObserver)
class FailureCount:
    """Counts the unexpected exceptions that are logged, by whichever part of the process."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, event: LogEvent) -> None:
        if event.get("log_failure") is not None:
            self.count += 1
