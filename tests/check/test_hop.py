"""``mcp-echo check --hop``: what differs in the answers that came through a gateway."""

from __future__ import annotations

import json
from typing import Any

from mcp_echo.check.hop_answers import compare_answers
from mcp_echo.check.wire import HttpAnswer
from mcp_echo.watch.rules.rule import Broken
from tests.check.support import GoodServer, Reply, answered, ran, result

DIRECT, VIA = "http://mcp.example/mcp", "http://gateway.example/mcp"


class TwoWays(GoodServer):
    """A server that answers otherwise where it is reached through a gateway.

    Args:
        gateway: Name of what is asked → what the gateway answers.
    """

    def __init__(self, **gateway: Reply) -> None:
        super().__init__()
        self._gateway = gateway

    def render(self, request: Any) -> Any:
        self.changes = self._gateway if request.getHeader("Host") == "gateway.example" else {}
        # Each client has a session of its own.
        body = request.content.read()
        request.content.seek(0)
        if b'"initialize"' in body:
            self.ended = False
        return super().render(request)


def test_a_way_that_changes_nothing_is_clean() -> None:
    """The design: exit 0 clean."""
    done = ran(TwoWays(), "--hop", DIRECT, VIA, "--format", "json")
    assert (done.status, json.loads(done.printed)["heldRules"]) == (0, ["hop-answers"])


def test_a_session_that_is_lost_on_the_way_is_named_once() -> None:
    """The design: a relay that drops Mcp-Session-Id in answers; what follows from it is no news."""
    begun: Reply = (200, {}, result(1, protocolVersion="2025-11-25"))
    server = TwoWays(initialize=begun)
    done = ran(server, "--hop", DIRECT, VIA, "--format", "json")
    (finding,) = done.findings.values()
    assert done.status == 1
    assert finding["summary"] == "Mcp-Session-Id of the answer is lost on the way"
    assert finding["level"] == "error"
    through = [each for each in server.asked if each.getHeader("Host") == "gateway.example"]
    assert [each.getHeader("X-MCP-Echo-Probe") for each in through] == ["1", "2"]


def test_an_answer_of_the_gateway_s_own_is_named() -> None:
    done = ran(TwoWays(request=(502, {}, b"<html>")), "--hop", DIRECT, VIA, "--format", "json")
    finding = done.findings["hop-answer-status ping"]
    assert (done.status, finding["evidence"][0]["found"]) == (1, "502")


def test_a_stream_that_the_gateway_holds_back_is_named() -> None:
    """docs/gateways.md: a gateway that collects event streams hangs clients."""
    done = ran(TwoWays(stream=(0, {}, None)), "--hop", DIRECT, VIA, "--format", "json")
    assert "no answer came" in done.findings["hop-answer-lost GET"]["summary"]


def test_ways_that_cannot_be_reached_end_with_two() -> None:
    done = ran(TwoWays(initialize=(0, {}, None)), "--hop", DIRECT, VIA)
    assert (done.status, done.told.count("\n")) == (2, 1)


def told(before: HttpAnswer, behind: HttpAnswer, again: HttpAnswer) -> list[tuple[str, str, str]]:
    results = compare_answers({"ping": before}, {"ping": behind}, {"ping": again})
    return [
        (each.check.id, each.check.level, each.outcome.subject)
        for each in results
        if isinstance(each.outcome, Broken)
    ]


def test_what_happens_to_a_header_of_an_answer_is_named() -> None:
    """The design: an error for what MCP cannot do without, else information."""
    before = answered(Content_Type="application/json", Vary="Origin")
    for behind, wanted in (
        (answered(Vary="Origin"), ("hop-answer-header-dropped", "error", "header:Content-Type")),
        (
            answered(Content_Type="text/html", Vary="Origin"),
            ("hop-answer-header-changed", "error", "header:Content-Type"),
        ),
        (answered(Content_Type="application/json"), ("hop-answer-header-dropped", "info", "header:Vary")),
        (
            answered(Content_Type="application/json", Vary="Origin", Via="1.1 x"),
            ("hop-answer-header-added", "info", "header:Via"),
        ),
        (
            answered(Content_Type="application/json", Vary="Origin, Origin"),
            ("hop-answer-header-repeated", "info", "header:Vary"),
        ),
    ):
        assert told(before, behind, before) == [wanted]


def test_what_differs_by_itself_is_not_blamed_on_the_way() -> None:
    """Our choice: ids and times are others each time."""
    one, two, three = (
        answered(200, result(1, at=at), X_Request_Id=str(at), Date=str(at)) for at in (1, 2, 3)
    )
    assert told(one, three, two) == []
    assert told(one, three, one) == [
        ("hop-answer-header-changed", "info", "header:X-Request-Id"),
        ("hop-answer-body", "warning", "ping"),
    ]


def test_secrets_in_answers_are_masked() -> None:
    before = answered(Set_Cookie="session=secret-of-mine")
    (found,) = compare_answers({"ping": before}, {"ping": answered()}, {"ping": before})
    assert isinstance(found.outcome, Broken)
    assert "secret-of-mine" not in repr(found.outcome)
