"""A client that lets itself in, step by step, so that a test can do one of them wrong."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.transport.support import BOTH, URL, Answer, ServerTestCase

JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
REDIRECT_URI = "http://127.0.0.1:9/callback"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "tests", "version": "1"},
    },
}


def call_of(tool: str, **arguments: Any) -> dict[str, Any]:
    """Return a message that calls a tool."""
    return {
        "jsonrpc": "2.0",
        "id": 2,
        "method": "tools/call",
        "params": {"name": tool, "arguments": arguments},
    }


def without_nones(values: dict[str, Any]) -> dict[str, Any]:
    """Return what is not None."""
    return {name: value for name, value in values.items() if value is not None}


class Place(NamedTuple):
    """A protected trace."""

    trace: str
    resource: str
    issuer: str
    metadata: str

    def path(self, leg: str) -> str:
        """Return the path of an endpoint of its authorization server."""
        return f"/t/{self.trace}/{leg}"

    @property
    def mcp(self) -> str:
        """The path of its MCP endpoint."""
        return self.path("mcp")


class OAuthTestCase(ServerTestCase):
    """A test with a protected trace."""

    wishes: dict[str, Any] = {
        "challenge": "oauth",
        "scopes": ["read"],
        "toolScopes": {"healthProbe": ["admin"]},
    }

    def setUp(self) -> None:
        super().setUp()
        self.place = self.make(**self.wishes)

    def make(self, **wishes: Any) -> Place:
        """Return a new protected trace."""
        made = self.request("POST", "/t", wishes, JSON).json
        return Place(made["trace"], made["mcpUrl"], made.get("issuer"), made["metadataUrl"])

    def fetch(self, url: str, headers: dict[str, str] | None = None) -> Answer:
        """GET an address of this server."""
        assert url.startswith(URL)
        return self.request("GET", url.removeprefix(URL), headers=headers)

    def register(self, place: Place | None = None, **metadata: Any) -> Any:
        """Return a new client: a public one unless it says otherwise."""
        wanted = {"redirect_uris": [REDIRECT_URI], "token_endpoint_auth_method": "none", **metadata}
        wanted.setdefault("grant_types", ["authorization_code", "refresh_token"])
        place = place or self.place
        answer = self.request("POST", place.path("register"), without_nones(wanted), JSON)
        assert answer.status == 201, answer.body
        return answer.json

    def query(self, client_id: str, place: Place | None = None, /, **changes: Any) -> str:
        """Return the query of a right request for a code, but for some changes; None leaves one away."""
        right = {
            "response_type": "code",
            "client_id": client_id,
            "redirect_uri": REDIRECT_URI,
            "state": "s1",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            "resource": (place or self.place).resource,
            "scope": "read",
        }
        return urlencode(without_nones({**right, **changes}), doseq=True)

    def authorize(self, client_id: str, place: Place | None = None, /, **changes: Any) -> Answer:
        """Ask for a code as a browser does."""
        path = (place or self.place).path("authorize")
        return self.request("GET", f"{path}?{self.query(client_id, place, **changes)}")

    def code(self, client_id: str, place: Place | None = None, /, **changes: Any) -> str:
        """Return a code."""
        return answered(self.authorize(client_id, place, **changes))["code"]

    def ask_token(
        self, form: dict[str, Any], place: Place | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """POST a form to the token endpoint."""
        data = urlencode(without_nones(form), doseq=True).encode()
        return self.request("POST", (place or self.place).path("token"), data, {**FORM, **(headers or {})})

    def redeem(
        self,
        client_id: str,
        code: str,
        place: Place | None = None,
        /,
        headers: dict[str, str] | None = None,
        **changes: Any,
    ) -> Answer:
        """Exchange a code rightly, but for some changes."""
        right = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": REDIRECT_URI,
            "client_id": client_id,
            "code_verifier": VERIFIER,
            "resource": (place or self.place).resource,
        }
        return self.ask_token({**right, **changes}, place, headers)

    def tokens(self, place: Place | None = None, **changes: Any) -> Any:
        """Return the tokens of a new client, and its id."""
        client = self.register(place)["client_id"]
        answer = self.redeem(client, self.code(client, place, **changes), place)
        assert answer.status == 200, answer.body
        return {**answer.json, "client_id": client}

    def mcp(
        self, token: str | None, message: Any = None, place: Place | None = None, **headers: str
    ) -> Answer:
        """POST a message to the protected trace."""
        fields = {
            "Accept": BOTH,
            **JSON,
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        if token is not None:
            fields["Authorization"] = f"Bearer {token}"
        return self.request("POST", (place or self.place).mcp, message or INITIALIZE, fields)


def answered(answer: Answer) -> dict[str, str]:
    """Return the parameters that a browser is sent back with."""
    assert answer.status in (302, 303), answer.body
    location = answer.header("Location")
    assert location is not None
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}


def claims_of(token: str) -> Any:
    """Return what a token says."""
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
