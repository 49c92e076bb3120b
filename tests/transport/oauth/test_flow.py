"""A whole flow through a protected trace, and each of its legs."""

from __future__ import annotations

import base64
import json
from typing import Any

import jwt as pyjwt

from tests.transport.oauth.support import (
    FORM,
    INITIALIZE,
    JSON,
    REDIRECT_URI,
    VERIFIER,
    OAuthTestCase,
    answered,
    call_of,
    claims_of,
)
from tests.transport.support import BOTH, URL, WALL, ServerTestCase, modern_message, routing_headers

ORIGIN = {"Origin": "http://localhost:5173"}


class ChallengeTests(OAuthTestCase):
    def test_whoever_has_no_token_is_told_where_to_get_one(self) -> None:
        """2025-11-25 basic/authorization, Protected Resource Metadata Discovery; RFC 9728 section 5.1."""
        answer = self.mcp(None)
        assert answer.status == 401
        assert answer.header("WWW-Authenticate") == (
            f'Bearer resource_metadata="{self.place.metadata}", scope="read"'
        )
        assert len(self.store) == 0

    def test_the_challenge_leads_to_the_token_endpoint(self) -> None:
        """RFC 9728 section 3.3, RFC 8414 section 3.3: names are compared byte for byte."""
        resource = self.fetch(self.place.metadata).json
        assert resource["resource"] == self.place.resource
        assert resource["authorization_servers"] == [self.place.issuer]
        assert resource["scopes_supported"] == ["read", "admin"]
        path = f"/t/{self.place.trace}"
        for where in (
            f"/.well-known/oauth-authorization-server{path}",
            f"/.well-known/openid-configuration{path}",
            f"{path}/.well-known/openid-configuration",
        ):
            server = self.request("GET", where).json
            assert server["issuer"] == self.place.issuer
            assert server["token_endpoint"] == f"{self.place.issuer}/token"
            assert server["code_challenge_methods_supported"] == ["S256"]
            assert server["authorization_response_iss_parameter_supported"] is True
            assert "client_id_metadata_document_supported" not in server

    def test_both_eras_and_streams_are_protected(self) -> None:
        """2025-11-25 basic/authorization, Access Token Usage: every request has the token."""
        message = modern_message("tools/list")
        headers = {**routing_headers(message), **JSON}
        assert self.request("POST", self.place.mcp, message, headers).status == 401
        assert self.request("GET", self.place.mcp, headers={"Accept": "text/event-stream"}).status == 401
        assert self.request("DELETE", self.place.mcp).status == 401
        token = {"Authorization": f"Bearer {self.tokens()['access_token']}"}
        assert self.request("POST", self.place.mcp, message, {**headers, **token}).status == 200
        session = self.mcp(self.tokens()["access_token"]).header("Mcp-Session-Id")
        assert session is not None
        listening = {"Accept": "text/event-stream", "Mcp-Session-Id": session, **token}
        assert self.begin("GET", self.place.mcp, headers=listening).code == 200

    def test_a_trace_that_asks_for_nothing_has_no_authorization_server(self) -> None:
        """Our choice: off outside of such traces."""
        made = self.request("POST", "/t", {}, JSON).json
        assert "issuer" not in made or made["issuer"] is None
        for path in ("jwks", "authorize", ".well-known/openid-configuration"):
            assert self.request("GET", f"/t/{made['trace']}/{path}").status == 404
        assert self.request("GET", "/authorize").status == 404
        assert self.request("GET", "/.well-known/oauth-protected-resource").status == 404
        answer = self.request("POST", f"/t/{made['trace']}/mcp", INITIALIZE, {"Accept": BOTH, **JSON})
        assert answer.status == 200

    def test_credentials_that_are_no_bearer_token_are_no_token(self) -> None:
        """RFC 6750 section 3.1: no error code for who brings no token, 400 for who brings two."""
        for value in ("Basic YTpi", "Bearer", "Bearer  ", ""):
            answer = self.mcp(None, Authorization=value)
            assert answer.status == 401
            assert "error=" not in (answer.header("WWW-Authenticate") or "")
        twice: Any = {"Accept": BOTH, **JSON, "Authorization": ["Bearer a", "Bearer b"]}
        assert self.request("POST", self.place.mcp, INITIALIZE, twice).status == 400


