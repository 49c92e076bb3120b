"""Comparing two traces, over HTTP and with the tool."""

from __future__ import annotations

from typing import Any

from tests.transport.support import BOTH
from tests.transport.test_traces import JSON, TraceTestCase


class CompareTests(TraceTestCase):
    def sent(self, made: Any, **headers: str) -> None:
        body = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        fields = {"Accept": BOTH, "X-MCP-Echo-Probe": "1", **JSON, **headers}
        self.request("POST", self.path(made, "mcp"), body, fields)

    def both(self) -> tuple[Any, Any]:
        """Return two traces with a request each, of which one has come through a gateway."""
        direct, via = self.make(), self.make()
        self.sent(direct)
        self.sent(via, **{"X-Forwarded-For": "192.0.2.1", "Authorization": "Bearer secret-of-the-gateway"})
        return direct, via

    def test_what_the_way_does_is_read_below_the_trace(self) -> None:
        """The design: GET /t/{trace}/compare?with=."""
        direct, via = self.both()
        found = self.get(self.path(direct, f"compare?with={via['trace']}"))
        subjects = {(each["id"], each["subject"]) for each in found["differences"]}
        assert {
            ("hop-header-added", "header:X-Forwarded-For"),
            ("hop-header-added", "header:Authorization"),
        } <= subjects
        assert found["pairs"][0]["label"] == "1"
        assert (found["onlyDirect"], found["onlyVia"]) == ([], [])
        turned = self.get(self.path(via, f"compare?with={direct['trace']}"))
        assert ("hop-header-dropped", "header:X-Forwarded-For") in {
            (each["id"], each["subject"]) for each in turned["differences"]
        }

    def test_who_may_only_read_both_compares_them(self) -> None:
        """Our choice: a comparison is passed on by two addresses that only read."""
        direct, via = self.both()
        here, there = (each["shareUrl"].rsplit("/", 2)[1] for each in (direct, via))
        known = self.get(self.path(direct, f"compare?with={via['trace']}"))
        assert self.get(f"/v/{here}/compare?with={there}") == known
        assert known["compared"] == 1

    def test_people_read_text(self) -> None:
        direct, via = self.both()
        answer = self.request("GET", self.path(direct, f"compare?with={via['trace']}&format=text"))
        assert answer.header("Content-Type") == "text/plain; charset=utf-8"
        assert answer.body.startswith(b"1 request was compared: the way changes ")
        assert b"secret-of-the-gateway" not in answer.body
        assert answer.header("Cache-Control") == "no-store"

    def test_what_cannot_be_compared_is_refused(self) -> None:
        """Our choice: whoever may read both may compare, and nobody else."""
        direct, via = self.both()
        own_share = direct["shareUrl"].rsplit("/", 2)[1]
        for query, status in (
            ("", 400),
            (f"?with={direct['trace']}", 400),
            (f"?with={via['trace']}&format=pdf", 400),
            ("?with=" + "a" * 32, 404),
            (f"?with={own_share}", 400),
        ):
            assert self.request("GET", self.path(direct, f"compare{query}")).status == status, query
        self.request("DELETE", self.path(via))
        gone = self.request("GET", self.path(direct, f"compare?with={via['trace']}"))
        assert (gone.status, "has ended" in gone.json["error"]["message"]) == (404, True)

    def test_the_tool_says_the_same(self) -> None:
        """The design: compareTraces {trace, with}."""
        direct, via = self.both()
        session = self.initialize()
        arguments = {"trace": direct["trace"], "with": via["trace"]}
        params = {"name": "compareTraces", "arguments": arguments}
        result = self.rpc("tools/call", params, session=session).json["result"]
        assert "hop-header-added" in result["content"][0]["text"]
        read = self.get(self.path(direct, f"compare?with={via['trace']}"))
        assert result["structuredContent"] == read
        for wrong, said in (
            ({**arguments, "with": direct["trace"]}, "are the same"),
            ({**arguments, "trace": "a" * 32}, "no such trace"),
        ):
            refused = self.rpc("tools/call", {**params, "arguments": wrong}, session=session).json["result"]
            assert refused["isError"]
            assert said in refused["content"][0]["text"]
