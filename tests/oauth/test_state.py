"""What an authorization server keeps: bounded, however it is filled."""

from __future__ import annotations

import pytest

from mcp_echo.oauth.names import Place, names_at, place_of
from mcp_echo.oauth.protection import PROTECTION, Protection
from mcp_echo.oauth.registration import MOST_BYTES, ClientMetadata, register
from mcp_echo.oauth.state import (
    MOST_CLIENTS,
    MOST_CODES,
    MOST_TOKENS,
    AuthorizationState,
    Code,
    IssuedToken,
    key_of,
)
from mcp_echo.oauth.wanted import MOST_SCOPES
from mcp_echo.watch.parts import encode_part

MOST_OF_A_PART = 64 * 1024
"""Bytes that a part of a trace may have."""


def full() -> AuthorizationState:
    """Return a state with as much in it as there may be, and more that came."""
    state = AuthorizationState()
    uris = [f"https://app{number}.example/{'x' * 47}" for number in range(10)]
    for number in range(MOST_CLIENTS + 5):
        metadata = ClientMetadata(redirect_uris=uris, client_name="n" * 200)
        register(state, metadata, 1.7e9, lambda number=number: f"{number:020}" + 23 * "0")
    scopes = list(range(MOST_SCOPES))
    last = state.clients[-1].number
    for number in range(MOST_CODES + 5):
        state.add_code(key_of(f"code {number}"), Code(last, bytes(16), bytes(32), scopes, 1_700_000_000))
    for number in range(MOST_TOKENS + 5):
        token = IssuedToken(number % 2 == 0, last, key_of("family"), scopes, 1_700_000_000)
        state.add_token(key_of(f"token {number}"), token)
    return state


def test_a_state_fits_into_a_part_however_full_it_is() -> None:
    """Our choice: a part of a trace has 64 KiB at most, also where stores keep it."""
    state = full()
    counts = (len(state.clients), len(state.codes), len(state.tokens))
    assert counts == (MOST_CLIENTS, MOST_CODES, MOST_TOKENS)
    largest = max(len(encode_part(client)) for client in state.clients)
    assert largest <= MOST_BYTES
    room_for_clients = MOST_CLIENTS * (MOST_BYTES - largest)
    assert len(encode_part(state)) + room_for_clients <= MOST_OF_A_PART


def test_the_oldest_gives_way() -> None:
    """Our choice: whoever comes last is looked at."""
    state = full()
    assert key_of("code 4") not in state.codes
    assert key_of("code 5") in state.codes
    assert key_of("token 4") not in state.tokens
    assert key_of("token 5") in state.tokens
    assert [client.number for client in state.clients] == list(range(6, MOST_CLIENTS + 6))


def test_with_a_client_its_tokens_go() -> None:
    """Our choice: what nobody can refresh or revoke is not kept."""
    state = full()
    state.codes.clear()
    state.tokens.clear()
    oldest = state.clients[0].number
    state.add_token(b"a", IssuedToken(True, oldest, b"f", [], 0))
    state.add_token(b"b", IssuedToken(True, oldest + 1, b"f", [], 0))
    register(state, ClientMetadata(redirect_uris=["https://a/"]), 0.0, lambda: "x" * 43)
    assert list(state.tokens) == [b"b"]


TRACE = "/t/" + "K" * 32


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/.well-known/oauth-protected-resource", Place("resource-metadata", "")),
        ("/.well-known/oauth-protected-resource/mcp", Place("resource-metadata", "")),
        (f"/.well-known/oauth-protected-resource{TRACE}/mcp", Place("resource-metadata", TRACE)),
        (f"/.well-known/oauth-protected-resource{TRACE}", None),
        (f"/.well-known/oauth-authorization-server{TRACE}", Place("server-metadata", TRACE)),
        ("/.well-known/oauth-authorization-server", Place("server-metadata", "")),
        (f"/.well-known/openid-configuration{TRACE}", Place("server-metadata", TRACE)),
        (f"{TRACE}/.well-known/openid-configuration", Place("server-metadata", TRACE)),
        (f"{TRACE}/.well-known/oauth-authorization-server", None),
        (f"{TRACE}/authorize", Place("authorize", TRACE)),
        (f"{TRACE}/consent", Place("consent", TRACE)),
        ("/token", Place("token", "")),
        ("/x/token", None),
        (f"{TRACE}x/token", None),
        (f"{TRACE}/token/", None),
        (f"{TRACE}/mcp", None),
        ("/resource-metadata", None),
    ],
)
def test_a_path_says_which_leg_it_is(path: str, place: Place | None) -> None:
    """RFC 9728 section 3.1, RFC 8414 section 3.1, OpenID Connect Discovery section 4."""
    assert place_of(path) == place


def test_names_are_written_as_the_specification_has_them() -> None:
    """2025-11-25 basic/authorization, Canonical Server URI: lower case, no slash at the end."""
    names = names_at("HTTPS://MCP.Example:8443", TRACE)
    assert names.resource == f"https://mcp.example:8443{TRACE}/mcp"
    assert names.issuer == f"https://mcp.example:8443{TRACE}"
    assert names.resource_metadata == (
        f"https://mcp.example:8443/.well-known/oauth-protected-resource{TRACE}/mcp"
    )


def test_a_tool_needs_its_own_scopes_in_place_of_the_others() -> None:
    """Our choice: what an operation needs is asked for at once, and nothing else."""
    protection = Protection("oauth", ["a"], {"x": ["b", "c"], "y": []})
    assert protection.needed([None]) == ["a"]
    assert protection.needed(["z"]) == ["a"]
    assert protection.needed(["x"]) == ["b", "c"]
    assert protection.needed(["x", "z"]) == ["b", "c", "a"]
    assert protection.needed(["y"]) == []
    assert protection.grantable == ["a", "b", "c", "offline_access"]
    assert PROTECTION.name == "protection"