class FlowTests(OAuthTestCase):
    def test_a_code_becomes_a_token_that_lets_in(self) -> None:
        """OAuth 2.1 section 4.1; RFC 9207 section 2; RFC 9068 section 2."""
        client = self.register()["client_id"]
        answer = answered(self.authorize(client))
        assert answer["state"] == "s1"
        assert answer["iss"] == self.place.issuer
        given = self.redeem(client, answer["code"])
        assert given.status == 200
        assert given.header("Cache-Control") == "no-store"
        tokens = given.json
        assert (tokens["token_type"], tokens["expires_in"], tokens["scope"]) == ("Bearer", 3600, "read")
        assert claims_of(tokens["access_token"]) == {
            "iss": self.place.issuer,
            "sub": "somebody",
            "aud": self.place.resource,
            "exp": int(WALL) + 3600,
            "iat": int(WALL),
            "jti": claims_of(tokens["access_token"])["jti"],
            "client_id": client,
            "scope": "read",
        }
        assert pyjwt.get_unverified_header(tokens["access_token"])["typ"] == "at+jwt"
        assert self.mcp(tokens["access_token"]).status == 200

    def test_the_published_key_verifies_the_token(self) -> None:
        """RFC 7517; RFC 7518 section 3.4, RFC 8037 section 3.1."""
        for algorithm in ("ES256", "RS256", "EdDSA"):
            place = self.make(challenge="oauth", scopes=["read"], algorithm=algorithm)
            token = self.tokens(place)["access_token"]
            (jwk,) = self.request("GET", place.path("jwks")).json["keys"]
            assert jwk["alg"] == algorithm
            assert not {"d", "p", "q"} & jwk.keys()
            options: Any = {"verify_exp": False, "verify_iat": False}
            read = pyjwt.decode(
                token, pyjwt.PyJWK(jwk), algorithms=[algorithm], audience=place.resource, options=options
            )
            assert read["iss"] == place.issuer
            assert pyjwt.get_unverified_header(token)["kid"] == jwk["kid"]
            assert self.mcp(token, place=place).status == 200

    def test_a_refresh_gives_new_tokens_and_takes_the_old_one_no_more(self) -> None:
        """RFC 6749 section 6; RFC 9700 section 4.14.2: rotation, and a replay ends the whole family."""
        first = self.tokens()
        form = {"grant_type": "refresh_token", "client_id": first["client_id"]}
        second = self.ask_token({**form, "refresh_token": first["refresh_token"]}).json
        assert second["refresh_token"] != first["refresh_token"]
        assert self.mcp(second["access_token"]).status == 200
        replayed = self.ask_token({**form, "refresh_token": first["refresh_token"]})
        assert (replayed.status, replayed.json["error"]) == (400, "invalid_grant")
        assert "used before" in replayed.json["error_description"]
        assert self.ask_token({**form, "refresh_token": second["refresh_token"]}).status == 400
        assert self.mcp(second["access_token"]).status == 401

    def test_a_refresh_can_ask_for_less_and_not_for_more(self) -> None:
        """RFC 6749 section 6."""
        first = self.tokens(scope="read offline_access")
        form = {
            "grant_type": "refresh_token",
            "client_id": first["client_id"],
            "refresh_token": first["refresh_token"],
        }
        more = self.ask_token({**form, "scope": "read admin"})
        assert (more.status, more.json["error"]) == (400, "invalid_scope")
        assert self.ask_token({**form, "scope": "read"}).json["scope"] == "read"

    def test_a_client_that_cannot_refresh_gets_no_refresh_token(self) -> None:
        """RFC 7591 section 2: grant_types."""
        client = self.register(grant_types=None)["client_id"]
        assert "refresh_token" not in self.redeem(client, self.code(client)).json

    def test_a_token_is_good_until_it_expires(self) -> None:
        """RFC 6750 section 3.1: invalid_token."""
        place = self.make(challenge="oauth", scopes=["read"], tokenSeconds=10)
        token = self.tokens(place)["access_token"]
        self.clock.advance(9)
        assert self.mcp(token, place=place).status == 200
        self.clock.advance(13)
        late = self.mcp(token, place=place)
        assert late.status == 401
        challenge = late.header("WWW-Authenticate") or ""
        assert 'error="invalid_token"' in challenge
        assert "its exp was 12s ago" in challenge
        assert f'resource_metadata="{place.metadata}"' in challenge

    def test_a_revoked_token_is_taken_no_more(self) -> None:
        """RFC 7009 section 2; what is known of it to be good is forgotten at once."""
        tokens = self.tokens()
        assert self.mcp(tokens["access_token"]).status == 200
        self._about("revoke", tokens, tokens["access_token"])
        refused = self.mcp(tokens["access_token"])
        assert refused.status == 401
        assert "revoked" in refused.json["error"]["message"]
        other = self.tokens()
        assert self._about("revoke", other, other["refresh_token"]).status == 200
        assert self.mcp(other["access_token"]).status == 401
        # No error: it is what whoever asks wants (RFC 7009 section 2.2).
        assert self._about("revoke", other, "nonsense").status == 200

    def test_introspection_tells_a_client_of_its_own_tokens(self) -> None:
        """RFC 7662 section 2.2."""
        tokens = self.tokens()
        told = self._about("introspect", tokens, tokens["access_token"]).json
        assert told["active"] is True
        assert (told["scope"], told["aud"], told["iss"]) == ("read", self.place.resource, self.place.issuer)
        assert self._about("introspect", tokens, tokens["refresh_token"]).json["active"] is True
        assert self._about("introspect", self.tokens(), tokens["access_token"]).json == {"active": False}
        self.clock.advance(3600)
        assert self._about("introspect", tokens, tokens["access_token"]).json == {"active": False}

    def _about(self, leg: str, tokens: Any, token: str) -> Any:
        body = f"token={token}&client_id={tokens['client_id']}".encode()
        return self.request("POST", self.place.path(leg), body, FORM)

    def test_a_client_with_a_secret_authenticates_with_it(self) -> None:
        """RFC 6749 section 2.3.1; RFC 7591 section 2: client_secret_basic where nothing is said."""
        for method in (None, "client_secret_basic", "client_secret_post"):
            client = self.register(token_endpoint_auth_method=method)
            assert client["client_secret_expires_at"] == 0
            for secret, status in (("wrong", 401), (client["client_secret"], 200)):
                given = self._with_secret(client, secret, method == "client_secret_post")
                assert given.status == status, given.body

    def _with_secret(self, client: Any, secret: str, in_form: bool) -> Any:
        name = client["client_id"]
        code = self.code(name)
        if in_form:
            return self.redeem(name, code, client_secret=secret)
        basic = base64.b64encode(f"{name}:{secret}".encode()).decode()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": REDIRECT_URI,
            "code_verifier": VERIFIER,
        }
        return self.ask_token(form, headers={"Authorization": f"Basic {basic}"})

    def test_a_client_that_comes_with_the_trace_need_not_register(self) -> None:
        """2025-11-25 basic/authorization, Preregistration."""
        known = {"clientId": "mine", "redirectUris": [REDIRECT_URI], "name": "Mine"}
        place = self.make(challenge="oauth", scopes=["read"], clients=[known])
        for _ in range(25):
            self.register(place)
        assert self.redeem("mine", self.code("mine", place), place).status == 200


