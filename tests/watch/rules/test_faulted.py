"""Rules where faults were ordered: they hold clients to what these do, and not to what they were not told.

The clients are some of those in tests/recordings. Each of their exchanges is hit, one after the other, and
its client then does what nobody can blame it for: it stops, or it asks again and goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from mcp_echo.watch.oauth_records import OauthAnswered
from mcp_echo.watch.records import ExchangeRecord, Record, Result
from tests.watch.recordings import records
from tests.watch.replay import found, left
from tests.watch.rules.over_time import Story

CLIENTS = ["plain-py1", "plain-ts2auto", "plain-mcpremote", "oauth-ts1", "oauth-py2", "stepup-ts2"]

LATER = 40.0
"""Seconds between a request that was hit and the same again."""


def instead(record: ExchangeRecord, fault: str, status: int | None, **facts: Any) -> ExchangeRecord:
    """Answer a request in the place of the server, which knows nothing of it then."""
    unknown: dict[str, Any] = {"era": None, "revision": None, "client": None, "client_version": None}
    messages = tuple(
        replace(each, outcome=None, error=None, seconds=None, result=Result(), era=None)
        for each in record.messages
    )
    oauth = None if record.oauth is None else replace(record.oauth, answered=OauthAnswered())
    session = record.session if record.session_form != "none" else None
    answer: dict[str, Any] = {"status": status, "streamed": False, "answer_headers": (), **facts}
    told: dict[str, Any] = {"messages": messages, "oauth": oauth, "session": session}
    return replace(record, fault=fault, order=1, known=False, made=False, **unknown, **told, **answer)


def hidden(record: ExchangeRecord, fault: str, **facts: Any) -> ExchangeRecord:
    """Have the server answer, and the client see something else."""
    return replace(record, fault=fault, order=1, **facts)


FAULTS: dict[str, Callable[[ExchangeRecord], ExchangeRecord]] = {
    "reject 500": lambda each: instead(each, "reject 500", 500),
    "reject 429": lambda each: instead(each, "reject 429", 429, answer_headers=(("Retry-After", "1"),)),
    "empty": lambda each: instead(each, "empty", None, first=None),
    "redirect 307": lambda each: instead(each, "redirect 307", 307),
    "answer wrong-id": lambda each: hidden(each, "answer wrong-id"),
    "cut": lambda each: hidden(each, "cut"),
    "silence": lambda each: hidden(each, "silence", status=None, first=None, last=30.0),
    "delay": lambda each: hidden(each, "delay", status=None, first=None, last=None, left=20.0),
}
"""Fault → what is recorded of an exchange that it has hit."""


def places(kept: Sequence[Record]) -> list[int]:
    """Return where requests are that a fault can hit."""
    hits = (each for each in enumerate(kept) if isinstance(each[1], ExchangeRecord))
    return [place for place, each in hits if getattr(each, "http_method", "") in ("GET", "POST")]


def at(kept: Sequence[Record], place: int) -> ExchangeRecord:
    """Return an exchange."""
    record = kept[place]
    assert isinstance(record, ExchangeRecord)
    return record


def numbered(kept: Sequence[Record]) -> list[Record]:
    """Return records with the numbers of their places."""
    return [replace(each, number=number) for number, each in enumerate(kept, 1)]


def levels(kept: Sequence[Record]) -> set[str]:
    """Return the ids of what is found that is no mere notice."""
    findings = found(left(kept)) if kept else {}
    return {each.id for each in findings.values() if each.level != "info"}


@pytest.mark.parametrize("fault", sorted(set(FAULTS) - {"delay"}))
@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_that_stops_where_it_was_hit_is_not_accused(name: str, fault: str) -> None:
    """Our choice: no rule accuses a client that is right, as it is to do nothing with what is wrong."""
    kept = records(name)
    for place in places(kept):
        stopped = [*kept[:place], FAULTS[fault](at(kept, place))]
        accused = levels(stopped) - levels(kept) - levels(kept[:place])
        # These come of scopes that the request which was hit asks for, or shows to be wanted.
        assert accused <= {"step-up-drops-scope", "token-scope", "step-up-refreshed"}, (place, accused)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_that_asks_again_where_it_was_hit_is_not_accused(name: str, fault: str) -> None:
    """Our choice, as above. A code that may have been spent is not to be sent again (OAuth 2.1, 4.1.3)."""
    kept = records(name)
    for place in places(kept):
        first = at(kept, place)
        messages = tuple(
            replace(each, id=900) if isinstance(each.id, int) else each for each in first.messages
        )
        before = replace(
            FAULTS[fault](first), at=first.at - LATER, messages=messages, connection=900, body_hash="before"
        )
        if before.made:
            before = replace(before, session="another…")
        accused = levels(numbered([*kept[:place], before, *kept[place:]])) - levels(kept)
        wanted = {"code-reused"} if first.oauth is not None and first.oauth.leg == "token" else set()
        # A status that was read is known, and who left a call has to say so before it calls again.
        wanted |= {"get-retried-after-405"} if first.status == 405 else set()
        wanted |= {"call-abandoned", "call-repeated"} if fault == "delay" else set()
        assert accused <= wanted, (place, accused)


@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_whose_session_is_lost_is_held_to_what_binds_it(name: str) -> None:
    """2025-11-25 basic/transports, Session Management: after 404 it MUST begin a new session."""
    kept = records(name)
    for place in places(kept):
        hit = at(kept, place)
        if hit.session_form == "none":
            continue
        lost = [*kept[:place], instead(hit, "session-lost 404", 404)]
        assert levels(lost) - levels(kept) - levels(kept[:place]) == {"session-not-reestablished"}
        other = [*kept[:place], instead(hit, "session-lost 400", 400)]
        assert levels(other) - levels(kept) - levels(kept[:place]) == set()


def test_a_token_that_its_client_did_not_wait_for_need_not_be_used() -> None:
    """RFC 9110 section 9: who has left before the answer has not had it."""
    kept = records("oauth-ts1")
    legs = {place: each.oauth for place in places(kept) if (each := at(kept, place)).oauth is not None}
    place = next(place for place, oauth in legs.items() if oauth is not None and oauth.leg == "token")
    slow = hidden(at(kept, place), "issuer slow-token")
    assert "token-never-used" in levels([*kept[:place], slow])
    left_early = hidden(slow, "issuer slow-token", left=20.0)
    assert "token-never-used" not in levels([*kept[:place], left_early])


def test_who_hangs_up_without_cancelling_is_told_so_whatever_was_to_come() -> None:
    """2025-11-25 basic/transports, Sending Messages: to cancel, a client SHOULD send a cancellation."""
    story = Story().ready().call(fault="silence", order=1, status=None, first=None, last=None, left=5.0)
    assert levels(story.records) == {"call-abandoned", "session-never-deleted"}
