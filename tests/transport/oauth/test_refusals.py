"""What is wrong with a request of a flow, and the OAuth error that says so."""

from __future__ import annotations

import base64
from typing import Any

from tests.transport.oauth.support import FORM, JSON, REDIRECT_URI, OAuthTestCase, answered
from tests.transport.support import Answer


class AuthorizeTests(OAuthTestCase):
    def refused(self, **changes: Any) -> dict[str, str]:
        """Return what a client is told that asks wrongly."""
        return answered(self.authorize(self.register()["client_id"], **changes))

    def test_the_client_is_told_what_is_wrong_by_a_redirect(self) -> None:
        """RFC 6749 section 4.1.2.1, RFC 7636 section 4.4.1, RFC 8707 section 2; with state and iss."""
        for changes, error, words in (
            ({"code_challenge": None}, "invalid_request", "code_challenge is missing"),
            ({"code_challenge_method": None}, "invalid_request", "code_challenge_method is plain"),
            ({"code_challenge_method": "plain"}, "invalid_request", "use S256"),
            ({"code_challenge": "short"}, "invalid_request", "43 characters"),
            ({"resource": None}, "invalid_target", f"it has to be {self.place.resource}"),
            ({"resource": f"{self.place.resource}/"}, "invalid_target", f"says {self.place.resource}"),
            ({"resource": self.place.resource.upper()}, "invalid_target", "the metadata"),
            ({"resource": [self.place.resource, "https://other"]}, "invalid_target", "https://other"),
            ({"response_type": "token"}, "unsupported_response_type", "only code"),
            ({"response_type": None}, "invalid_request", "response_type is missing"),
            ({"response_mode": "fragment"}, "invalid_request", "query"),
            ({"scope": "x y"}, "invalid_scope", "read, admin, offline_access"),
            ({"scope": ["read", "admin"]}, "invalid_request", "scope is given 2 times"),
        ):
            told = self.refused(**changes)
            assert told["error"] == error, changes
            assert words in told["error_description"], changes
            assert (told["state"], told["iss"]) == ("s1", self.place.issuer)
            assert "code" not in told

    def test_without_state_there_is_a_code_all_the_same(self) -> None:
        """RFC 6749 section 4.1.1: state is recommended; a rule says that it is missing."""
        assert "state" not in self.refused(state=None)

    def test_a_redirect_uri_that_is_not_registered_leads_nowhere(self) -> None:
        """RFC 6749 section 4.1.2.1; RFC 9700 section 4.1.3: exact comparison."""
        client = self.register(redirect_uris=["https://app.example/cb", REDIRECT_URI])["client_id"]
        for uri in (
            "https://app.example/cb/",
            "https://app.example/CB",
            "https://app.example/cb?x=1",
            "https://app.example.evil.example/cb",
            "https://app.example@evil.example/cb",
            "http://127.0.0.1.evil.example:9/callback",
            "http://127.0.0.1:9/callback/../other",
            "http://localhost:9/callback",
            "javascript:alert(1)",
            "",
            None,
        ):
            answer = self.authorize(client, redirect_uri=uri)
            assert answer.status == 400, uri
            assert answer.header("Location") is None
            assert answer.header("Content-Type") == "text/html; charset=utf-8"

    def test_another_port_of_the_own_machine_is_the_same_place(self) -> None:
        """RFC 8252 section 7.3; RFC 9700 section 2.1."""
        client = self.register()["client_id"]
        answer = self.authorize(client, redirect_uri=REDIRECT_URI.replace(":9/", ":50123/"))
        assert (answer.header("Location") or "").startswith("http://127.0.0.1:50123/callback?code=")

    def test_a_client_that_is_not_known_is_told_so_on_a_page(self) -> None:
        """RFC 6749 section 4.1.2.1."""
        for client in ("nobody", None, "https://client.example/metadata.json"):
            answer = self.authorize(self.register()["client_id"], client_id=client)
            assert (answer.status, answer.header("Location")) == (400, None)

    def test_what_a_page_shows_of_a_request_is_text(self) -> None:
        """RFC 9700 section 4.16 and common sense: the page is this server's."""
        client = self.register()["client_id"]
        answer = self.authorize(client, redirect_uri="http://127.0.0.1:9/<script>alert(1)</script>")
        assert b"<script>" not in answer.body
        policy = answer.header("Content-Security-Policy") or ""
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "form-action" not in policy