class ScopeTests(OAuthTestCase):
    def test_a_tool_that_needs_more_says_what(self) -> None:
        """2025-11-25 basic/authorization, Scope Challenge Handling: 403 before anything is done."""
        token = self.tokens()["access_token"]
        session = self.mcp(token).header("Mcp-Session-Id")
        assert session is not None
        answer = self.mcp(token, call_of("healthProbe"), Mcp_Session_Id=session)
        assert answer.status == 403
        challenge = answer.header("WWW-Authenticate") or ""
        assert 'error="insufficient_scope"' in challenge
        assert 'scope="admin"' in challenge
        assert f'resource_metadata="{self.place.metadata}"' in challenge
        both = self.tokens(scope="read admin")["access_token"]
        assert self.mcp(both, call_of("healthProbe"), Mcp_Session_Id=session).status == 200
        assert self.mcp(token, call_of("echo", message="x"), Mcp_Session_Id=session).status == 200

    def test_in_the_modern_era_too(self) -> None:
        """2026-07-28 basic/authorization, Scope Challenge Handling."""
        message = modern_message("tools/call", {"name": "healthProbe", "arguments": {}})
        headers = {name.replace("-", "_"): value for name, value in routing_headers(message).items()}
        assert self.mcp(self.tokens()["access_token"], message, **headers).status == 403
        assert self.mcp(self.tokens(scope="admin")["access_token"], message, **headers).status == 200

    def test_a_token_without_the_ordinary_scope_gets_nowhere_else(self) -> None:
        """Our choice: a client that gave up one scope for another is to see it."""
        answer = self.mcp(self.tokens(scope="admin")["access_token"])
        assert answer.status == 403
        assert 'scope="read"' in (answer.header("WWW-Authenticate") or "")

    def test_what_cannot_be_used_any_more_can_be_ended(self) -> None:
        """Our choice: a client that gave a scope up leaves no session behind."""
        session = self.mcp(self.tokens()["access_token"]).header("Mcp-Session-Id") or ""
        token = self.tokens(scope="admin")["access_token"]
        headers = {"Authorization": f"Bearer {token}", "Mcp-Session-Id": session}
        assert self.request("DELETE", self.place.mcp, headers=headers).status == 204

    def test_what_is_not_known_is_not_granted_and_the_answer_says_so(self) -> None:
        """RFC 6749 section 3.3."""
        assert self.tokens(scope="read openid")["scope"] == "read"
        assert self.tokens(scope=None)["scope"] == "read"
        client = self.register()["client_id"]
        assert answered(self.authorize(client, scope="openid"))["error"] == "invalid_scope"


