"""No code, verifier, secret or token of a flow in anything that somebody is shown."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any
from urllib.parse import unquote

from twisted.logger import globalLogPublisher

from tests.transport.oauth.support import FORM, OAuthTestCase, call_of
from tests.transport.oauth.test_issuers import IssuerTestCase

STATE = "state-canary-Xk29fLq81mZr04TtYb67"
VERIFIER = "verifier-canary-Xk29fLq81mZr04TtYb67Vn35Cw12De89Gh01"
EVIDENCE = ("md", "json", "har", "sarif", "junit")
VIEWS = ("exchanges", "report", "", *(f"evidence.{each}" for each in EVIDENCE))


class CanaryTests(OAuthTestCase):
    settings = {"MCP_ECHO_RECORD_BODY": "16384"}

    def flow(self) -> dict[str, str]:
        """Go through a flow; return what nobody may read of it."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
        client = self.register(token_endpoint_auth_method="client_secret_post")
        name, secret = client["client_id"], client["client_secret"]
        code = self.code(name, state=STATE, code_challenge=challenge)
        more = {"client_secret": secret, "code_verifier": VERIFIER}
        tokens = self.redeem(name, code, **more).json
        form = {"grant_type": "refresh_token", "client_id": name, "client_secret": secret}
        newer = self.ask_token({**form, "refresh_token": tokens["refresh_token"]}).json
        session = self.mcp(newer["access_token"]).header("Mcp-Session-Id") or ""
        self.mcp(newer["access_token"], call_of("authContext"), Mcp_Session_Id=session)
        body = f"token={newer['refresh_token']}&client_id={name}&client_secret={secret}".encode()
        self.request("POST", self.place.path("introspect"), body, FORM)
        self.redeem(name, code, **more)
        return {
            "client_secret": secret,
            "code": code,
            "code_verifier": VERIFIER,
            "state": STATE,
            "access_token": tokens["access_token"],
            "signature": tokens["access_token"].rpartition(".")[2],
            "refresh_token": tokens["refresh_token"],
            "newer access_token": newer["access_token"],
            "newer refresh_token": newer["refresh_token"],
        }

    def shown(self) -> dict[str, str]:
        """Return every view of the trace."""
        views = {}
        for view in VIEWS:
            answer = self.request("GET", self.place.path(view))
            if answer.status == 200:
                views[view or "page"] = unquote(answer.body.decode())
        report = self.call("clientReport", {"trace": self.place.trace})
        views["clientReport"] = json.dumps(report)
        return views

    def test_no_view_of_a_trace_has_a_secret_of_the_flow(self) -> None:
        """RFC 9700 section 4.2: codes and tokens leak through what is logged and shown."""
        secrets = self.flow()
        views = self.shown()
        assert len(views) >= 7
        for view, text in views.items():
            assert [name for name, secret in secrets.items() if secret in text] == [], view


class DebugLogTests(CanaryTests):
    settings = {"MCP_ECHO_DEBUG": "true", "MCP_ECHO_RECORD_BODY": "16384"}

    def test_no_view_of_a_trace_has_a_secret_of_the_flow(self) -> None:
        """As above, with what the debug log has."""
        lines: list[str] = []

        def take(event: Any) -> None:
            lines.append(str({name: value for name, value in event.items() if isinstance(value, str)}))

        globalLogPublisher.addObserver(take)
        self.addCleanup(globalLogPublisher.removeObserver, take)
        secrets = self.flow()
        text = unquote("\n".join(lines))
        assert "/token" in text
        assert [name for name, secret in secrets.items() if secret in text] == []


class OutsideTests(IssuerTestCase):
    def test_nor_has_what_is_said_of_a_token_of_somebody_else(self) -> None:
        """As above: refusals, and what tokenExplain says."""
        token = self.token(aud="https://other")
        answer = self.mcp(token)
        told = self.call("tokenExplain", {"token": token, "trace": self.place.trace})
        shown = answer.body.decode() + str(answer.headers) + json.dumps(told)
        shown += self.request("GET", self.place.path("exchanges")).body.decode()
        for part in (token, token.rpartition(".")[2], token.split(".")[1]):
            assert part not in shown
