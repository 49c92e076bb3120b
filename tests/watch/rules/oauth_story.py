"""What clients do to be let in, one thing after the other."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from mcp_echo.watch.oauth_records import OauthAnswered, OauthAsked, OauthLeg, OauthRecord, TokenClaims
from tests.watch.rules.over_time import Story

BASE = "http://mcp.example/t/{trace}"
RESOURCE = f"{BASE}/mcp"
METADATA = "/.well-known/oauth-protected-resource/t/{trace}/mcp"
URL = f"http://mcp.example{METADATA}"
TOKEN, OTHER, REFRESH, CODE, STATE = "a0000001", "a0000002", "b0000001", "c0000001", "d0000001"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
CALLBACK = "http://127.0.0.1:9/cb"
READ, ADMIN = ("mcp:read",), ("mcp:admin",)
CLAIMS = TokenClaims(
    algorithm="ES256", issuer=BASE, audience=(RESOURCE,), scope=READ, expires=1_800_003_600.0
)

_NO_MCP = {"MCP-Protocol-Version": None, "Mcp-Session-Id": None, "Accept": None, "Content-Type": None}


def bearer(token: str) -> str:
    """Return ``Authorization`` with a token, as it is shown."""
    return f"Bearer [27 characters, #{token}]"


class OauthStory(Story):
    """Records of OAuth in order; each comes a second after the one before, unless a test waits longer."""

    def leg(self, leg: OauthLeg, asked: dict[str, Any], answered: dict[str, Any], **facts: Any) -> OauthStory:
        """A request to what OAuth needs beside the endpoint."""
        usual: dict[str, Any] = {
            "http_method": "POST" if leg in ("register", "token", "consent") else "GET",
            "path": f"/t/{{trace}}/{leg}",
            "era": None,
            "client": None,
            "client_version": None,
            "headers": _NO_MCP,
            "oauth": OauthRecord(leg=leg, asked=OauthAsked(**asked), answered=OauthAnswered(**answered)),
            **facts,
        }
        self.post(None, None, **usual)
        # It says no revision, by which its record is made.
        self.records[-1] = replace(self.records[-1], revision=None)
        return self

    def challenge(
        self, method: str | None = "initialize", *, token: str | None = None, status: int = 401, **facts: Any
    ) -> OauthStory:
        """A request to the endpoint is answered with a challenge."""
        answered = {
            "resource_metadata": facts.pop("url", URL),
            "scope": facts.pop("scope", READ),
            "error": facts.pop("error", None if token is None else "invalid_token"),
            "description": facts.pop("description", None),
        }
        asked = OauthAsked(token=token, claims=facts.pop("claims", None))
        usual: dict[str, Any] = {
            "status": status,
            "made": False,
            "headers": {"Authorization": None if token is None else bearer(token)},
            "oauth": OauthRecord(leg="challenge", asked=asked, answered=OauthAnswered(**answered)),
        }
        self.post(method, facts.pop("session", None), **{**usual, **facts})
        return self

    def no_scope(self, token: str = TOKEN, **facts: Any) -> OauthStory:
        """A call is refused for its scope."""
        usual = {"status": 403, "error": "insufficient_scope", "scope": ADMIN, "session": "s1"}
        return self.challenge("tools/call", token=token, **{**usual, **facts})

    def read(self, **facts: Any) -> OauthStory:
        """The metadata of the resource is read."""
        answered = {"resource": RESOURCE, "servers": facts.pop("servers", (BASE,)), "scope": (*READ, *ADMIN)}
        return self.leg("resource-metadata", {}, answered, **{"path": METADATA, **facts})

    def server(self, **facts: Any) -> OauthStory:
        """The metadata of the authorization server is read."""
        answered = {"issuer": BASE, "takes_documents": facts.pop("takes_documents", False)}
        return self.leg("server-metadata", {}, answered, **facts)

    def register(self, client_id: str | None = "c-1", **facts: Any) -> OauthStory:
        """A client registers."""
        asked = {
            "redirect_uris": (CALLBACK,),
            "software": "example",
            "application_type": facts.pop("application_type", "native"),
            "authentication": facts.pop("authentication", "none"),
            "scope": READ,
        }
        status = 201 if client_id is not None else 400
        return self.leg("register", asked, {"client_id": client_id}, **{"status": status, **facts})

    def authorize(
        self, code: str | None = CODE, answered: dict[str, Any] | None = None, **asked: Any
    ) -> OauthStory:
        """A browser asks for a code."""
        facts = asked.pop("facts", {})
        usual = {
            "client_id": "c-1",
            "redirect_uris": (CALLBACK,),
            "resource": (RESOURCE,),
            "scope": READ,
            "state": STATE,
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
        told = {"code": code, "state": {**usual, **asked}["state"], **(answered or {})}
        return self.leg("authorize", {**usual, **asked}, told, **{"status": 302, **facts})

    def token(
        self, token: str | None = TOKEN, answered: dict[str, Any] | None = None, **asked: Any
    ) -> OauthStory:
        """A client redeems a code."""
        facts = asked.pop("facts", {})
        usual = {
            "client_id": "c-1",
            "grant": "authorization_code",
            "redirect_uris": (CALLBACK,),
            "resource": (RESOURCE,),
            "code": CODE,
            "proves": CHALLENGE,
            "authentication": "none",
        }
        granted = {
            "token": token,
            "refresh_token": REFRESH,
            "scope": READ,
            "claims": CLAIMS,
            "seconds": 3600.0,
        }
        told = granted if token is not None else {"error": "invalid_grant"}
        status = 200 if token is not None else 400
        return self.leg(
            "token", {**usual, **asked}, {**told, **(answered or {})}, **{"status": status, **facts}
        )

    def refresh(
        self, token: str | None = OTHER, answered: dict[str, Any] | None = None, **asked: Any
    ) -> OauthStory:
        """A client refreshes its token."""
        fields = {
            "grant": "refresh_token",
            "refresh_token": REFRESH,
            "code": None,
            "proves": None,
            "redirect_uris": (),
            **asked,
        }
        return self.token(token, answered, **fields)

    def use(self, token: str | None = TOKEN, method: str = "tools/call", **facts: Any) -> OauthStory:
        """A request comes with a token, or without."""
        shown = None if token is None else bearer(token)
        self.post(method, facts.pop("session", "s1"), headers={"Authorization": shown}, **facts)
        return self

    def found(self) -> OauthStory:
        """A client is challenged, and finds the authorization server."""
        return self.challenge().read().server()

    def granted(self, **answered: Any) -> OauthStory:
        """All of it, up to the token."""
        return self.found().register().authorize().token(answered=answered)


def story(revision: str = "2025-11-25") -> OauthStory:
    """Begin a story."""
    return OauthStory(revision)
