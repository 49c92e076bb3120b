"""The page that asks for consent, in a real browser."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
from contextlib import closing
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests.e2e import environments
from tests.e2e.browser import Tab, chromium
from tests.e2e.conftest import Needs
from tests.e2e.daemon import ANSWER_SECONDS, Daemon

pytestmark = pytest.mark.slow

VERIFIER = "v" * 43
CALLBACK = "https://app.example/callback"


def _post(daemon: Daemon, path: str, body: Any) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=ANSWER_SECONDS)
    with closing(connection):
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        return json.loads(connection.getresponse().read())


def _address(daemon: Daemon) -> str:
    """Return the address that a client elsewhere would send a browser to."""
    made = _post(daemon, "/t", {"challenge": "oauth", "scopes": ["mcp:read"]})
    path = urlsplit(made["issuer"]).path
    wanted = {"redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none", "client_name": "Elsewhere"}
    client = _post(daemon, f"{path}/register", wanted)
    query = {
        "response_type": "code",
        "client_id": client["client_id"],
        "redirect_uri": CALLBACK,
        "state": "s1",
        "resource": made["mcpUrl"],
        "code_challenge": base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"="),
        "code_challenge_method": "S256",
    }
    return f"{made['issuer']}/authorize?{urlencode(query)}"


@pytest.mark.parametrize(("button", "told"), [("Let it in", "code"), ("Refuse", "error")])
def test_a_person_decides_and_the_browser_goes_on(
    daemon: Daemon, client_environment: Needs, button: str, told: str
) -> None:
    """RFC 9700 section 4.11.2; Chromium holds form-action against the redirect that answers a form."""
    client_environment(environments.NODE)
    with chromium() as browser:
        context = browser.new_context()
        tab = Tab(context)
        came: list[str] = []

        def arrive(route: Any) -> None:
            came.append(route.request.url)
            assert "referer" not in route.request.headers
            route.fulfill(status=200, body="done")

        context.route("https://app.example/**", arrive)
        tab.page.goto(_address(daemon))
        assert "app.example" in tab.page.inner_text("main")
        assert tab.violations() == []
        tab.page.get_by_role("button", name=button).click()
        tab.page.wait_for_url("https://app.example/**")
        answer = parse_qs(urlsplit(came[-1]).query)
        assert told in answer
        assert answer["state"] == ["s1"]
        assert tab.complaints == []
