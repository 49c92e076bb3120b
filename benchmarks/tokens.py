"""An access token for a server that asks for one, got as a client gets it."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import secrets
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

_REDIRECT_URI = "http://127.0.0.1:9/callback"
_FORM = "application/x-www-form-urlencoded"


def access_token(port: int, host: str) -> bytes:
    """Return a token for ``/mcp`` of a server on this machine, which consents at once.

    Args:
        port: Its port.
        host: What requests with the token have in ``Host``: tokens are bound to it.
    """

    def ask(method: str, path: str, body: str = "", kind: str = "application/json") -> tuple[str, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request(method, path, body.encode(), {"Host": host, "Content-Type": kind})
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        if answer.status >= 400:
            raise SystemExit(f"budget: {method} {path} was answered with {answer.status}: {data!r}")
        return answer.getheader("Location") or "", json.loads(data) if data[:1] == b"{" else None

    verifier = secrets.token_urlsafe(32)
    digest = hashlib.sha256(verifier.encode()).digest()
    metadata = {"redirect_uris": [_REDIRECT_URI], "token_endpoint_auth_method": "none"}
    client = {"client_id": ask("POST", "/register", json.dumps(metadata))[1]["client_id"]}
    wanted = {
        "response_type": "code",
        "redirect_uri": _REDIRECT_URI,
        "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
        "resource": f"http://{host}/mcp",
    }
    location, _ = ask("GET", f"/authorize?{urlencode({**client, **wanted})}")
    form = {
        "grant_type": "authorization_code",
        "code": parse_qs(urlsplit(location).query)["code"][0],
        "redirect_uri": _REDIRECT_URI,
        "code_verifier": verifier,
    }
    _, told = ask("POST", "/token", urlencode({**client, **form}), _FORM)
    token: str = told["access_token"]
    return token.encode()
