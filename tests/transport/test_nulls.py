"""A null member of a request is one that is not there, in both eras.

Our choice: clients fill in every optional member that a schema names, with null for what nobody gave.
"""

from __future__ import annotations

from typing import Any

from tests.transport.support import META, MODERN, ModernTestCase, claim

REF = {"type": "ref/prompt", "name": "diagnose-auth"}
BEGUN = {"name": "symptom", "value": "401"}
GOAT = {"name": "whoIStheGOAT"}

# With nulls, and the same without.
PAIRS: tuple[tuple[str, dict[str, Any], dict[str, Any]], ...] = (
    *((f"{what}/list", {"cursor": None}, {}) for what in ("tools", "prompts", "resources")),
    ("resources/templates/list", {"cursor": None}, {}),
    ("tools/call", {**GOAT, "arguments": None}, GOAT),
    ("tools/call", {**GOAT, "arguments": {"subject": None}}, GOAT),
    ("prompts/get", {"name": "diagnose-auth", "arguments": None}, {"name": "diagnose-auth"}),
    ("prompts/get", {"name": "diagnose-auth", "arguments": {"symptom": None}}, {"name": "diagnose-auth"}),
    (
        "completion/complete",
        {"ref": {**REF, "uri": None}, "argument": BEGUN, "context": None},
        {"ref": REF, "argument": BEGUN},
    ),
)


class LegacyTests(ModernTestCase):
    def test_a_null_member_changes_no_answer(self) -> None:
        for revision in ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"):
            session = self.initialize(revision)
            for method, nulls, without in PAIRS:
                for meta in (None, {"progressToken": None}):
                    answer = self.rpc(method, {**nulls, "_meta": meta}, session=session).json
                    assert answer == self.rpc(method, without, session=session).json, (method, nulls)
                    assert "result" in answer, (method, nulls)

    def test_a_null_in_initialize_is_an_absent_member(self) -> None:
        for nulls in (
            {"capabilities": None},
            {"clientInfo": None},
            {"capabilities": None, "clientInfo": None},
        ):
            answer = self.rpc("initialize", {"protocolVersion": "2025-11-25", **nulls})
            assert answer.json["result"]["protocolVersion"] == "2025-11-25"

    def test_what_is_needed_is_missing_when_it_is_null(self) -> None:
        session = self.initialize("2025-11-25")
        for method, params, missing in (
            ("tools/call", {"name": None}, "name"),
            ("prompts/get", {"name": None}, "name"),
            ("resources/read", {"uri": None}, "uri"),
            ("resources/subscribe", {"uri": None}, "uri"),
            ("logging/setLevel", {"level": None}, "level"),
            ("completion/complete", {"ref": REF, "argument": {"name": "symptom", "value": None}}, "value"),
            ("initialize", {"protocolVersion": None}, "protocolVersion"),
        ):
            session_or_none = None if method == "initialize" else session
            error = self.rpc(method, params, session=session_or_none).json["error"]
            assert error["code"] == -32602, method
            assert f"missing required field `{missing}`" in error["message"], method


class ModernTests(ModernTestCase):
    def test_a_null_member_changes_no_answer(self) -> None:
        for method, nulls, without in PAIRS:
            for meta in (
                claim(progressToken=None),
                claim(**{f"{META}logLevel": None}),
                claim(**{f"{META}clientInfo": None}),
            ):
                answer = self.modern(method, nulls, meta=meta).json
                assert answer == self.modern(method, without).json, (method, nulls, meta)
                assert "result" in answer, (method, nulls)

    def test_null_is_no_answer_and_no_state(self) -> None:
        """basic/patterns/mrtr: a first request has neither."""
        nulls = {"inputResponses": None, "requestState": None}
        meta = claim(capabilities={"roots": {}})
        call = {"name": "clientProbe", "arguments": {"feature": "roots"}, **nulls}
        assert self.modern("tools/call", call, meta=meta).json["result"]["resultType"] == "input_required"

    def test_a_null_in_a_subscription_s_filter_asks_for_nothing(self) -> None:
        """basic/patterns/subscriptions: the server acknowledges what it honours."""
        wanted = {"toolsListChanged": True, "promptsListChanged": None, "resourceSubscriptions": None}
        posted = self.post("subscriptions/listen", {"notifications": wanted})
        assert posted.messages[0]["params"]["notifications"] == {"toolsListChanged": True}
        posted.leave()

    def test_what_is_needed_is_missing_when_it_is_null(self) -> None:
        for key in ("protocolVersion", "clientCapabilities"):
            meta = claim(**{f"{META}{key}": None})
            headers = {"MCP-Protocol-Version": MODERN}
            error = self.modern("tools/list", meta=meta, headers=headers).json["error"]
            assert f"_meta lacks {META}{key}" in error["message"]
