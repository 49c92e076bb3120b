"""Which web pages and host names are let in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_echo.http.origins import (
    AllowedHosts,
    AllowedOrigins,
    Authority,
    Origin,
    parse_authority,
    parse_origin,
)

DEFAULT_HOSTS = ["localhost", "127.0.0.1", "[::1]"]


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("localhost", Authority("localhost", None)),
        ("LocalHost:3000", Authority("localhost", "3000")),
        ("[::1]:80", Authority("[::1]", "80")),
        ("", None),
        (":80", None),
        ("a b", None),
        ("user@host", None),
        ("host/path", None),
        ("host:", None),
        ("host:80:80", None),
        ("host:123456", None),
        ("::1", None),
        ("host\n", None),
        ("h\u00f6st", None),
    ],
)
def test_an_authority_is_a_host_with_an_optional_port(text: str, parsed: Authority | None) -> None:
    """RFC 3986 section 3.2, without user information."""
    assert parse_authority(text) == parsed


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("https://App.Example.com", Origin("https", "app.example.com", "443")),
        ("http://app.example.com:80", Origin("http", "app.example.com", "80")),
        ("http://[::1]:6274", Origin("http", "[::1]", "6274")),
        ("vscode-webview://abc", Origin("vscode-webview", "abc", None)),
        ("null", None),
        ("", None),
        ("app.example.com", None),
        ("https://", None),
        ("https://a/", None),
        ("https://a https://b", None),
        ("https://user@a", None),
    ],
)
def test_an_origin_is_a_scheme_a_host_and_a_port(text: str, parsed: Origin | None) -> None:
    """RFC 6454 section 6.2; the default port of a scheme is the same as naming it."""
    assert parse_origin(text) == parsed


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("localhost", True),
        ("LOCALHOST:3000", True),
        ("127.0.0.1:1", True),
        ("[::1]:65535", True),
        ("localhost.evil.example", False),
        ("evil-localhost", False),
        ("evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("localhost:*", False),
        ("localhost@evil.example", False),
        ("", False),
    ],
)
def test_a_host_is_matched_whole_and_on_any_port(host: str, allowed: bool) -> None:
    """DNS rebinding (2025-11-25 basic/transports, Security Warning): a name not ours is not answered."""
    assert AllowedHosts(DEFAULT_HOSTS).allows(host) is allowed


@pytest.mark.parametrize(
    ("entry", "allowed"),
    [
        ("a.example:3000", [True, False, False]),
        ("a.example:*", [True, True, True]),
        ("*", [True, True, True]),
    ],
)
def test_a_host_entry_with_a_port_means_that_port(entry: str, allowed: list[bool]) -> None:
    """Our choice: an entry says as much as it names."""
    hosts = AllowedHosts([entry])
    assert [hosts.allows(host) for host in ("A.example:3000", "a.example:3001", "a.example")] == allowed


def test_even_any_host_must_be_a_host() -> None:
    """RFC 9112 section 3.2: a Host field with an invalid value is a bad request."""
    hosts = AllowedHosts(["*"])
    assert not any(hosts.allows(host) for host in ("", "a b", "a/b", "*", "a:*"))


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("http://localhost:6274", True),
        ("http://localhost", True),
        ("HTTP://LocalHost:1", True),
        ("https://app.example.com", True),
        ("https://app.example.com:443", True),
        ("https://app.example.com:8443", False),
        ("http://app.example.com", False),
        ("https://app.example.com.evil.example", False),
        ("https://evil.app.example.com", False),
        ("https://localhost:6274", False),
        ("http://localhost.evil.example", False),
        ("http://localhost:*", False),
        ("null", False),
        ("", False),
    ],
)
def test_an_origin_is_matched_part_by_part(origin: str, allowed: bool) -> None:
    """2025-11-25 basic/transports, Security Warning: MUST validate Origin; RFC 6454 section 5 says how."""
    origins = AllowedOrigins(["http://localhost:*", "https://app.example.com"])
    assert origins.allows(origin) is allowed


@pytest.mark.parametrize("origin", ["null", "https://anything.example", ""])
def test_any_origin_means_any(origin: str) -> None:
    """Our choice: * is an operator's explicit wish."""
    assert AllowedOrigins(["https://a.example", "*"]).allows(origin)


def test_no_entries_let_nobody_in() -> None:
    """Our choice: an empty list is closed, not open."""
    assert not AllowedOrigins([]).allows("http://localhost")
    assert not AllowedHosts([]).allows("localhost")


@pytest.mark.parametrize("entry", ["app.example.com", "https://", "null", "https://*.example.com", ""])
def test_an_entry_that_is_no_origin_is_refused_with_advice(entry: str) -> None:
    """Our choice: an entry that could never match is a mistake to be told of at the start."""
    with pytest.raises(ValueError, match=r"is not an origin; write it as https://app\.example\.com"):
        AllowedOrigins([entry])


@pytest.mark.parametrize("entry", ["https://a.example", "*.example.com", "", "a b"])
def test_an_entry_that_is_no_host_is_refused(entry: str) -> None:
    """Our choice, as above."""
    with pytest.raises(ValueError, match="is not a host name"):
        AllowedHosts([entry])


labels = st.from_regex(r"[a-z0-9]{1,10}(\.[a-z0-9]{1,10})?", fullmatch=True)


@given(labels, labels)
def test_a_longer_name_is_another_name(before: str, after: str) -> None:
    """A prefix or suffix never matches."""
    origins, hosts = AllowedOrigins(["http://localhost:*"]), AllowedHosts(["localhost"])
    for host in (f"localhost.{after}", f"{before}.localhost", f"localhost{after}", f"{before}localhost"):
        assert not origins.allows(f"http://{host}")
        assert not hosts.allows(host)


@given(st.text())
def test_no_text_raises(text: str) -> None:
    """Our choice: what cannot be parsed is not let in."""
    assert AllowedOrigins(["https://a.example"]).allows(text) is (
        parse_origin(text) == ("https", "a.example", "443")
    )
    AllowedHosts(["*"]).allows(text)
