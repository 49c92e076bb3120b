"""Attacks on the flow that RFC 9700 (Best Current Practice for OAuth 2.0 Security) names, and others."""

from __future__ import annotations

import base64
import hmac
import json
import re
from typing import Any
from urllib.parse import urlencode

import jwt as pyjwt
from cryptography.hazmat.primitives.asymmetric import ec

from tests.transport.oauth.support import (
    FORM,
    REDIRECT_URI,
    VERIFIER,
    OAuthTestCase,
    answered,
    claims_of,
)
from tests.transport.support import URL, Answer

ELSEWHERE = "https://app.example/cb"


class OpenRedirectTests(OAuthTestCase):
    def test_nobody_is_sent_to_a_host_that_nobody_vouches_for(self) -> None:
        """RFC 9700 section 4.11.2: whoever may register can register any URI."""
        client = self.register(redirect_uris=[ELSEWHERE])["client_id"]
        for changes in ({}, {"response_type": "token"}, {"scope": "nonsense"}):
            answer = self.authorize(client, redirect_uri=ELSEWHERE, **changes)
            assert answer.header("Location") is None
            assert b"app.example" in answer.body

    def test_hosts_of_the_operator_are_vouched_for(self) -> None:
        """docs: MCP_ECHO_REDIRECT_HOSTS."""
        self.serve({"MCP_ECHO_REDIRECT_HOSTS": "app.example"})
        self.place = self.make(challenge="oauth", scopes=["read"])
        client = self.register(redirect_uris=[ELSEWHERE, "https://app.example:8443/cb"])["client_id"]
        assert "code" in answered(self.authorize(client, redirect_uri=ELSEWHERE))
        assert self.authorize(client, redirect_uri="https://app.example:8443/cb").status == 200

    def test_a_trace_can_have_every_client_asked_about(self) -> None:
        """Our choice: consent page."""
        self.place = self.make(challenge="oauth", scopes=["read"], consent="page")
        assert self.authorize(self.register()["client_id"]).status == 200


class MixUpTests(OAuthTestCase):
    def test_each_answer_says_who_gives_it(self) -> None:
        """RFC 9700 section 4.4.2.1, RFC 9207 section 2: iss in answers with a code and with an error."""
        client = self.register()["client_id"]
        assert answered(self.authorize(client))["iss"] == self.place.issuer
        assert answered(self.authorize(client, scope="x"))["iss"] == self.place.issuer

    def test_the_answer_of_one_trace_is_worth_nothing_at_another(self) -> None:
        """RFC 9700 section 4.4: codes, clients and refresh tokens are those of one server."""
        other = self.make(challenge="oauth", scopes=["read"])
        client = self.register()["client_id"]
        there = self.register(other)["client_id"]
        assert self.redeem(client, self.code(client), other).status == 401
        assert self.redeem(there, self.code(client), other).json["error"] == "invalid_grant"
        refresh = self.tokens()["refresh_token"]
        form = {"grant_type": "refresh_token", "client_id": there, "refresh_token": refresh}
        assert self.ask_token(form, other).json["error"] == "invalid_grant"


class CodeInjectionTests(OAuthTestCase):
    def test_a_stolen_code_is_worth_nothing_without_its_verifier(self) -> None:
        """RFC 9700 section 4.5.3.1: PKCE binds the code to the request it came of."""
        client = self.register()["client_id"]
        stolen = self.code(client)
        assert self.redeem(client, stolen, code_verifier="w" * 43).json["error"] == "invalid_grant"

    def test_nor_in_the_hands_of_another_client(self) -> None:
        """RFC 9700 section 4.5; RFC 6749 section 4.1.3."""
        code = self.code(self.register()["client_id"])
        other = self.register()["client_id"]
        refused = self.redeem(other, code)
        assert refused.json["error"] == "invalid_grant"
        assert "another client" in refused.json["error_description"]

    def test_a_downgrade_of_pkce_is_none(self) -> None:
        """RFC 9700 section 4.8.2: every code is asked for with a challenge, and needs the verifier."""
        client = self.register()["client_id"]
        assert self.redeem(client, self.code(client), code_verifier=None).status == 400
        assert "error" in answered(self.authorize(client, code_challenge=None, code_challenge_method=None))

    def test_a_refresh_token_is_that_of_one_client(self) -> None:
        """RFC 9700 section 4.14.2."""
        refresh = self.tokens()["refresh_token"]
        other = self.register()["client_id"]
        form = {"grant_type": "refresh_token", "client_id": other, "refresh_token": refresh}
        assert self.ask_token(form).json["error"] == "invalid_grant"