class TokenTests(OAuthTestCase):
    def refusal(self, answer: Answer, status: int, error: str, words: str) -> None:
        assert answer.status == status, answer.body
        assert answer.header("Cache-Control") == "no-store"
        assert answer.json["error"] == error
        assert words in answer.json["error_description"], answer.json

    def test_what_does_not_fit_the_code_is_said(self) -> None:
        """RFC 6749 section 5.2, RFC 7636 section 4.6, RFC 8707 section 2.2."""
        client = self.register()["client_id"]
        code = self.code(client)
        for changes, error, words in (
            ({"code_verifier": "w" * 43}, "invalid_grant", "does not fit the code_challenge"),
            ({"code_verifier": "short"}, "invalid_grant", "43 to 128"),
            ({"code_verifier": None}, "invalid_request", "code_verifier is missing"),
            ({"redirect_uri": "http://127.0.0.1:10/callback"}, "invalid_grant", "was given another one"),
            ({"redirect_uri": None}, "invalid_grant", "redirect_uri is missing"),
            ({"resource": f"{self.place.resource}/"}, "invalid_target", f"says {self.place.resource}"),
            ({"code": "unknown"}, "invalid_grant", "none of this server's"),
            ({"code": None}, "invalid_request", "code is missing"),
            ({"grant_type": "password"}, "unsupported_grant_type", "authorization_code and refresh_token"),
            ({"grant_type": None}, "invalid_request", "grant_type is missing"),
            ({"code": [code, code]}, "invalid_request", "given 2 times"),
        ):
            self.refusal(self.redeem(client, code, **changes), 400, error, words)
        # None of that has spent it, and a resource that is left away there is lawful.
        assert self.redeem(client, code, resource=None).status == 200

    def test_a_code_is_good_once_and_a_second_use_revokes_what_it_gave(self) -> None:
        """RFC 6749 section 4.1.2; RFC 9700 section 4.5."""
        client = self.register()["client_id"]
        code = self.code(client)
        token = self.redeem(client, code).json["access_token"]
        assert self.mcp(token).status == 200
        self.refusal(self.redeem(client, code), 400, "invalid_grant", "used before")
        assert self.mcp(token).status == 401

    def test_a_code_expires(self) -> None:
        """RFC 6749 section 4.1.2: short-lived."""
        client = self.register()["client_id"]
        code = self.code(client)
        self.clock.advance(61)
        self.refusal(self.redeem(client, code), 400, "invalid_grant", "expired 1 s ago")

    def test_a_client_authenticates_as_it_has_registered(self) -> None:
        """RFC 6749 section 2.3 and 5.2; RFC 7591 section 2."""
        client = self.register()["client_id"]
        code = self.code(client)
        basic = {"Authorization": "Basic " + base64.b64encode(f"{client}:".encode()).decode()}
        answer = self.redeem(client, code, headers=basic)
        self.refusal(answer, 401, "invalid_client", "token_endpoint_auth_method none")
        assert "client_secret_basic" in answer.json["error_description"]
        assert answer.header("WWW-Authenticate") == 'Basic realm="mcp-echo"'
        self.refusal(
            self.redeem(client, code, client_secret="x"), 401, "invalid_client", "client_secret_post"
        )
        self.refusal(
            self.redeem(client, code, headers=basic, client_secret="x"), 400, "invalid_request", "two ways"
        )
        self.refusal(self.redeem("nobody", code), 401, "invalid_client", "not known here")
        confidential = self.register(token_endpoint_auth_method="client_secret_post")["client_id"]
        self.refusal(
            self.redeem(confidential, self.code(confidential)),
            401,
            "invalid_client",
            "authenticates with none",
        )
        for odd in ("Basic !", "Basic " + base64.b64encode(b"no-colon").decode()):
            answer = self.redeem(client, code, headers={"Authorization": odd})
            self.refusal(answer, 401, "invalid_client", "Authorization")

    def test_a_body_that_is_no_form_is_said_to_be_none(self) -> None:
        """RFC 6749 section 3.2, and bounded."""
        path = self.place.path("token")
        self.refusal(
            self.request("POST", path, b"{}", JSON),
            400,
            "invalid_request",
            "Content-Type is application/json",
        )
        many = "&".join(f"a{number}=" for number in range(40)).encode()
        self.refusal(
            self.request("POST", path, many, FORM), 400, "invalid_request", "more than 32 parameters"
        )
        self.refusal(self.request("POST", path, b"a" * 20_000, FORM), 413, "invalid_request", "16384 bytes")
        self.refusal(self.request("POST", path, b"", FORM), 401, "invalid_client", "client_id is missing")


