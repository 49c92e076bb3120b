"""Two traces side by side: what a gateway did to the requests of one of them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from mcp_echo.watch.compare import LABEL, MOST_DIFFERENCES, MOST_EVIDENCE, MOST_PAIRS, compare
from mcp_echo.watch.comparison import Comparison, as_text
from mcp_echo.watch.header_changes import header_changes, order_change
from mcp_echo.watch.records import ExchangeRecord
from tests.watch.rules.building import Changes, exchange


def compared(changes: Changes | None = None, **facts: Any) -> Comparison:
    """Return the comparison of a request with itself, changed as a gateway would."""
    return compare([exchange()], [exchange(headers=changes, **facts)])


def told(comparison: Comparison) -> list[tuple[str, str, str]]:
    """Return what is different but for the order, which changing a header in these tests changes."""
    found = [(each.id, each.level, each.subject) for each in comparison.differences]
    return [each for each in found if each[0] != "hop-order"]


def test_what_arrives_as_it_was_sent_is_no_difference() -> None:
    """Our choice: nothing is said of a gateway that does nothing."""
    same = compared(number=7, at=1.0, connection=9, peer="192.0.2.9", address="192.0.2.9")
    assert (same.compared, same.differences, same.only_direct, same.only_via) == (1, (), (), ())
    assert same.verdict == "1 request was compared: all of them arrived as they were sent."


@pytest.mark.parametrize(
    ("changes", "facts", "wanted"),
    [
        ({"Accept": None}, {}, ("hop-header-dropped", "error", "header:Accept")),
        ({"Mcp-Session-Id": None}, {}, ("hop-header-dropped", "error", "header:Mcp-Session-Id")),
        ({"User-Agent": None}, {}, ("hop-header-dropped", "info", "header:User-Agent")),
        ({"X-Forwarded-For": "192.0.2.1"}, {}, ("hop-header-added", "info", "header:X-Forwarded-For")),
        ({"Authorization": "Bearer [x]"}, {}, ("hop-header-added", "info", "header:Authorization")),
        ({"Mcp-Method": "x"}, {}, ("hop-header-added", "error", "header:Mcp-Method")),
        ({"Content-Type": "text/plain"}, {}, ("hop-header-changed", "error", "header:Content-Type")),
        ({"Host": "inside:3000"}, {}, ("hop-header-changed", "info", "header:Host")),
        ({}, {"path": "/mcp"}, ("hop-path-changed", "warning", "path")),
        ({}, {"query": (("a", "1"),)}, ("hop-query-changed", "warning", "query")),
        ({}, {"http_version": "1.0"}, ("hop-version", "info", "version")),
        ({}, {"body_hash": "b4"}, ("hop-body-changed", "warning", "body")),
    ],
)
def test_each_change_has_a_name_and_a_weight(
    changes: Changes, facts: dict[str, Any], wanted: tuple[str, str, str]
) -> None:
    """The design: an error for protocol headers and Authorization, else information."""
    comparison = compared(changes, **facts)
    assert told(comparison) == [wanted]
    found = comparison.differences[0]
    assert found.advice
    assert found.url.startswith("https://www.rfc-editor.org/")
    assert found.evidence[0].wanted != found.evidence[0].found


def test_a_doubled_header_is_told_from_a_changed_one() -> None:
    """RFC 9110 5.3: two lines of a name are one list."""
    accept = dict(exchange().headers)["Accept"]
    for doubled in ([accept, accept], f"{accept}, {accept}"):
        assert told(compared({"Accept": doubled})) == [("hop-header-repeated", "error", "header:Accept")]
    assert told(compared({"Accept": [accept, "text/html"]}))[0][0] == "hop-header-changed"
    assert header_changes([("A", "1"), ("a", "2")], [("A", "1, 2")]) == []


def test_a_body_that_nobody_has_read_is_no_other_one() -> None:
    """Our choice: the hash of one is not known that was refused for its head."""
    assert told(compared(body_hash=None, status=406)) == []


def test_order_and_spelling_of_names_are_information() -> None:
    record = exchange()
    turned = replace(record, headers=tuple(reversed(record.headers)))
    spelled = replace(record, headers=tuple((name.upper(), value) for name, value in record.headers))
    for other, word in ((turned, "order"), (spelled, "spelling")):
        (found,) = compare([record], [other]).differences
        assert (found.id, found.level) == ("hop-order", "info")
        assert word in found.summary
    # What is on one side alone has no place on the other one.
    assert order_change([("A", "1"), ("B", "2")], [("X", "0"), ("B", "2")]) is None


def test_the_sessions_of_two_traces_are_not_the_same() -> None:
    """Our choice: each has sessions of its own, so that their ids differ without any gateway."""
    assert compared({"Mcp-Session-Id": "9999… #1"}).differences == ()
    unknown = compared({"Mcp-Session-Id": "9999… #1"}, known=False)
    assert told(unknown) == [("hop-header-changed", "error", "header:Mcp-Session-Id")]


def labelled(number: int, label: str | None, method: str = "tools/list") -> ExchangeRecord:
    return exchange(method, headers={LABEL: label}, number=number)


def test_a_label_says_which_requests_belong_together() -> None:
    """The design: X-MCP-Echo-Probe: n."""
    direct = [labelled(1, "1"), labelled(2, "2", "ping")]
    via = [labelled(5, "2", "ping"), labelled(6, "1")]
    pairs = compare(direct, via).pairs
    assert [(each.direct, each.via, each.label) for each in pairs] == [(1, 6, "1"), (2, 5, "2")]


def test_without_a_label_method_and_order_do() -> None:
    direct = [labelled(1, None), labelled(2, None, "ping"), labelled(3, None), labelled(4, "9")]
    via = [labelled(1, None, "ping"), labelled(2, None), labelled(3, None, "prompts/list"), labelled(4, None)]
    comparison = compare(direct, via)
    assert [(each.direct, each.via, each.label) for each in comparison.pairs] == [
        (1, 2, None),
        (2, 1, None),
        (3, 4, None),
    ]
    assert (comparison.only_direct, comparison.only_via) == ((4,), (3,))
    assert "Came through the gateway alone: exchanges 3" in as_text(comparison)


def test_where_labels_come_through_one_without_a_counterpart_has_none() -> None:
    """Our choice: another request of that method is another request."""
    comparison = compare([labelled(1, "1"), labelled(2, "2")], [labelled(1, "1"), labelled(2, None)])
    assert [(each.direct, each.via) for each in comparison.pairs] == [(1, 1)]
    assert (comparison.only_direct, comparison.only_via) == ((2,), (2,))


def test_a_label_that_is_lost_on_the_way_is_told_of() -> None:
    comparison = compare([labelled(1, "1")], [labelled(1, None)])
    assert told(comparison) == [("hop-header-dropped", "info", f"header:{LABEL}")]


def test_a_difference_is_counted_and_the_worst_comes_first() -> None:
    """The design: per pair, and summed."""
    changes: Changes = {"X-Forwarded-For": "192.0.2.1", "Accept": None}
    count = MOST_EVIDENCE + 2
    comparison = compare(
        [exchange(number=number) for number in range(count)],
        [exchange(number=number, headers=changes) for number in range(count)],
    )
    assert [(each.subject, each.count, len(each.evidence)) for each in comparison.differences] == [
        ("header:Accept", count, MOST_EVIDENCE),
        ("header:X-Forwarded-For", count, MOST_EVIDENCE),
    ]
    assert {each.differences for each in comparison.pairs} == {
        ("hop-header-dropped header:Accept", "hop-header-added header:X-Forwarded-For")
    }
    assert "2 things (1 error, 1 info)" in comparison.verdict


def test_a_comparison_has_a_bound() -> None:
    """Our choice: whoever fills two traces with names must not get an answer without end."""
    direct = [exchange(number=number) for number in range(MOST_PAIRS + 5)]
    via = [
        exchange(number=number, headers={f"X-{number}-{name}": "1" for name in range(3)})
        for number in range(MOST_PAIRS + 5)
    ]
    comparison = compare(direct, via)
    assert (comparison.compared, len(comparison.pairs)) == (MOST_PAIRS + 5, MOST_PAIRS)
    assert len(comparison.differences) == MOST_DIFFERENCES
    assert comparison.cut == 3 * (MOST_PAIRS + 5) - MOST_DIFFERENCES
    assert f"{comparison.cut} more differences" in as_text(comparison)
    assert len(msgspec.json.encode(comparison)) < 500_000


def test_nothing_in_common_is_no_clean_way() -> None:
    assert compare([], []).verdict.startswith("Nothing could be compared")
