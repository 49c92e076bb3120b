"""Redirect URIs: which may be registered, and which is one that was."""

from __future__ import annotations

import pytest

from mcp_echo.oauth.redirects import (
    BadRedirectUri,
    check_redirect_uri,
    host_of,
    is_loopback,
    is_registered,
    with_parameters,
)


@pytest.mark.parametrize(
    "uri",
    [
        "https://claude.ai/api/mcp/auth_callback",
        "https://chatgpt.com/connector_platform_oauth_redirect",
        "https://vscode.dev/redirect",
        "http://127.0.0.1/",
        "http://localhost:33418/",
        "http://[::1]:8080/callback",
        "https://a.example/cb?x=1&y=%20",
        "cursor://anysphere.cursor-mcp/oauth/callback",
        "com.example.app:/oauth2redirect",
    ],
)
def test_what_clients_register_is_taken(uri: str) -> None:
    """RFC 8252 section 7."""
    check_redirect_uri(uri)


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "callback",
        "//evil.example/cb",
        "https:evil",
        "https:///cb",
        "https://",
        "http://evil.example/",
        "http://127.0.0.1.evil.example/",
        "http://localhost@evil.example/",
        "https://a.example/#fragment",
        "https://a.example/\\evil.example",
        "https://a.example/a b",
        "https://a.example/\n",
        "https://a.example:99999/",
        "https://ä.example/",
        'https://a.example/"',
        "https://a.example/<b>",
        "https://a.example/" + "x" * 400,
        "JavaScript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "blob:https://a.example/1",
    ],
)
def test_what_browsers_would_act_upon_is_not(uri: str) -> None:
    """RFC 6749 section 3.1.2, RFC 9700 section 2.6."""
    with pytest.raises(BadRedirectUri):
        check_redirect_uri(uri)


def test_a_port_of_the_own_machine_is_as_good_as_another() -> None:
    """RFC 8252 section 7.3."""
    registered = ["http://127.0.0.1:1/cb", "https://a.example/cb"]
    assert is_registered("http://127.0.0.1:1/cb", registered)
    assert is_registered("http://127.0.0.1:65000/cb", registered)
    assert is_registered("http://127.0.0.1/cb", registered)
    for other in (
        "http://127.0.0.1:2/cb2",
        "http://127.0.0.1:2/cb?x",
        "https://127.0.0.1:2/cb",
        "http://localhost:1/cb",
        "http://[::1]:1/cb",
        "https://a.example:444/cb",
        "http://u@127.0.0.1:2/cb",
    ):
        assert not is_registered(other, registered), other


def test_a_person_is_told_where_it_leads() -> None:
    """RFC 9700 section 4.11.2."""
    assert host_of("https://A.example:8443/cb") == "a.example:8443"
    assert host_of("cursor://x/y") == "the app for cursor:"
    assert is_loopback("http://[::1]:1/")
    assert not is_loopback("cursor://localhost/")
    assert not is_loopback("https://127.0.0.1.evil.example/")


def test_parameters_stand_behind_those_that_are_there() -> None:
    """RFC 6749 section 3.1.2: the query of a redirect URI is retained."""
    assert with_parameters("https://a/?x=1", {"code": "a b"}) == "https://a/?x=1&code=a+b"
    assert with_parameters("https://a/", {"code": "c"}) == "https://a/?code=c"
