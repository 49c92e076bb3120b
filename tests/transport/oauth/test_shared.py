"""The same with traces that an engine keeps, whatever node a request comes to."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

from mcp_echo.settings.table import Settings
from mcp_echo.transport.oauth.signing import TraceKeys
from tests.engines import DictEngine
from tests.transport.engine_support import OnATraceEngine
from tests.transport.oauth import test_flow, test_issuers, test_security
from tests.transport.oauth.support import FORM, OAuthTestCase
from tests.transport.support import Answer


class SharedChallengeTests(OnATraceEngine, test_flow.ChallengeTests):
    pass


class SharedFlowTests(OnATraceEngine, test_flow.FlowTests):
    pass


class SharedScopeTests(OnATraceEngine, test_flow.ScopeTests):
    pass


class SharedPlainTests(OnATraceEngine, test_flow.PlainTests):
    pass


class SharedTokenSubstitutionTests(OnATraceEngine, test_security.TokenSubstitutionTests):
    pass


class SharedLeakTests(OnATraceEngine, test_security.LeakTests):
    pass


class SharedGoodTokenTests(OnATraceEngine, test_issuers.GoodTokenTests):
    pass


class EveryRequestElsewhere(OnATraceEngine):
    """Has each request come to a node that knows nothing yet but what the store tells it."""

    def request(self, *arguments: Any, **named: Any) -> Answer:
        insight = self.service.insight  # type: ignore[attr-defined]
        if insight is not None:
            insight.store.replaced()
        answer: Answer = super().request(*arguments, **named)  # type: ignore[misc]
        return answer


class ElsewhereFlowTests(EveryRequestElsewhere, test_flow.FlowTests):
    pass


class ElsewhereConsentTests(EveryRequestElsewhere, test_security.ConsentTests):
    pass


class TwoNodesTests(OnATraceEngine, OAuthTestCase):
    """Two nodes that both know a trace already, and hear of each other only when they ask."""

    def trace_engine(self, settings: Settings) -> DictEngine:
        """Return an engine for the records that both have in common."""
        if not hasattr(self, "kept"):
            return super().trace_engine(settings)
        return DictEngine(self.kept, limit=settings.traces)

    def setUp(self) -> None:
        super().setUp()
        first = self.service, self.client
        self.serve(self.settings)
        self.nodes = [first, (self.service, self.client)]
        for number in (0, 1):
            self.at(number)
            assert self.mcp(None).status == 401

    def at(self, number: int) -> None:
        """Have what follows come to one of the two."""
        self.service, self.client = self.nodes[number]

    def test_each_step_may_come_to_another_node(self) -> None:
        """docs/scaling.md: a client that registered here a moment ago is known there."""
        client = self.register()["client_id"]
        self.at(0)
        code = self.code(client)
        self.at(1)
        tokens = self.redeem(client, code).json
        self.at(0)
        assert self.mcp(tokens["access_token"]).status == 200
        form = {"grant_type": "refresh_token", "client_id": client, "refresh_token": tokens["refresh_token"]}
        newer = self.ask_token(form).json
        self.at(1)
        assert self.mcp(newer["access_token"]).status == 200
        assert self.redeem(client, code).json["error"] == "invalid_grant"
        self.at(0)
        assert self.authorize("nobody").status == 400

    def test_a_token_that_another_node_has_revoked_is_taken_for_two_seconds_at_most(self) -> None:
        """RFC 7009 section 2.1: the invalidation is for all; docs/oauth.md: nodes ask every two seconds."""
        tokens = self.tokens()
        for number in (0, 1):
            self.at(number)
            assert self.mcp(tokens["access_token"]).status == 200
        self.at(0)
        body = f"token={tokens['access_token']}&client_id={tokens['client_id']}".encode()
        assert self.request("POST", self.place.path("revoke"), body, FORM).status == 200
        self.at(1)
        self.clock.advance(2.1)
        assert self.mcp(tokens["access_token"]).status == 401

    def test_a_node_does_not_ask_for_each_request(self) -> None:
        """Our choice: a token that is known costs no round trip, but for one in two seconds."""
        token = self.tokens()["access_token"]
        assert self.mcp(token).status == 200
        insight = self.service.insight
        assert insight is not None
        with patch.object(insight.parts, "change", wraps=insight.parts.change) as asked:
            assert [self.mcp(token).status for _ in range(3)] == [200] * 3
            assert asked.call_count == 0
            self.clock.advance(2.1)
            assert [self.mcp(token).status for _ in range(3)] == [200] * 3
            assert asked.call_count == 1


class UnreachableTests(OnATraceEngine, OAuthTestCase):
    def test_nobody_is_let_in_while_the_store_is_down(self) -> None:
        """Our choice: a protected trace that cannot be looked up is not an open one."""
        token = self.tokens()["access_token"]
        insight = self.service.insight
        assert insight is not None
        insight.store.replaced()
        insight.store._engine.available = False  # type: ignore[attr-defined]
        assert self.mcp(token).status == 503
        assert self.mcp(None).status == 503

    def test_a_key_under_another_seal_is_made_anew(self) -> None:
        """Our choice: a state key that was changed ends the old tokens, and not the trace."""
        token = self.tokens()["access_token"]
        assert self.service.oauth is not None
        keys: TraceKeys = self.service.oauth.guard._keys
        keys._opened.clear()
        assert self.service.insight is not None
        self.service.insight.seal.__init__(self.clock.seconds)  # type: ignore[misc]
        assert self.mcp(token).status == 401
        assert self.mcp(self.tokens()["access_token"]).status == 200


del test_flow, test_issuers, test_security
