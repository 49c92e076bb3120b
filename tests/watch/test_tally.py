"""Counting requests: what they are told apart by, and that clients cannot make up labels."""

from __future__ import annotations

from mcp_echo.protocol.errors import HostRefused
from mcp_echo.watch.seen import Asked, Seen
from mcp_echo.watch.tally import SECONDS, Answered, Histogram, Tally
from tests.watch.support import seen


def expecting() -> Tally:
    tally = Tally()
    tally.expect({"ping", "tools/call"}, {"echo"}, {"2025-06-18"})
    return tally


def answered(
    method: str | None,
    tool: str | None,
    revision: str | None,
    era: str | None,
    outcome: int | str,
    error: int | None,
    seconds: float = 0.1,
) -> Seen:
    return seen(
        id=1,
        method=method,
        tool=tool,
        revision=revision,
        era=era,
        outcome=outcome,
        error=error,
        seconds=seconds,
    )


def test_what_differs_in_one_label_is_counted_apart() -> None:
    """Our choice: whoever reads the counts adds up what does not interest him."""
    tally = expecting()
    base = ("tools/call", "echo", "2025-06-18", "legacy", 200, None)
    others = [
        ("ping", None, "2025-06-18", "legacy", 200, None),
        ("tools/call", None, "2025-06-18", "legacy", 200, None),
        ("tools/call", "echo", None, "legacy", 200, None),
        ("tools/call", "echo", "2025-06-18", "modern", 200, None),
        ("tools/call", "echo", "2025-06-18", "legacy", 404, None),
        ("tools/call", "echo", "2025-06-18", "legacy", 200, -32602),
    ]
    for labels in (base, base, *others):
        tally.see(answered(*labels))
    assert tally.requests == {Answered(*base): 2, **{Answered(*labels): 1 for labels in others}}


def test_a_client_cannot_make_the_counts_grow() -> None:
    """Our choice: a label for each name that somebody thinks of would be memory without bound."""
    tally = expecting()
    for number in range(1000):
        name = f"made up {number}"
        tally.see(answered(name, None, name, "legacy", 200, -32601, 0.1))
        tally.see(answered("tools/call", name, "2025-06-18", "legacy", 200, -32602, 0.1))
    assert tally.requests == {
        Answered("other", None, None, "legacy", 200, -32601): 1000,
        Answered("tools/call", "other", "2025-06-18", "legacy", 200, -32602): 1000,
    }
    assert set(tally.durations) == {"other", "tools/call"}


def test_a_client_cannot_pass_for_no_request_at_all() -> None:
    """Our choice: a method that is called none, or other, is one that nobody knows."""
    tally = expecting()
    for name in ("none", "other"):
        tally.see(answered(name, name, name, "legacy", 200, None, 0.1))
    assert tally.requests == {Answered("other", "other", None, "legacy", 200, None): 2}


def test_a_span_of_time_falls_into_the_first_bucket_it_fits_in() -> None:
    """Prometheus: an upper bound belongs to its bucket, and buckets add up to all there are."""
    histogram = Histogram()
    for seconds in (0.0, SECONDS[0], 0.0006, 10.0, 11.0):
        histogram.observe(seconds)
    buckets = dict(histogram.cumulative())
    assert [buckets[bound] for bound in (0.0005, 0.001, 5.0, 10.0, float("inf"))] == [2, 3, 3, 4, 5]
    assert abs(histogram.sum - 21.0011) < 1e-9


def test_methods_have_a_histogram_each_however_they_were_answered() -> None:
    """Our choice: one histogram for each combination of labels would be too many series."""
    tally = expecting()
    tally.see(answered("ping", None, None, "legacy", 200, None, 0.1))
    tally.see(answered("ping", None, None, "modern", 404, -32601, 0.2))
    assert list(tally.durations) == ["ping"]
    assert sum(tally.durations["ping"].counts) == 2


def test_what_wants_no_answer_is_counted_only_if_it_is_refused_and_then_as_no_request() -> None:
    """docs/metrics.md: what was refused is none."""
    tally = expecting()
    tally.see(seen(method="ping", revision="2025-06-18", era="legacy"))
    tally.see(seen(method="ping", era="legacy", outcome=404, error=-32603))
    assert tally.requests == {Answered(None, None, None, "legacy", 404, -32603): 1}


def test_each_message_of_a_batch_is_counted_and_not_the_batch() -> None:
    """docs/metrics.md: each request of a batch counts."""
    tally = expecting()
    asked = [Asked() for _ in range(3)]
    for number, each in enumerate(asked[:2]):
        each.id, each.method, each.outcome = number, "ping", 200
    tally.see(seen(batch=asked))
    assert tally.requests == {Answered("ping", None, None, None, 200, None): 2}


def test_what_http_refuses_is_no_request() -> None:
    """docs/metrics.md: mcp_echo_http_refused_total."""
    tally = expecting()
    tally.see(seen(refusal=HostRefused("not here")))
    assert (tally.requests, tally.refused) == ({}, {HostRefused.status: 1})