class ConsentTests(OAuthTestCase):
    def asked(self, **changes: Any) -> Answer:
        """Return the page that asks about a client elsewhere."""
        client = self.register(redirect_uris=[ELSEWHERE], client_name="<b>Mine</b>")["client_id"]
        return self.authorize(client, redirect_uri=ELSEWHERE, **changes)

    def send(self, page: Answer, answer: str, **headers: str) -> Answer:
        """Send the form of a page, with the cookie that came with it unless another is given."""
        sealed = re.search(rb'name="request" value="([^"]+)"', page.body)
        assert sealed is not None
        cookie = (page.header("Set-Cookie") or "").partition(";")[0]
        data = urlencode({"request": sealed[1].decode(), "answer": answer}).encode()
        fields = {**FORM, "Cookie": cookie, "Origin": URL, **headers}
        return self.request("POST", self.place.path("consent"), data, fields)

    def test_the_page_names_the_host_and_what_is_asked_for(self) -> None:
        """RFC 9700 section 4.11.2: the person decides, and has to know where the answer goes."""
        page = self.asked()
        assert page.status == 200
        assert b"<b>app.example</b>" in page.body
        assert b"&lt;b&gt;Mine&lt;/b&gt;" in page.body
        assert b"<code>read</code>" in page.body
        cookie = page.header("Set-Cookie") or ""
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie

    def test_yes_gives_a_code_and_no_says_so(self) -> None:
        """RFC 6749 section 4.1.2 and 4.1.2.1; RFC 9700 section 4.12: 303 after a form."""
        page = self.asked()
        yes = self.send(page, "allow")
        assert yes.status == 303
        assert (yes.header("Location") or "").startswith(f"{ELSEWHERE}?code=")
        assert answered(yes)["state"] == "s1"
        client = claims_of(self.tokens()["access_token"])["client_id"]
        assert client
        no = answered(self.send(self.asked(), "deny"))
        assert (no["error"], no["iss"]) == ("access_denied", self.place.issuer)
        assert answered(self.send(self.asked(), ""))["error"] == "access_denied"

    def test_the_code_of_a_page_is_redeemed_like_any_other(self) -> None:
        """The same rules for each code."""
        client = self.register(redirect_uris=[ELSEWHERE])["client_id"]
        code = answered(self.send(self.authorize(client, redirect_uri=ELSEWHERE), "allow"))["code"]
        assert self.redeem(client, code, redirect_uri=ELSEWHERE).status == 200

    def test_a_form_of_another_site_consents_to_nothing(self) -> None:
        """RFC 9700 section 4.7 (CSRF); RFC 6749 section 10.12."""
        page = self.asked()
        assert self.send(page, "allow", Origin="https://evil.example").status == 403
        # An allowed origin may call MCP, and is no page of this server.
        assert self.send(page, "allow", Origin="http://localhost:5173").status == 403
        assert self.send(page, "allow", Origin="null").status == 403

    def test_a_form_that_this_browser_was_not_shown_consents_to_nothing(self) -> None:
        """RFC 9700 section 4.7: the attacker's own page, sent by the victim's browser."""
        page = self.asked()
        assert self.send(page, "allow", Cookie="").status == 403
        assert self.send(page, "allow", Cookie="mcp-echo-consent=" + "x" * 43).status == 403
        self.place, other = self.make(challenge="oauth", scopes=["read"]), self.place
        assert self.send(page, "allow").status == 403
        self.place = other
        self.clock.advance(301)
        assert self.send(page, "allow").status == 403

    def test_nobody_can_show_the_page_in_a_frame(self) -> None:
        """RFC 9700 section 4.16 (clickjacking)."""
        assert "frame-ancestors 'none'" in (self.asked().header("Content-Security-Policy") or "")

    def test_the_page_tells_no_other_host_of_the_request(self) -> None:
        """RFC 9700 section 4.2.4 (Referer); the form needs its Origin."""
        assert self.asked().header("Referrer-Policy") == "same-origin"
        client = self.register()["client_id"]
        assert self.authorize(client).header("Referrer-Policy") == "no-referrer"


