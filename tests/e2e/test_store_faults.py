"""Two daemons and their Redis while something goes wrong: no message is lost, comes twice or out of order.

What was acknowledged (200) comes once. What was refused, or whose connection broke, may have been kept when
only the answer was lost: it comes once or never.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.checker import BEGIN, DIGITS, LENGTH, read, spelled
from tests.e2e.faults import (
    NODES,
    STORE,
    Fault,
    Report,
    freeze,
    kill_the_holder,
    refused_rightly,
    restart,
    run,
)
from tests.e2e.nodes import PATIENCE, STORES

pytestmark = pytest.mark.slow

FEWER = 250
"""Messages where the fault itself takes its time; tests/store_faults.py sends more."""


def name_of(fault: Fault) -> str:
    """Return what a test with this fault is called."""
    return fault.__name__


def check(report: Report) -> None:
    """Assert what holds whatever happened."""
    assert report.verdict.right, report.verdict
    assert not any(outcome.startswith("wrong") for outcome in report.sender.outcomes), report.sender.outcomes
    assert not {"400", "404", "429", "500"} & set(report.sender.outcomes), report.sender.outcomes
    assert not {"400", "404", "429", "500"} & set(report.receiver.refusals), report.receiver.refusals
    assert not any("Traceback" in log for log in report.logs)
    assert report.watch.healthy == {200}


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("fault", NODES, ids=name_of)
def test_a_node_ends_and_no_message_is_lost(fault: Fault, store: str, tmp_path: Path) -> None:
    """Resumability and Redelivery: everything after Last-Event-ID, on whichever node is left."""
    count = 1000 if fault is kill_the_holder and store == "redis" else FEWER
    report = run(fault, count, tmp_path, store)

    check(report)
    assert report.verdict.acknowledged == count
    # What the last batch of a node that was killed came to, nobody was told.
    assert report.verdict.received - count <= 1


@pytest.mark.parametrize("fault", STORE, ids=name_of)
def test_the_store_fails_and_no_message_is_lost(fault: Fault, tmp_path: Path) -> None:
    """Our choice: an outage is 503 with a time to come back; 404 would make all clients begin anew.

    Streams that are open stay so: the reader gets all on the connection that it began with. The processes are
    alive, so that nobody restarts them, and need no restart once the store is back.
    """
    report = run(fault, FEWER, tmp_path)

    check(report)
    assert set(report.sender.outcomes) <= {"200", "503"}
    assert refused_rightly(report)
    assert report.receiver.connections == 1
    assert report.watch.ready[-1] == 200
    if fault in (freeze, restart):
        assert report.sender.outcomes["503"] > 0
        assert 503 in report.watch.ready
        assert report.verdict.gap < PATIENCE


def test_the_judge_sees_what_is_torn() -> None:
    """Guards the tests above: a word that lacks a digit, or has one twice, is none."""
    tools = [call["params"]["name"] for number in (7, 8) for call in spelled(number)]
    assert read(tools) == [7, 8]
    assert tools[0] == BEGIN not in DIGITS
    for torn in (tools[1:], tools[:-1], [*tools[:2], *tools[1:]], tools[LENGTH:]):
        with pytest.raises(AssertionError, match="torn"):
            read(torn)
