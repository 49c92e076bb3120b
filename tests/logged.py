"""What is logged while something runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from twisted.logger import LogEvent, LogLevel, formatEvent, globalLogPublisher


@contextmanager
def observed(note: Callable[[LogEvent], None]) -> Iterator[None]:
    """Have ``note`` called with each event that is logged meanwhile."""
    globalLogPublisher.addObserver(note)
    try:
        yield
    finally:
        globalLogPublisher.removeObserver(note)


class Events(list[LogEvent]):
    """What was logged."""

    def texts(self, level: LogLevel) -> list[str]:
        """Return the lines of one level."""
        return [formatEvent(event) for event in self if event["log_level"] is level]


@contextmanager
def no_logged_failures(but_of: str | None = None) -> Iterator[None]:
    """Fail at the end if an exception was logged meanwhile.

    Args:
        but_of: Whose log may have some: what the names of their loggers begin with; None for nobody's.
    """
    failures: list[str] = []

    def note(event: LogEvent) -> None:
        if "log_failure" in event and (but_of is None or not event["log_namespace"].startswith(but_of)):
            failures.append(event["log_failure"].getTraceback())

    with observed(note):
        yield
    assert failures == []