class TokenSubstitutionTests(OAuthTestCase):
    def test_a_token_of_one_trace_opens_no_other(self) -> None:
        """RFC 9700 section 4.10.2 (audience restriction): nothing is issued outside of the trace."""
        token = self.tokens()["access_token"]
        other = self.make(challenge="oauth", scopes=["read"])
        self.tokens(other)
        assert self.mcp(token).status == 200
        refused = self.mcp(token, place=other)
        assert refused.status == 401
        assert "another issuer" in refused.json["error"]["message"]
        assert self.mcp(token).status == 200

    def test_a_token_that_somebody_wrote_is_none(self) -> None:
        """RFC 8725 sections 3.1 and 3.2: none, another key, the public key as a secret, a changed claim."""
        token = self.tokens()["access_token"]
        head, body, signature = token.split(".")
        claims, kid = claims_of(token), pyjwt.get_unverified_header(token)["kid"]
        kind = {"typ": "at+jwt", "kid": kid}
        own_key = ec.generate_private_key(ec.SECP256R1())
        (jwk,) = self.request("GET", self.place.path("jwks")).json["keys"]
        more = _encoded(json.dumps({**claims, "scope": "read admin"}).encode())
        for forged in (
            pyjwt.encode(claims, None, "none", kind),
            pyjwt.encode(claims, own_key, "ES256", kind),
            pyjwt.encode(claims, own_key, "ES256", {**kind, "kid": "mine", "jwk": {"kty": "EC"}}),
            _signed_with_secret({**kind, "alg": "HS256"}, claims, json.dumps(jwk)),
            f"{head}.{more}.{signature}",
            f"{head}.{body}.",
            f"{head}.{body}",
            "opaque",
            "ghp_" + "x" * 36,
        ):
            answer = self.mcp(forged)
            assert answer.status == 401, forged
            assert 'error="invalid_token"' in (answer.header("WWW-Authenticate") or "")

    def test_a_refresh_token_or_a_code_is_no_access_token(self) -> None:
        """RFC 9700 section 4.9: each is worth what it is for."""
        tokens = self.tokens()
        assert self.mcp(tokens["refresh_token"]).status == 401
        assert self.mcp(self.code(tokens["client_id"])).status == 401

    def test_a_session_does_not_pass_from_one_holder_of_tokens_to_another(self) -> None:
        """2025-11-25 basic/security_best_practices, Session Hijacking."""
        session = self.mcp(self.tokens()["access_token"]).header("Mcp-Session-Id")
        assert session is not None
        listed = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
        assert self.mcp(self.tokens()["access_token"], listed, Mcp_Session_Id=session).status == 200
        open_trace = self.request("POST", "/t", {}, {"Content-Type": "application/json"}).json["trace"]
        fields = {"Content-Type": "application/json", "Mcp-Session-Id": session}
        assert self.request("POST", f"/t/{open_trace}/mcp", listed, fields).status == 404


def _encoded(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _signed_with_secret(header: Any, claims: Any, secret: str) -> str:
    text = f"{_encoded(json.dumps(header).encode())}.{_encoded(json.dumps(claims).encode())}"
    return f"{text}.{_encoded(hmac.digest(secret.encode(), text.encode(), 'sha256'))}"


class LeakTests(OAuthTestCase):
    def test_nothing_that_is_kept_lets_anybody_in(self) -> None:
        """RFC 9700 section 4.3, RFC 6819 section 5.1.4.1.3: digests, and a key under seal."""
        client = self.register(token_endpoint_auth_method="client_secret_post")
        code = self.code(client["client_id"])
        tokens = self.redeem(client["client_id"], code, client_secret=client["client_secret"]).json
        assert self.service.insight is not None
        trace = self.service.insight.traces.find(self.place.trace)
        assert trace is not None
        kept = b"".join(trace.parts.values())
        for secret in (code, client["client_secret"], tokens["access_token"], tokens["refresh_token"]):
            assert secret.encode() not in kept
        assert b"PRIVATE" not in kept
        assert VERIFIER.encode() not in kept

    def test_what_is_not_asked_for_is_not_answered_elsewhere(self) -> None:
        """The redirect has the code and nothing of the client's secret things."""
        location = self.authorize(self.register()["client_id"]).header("Location") or ""
        assert location.startswith(f"{REDIRECT_URI}?code=")
