"""Tokens of outside issuers: whose keys are fetched, when, and what is said of each token."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import jwt as pyjwt
from twisted.internet.defer import Deferred

from mcp_echo.oauth.keys import SigningKey, new_key
from mcp_echo.transport.oauth import guard
from mcp_echo.transport.oauth.assembly import Outside
from mcp_echo.transport.oauth.fetching import NotFetched
from tests.transport.oauth.support import JSON, OAuthTestCase
from tests.transport.support import WALL, Answer, _at_once, _nothing

ISSUER = "https://issuer.example/realms/a"
METADATA = "https://issuer.example/.well-known/oauth-authorization-server/realms/a"
OPENID = f"{ISSUER}/.well-known/openid-configuration"
JWKS = f"{ISSUER}/keys"


class IssuerTestCase(OAuthTestCase):
    """A test with an outside issuer, whose documents are in a dictionary."""

    settings = {"MCP_ECHO_ISSUERS": f"{ISSUER},https://second.example"}
    wishes = {"challenge": "token", "scopes": ["read"]}

    def setUp(self) -> None:
        self.key = SigningKey(new_key("ES256"))
        self.fetched: list[str] = []
        self.documents: dict[str, Any] = {
            OPENID: {"issuer": ISSUER, "jwks_uri": JWKS},
            JWKS: {"keys": [self.key.jwk]},
        }
        self.slow: Deferred[None] | None = None
        super().setUp()

    def world(self) -> Outside:
        return Outside(_at_once, self._fetch, _nothing)

    async def _fetch(self, url: str, _most: int) -> bytes:
        self.fetched.append(url)
        if self.slow is not None:
            await self.slow
        if url not in self.documents:
            raise NotFetched("it was answered with 404")
        return json.dumps(self.documents[url]).encode()

    def token(self, key: SigningKey | None = None, **changes: Any) -> str:
        """Return a good token, but for some changes; None leaves a claim away."""
        now = int(WALL + self.clock.seconds())
        claims = {
            "iss": ISSUER,
            "sub": "alice",
            "aud": ["account", self.place.resource],
            "iat": now,
            "exp": now + 300,
            "scope": "read openid",
            **changes,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        return (key or self.key).sign(claims, "at+jwt")

    def refused(self, token: str) -> str:
        """Return why a token is not taken."""
        answer = self.mcp(token)
        assert answer.status == 401, answer.body
        assert 'error="invalid_token"' in (answer.header("WWW-Authenticate") or "")
        return str(answer.json["error"]["message"])


class GoodTokenTests(IssuerTestCase):
    def test_the_resource_says_whose_tokens_it_takes(self) -> None:
        """RFC 9728 section 2; docs: MCP_ECHO_ISSUERS."""
        told = self.fetch(self.place.metadata).json
        assert told["authorization_servers"] == [ISSUER, "https://second.example"]
        for leg in ("authorize", "token", "jwks"):
            assert self.request("GET", self.place.path(leg)).status == 404

    def test_a_good_token_lets_in_and_keys_are_fetched_once(self) -> None:
        """RFC 8414 section 3, OpenID Connect Discovery section 4: each place in turn."""
        assert self.mcp(self.token()).status == 200
        assert self.fetched[-2:] == [OPENID, JWKS]
        before = list(self.fetched)
        for _ in range(3):
            assert self.mcp(self.token()).status == 200
        assert self.fetched == before

    def test_scopes_may_be_where_other_issuers_have_them(self) -> None:
        """Entra and Okta: scp, as a text or a list."""
        assert self.mcp(self.token(scope=None, scp="read other")).status == 200
        assert self.mcp(self.token(scope=None, scp=["read"])).status == 200
        assert self.mcp(self.token(scope="openid")).status == 403

    def test_a_session_does_not_pass_from_one_subject_to_another(self) -> None:
        """2025-11-25 basic/security_best_practices, Session Hijacking."""
        session = self.mcp(self.token()).header("Mcp-Session-Id") or ""
        listed = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
        assert self.mcp(self.token(), listed, Mcp_Session_Id=session).status == 200
        assert self.mcp(self.token(sub="bob"), listed, Mcp_Session_Id=session).status == 404

    def test_while_keys_are_fetched_everybody_else_is_served(self) -> None:
        """Our choice: nothing blocks."""
        self.slow = Deferred()
        waiting: list[Any] = []
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"}).encode()
        fields = {**JSON, "Authorization": f"Bearer {self.token()}"}
        sent = self.client.request(
            "POST", f"http://localhost:3000{self.place.mcp}", data=body, headers=fields, allow_redirects=False
        )
        sent.addCallback(waiting.append)
        self.client.flush()
        assert waiting == []
        assert self.request("GET", "/health").status == 200
        self.slow.callback(None)
        self.client.flush()
        assert waiting[0].code == 200

    def test_old_keys_serve_while_new_ones_are_fetched(self) -> None:
        """Our choice: a request waits only where nothing else can tell."""
        assert self.mcp(self.token()).status == 200
        self.clock.advance(700)
        self.slow = Deferred()
        assert self.mcp(self.token()).status == 200
        new = SigningKey(new_key("ES256"))
        self.documents[JWKS] = {"keys": [new.jwk]}
        self.slow.callback(None)
        assert self.mcp(self.token(new)).status == 200
        assert "a key that its issuer does not have" in self.refused(self.token())


class KeysElsewhereTests(IssuerTestCase):
    settings = {"MCP_ECHO_ISSUERS": f"{ISSUER}=https://keys.example/certs?v=3,https://second.example"}

    def test_keys_that_the_operator_names_are_fetched_there_and_metadata_is_not(self) -> None:
        """docs: MCP_ECHO_ISSUERS; accounts.google.com has its keys at www.googleapis.com."""
        self.documents = {"https://keys.example/certs?v=3": {"keys": [self.key.jwk]}}
        assert self.mcp(self.token()).status == 200
        assert self.fetched == ["https://keys.example/certs?v=3"]
        assert self.fetch(self.place.metadata).json["authorization_servers"][0] == ISSUER

    def test_they_are_bounded_as_all_others_are(self) -> None:
        """Our choice: one try a minute, and a token is not called bad of which nobody knows."""
        self.documents = {}
        for _ in range(3):
            assert self.mcp(self.token()).status == 503
        assert self.fetched == ["https://keys.example/certs?v=3"]


class ForgottenTests(IssuerTestCase):
    def judgements(self, work: Callable[[], object]) -> int:
        """Return how many tokens are judged while something is done."""
        with patch.object(guard, "judge", wraps=guard.judge) as judged:
            work()
        return judged.call_count

    def test_a_known_token_is_judged_anew_once_a_fault_of_tokens_is_armed(self) -> None:
        """docs/faults.md: what is taken may have changed for this trace, and for no other."""
        other = self.make(**self.wishes)
        mine, its = self.token(), self.token(aud=other.resource)
        assert self.judgements(lambda: (self.mcp(mine), self.mcp(its, place=other))) == 2
        assert self.judgements(lambda: (self.mcp(mine), self.mcp(its, place=other))) == 0
        for fault, judged in (("delay", 0), ("token", 1)):
            order = {"fault": fault, "match": {"tool": "nobody-calls-it"}}
            assert self.request("POST", self.place.path("faults"), order, JSON).status == 201
            assert self.judgements(lambda: self.mcp(mine)) == judged, fault
            assert self.judgements(lambda: (self.mcp(mine), self.mcp(its, place=other))) == 0


class BadTokenTests(IssuerTestCase):
    def test_each_thing_that_is_wrong_is_said(self) -> None:
        """2025-11-25 basic/authorization, Token Handling; RFC 9068 section 4; RFC 8725 section 3."""
        now = int(WALL)
        resource = self.place.resource
        for changes, words in (
            ({"aud": f"{resource}/"}, "they differ in slash"),
            ({"aud": resource.replace("http:", "https:")}, "they differ in scheme"),
            ({"aud": resource.replace("localhost", "LOCALHOST")}, "they differ in case"),
            ({"aud": resource.replace(":3000", "")}, "they differ in port"),
            ({"aud": "http://localhost:3000"}, "they differ in path"),
            ({"aud": None}, "for another resource"),
            ({"exp": now - 12}, "its exp was 12s ago"),
            ({"exp": None}, "no exp"),
            ({"nbf": now + 120}, "begins in 2m"),
            ({"iat": now + 120}, "issued 2m"),
            ({"iss": f"{ISSUER}/"}, "they differ in slash"),
            ({"iss": "https://evil.example"}, "of another issuer"),
        ):
            assert words in self.refused(self.token(**changes)), changes

    def test_a_clock_may_be_a_little_wrong(self) -> None:
        """RFC 7519 section 4.1.5: some leeway for what is to begin, and none for what is over."""
        assert self.mcp(self.token(nbf=int(WALL) + 50, iat=int(WALL) + 50)).status == 200

    def test_what_is_not_signed_or_by_somebody_else_is_not_taken(self) -> None:
        """RFC 8725 sections 2.1 and 3.1."""
        claims = {"iss": ISSUER, "aud": self.place.resource, "exp": int(WALL) + 60}
        assert "anybody can have written it" in self.refused(pyjwt.encode(claims, None, "none"))
        other = SigningKey(new_key("ES256"))
        other.id = self.key.id
        assert "signature of the token is wrong" in self.refused(self.token(other))
        proof = self.key.sign(claims, "dpop+jwt")
        assert "another kind" in self.refused(proof)

    def test_a_key_that_is_not_known_is_looked_for_once_a_minute(self) -> None:
        """Our choice: whoever makes up kids must not have the issuer flooded."""
        assert self.mcp(self.token()).status == 200
        self.clock.advance(61)
        before = len(self.fetched)
        rotated = SigningKey(new_key("ES256"))
        for _ in range(5):
            assert "does not have" in self.refused(self.token(rotated))
        assert self.fetched[before:].count(JWKS) == 1
        self.documents[JWKS] = {"keys": [self.key.jwk, rotated.jwk]}
        assert "does not have" in self.refused(self.token(rotated))
        self.clock.advance(61)
        assert self.mcp(self.token(rotated)).status == 200
        assert self.fetched[before:].count(JWKS) == 2

    def test_an_issuer_that_is_not_listed_is_never_asked(self) -> None:
        """Our choice (SSRF): iss, jku and x5u of a token lead nowhere."""
        claims = {"iss": "https://evil.example", "aud": self.place.resource, "exp": int(WALL) + 60}
        kind = {"jku": "https://evil.example/keys", "kid": "x"}
        self.refused(pyjwt.encode(claims, self.key._key, "ES256", kind))
        self.refused(self.token(iss="https://evil.example"))
        assert self.fetched == []

    def test_a_token_of_another_trace_is_not_taken_here(self) -> None:
        """RFC 9700 section 4.10.2."""
        token = self.token()
        assert self.mcp(token).status == 200
        other = self.make(**self.wishes)
        assert self.mcp(token, place=other).status == 401


class UnreachableTests(IssuerTestCase):
    def unreachable(self, change: Callable[[], None]) -> Answer:
        """Return the answer to a good token whose issuer's documents are not what they should be."""
        change()
        answer = self.mcp(self.token())
        assert answer.status == 503
        assert answer.header("Retry-After") == "60"
        return answer

    def why(self, change: Callable[[], None]) -> str:
        return str(self.unreachable(change).json["error"]["message"])

    def test_it_is_said_what_keeps_the_keys_away(self) -> None:
        """Our choice: nobody is told that a token is bad of which nobody knows."""
        assert "404" in self.why(self.documents.clear)

    def test_metadata_of_another_issuer_is_none(self) -> None:
        """RFC 8414 section 3.3."""
        wrong = {"issuer": "https://issuer.example", "jwks_uri": JWKS}
        assert "RFC 8414" in self.why(lambda: self.documents.update({OPENID: wrong}))

    def test_keys_elsewhere_are_not_asked_for(self) -> None:
        """docs: MCP_ECHO_ISSUERS: only their hosts."""
        for place in ("https://evil.example/keys", "http://issuer.example/keys", "http://169.254.169.254/"):
            self.documents[OPENID] = {"issuer": ISSUER, "jwks_uri": place}
            assert "another host" in self.why(lambda: None)
            assert place not in self.fetched
            self.clock.advance(61)

    def test_what_is_no_jwks_is_none(self) -> None:
        """RFC 7517 section 5; a secret is no public key."""
        for document in (
            {"keys": []},
            {"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": self.key.id}]},
            {"keys": [{**self.key.jwk, "use": "enc"}]},
            {"keys": [{**self.key.jwk, "x": "AAAA"}]},
            {"keys": "x"},
            [],
        ):
            self.documents[JWKS] = document
            assert "JWKS" in self.why(lambda: None), document
            self.clock.advance(61)

    def test_nobody_asks_again_within_a_minute(self) -> None:
        """Our choice: an issuer that is down is left in peace, and so are those who wait."""
        self.documents.clear()
        for _ in range(3):
            assert self.mcp(self.token()).status == 503
        assert len(self.fetched) == 3
