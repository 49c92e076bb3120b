"""Log lines for people or for machines. Nothing a client sends can forge, split or colour one."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

import msgspec
from twisted.logger import (
    FilteringLogObserver,
    ILogObserver,
    LogEvent,
    Logger,
    LogLevel,
    LogLevelFilterPredicate,
    formatEvent,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from mcp_echo.config import ConfigError, Settings
from mcp_echo.redaction import fingerprint, mask_json, mask_session_ids, mask_userinfo, one_line
from mcp_echo.state.session import Session

FIELDS = ("session_id", "client_name", "protocol_version", "method", "kind", "peer", "status", "body")
"""Event fields that are shown beside the text, in this order."""

_BARE = re.compile(r"[\w.:/-]+")

_LEVELS = {
    "DEBUG": LogLevel.debug,
    "INFO": LogLevel.info,
    "WARNING": LogLevel.warn,
    "ERROR": LogLevel.error,
    "CRITICAL": LogLevel.critical,
}


@implementer(ILogObserver)
class LineObserver:
    """Writes each event as one line.

    Args:
        output: Where to.
        render: Turns an event into a line without its end.
    """

    def __init__(self, output: TextIO, render: Callable[[LogEvent], str]) -> None:
        self._output = output
        self._render = render

    def __call__(self, event: LogEvent) -> None:
        self._output.write(f"{self._render(event)}\n")
        self._output.flush()


def render_text(event: LogEvent) -> str:
    """Return the event for people; a traceback is indented under it."""
    fields = "".join(f" {name}={_quoted(value)}" for name, value in _fields(event))
    source = event.get("log_namespace", "-")
    line = f"{_time(event)} [{source}#{_level(event)}] {one_line(formatEvent(event))}{fields}"
    trace = _traceback(event)
    return line if trace is None else "\n\t".join([line, *map(one_line, trace.splitlines())])


def render_json(event: LogEvent) -> str:
    """Return the event as one JSON object in ASCII."""
    entry: dict[str, Any] = {
        "time": _time(event),
        "level": _level(event),
        "logger": event.get("log_namespace", "-"),
        "message": formatEvent(event),
        **dict(_fields(event)),
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


def _fields(event: LogEvent) -> list[tuple[str, Any]]:
    return [(name, event[name]) for name in FIELDS if event.get(name) is not None]


def _quoted(value: Any) -> str:
    text = one_line(str(value))
    if _BARE.fullmatch(text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _traceback(event: LogEvent) -> str | None:
    failure = event.get("log_failure")
    return mask_userinfo(failure.getTraceback()) if isinstance(failure, Failure) else None


def observer(settings: Settings, standard_output: TextIO) -> ILogObserver:
    """Return the observer that the settings describe.

    Args:
        settings: Level, format and file.
        standard_output: Where lines go when no file is set.

    Raises:
        ConfigError: The file cannot be opened.
    """
    output = standard_output if settings.log_file is None else open_log_file(settings.log_file)
    render = render_json if settings.log_format == "json" else render_text
    level = LogLevel.debug if settings.debug else _LEVELS[settings.log_level]
    predicate = LogLevelFilterPredicate(defaultLogLevel=level)
    filtering: ILogObserver = FilteringLogObserver(LineObserver(output, render), [predicate])
    return filtering


def open_log_file(path: str) -> TextIO:
    """Return the file opened for appending, its directories made.

    Raises:
        ConfigError: It cannot be written.
    """
    try:
        file = Path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        return file.open("a", encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise ConfigError(f"LOG_FILE {path} cannot be written: {error.strerror}") from None


class LogJournal:
    """Writes down what the server does, through twisted.logger.

    Session ids appear as a short hash: the log must not hold what would let its reader take a session over.

    Args:
        verbose: Whether details are wanted at all; preparing them costs time.
        reveal: Whether bodies are logged with their secrets.
    """

    _log = Logger("mcp_echo")

    def __init__(self, verbose: bool, reveal: bool) -> None:
        self.verbose = verbose
        self._reveal = reveal

    def note(self, text: str, *, session: Session | None = None, **fields: Any) -> None:
        """Write down an event that an operator wants to see."""
        self._log.info(text, session_id=_hashed(session), **fields)

    def debug(
        self, text: str, *, session: Session | None = None, body: bytes | None = None, **fields: Any
    ) -> None:
        """Write down a detail that matters while looking for a fault."""
        if self.verbose:
            shown = None if body is None else self._shown(body)
            self._log.debug(text, session_id=_hashed(session), body=shown, **fields)

    def failure(self, text: str, *, session: Session | None = None, **fields: Any) -> None:
        """Write down the exception being handled, or the given ``failure``, with its traceback."""
        self._log.failure(text, session_id=_hashed(session), **fields)

    def _shown(self, body: bytes) -> str:
        if self._reveal:
            return body.decode("utf-8", "backslashreplace")
        try:
            return mask_session_ids(msgspec.json.encode(mask_json(msgspec.json.decode(body))).decode())
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return f"({len(body)} bytes that are not JSON)"


def _hashed(session: Session | None) -> str | None:
    return None if session is None else fingerprint(session.id)
