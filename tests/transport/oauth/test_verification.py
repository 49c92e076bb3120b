"""bearerDecode and authContext: whether a token was verified, by whose key, or that nobody has looked."""

from __future__ import annotations

from typing import Any

from mcp_echo.oauth.keys import SigningKey, new_key
from tests.transport.engine_support import OnATraceEngine
from tests.transport.oauth.support import OAuthTestCase, call_of
from tests.transport.oauth.test_issuers import ISSUER, IssuerTestCase
from tests.transport.support import WALL


class OutsideTests(IssuerTestCase):
    def told(self, tool: str, **arguments: Any) -> Any:
        """Return what a tool answers at the trace to a request with a good token."""
        good = self.token()
        session = self.mcp(good).header("Mcp-Session-Id") or ""
        answer = self.mcp(good, call_of(tool, **arguments), Mcp_Session_Id=session)
        return answer.json["result"]

    def decoded(self, token: str) -> tuple[str, Any]:
        """Return the text and the facts of bearerDecode about a token."""
        result = self.told("bearerDecode", token=token)
        return result["content"][0]["text"], result["structuredContent"]

    def test_a_verified_token_names_the_key(self) -> None:
        """Our choice: verified is said together with by whose key."""
        text, told = self.decoded(self.token())
        by = f"the key {self.key.id} of {ISSUER}"
        assert f"- Signature: verified with {by}\n- Claims: verified" in text
        assert (told["signatureVerified"], told["problems"], told["verifiedBy"]) == (True, [], by)

    def test_a_signature_is_verified_where_the_claims_are_not(self) -> None:
        """Our choice: two things, and neither stands for the other."""
        wrong = self.token(aud=f"{self.place.resource}/", exp=int(WALL) - 12)
        text, told = self.decoded(wrong)
        assert "- Claims: not all good: expiry: " in text
        assert (
            f"audience: found {self.place.resource}/; wanted {self.place.resource}; differs in slash" in text
        )
        assert told["signatureVerified"] is True
        assert [each.partition(":")[0] for each in told["problems"][-2:]] == ["expiry", "audience"]

    def test_a_signature_by_another_key_is_called_wrong(self) -> None:
        """RFC 8725 section 3.3: what is not signed by the issuer is worth nothing."""
        forged = self.token()[:-8] + "AAAAAAA" + self.token()[-1]
        text, told = self.decoded(forged)
        assert f"- Signature: WRONG: the key {self.key.id} of {ISSUER} has not made it; tokenExplain" in text
        assert "- Claims: not verified, as the signature is wrong" in text
        assert told["signatureVerified"] is False
        assert told.get("verifiedBy") is None

    def test_a_token_that_nobody_can_verify_is_said_to_be_unverified(self) -> None:
        """Our choice: never more than was looked at."""
        for token, why in (
            (self.token(iss="https://other.example"), "issuer: found https://other.example"),
            (self.token(SigningKey(new_key("ES256"))), "key: found "),
            (self.token(SigningKey(new_key("ES256")), iss="https://second.example"), "are not known"),
        ):
            text, told = self.decoded(token)
            assert "- Signature: not verified (" in text
            assert why in text
            assert "); tokenExplain tells more\n- Claims: not verified" in text
            assert told["signatureVerified"] is False

    def test_what_was_judged_is_not_fetched_for(self) -> None:
        """Our choice: a decoder asks nobody; tokenExplain does."""
        self.mcp(self.token())
        before = list(self.fetched)
        self.decoded(self.token(iss="https://second.example"))
        assert self.fetched == before

    def test_auth_context_names_the_key_and_leaves_other_headers_as_they_are(self) -> None:
        """Our choice: what a proxy's header says was verified by nobody."""
        result = self.told("authContext")
        text, told = result["content"][0]["text"], result["structuredContent"]
        assert f"has verified the access token of {ISSUER} alice; the token: signature verified with" in text
        assert "claims verified; other headers are as they came" in text
        assert told["verifiedBy"] == f"the key {self.key.id} of {ISSUER}"

    def test_where_no_token_is_asked_for_one_of_a_named_issuer_is_judged_all_the_same(self) -> None:
        """docs: MCP_ECHO_ISSUERS. Plain /mcp is another resource than the trace."""
        self.mcp(self.token())
        text = self.text("bearerDecode", {"token": self.token()})
        assert f"- Signature: verified with the key {self.key.id} of {ISSUER}" in text
        assert "- Claims: not all good: audience: " in text

    def test_a_token_of_nobody_known_is_decoded_as_ever(self) -> None:
        """Our choice: where nobody asks for tokens, nothing is said but that there is none."""
        text = self.text("bearerDecode", {"token": self.token(iss="https://other.example")})
        assert "- Signature: not verified (anyone could have written this token)" in text
        assert "Claims:" not in text


class OwnTests(OAuthTestCase):
    def test_the_trace_s_own_key_is_named(self) -> None:
        """Our choice: its own authorization server has one."""
        token = self.tokens()["access_token"]
        session = self.mcp(token).header("Mcp-Session-Id") or ""
        answer = self.mcp(token, call_of("bearerDecode"), Mcp_Session_Id=session)
        told = answer.json["result"]["structuredContent"]
        assert told["problems"] == []
        kid = self.request("GET", self.place.path("jwks")).json["keys"][0]["kid"]
        assert told["verifiedBy"] == f"the key {kid} of {self.place.issuer}"

    def test_another_token_of_it_that_was_revoked_is_not_called_good(self) -> None:
        """RFC 7009: it is signed as before, and is taken no more."""
        one, other = self.tokens(), self.tokens()
        session = self.mcp(one["access_token"]).header("Mcp-Session-Id") or ""
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        body = f"token={other['access_token']}&client_id={other['client_id']}".encode()
        self.request("POST", self.place.path("revoke"), body, form)
        call = call_of("bearerDecode", token=other["access_token"])
        told = self.mcp(one["access_token"], call, Mcp_Session_Id=session).json["result"]["structuredContent"]
        assert told["signatureVerified"] is True
        assert told["problems"][-1].startswith("standing: it was revoked")


class SharedTests(OnATraceEngine, OAuthTestCase):
    def test_what_only_another_node_can_know_is_not_said(self) -> None:
        """Our choice: whether a token stands is in the store, and this tool does not ask it."""
        token = self.tokens()["access_token"]
        session = self.mcp(token).header("Mcp-Session-Id") or ""
        answer = self.mcp(token, call_of("bearerDecode"), Mcp_Session_Id=session)
        assert "standing" not in answer.json["result"]["content"][0]["text"]
        assert answer.json["result"]["structuredContent"]["signatureVerified"] is True