class ContextTests(OAuthTestCase):
    def test_what_was_verified_is_said_to_be(self) -> None:
        """Our choice: authContext says what the credentials are worth, here and elsewhere."""
        token = self.tokens()["access_token"]
        session = self.mcp(token).header("Mcp-Session-Id") or ""
        answer = self.mcp(token, call_of("authContext"), Mcp_Session_Id=session)
        text = answer.json["result"]["content"][0]["text"]
        assert f"this trace has verified the access token of {self.place.issuer} somebody" in text
        assert "this server verifies nothing" in self.text("authContext", Authorization=f"Bearer {token}")


class BrowserTests(OAuthTestCase):
    def test_a_page_of_an_allowed_origin_can_do_every_leg(self) -> None:
        """Fetch, CORS protocol: preflights, and headers that let the page read each answer."""
        legs = ("register", "token", "revoke", "introspect", "jwks")
        paths = [self.place.path(leg) for leg in legs]
        paths += [
            self.place.metadata.removeprefix(URL),
            f"/.well-known/oauth-authorization-server/t/{self.place.trace}",
        ]
        for path in paths:
            asked = {
                **ORIGIN,
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "content-type,mcp-protocol-version",
            }
            preflight = self.request("OPTIONS", path, headers=asked)
            assert preflight.status == 204
            assert "POST" in (preflight.header("Access-Control-Allow-Methods") or "")
            answer = self.request("POST", path, b"", {**ORIGIN, **FORM})
            assert answer.header("Access-Control-Allow-Origin") == ORIGIN["Origin"]
        refused = self.request("GET", paths[-1], headers={"Origin": "http://evil.example"})
        assert refused.status == 403
        unknown = self.mcp(None, **ORIGIN)
        assert unknown.header("Access-Control-Allow-Origin") == ORIGIN["Origin"]
        assert "WWW-Authenticate" in (unknown.header("Access-Control-Expose-Headers") or "")

    def test_head_is_answered_like_get(self) -> None:
        """RFC 9110 section 9.3.2."""
        for path in (self.place.metadata.removeprefix(URL), self.place.path("jwks")):
            answer = self.request("HEAD", path)
            assert (answer.status, answer.body) == (200, b"")
        assert self.request("DELETE", self.place.path("token")).status == 405


