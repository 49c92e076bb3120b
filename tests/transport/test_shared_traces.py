"""Traces that an engine keeps: what holds in the memory of one process holds for them."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from mcp_echo.watch.traces import new_key
from tests.engines import DictEngine
from tests.transport import test_compare, test_findings, test_probe_stream, test_trace_resources, test_traces
from tests.transport.engine_support import OnAnEngine, OnATraceEngine
from tests.transport.support import BOTH, Posted, modern_message, routing_headers


class SharedMakingTests(OnATraceEngine, test_traces.MakingTests):
    pass


class SharedReadingTests(OnATraceEngine, test_traces.ReadingTests):
    pass


class SharedCompareTests(OnATraceEngine, test_compare.CompareTests):
    pass


class SharedEventsTests(OnATraceEngine, test_traces.EventsTests):
    pass


class SharedOwnTests(OnATraceEngine, test_traces.OwnTests):
    def trace(self, made: Any) -> Any:
        """Return a trace with all that has come to it."""
        assert self.service.insight is not None
        Deferred.fromCoroutine(self.service.insight.store.flush())
        return super().trace(made)


class SharedTraceResourceTests(OnATraceEngine, test_trace_resources.TraceResourceTests):
    def test_a_modern_subscriber_hears_of_it_on_its_stream(self) -> None:
        """As in memory, but for traces that nobody has made: only the store knows of those."""
        made = self.make()
        wanted = {"notifications": {"resourceSubscriptions": [self.uri(made)]}}
        message = modern_message("subscriptions/listen", wanted)
        listening = Posted(self, message, routing_headers(message))
        self.break_a_rule(made)
        updates = [each for each in listening.messages if each["method"] == "notifications/resources/updated"]
        assert [each["params"]["uri"] for each in updates] == [self.uri(made)]

    def test_an_unknown_trace_is_no_resource(self) -> None:
        """docs/scaling.md: what may be a trace can be subscribed to, and never tells of anything."""
        made = self.make()
        session = self.initialize()
        assert self.subscribe(self.uri({"trace": new_key()}), session)["result"] == {}
        self.request("DELETE", self.path(made))
        for uri in (self.uri(made), "echo://trace/short"):
            assert self.rpc("resources/subscribe", {"uri": uri}, session=session).json["error"]
            assert self.rpc("resources/read", {"uri": uri}, session=session).json["error"]


class SharedFindingsTests(OnATraceEngine, test_findings.FindingsTests):
    pass


class SharedProbeStreamTests(OnATraceEngine, test_probe_stream.ProbeStreamTests):
    pass


class SharedStreamProbeTests(OnATraceEngine, test_probe_stream.StreamProbeTests):
    pass


class SharedSessionsStreamProbeTests(OnAnEngine, test_probe_stream.StreamProbeTests):
    """With sessions that several processes share; what belongs to them is worked out twice."""


class ElsewhereTests(OnATraceEngine, test_traces.TraceTestCase):
    """What another node has made is served, read and ended here."""

    def make(self, **wanted: Any) -> Any:
        """Make a trace, and have this node forget that it did."""
        made = super().make(**wanted)
        assert self.service.insight is not None
        self.service.insight.store.replaced()
        return made

    def test_it_is_sent_to(self) -> None:
        """docs/scaling.md: a trace is there on each node."""
        made = self.make()
        self.initialize_at(made)
        assert [each["number"] for each in self.exchanges(made)] == [2]

    def test_it_is_read_by_either_key_and_ended(self) -> None:
        """As above."""
        made = self.make(label="far")
        assert self.get("/v/" + made["shareUrl"].split("/")[-2] + "/report")["label"] == "far"
        made = self.make(label="far")
        assert self.get(self.path(made, "report"))["label"] == "far"
        made = self.make()
        assert self.request("DELETE", self.path(made)).status == 204
        assert "has ended (deleted" in self.request("GET", self.path(made, "report")).json["error"]["message"]

    def test_a_request_that_goes_astray_is_recorded(self) -> None:
        """docs/findings.md: well-known places are looked up at the root for every path."""
        made = self.make()
        path = f"/.well-known/oauth-protected-resource/t/{made['trace']}/mcp"
        assert self.request("GET", path).status == 404
        assert [each["path"] for each in self.exchanges(made)] == [
            "/.well-known/oauth-protected-resource/t/{trace}/mcp"
        ]

    def test_a_tool_reports_on_it(self) -> None:
        """README: clientReport."""
        made = self.make(label="far")
        report = self.call("clientReport", {"trace": made["trace"]}, session=self.initialize())
        assert report["structuredContent"]["about"] == "trace"

    def test_a_trace_that_nobody_has_made_makes_nothing(self) -> None:
        """Our choice: an unknown trace is a 404 that makes nothing."""
        unknown = new_key()
        for path in (f"/t/{unknown}/mcp", f"/t/{unknown}/report", f"/v/{unknown}/", f"/x/t/{unknown}/y"):
            answer = self.request("POST", path, {}, {"Accept": BOTH})
            assert answer.status == 404, path
        assert len(self.kept.records) == 1

    def test_while_the_store_is_down_what_is_known_here_goes_on_and_all_else_is_told_when_to_come_back(
        self,
    ) -> None:
        """docs/scaling.md: recording stops, and requests are served."""
        known, far = super().make(), new_key()
        engine = self.service.insight.store._engine
        assert isinstance(engine, DictEngine)
        engine.available = False
        self.initialize_at(known)
        assert self.request("GET", self.path(known, "report")).status == 200
        for answer in (
            self.request("GET", f"/t/{far}/report"),
            self.request("POST", "/t", {}, {"Content-Type": "application/json"}),
            self.request("DELETE", self.path(known)),
        ):
            assert answer.status == 503
            assert answer.header("Retry-After") == "2"


del test_findings, test_probe_stream, test_trace_resources, test_traces
