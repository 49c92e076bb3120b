"""tokenExplain: each check of a token, and a DPoP proof held against the request."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import jwt as pyjwt

from mcp_echo.oauth.keys import SigningKey, new_key, thumbprint
from tests.transport.oauth.support import JSON, OAuthTestCase, call_of
from tests.transport.oauth.test_issuers import ISSUER, IssuerTestCase
from tests.transport.support import BOTH, URL, WALL


class ExplainTests(IssuerTestCase):
    def explain(self, token: str | None, place: Any = "", **headers: str) -> Any:
        """Return what tokenExplain answers at plain /mcp about a token for a trace."""
        arguments = {"trace": self.place.trace if place == "" else place, "token": token}
        arguments = {name: value for name, value in arguments.items() if value is not None}
        session = self.initialize("2025-11-25")
        return self.call("tokenExplain", arguments, session=session, **headers)["structuredContent"]

    def check(self, told: Any, name: str) -> Any:
        """Return one check."""
        return next(each for each in told["checks"] if each["name"] == name)

    def names(self, told: Any) -> set[str]:
        return {each["name"] for each in told["checks"]}

    def test_a_good_token_holds_everywhere(self) -> None:
        """2025-11-25 basic/authorization, Token Handling."""
        told = self.explain(self.token())
        assert (told["taken"], told["kind"], told["resource"]) == (True, "JWT", self.place.resource)
        assert [each["name"] for each in told["checks"] if each["held"] is not True] == []
        assert {"signature", "audience", "issuer", "expiry", "scope"} <= {
            each["name"] for each in told["checks"]
        }

    def test_every_check_is_told_and_not_only_the_first(self) -> None:
        """Our choice: whoever asks wants all that is wrong."""
        told = self.explain(self.token(aud=f"{self.place.resource}/", exp=int(WALL) - 12, scope="openid"))
        assert told["taken"] is False
        audience = self.check(told, "audience")
        assert audience["found"] == f"{self.place.resource}/"
        assert audience["wanted"] == self.place.resource
        assert audience["differsIn"] == ["slash"]
        assert "12s ago" in self.check(told, "expiry")["note"]
        assert "forgive a minute" in self.check(told, "expiry")["note"]
        assert self.check(told, "scope")["note"] == "it lacks read"
        assert self.check(told, "signature")["held"] is True

    def test_a_clock_that_is_ahead_shows(self) -> None:
        """RFC 7519 section 4.1.6: the difference, as far as it can be seen."""
        told = self.explain(self.token(iat=int(WALL) + 40))
        assert told["taken"] is True
        assert "40s ahead" in self.check(told, "issuedAt")["note"]

    def test_what_cannot_be_looked_at_is_not_called_wrong(self) -> None:
        """Our choice: held, not held, and nobody knows, are three things."""
        told = self.explain(self.token(iss="https://other.example"))
        assert self.check(told, "issuer")["held"] is False
        assert "held" not in self.check(told, "signature") or self.check(told, "signature")["held"] is None
        self.documents.clear()
        told = self.explain(self.token())
        assert told["verdict"].startswith("Nobody can tell here: The keys of")

    def test_an_opaque_token_is_told_by_its_prefix(self) -> None:
        """Our choice: what its issuer publishes of it."""
        told = self.explain("ghp_" + "x" * 36)
        assert told["kind"] == "GitHub personal access token (classic)"
        assert "only its issuer" in told["verdict"]
        assert self.explain("nothing-known")["kind"] == "opaque"

    def test_without_an_argument_it_is_the_request_s(self) -> None:
        """Our choice: what arrived, and by which hop."""
        told = self.explain(None, X_Forwarded_Access_Token=self.token())
        assert told["source"] == "X-Forwarded-Access-Token header"
        assert told["hop"] == "oauth2-proxy or a service like it"
        assert told["taken"] is True
        nothing = self.explain(None)
        assert (nothing["kind"], nothing["taken"]) == ("none", False)

    def test_where_nobody_s_tokens_are_good_that_is_said(self) -> None:
        """Our choice: plain /mcp without a challenge."""
        self.serve({})
        told = self.explain(self.token(), None)
        assert "MCP_ECHO_ISSUERS" in self.check(told, "issuer")["note"]
        assert told["resource"] == f"{URL}/mcp"
        assert ISSUER in self.check(told, "issuer")["found"]

    def test_no_token_is_repeated(self) -> None:
        """Our choice: an answer ends in logs and chats."""
        for token in (self.token(), "ghp_" + "x" * 36):
            answer = self.rpc("tools/call", {"name": "tokenExplain", "arguments": {"token": token}})
            assert token.encode() not in answer.body
            assert token.rpartition(".")[2].encode() not in answer.body

    def test_a_trace_that_is_not_there_is_an_error(self) -> None:
        """Our choice: a wrong id is said to be one."""
        answer = self.call("tokenExplain", {"trace": "x" * 32, "token": self.token()})
        assert answer["isError"] is True


class OwnTokenTests(OAuthTestCase):
    def test_a_token_of_the_trace_is_explained_within_it(self) -> None:
        """Our choice: the trace that the call came by."""
        tokens = self.tokens()
        session = self.mcp(tokens["access_token"]).header("Mcp-Session-Id") or ""
        answer = self.mcp(tokens["access_token"], call_of("tokenExplain"), Mcp_Session_Id=session)
        told = answer.json["result"]["structuredContent"]
        assert (told["taken"], told["resource"]) == (True, self.place.resource)
        assert told["source"] == "Authorization header"
        body = f"token={tokens['access_token']}&client_id={tokens['client_id']}".encode()
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        self.request("POST", self.place.path("revoke"), body, form)
        arguments = {"trace": self.place.trace, "token": tokens["access_token"]}
        plain = self.initialize("2025-11-25")
        told = self.call("tokenExplain", arguments, session=plain)["structuredContent"]
        assert told["verdict"] == "It is not taken: standing"


class ProofTests(OAuthTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.key = SigningKey(new_key("ES256"))
        self.token = self.key.sign({"iss": "x", "cnf": {"jkt": thumbprint(self.key.jwk)}}, "at+jwt")

    def proof(self, kind: str = "dpop+jwt", key: Any = None, **changes: Any) -> str:
        """Return a proof for a POST to /mcp, but for some changes."""
        ath = base64.urlsafe_b64encode(hashlib.sha256(self.token.encode()).digest()).rstrip(b"=").decode()
        claims = {"htm": "POST", "htu": f"{URL}/mcp", "ath": ath, "iat": int(WALL), "jti": "1", **changes}
        jwk = {name: self.key.jwk[name] for name in ("kty", "crv", "x", "y")}
        header = {"typ": kind, "jwk": jwk}
        return pyjwt.encode(claims, (key or self.key)._key, "ES256", header)

    def checks(self, proof: str) -> dict[str, Any]:
        """Return the checks of a proof by name, and whether they held."""
        headers = {"Accept": BOTH, **JSON, "Authorization": f"DPoP {self.token}", "DPoP": proof}
        headers["Mcp-Session-Id"] = self.initialize("2025-11-25")
        answer = self.request("POST", "/mcp", call_of("tokenExplain"), headers)
        checks = answer.json["result"]["structuredContent"]["checks"]
        return {each["name"]: each for each in checks if each["name"].startswith("proof")}

    def test_a_right_proof_holds(self) -> None:
        """RFC 9449 section 4.3."""
        checks = self.checks(self.proof())
        assert [name for name, each in checks.items() if each["held"] is not True] == []
        assert len(checks) == 7

    def test_each_thing_that_a_proxy_or_a_client_gets_wrong_is_told(self) -> None:
        """RFC 9449 section 4.3, points 3 to 12."""
        other = SigningKey(new_key("ES256"))
        for proof, name in (
            (self.proof(htm="GET"), "proofMethod"),
            (self.proof(htu="https://localhost:3000/mcp"), "proofUrl"),
            (self.proof(ath="x"), "proofToken"),
            (self.proof(iat=int(WALL) - 100), "proofTime"),
            (self.proof(iat=None), "proofTime"),
            (self.proof(kind="JWT"), "proofForm"),
            (self.proof(key=other), "proofKey"),
        ):
            wrong = [each for each, check in self.checks(proof).items() if check["held"] is not True]
            assert wrong == [name]
        told = self.checks(self.proof(htu="https://localhost:3000/mcp"))["proofUrl"]
        assert told["differsIn"] == ["scheme"]
        assert self.checks("nonsense")["proofForm"]["held"] is False

    def test_a_token_that_is_bound_to_another_key_shows(self) -> None:
        """RFC 9449 section 6.1: cnf.jkt."""
        self.token = self.key.sign({"iss": "x", "cnf": {"jkt": "other"}}, "at+jwt")
        assert self.checks(self.proof())["proofBinding"]["held"] is False
        self.token = self.key.sign({"iss": "x"}, "at+jwt")
        assert self.checks(self.proof())["proofBinding"].get("held") is None
