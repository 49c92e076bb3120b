"""One session's state."""

from __future__ import annotations

from sys import getsizeof

import msgspec
import pytest

from mcp_echo.protocol.revisions import Supported
from mcp_echo.sessions.budget import StateBudget
from mcp_echo.sessions.event_log import EventLog
from mcp_echo.sessions.key import SessionKey
from mcp_echo.sessions.session import UNKNOWN_CLIENT, Echo, Session, Terms

REVISION = Supported().offered


def session(now: float = 100.0) -> Session:
    return Session(SessionKey("id", None, False), Terms(REVISION, UNKNOWN_CLIENT, 60), now)


@pytest.mark.parametrize(("idle", "expired"), [(0, False), (59.999, False), (60, True), (1e9, True)])
def test_a_session_expires_when_the_timeout_has_passed(idle: float, expired: bool) -> None:
    """Our choice: the timeout is how long a session may be idle, not how long it must be."""
    assert session(now=100.0).is_expired(100.0 + idle) is expired


def test_activity_counts_and_creation_does_not() -> None:
    """Our choice: idleness is measured from the last activity."""
    used = session(now=0.0)
    used.last_activity = 50.0
    assert not used.is_expired(100.0)
    assert used.is_expired(110.0)


def test_a_session_that_never_had_a_message_has_no_queue() -> None:
    """Our choice: most sessions need none, and a thousand empty ones cost memory."""
    made: list[EventLog] = []

    def new_log() -> EventLog:
        made.append(EventLog())
        return made[-1]

    idle = Session(SessionKey("id", None, False), Terms(REVISION, UNKNOWN_CLIENT, 60), 0.0, new_log=new_log)
    assert (idle.pending, idle.dropped, idle.open_streams, idle.queue_bytes) == (0, 0, 0, 0)
    assert made == []
    idle.log.queue(b"12345")
    assert (idle.pending, idle.queue_bytes, made) == (1, 5, [idle.log])


def test_what_a_session_is_told_after_its_end_is_not_kept() -> None:
    """Our choice: work may go on for a while after a DELETE, and must not hold memory for nobody."""
    budget = StateBudget()
    over = Session(SessionKey("id", None, False), Terms(REVISION, UNKNOWN_CLIENT, 60), 0.0, budget=budget)
    over.remember_echo(Echo("before"))
    over.end()
    over.log.queue(b"12345")
    over.remember_echo(Echo("after"))
    over.end()
    assert (over.pending, over.queue_bytes, over.last_echo) == (0, 0, None)
    assert (budget.used, budget.sessions, budget.waiting) == (0, 0, 0)


def test_the_average_is_over_the_answers_so_far() -> None:
    """Our choice: no figure before there is something to measure."""
    busy = session()
    assert busy.record.average_response_seconds is None
    busy.answered(1.0)
    busy.answered(2.0)
    assert busy.record.average_response_seconds == 1.5


def test_the_last_echo_is_remembered_and_every_one_counted() -> None:
    """replayLastEcho replays the last one; echo answers with the count."""
    talking = session()
    talking.remember_echo(Echo("first"))
    talking.remember_echo(Echo("second", "aGk=", "text/plain"))
    assert talking.record.echo_count == 2
    assert talking.last_echo is not None
    assert (talking.last_echo.message, talking.last_echo.data) == ("second", "aGk=")


def test_an_echo_s_size_grows_with_what_it_holds() -> None:
    """Our choice: healthProbe's session storage is measured, not made up."""
    assert Echo("x" * 1000).size - Echo("x").size == 999
    assert Echo("x", "y" * 1000, "a/b").size > Echo("x").size + 999


@pytest.mark.parametrize("text", ["ä" * 1000, "€" * 1000, "😀" * 1000, "a" * 999 + "😀"])
def test_an_echo_s_size_is_what_it_takes_once_it_was_answered(text: str) -> None:
    """CPython keeps the UTF-8 form of a text that was encoded: all of it counts, from the beginning on."""
    echo = Echo(text, "aGk=", "text/plain")
    msgspec.json.encode(echo.message)
    assert echo.size == sum(getsizeof(each) for each in (echo, echo.message, echo.data, echo.mime_type))


def test_the_end_of_a_session_ends_its_streams() -> None:
    """2025-11-25 basic/transports: a terminated session has no streams."""
    ending = session()
    stream = ending.log.listen()
    ending.end()
    assert stream.ended