class RecordTests(OAuthTestCase):
    def test_every_leg_belongs_to_the_trace(self) -> None:
        """Our choice: a flow is judged by its legs, and they are those of one address."""
        self.fetch(self.place.metadata)
        self.request("GET", f"/.well-known/oauth-authorization-server/t/{self.place.trace}")
        token = self.tokens()["access_token"]
        self.mcp(token)
        seen = self.request("GET", self.place.path("exchanges")).json["exchanges"]
        assert [(each["httpMethod"], each["path"].rpartition("/")[2], each["status"]) for each in seen] == [
            ("GET", "mcp", 200),
            ("GET", "{trace}", 200),
            ("POST", "register", 201),
            ("GET", "authorize", 302),
            ("POST", "token", 200),
            ("POST", "mcp", 200),
        ]


class PlainTests(ServerTestCase):
    settings = {"MCP_ECHO_CHALLENGE": "on"}

    def test_plain_mcp_asks_for_a_token_of_its_own_server(self) -> None:
        """docs: MCP_ECHO_CHALLENGE; RFC 9728 section 3.1: at the root as well."""
        refused = self.rpc("initialize", {"protocolVersion": "2025-11-25"})
        assert refused.status == 401
        where = f"{URL}/.well-known/oauth-protected-resource"
        assert f'"{where}/mcp"' in (refused.header("WWW-Authenticate") or "")
        for url in (where, f"{where}/mcp"):
            told = self.request("GET", url.removeprefix(URL)).json
            assert (told["resource"], told["authorization_servers"]) == (f"{URL}/mcp", [URL])
        server = self.request("GET", "/.well-known/oauth-authorization-server").json
        assert server["token_endpoint"] == f"{URL}/token"
        assert self.request("GET", "/health").status == 200

    def test_it_is_protected_where_it_is_not_recorded(self) -> None:
        """Our choice: how much is recorded decides nothing."""
        for more in (
            {"MCP_ECHO_TRUSTED_PROXIES": "127.0.0.1"},
            {"MCP_ECHO_PUBLIC_URL": "https://mcp.example"},
        ):
            self.serve({**self.settings, **more})
            assert self.service.insight is not None
            assert self.service.insight.plain is None
            assert self.rpc("initialize", {"protocolVersion": "2025-11-25"}).status == 401
        assert self.request("GET", "/.well-known/oauth-protected-resource").json["resource"] == (
            "https://mcp.example/mcp"
        )

    def test_a_busy_second_lets_nobody_past(self) -> None:
        """Our choice, as above: only some of the exchanges of a second are recorded."""
        for _ in range(60):
            assert self.rpc("initialize", {"protocolVersion": "2025-11-25"}).status == 401

    def test_the_made_traces_are_as_they_were_made(self) -> None:
        """Our choice: /mcp is one address, and each trace another."""
        made = self.request("POST", "/t", {}, JSON).json
        answer = self.request("POST", f"/t/{made['trace']}/mcp", INITIALIZE, {"Accept": BOTH, **JSON})
        assert answer.status == 200
        assert json.loads(self.request("GET", f"/t/{made['trace']}/report").body)["exchanges"] == 1
