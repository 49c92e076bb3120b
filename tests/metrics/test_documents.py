"""What is shipped for those who watch the server: the table of figures, the dashboard, the alerting rules.

Our choice: none of them names a figure that does not exist, and none of the server's is missing where it
should be seen.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from mcp_echo.metrics import figures as metrics
from mcp_echo.metrics.workers import RESTARTS, WORKERS, ParentCollector
from tests.metrics.scraping import MetricsTestCase
from tests.metrics.test_figures import PING

DOCS = Path(__file__).parents[2] / "docs"

_NAME = re.compile(r"\b(?:mcp_echo|process|python)_[a-z_]+")
_SELECTOR = re.compile(r"(\b(?:mcp_echo|process|python)_[a-z_]+)\{([^}]*)\}")
_MATCHER = re.compile(r"(\w+)(?:=~|!~|!=|=)")
_GROUPING = re.compile(r"\b(?:by|without|ignoring|on)\s*\(([^)]*)\)")

# What Prometheus adds to every figure it scrapes.
SCRAPED = {"job", "instance"}


def rules() -> list[dict[str, str]]:
    """Return name and expression of each alerting rule, read without a YAML parser."""
    text = (DOCS / "alerts.yml").read_text(encoding="utf-8")
    found = re.findall(r"- alert: (\w+)\n +expr: (.+)\n", text)
    assert len(found) == text.count("- alert:")
    return [{"alert": name, "expr": expression} for name, expression in found]


def dashboard() -> Any:
    return json.loads((DOCS / "grafana-dashboard.json").read_text(encoding="utf-8"))


def panels() -> list[Any]:
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def expressions() -> list[str]:
    """Return every query of the dashboard and of the rules."""
    shown = [target["expr"] for panel in panels() for target in panel["targets"]]
    return shown + [rule["expr"] for rule in rules()]


def undone(names: set[str]) -> set[str]:
    """Return the names of figures without the suffixes that their samples have."""
    return {re.sub(r"_(total|info|bucket|sum|count)$", "", name) for name in names}


def of_several_workers() -> list[Metric]:
    """Return the figures that a server with several workers has besides."""
    collector = ParentCollector(lambda: {"wanted": 2, "alive": 1}, lambda: 0, lambda: 0, lambda: 0)
    names = [metrics.PREFIX + figure.name for figure in (WORKERS, RESTARTS)]
    return [family for family in collector.collect() if family.name in names]


class DocumentTests(MetricsTestCase):
    """The documents against a scrape of a server that has something to show of every figure."""

    def setUp(self) -> None:
        super().setUp()
        session = self.initialize()
        self.rpc("nope", session=session)
        self.request("POST", body=PING, headers={"Accept": "text/html"})
        self.families = list(text_string_to_metric_families(self.ask("GET").body.decode()))
        self.families += of_several_workers()
        self.labels = {
            sample.name: set(sample.labels) for family in self.families for sample in family.samples
        }

    def test_every_figure_that_is_asked_for_exists(self) -> None:
        """A panel of a figure that is called otherwise stays empty, and an alert silent, for ever."""
        for expression in expressions():
            named = set(_NAME.findall(expression))
            assert named or expression.startswith("up{"), expression
            assert named <= set(self.labels), expression

    def test_every_label_that_is_asked_for_exists(self) -> None:
        for expression in expressions():
            for name, matchers in _SELECTOR.findall(expression):
                if name not in ("up",):
                    assert set(_MATCHER.findall(matchers)) <= self.labels[name] | SCRAPED, expression
            known = SCRAPED.union(*(self.labels[name] for name in _NAME.findall(expression)))
            for names in _GROUPING.findall(expression):
                assert {name.strip() for name in names.split(",")} <= known, expression

    def test_every_figure_of_the_server_has_a_panel(self) -> None:
        shown = {
            name
            for panel in panels()
            for target in panel["targets"]
            for name in _NAME.findall(target["expr"])
        }
        ours = {name for name in self.labels if name.startswith("mcp_echo_")}
        assert undone(shown) >= undone(ours)

    def test_the_table_is_what_is_scraped(self) -> None:
        """docs/metrics.md: names, types, labels and meanings."""
        text = (DOCS / "metrics.md").read_text(encoding="utf-8")
        rows = re.findall(r"^\| `(mcp_echo_\w+)` \| (\w+) \| (.*?) \| (.*) \|$", text, re.MULTILINE)
        scraped = []
        for family in self.families:
            if family.name.startswith("mcp_echo_"):
                # The text format knows no info, and its parser takes _total off.
                kind = "info" if family.name.endswith("_info") else family.type
                name = f"{family.name}_total" if kind == "counter" else family.name
                labels = set(family.samples[0].labels) - {"le"} if kind != "info" else set()
                scraped.append((name, kind, labels, family.documentation))
        assert [
            (name, kind, set(re.findall(r"`(\w+)`", cell)), meaning) for name, kind, cell, meaning in rows
        ] == scraped

    def test_the_figures_of_the_process_that_are_named_exist(self) -> None:
        text = (DOCS / "metrics.md").read_text(encoding="utf-8")
        named = set(re.findall(r"`((?:process|python)_\w+)`", text))
        assert len(named) > 5
        assert named <= set(self.labels)


def test_the_dashboard_can_be_imported_anywhere() -> None:
    """It asks for a data source, and neither knows one of its own nor a row of some database."""
    whole = dashboard()
    variables = {variable["name"]: variable["type"] for variable in whole["templating"]["list"]}
    assert variables == {"datasource": "datasource", "job": "query", "instance": "query"}
    assert "id" not in whole
    for panel in panels():
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


def test_no_two_panels_overlap() -> None:
    """Grafana shifts what overlaps, and the rows come apart."""
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, panel["title"]
        taken |= cells
    ids = [panel["id"] for panel in dashboard()["panels"]]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("name", ["alerts.yml", "grafana-dashboard.json"])
def test_the_guide_names_each_document(name: str) -> None:
    assert f"docs/{name}" in (DOCS / "metrics.md").read_text(encoding="utf-8")
