"""Faults of OAuth: each goes wrong in one point. docs/faults.md."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from tests.transport.oauth.support import FORM, OAuthTestCase, answered, call_of, claims_of
from tests.transport.test_traces import JSON

OTHER = "https://other-issuer.example.com"


class OAuthFaultTestCase(OAuthTestCase):
    def arm(self, fault: str, variant: str, **members: Any) -> None:
        order = {"fault": fault, "options": {"as": variant}, **members}
        assert self.request("POST", self.place.path("faults"), order, JSON).status == 201

    def fired(self) -> list[int]:
        return [each["fired"] for each in self.request("GET", self.place.path("faults")).json["orders"]]


class ChallengeTests(OAuthFaultTestCase):
    def test_a_challenge_lacks_something(self) -> None:
        """RFC 9728 section 5.1, RFC 6750 section 3."""
        right = self.mcp(None).header("WWW-Authenticate") or ""
        for variant, wanted in {
            "no-header": None,
            "no-metadata": 'Bearer scope="read"',
            "no-scope": f'Bearer resource_metadata="{self.place.metadata}"',
            "unquoted": right.replace('"', ""),
            "second-scheme": f'Basic realm="mcp-echo", {right}',
            "stale-metadata": right.replace("/.well-known/", "/.well-known/stale-"),
        }.items():
            with self.subTest(variant):
                self.arm("challenge", variant)
                answer = self.mcp(None)
                assert answer.status == 401
                assert answer.header("WWW-Authenticate") == wanted
                assert answer.header("X-MCP-Echo-Fault") == f"challenge {variant}"
        assert self.mcp(None).header("WWW-Authenticate") == right

    def test_who_is_let_in_is_not_challenged_and_not_hit(self) -> None:
        token = self.tokens()["access_token"]
        self.arm("challenge", "no-header")
        assert self.mcp(token).status == 200
        assert self.fired() == [0]


class MetadataTests(OAuthFaultTestCase):
    def test_the_metadata_of_the_resource_is_wrong_in_one_point(self) -> None:
        """RFC 9728 section 3.3."""
        right = self.fetch(self.place.metadata).json
        for variant, wanted in {
            "wrong-resource": {"resource": f"{OTHER}/mcp"},
            "other-issuer": {"authorization_servers": [f"{self.place.issuer}/other-issuer"]},
            "http": {"resource": right["resource"], "authorization_servers": right["authorization_servers"]},
        }.items():
            self.arm("metadata", variant)
            assert self.fetch(self.place.metadata).json == right | wanted
        self.arm("metadata", "no-servers")
        assert "authorization_servers" not in self.fetch(self.place.metadata).json
        self.arm("metadata", "404")
        assert self.fetch(self.place.metadata).status == 404

    def test_the_metadata_of_the_server_is_wrong_in_one_point(self) -> None:
        """RFC 8414 section 3.3."""
        where = f"http://localhost:3000/.well-known/oauth-authorization-server/t/{self.place.trace}"
        right = self.fetch(where).json
        self.arm("issuer", "differs")
        assert self.fetch(where).json == right | {"issuer": OTHER}
        for variant, name in (
            ("no-pkce", "code_challenge_methods_supported"),
            ("no-registration", "registration_endpoint"),
        ):
            self.arm("issuer", variant)
            assert self.fetch(where).json == {key: value for key, value in right.items() if key != name}

    def test_the_metadata_names_other_scopes_than_are_needed(self) -> None:
        self.arm("scope", "metadata-differs")
        assert self.fetch(self.place.metadata).json["scopes_supported"] == ["added-by-fault"]
        self.arm("scope", "hidden", times=2)
        assert "scopes_supported" not in self.fetch(self.place.metadata).json
        assert "scope=" not in (self.mcp(None).header("WWW-Authenticate") or "")


class AuthorizationTests(OAuthFaultTestCase):
    def test_the_browser_comes_back_with_something_else(self) -> None:
        """RFC 6749 section 4.1.2, RFC 9207."""
        client = self.register()["client_id"]
        right = answered(self.authorize(client))
        for fault, variant, wanted in (
            ("issuer", "iss-wrong", {"iss": OTHER}),
            ("issuer", "iss-missing", {"iss": None}),
            ("consent", "wrong-code", {"code": "wrong-code"}),
            ("consent", "wrong-state", {"state": "wrong-state"}),
            ("consent", "decline", {"code": None, "error": "access_denied"}),
        ):
            self.arm(fault, variant)
            found = answered(self.authorize(client))
            for name in ("code", "state", "iss", "error"):
                if name in wanted:
                    assert found.get(name) == wanted[name]
                elif name != "code":
                    assert found.get(name) == right.get(name)

    def test_a_browser_that_is_refused_anyway_is_not_hit(self) -> None:
        client = self.register()["client_id"]
        self.arm("consent", "decline")
        answered(self.authorize(client, scope="nobody-has-this"))
        assert self.fired() == [0]


class TokenTests(OAuthFaultTestCase):
    def issued(self, variant: str) -> Any:
        self.arm("token", variant)
        return self.tokens()

    def test_a_token_is_wrong_in_one_point_and_refused_for_that(self) -> None:
        """RFC 9068 section 4, RFC 6750 section 3.1."""
        for variant, why in {
            "wrong-aud": "for another resource",
            "expired": "has expired",
            "unknown-kid": "a key that its issuer does not have",
            "other-issuer": "of another issuer",
        }.items():
            with self.subTest(variant):
                answer = self.mcp(self.issued(variant)["access_token"])
                assert answer.status == 401
                assert why in (answer.header("WWW-Authenticate") or "")

    def test_a_token_is_short_lived(self) -> None:
        tokens = self.issued("short")
        assert tokens["expires_in"] == 2
        assert self.mcp(tokens["access_token"]).status == 200
        self.clock.advance(3)
        assert self.mcp(tokens["access_token"]).status == 401

    def test_only_what_is_named_is_wrong(self) -> None:
        right = claims_of(self.tokens()["access_token"])
        wrong = claims_of(self.issued("wrong-aud")["access_token"])
        differs = {name for name in right if right[name] != wrong[name]}
        assert differs == {"aud", "jti", "client_id"}
        assert wrong["aud"] == f"{right['aud']}/"

    def test_a_good_token_is_refused(self) -> None:
        token = self.tokens()["access_token"]
        self.arm("token", "rejected-401")
        refused = self.mcp(token)
        assert refused.status == 401
        assert 'error="invalid_token"' in (refused.header("WWW-Authenticate") or "")
        assert self.place.metadata in (refused.header("WWW-Authenticate") or "")
        self.arm("token", "rejected-500")
        assert self.mcp(token).status == 500
        assert self.mcp(token).status == 200

    def test_a_scope_is_asked_for_that_the_token_lacks(self) -> None:
        """2025-11-25 basic/authorization, Runtime Insufficient Scope Errors."""
        token = self.tokens()["access_token"]
        self.arm("scope", "enforced")
        assert self.mcp(token).status == 200
        refused = self.mcp(token, call_of("echo", message="x"))
        assert refused.status == 403
        assert 'scope="added-by-fault"' in (refused.header("WWW-Authenticate") or "")

    def test_a_code_has_expired(self) -> None:
        client = self.register()["client_id"]
        self.arm("issuer", "code-expired")
        refused = self.redeem(client, self.code(client))
        assert (refused.status, refused.json["error"]) == (400, "invalid_grant")

    def test_a_refresh_token_is_refused(self) -> None:
        """RFC 6749 section 5.2."""
        tokens = self.tokens()
        form = {
            "grant_type": "refresh_token",
            "refresh_token": tokens["refresh_token"],
            "client_id": tokens["client_id"],
        }
        for fault, variant, status, error in (
            ("refresh", "reject", 400, "invalid_grant"),
            ("refresh", "other-client", 401, "invalid_client"),
        ):
            self.arm(fault, variant)
            refused = self.ask_token(form)
            assert (refused.status, refused.json["error"]) == (status, error)
        assert self.ask_token(form).status == 200

    def test_a_refresh_token_was_rotated_away(self) -> None:
        """RFC 9700 section 4.14.2: the answer with the new token is lost, so the old one is spent."""
        tokens = self.tokens()
        form = {
            "grant_type": "refresh_token",
            "refresh_token": tokens["refresh_token"],
            "client_id": tokens["client_id"],
        }
        self.arm("issuer", "rotated-refresh")
        assert self.ask_token(form).json["error"] == "invalid_grant"
        assert self.ask_token(form).json["error"] == "invalid_grant"

    def test_a_leg_can_be_hit_by_other_faults(self) -> None:
        self.request(
            "POST",
            self.place.path("faults"),
            {"fault": "reject", "options": {"status": 503}, "match": {"leg": "token"}},
            JSON,
        )
        assert self.fetch(self.place.metadata).status == 200
        assert self.request("POST", self.place.path("token"), b"grant_type=x", FORM).status == 503

    def test_a_fault_of_mcp_hits_no_leg_that_is_not_named(self) -> None:
        self.arm("empty", "body")
        assert self.fetch(self.place.metadata).json["resource"] == self.place.resource
        assert self.fired() == [0]


class OtherIssuerTests(OAuthFaultTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.other = self.place._replace(trace=f"{self.place.trace}/other-issuer")

    def sent(self) -> str:
        """Return the issuer that the metadata of the resource names."""
        self.arm("metadata", "other-issuer")
        (issuer,) = self.fetch(self.place.metadata).json["authorization_servers"]
        return str(issuer)

    def test_a_client_that_registers_there_is_let_in(self) -> None:
        """RFC 8414 section 3.3, RFC 9207, RFC 9068: it is an issuer like the first."""
        issuer = self.sent()
        where = f"/.well-known/oauth-authorization-server/t/{self.other.trace}"
        metadata = self.request("GET", where).json
        assert metadata["issuer"] == issuer == f"{self.place.issuer}/other-issuer"
        assert metadata["token_endpoint"] == f"{issuer}/token"
        assert metadata["protected_resources"] == [self.place.resource]
        assert self.fetch(f"{issuer}/.well-known/openid-configuration").json["issuer"] == issuer
        client = self.register(self.other)["client_id"]
        answer = answered(self.authorize(client, self.other))
        assert answer["iss"] == issuer
        token = self.redeem(client, answer["code"], self.other).json["access_token"]
        assert claims_of(token)["iss"] == issuer
        assert self.mcp(token).status == 200
        assert self.fetch(self.place.metadata).json["authorization_servers"] == [self.place.issuer]

    def test_a_client_of_the_first_is_not_known_there_and_the_other_way_round(self) -> None:
        """RFC 6749 section 2.2: a client is one of its authorization server."""
        first = self.register()["client_id"]
        code, refresh = self.code(first), self.tokens()["refresh_token"]
        self.sent()
        assert self.authorize(first, self.other).status == 400
        assert self.redeem(first, code, self.other).json["error"] == "invalid_client"
        second = self.register(self.other)["client_id"]
        form = {"grant_type": "refresh_token", "refresh_token": refresh, "client_id": second}
        assert self.ask_token(form, self.other).json["error"] == "invalid_grant"
        assert self.authorize(second).status == 400

    def test_a_token_that_was_revoked_there_is_taken_no_more(self) -> None:
        """RFC 7009 section 2."""
        self.sent()
        client = self.register(self.other)["client_id"]
        token = self.redeem(client, self.code(client, self.other), self.other).json["access_token"]
        assert self.mcp(token).status == 200
        form = urlencode({"token": token, "client_id": client}).encode()
        assert self.request("POST", self.other.path("revoke"), form, FORM).status == 200
        assert self.mcp(token).status == 401

    def test_it_is_there_only_where_an_order_has_named_it(self) -> None:
        """Our choice: a trace that nobody has ordered anything of has one authorization server."""
        where = f"/.well-known/oauth-authorization-server/t/{self.place.trace}/other-issuer"
        assert self.request("GET", where).status == 404
        assert self.request("POST", self.other.path("register"), {}, JSON).status == 404
        self.arm("metadata", "wrong-resource")
        assert self.request("GET", where).status == 404
        self.arm("metadata", "other-issuer")
        assert self.request("GET", where).status == 200
        metadata = f"/.well-known/oauth-protected-resource/t/{self.place.trace}/other-issuer/mcp"
        assert self.request("GET", metadata).status == 404