class RegistrationTests(OAuthTestCase):
    def test_what_cannot_be_served_is_said(self) -> None:
        """RFC 7591 section 3.2.2; RFC 9700 section 2.6."""
        good: dict[str, Any] = {"redirect_uris": [REDIRECT_URI]}
        for body, error, words in (
            ({}, "invalid_redirect_uri", "has 0 URIs"),
            ({"redirect_uris": ["http://app.example/cb"]}, "invalid_redirect_uri", "use https"),
            (
                {"redirect_uris": [REDIRECT_URI, "https://a/#b"]},
                "invalid_redirect_uri",
                "number 2: it has a fragment",
            ),
            ({"redirect_uris": ["javascript:alert(1)"]}, "invalid_redirect_uri", "no scheme of an app"),
            ({"redirect_uris": ["data:text/html,x"]}, "invalid_redirect_uri", "no scheme of an app"),
            ({"redirect_uris": ["https://good@evil.example/cb"]}, "invalid_redirect_uri", "user information"),
            ({"redirect_uris": ['https://a.example/"><script>']}, "invalid_redirect_uri", "no absolute URI"),
            ({"redirect_uris": ["/callback"]}, "invalid_redirect_uri", "no absolute URI"),
            (
                {"redirect_uris": [f"https://a.example/{n}" for n in range(11)]},
                "invalid_redirect_uri",
                "has 11 URIs",
            ),
            (
                {"redirect_uris": [f"https://a.example/{n}{'x' * 150}" for n in range(9)]},
                "invalid_client_metadata",
                "900 at most",
            ),
            (
                {**good, "token_endpoint_auth_method": "private_key_jwt"},
                "invalid_client_metadata",
                "has to be one of",
            ),
            ({**good, "grant_types": ["implicit"]}, "invalid_client_metadata", "grant_types lacks"),
            ({**good, "response_types": ["token"]}, "invalid_client_metadata", "response_types lacks"),
            ({"redirect_uris": "x"}, "invalid_client_metadata", "cannot be read"),
            (b"{", "invalid_client_metadata", "cannot be read"),
            (b"[" * 5000, "invalid_client_metadata", "cannot be read"),
        ):
            answer = self.request("POST", self.place.path("register"), body, JSON)
            assert (answer.status, answer.json["error"]) == (400, error), body
            assert words in answer.json["error_description"], answer.json

    def test_an_app_may_have_a_scheme_of_its_own(self) -> None:
        """RFC 8252 section 7.1."""
        for uri in ("com.example.app:/callback", "cursor://anysphere.cursor-mcp/oauth/callback"):
            assert self.register(redirect_uris=[uri])["redirect_uris"] == [uri]

    def test_the_oldest_client_gives_way(self) -> None:
        """Our choice: bounded, and said."""
        first = self.tokens()
        for _ in range(20):
            self.register()
        assert b"keeps the newest" in self.authorize(first["client_id"]).body
        assert self.mcp(first["access_token"]).status == 401


class WishesTests(OAuthTestCase):
    def test_what_means_nothing_is_refused(self) -> None:
        """Our choice: bad input gets a clear error, and nothing is made."""
        for body, words in (
            ({"scopes": ["a"]}, "scopes means nothing without a challenge"),
            (
                {"challenge": "oauth", "toolScopes": {"healthprobe": ["a"]}},
                "toolScopes names 'healthprobe', and there is no such tool; did you mean healthProbe?",
            ),
            (
                {"challenge": "oauth", "toolScopes": {"echo": ["a"], "entirelyElse": ["a"]}},
                "toolScopes names 'entirelyElse', and there is no such tool",
            ),
            ({"tokenSeconds": 5}, "token_seconds means nothing"),
            ({"challenge": "token"}, "MCP_ECHO_ISSUERS"),
            ({"challenge": "oauth", "scopes": ["a b"]}, "is no scope"),
            ({"challenge": "oauth", "scopes": ['"']}, "is no scope"),
            ({"challenge": "oauth", "scopes": [f"s{n}" for n in range(40)]}, "32 at most"),
            ({"challenge": "oauth", "tokenSeconds": 0}, "tokenSeconds"),
            (
                {"challenge": "oauth", "clients": [{"clientId": "a", "redirectUris": []}]},
                "redirect_uris has 0",
            ),
            ({"challenge": "maybe"}, "challenge"),
        ):
            answer = self.request("POST", "/t", body, JSON)
            assert answer.status == 400, body
            assert words in answer.json["error"]["message"], answer.json

    def test_a_challenge_needs_a_name_that_nobody_else_chooses(self) -> None:
        """docs: MCP_ECHO_PUBLIC_URL; tokens are bound to it."""
        self.serve({"MCP_ECHO_ALLOWED_HOSTS": "*"})
        answer = self.request("POST", "/t", {"challenge": "oauth"}, JSON)
        assert answer.status == 400
        assert "MCP_ECHO_PUBLIC_URL" in answer.json["error"]["message"]
        self.serve({"MCP_ECHO_ALLOWED_HOSTS": "*", "MCP_ECHO_PUBLIC_URL": "https://mcp.example"})
        made = self.request("POST", "/t", {"challenge": "oauth"}, JSON).json
        assert made["issuer"] == f"https://mcp.example/t/{made['trace']}"
