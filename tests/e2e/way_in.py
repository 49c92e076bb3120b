"""A client that lets itself into a trace by hand, with what it says of its token chosen by a test."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
from contextlib import closing
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.e2e.daemon import ANSWER_SECONDS

REDIRECT_URI = "http://127.0.0.1:9/callback"
JSON = {"Content_Type": "application/json"}
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "acme-agent", "version": "2.1"},
    },
}


def send(url: str, method: str, body: str = "", **headers: str) -> tuple[int, dict[str, str], Any]:
    """Send one request; return status, headers with names in lower case, and JSON."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=ANSWER_SECONDS)
    with closing(connection):
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body or None, sent)
        response = connection.getresponse()
        data = response.read()
        named = {name.lower(): value for name, value in response.getheaders()}
        return response.status, named, json.loads(data) if data[:1] == b"{" else None


def call(url: str, token: str | None) -> int:
    """Return the status of the answer to ``initialize``, with a token or without."""
    given = {} if token is None else {"Authorization": f"Bearer {token}"}
    accept = {"Accept": "application/json, text/event-stream"}
    return send(url, "POST", json.dumps(INITIALIZE), **JSON, **accept, **given)[0]


def let_in(made: dict[str, Any]) -> str:
    """Take each step that is to be taken up to the token, and return that.

    Args:
        made: The addresses of a trace with ``challenge: oauth``.
    """
    assert call(made["mcpUrl"], None) == 401
    assert send(made["metadataUrl"], "GET")[0] == 200
    where = urlsplit(made["issuer"])
    server = f"{where.scheme}://{where.netloc}/.well-known/oauth-authorization-server{where.path}"
    _, _, endpoints = send(server, "GET")
    metadata = {"redirect_uris": [REDIRECT_URI], "token_endpoint_auth_method": "none"}
    _, _, client = send(endpoints["registration_endpoint"], "POST", json.dumps(metadata), **JSON)
    query = {
        "response_type": "code",
        "client_id": client["client_id"],
        "redirect_uri": REDIRECT_URI,
        "state": "s1",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        "resource": made["mcpUrl"],
    }
    _, answered, _ = send(f"{endpoints['authorization_endpoint']}?{urlencode(query)}", "GET")
    form = {
        "grant_type": "authorization_code",
        "client_id": client["client_id"],
        "code": parse_qs(urlsplit(answered["location"]).query)["code"][0],
        "redirect_uri": REDIRECT_URI,
        "code_verifier": VERIFIER,
        "resource": made["mcpUrl"],
    }
    kind = "application/x-www-form-urlencoded"
    _, _, issued = send(endpoints["token_endpoint"], "POST", urlencode(form), Content_Type=kind)
    return str(issued["access_token"])
