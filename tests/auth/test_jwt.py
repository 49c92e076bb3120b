"""Reading a token without trusting it; what the tool makes of it is in test_auth."""

from __future__ import annotations

import pytest

from mcp_echo.auth import jwt as reader
from tests.tools.support import RS256, jwt


def test_a_token_is_read_in_parts() -> None:
    """RFC 7515 section 7.1: header, payload and signature."""
    token = reader.read(jwt({"sub": "x", "iat": 1, "nbf": 2, "exp": 3.5}, signature="c2ln"))
    assert (token.kind, token.header, token.signature) == ("JWS", RS256, b"sig")
    assert (token.issued, token.not_before, token.expires) == (1.0, 2.0, 3.5)


def test_a_token_may_be_as_long_as_what_carries_it() -> None:
    """Our choice: an Entra token with 150 groups has more than 9,000 characters; header and body bound it."""
    text = jwt({"groups": ["x" * 36] * 20_000})
    assert len(text) > 1_000_000
    assert len((reader.read(text).payload or {})["groups"]) == 20_000


def test_a_token_inside_a_token_is_not_read() -> None:
    """Our choice: no recursion; RFC 7519 section 5.2 nests by cty, which is shown and not followed."""
    inner = jwt({"deep": 1})
    token = reader.read(jwt({"token": inner}, header={**RS256, "cty": "JWT"}))
    assert token.payload == {"token": inner}


@pytest.mark.parametrize(
    ("expires", "not_before", "wall", "status"),
    [
        (10, None, 9.999, "VALID"),
        (10, None, 10, "EXPIRED"),
        (None, None, 10, "NO EXPIRY"),
        (20, 10, 9.999, "NOT YET VALID"),
        (20, 10, 10, "VALID"),
        (5, 10, 7, "EXPIRED"),
    ],
)
def test_the_status_is_that_of_the_moment(
    expires: float | None, not_before: float | None, wall: float, status: str
) -> None:
    """RFC 7519 sections 4.1.4 and 4.1.5; what has expired will never be valid."""
    claims = {"exp": expires, "nbf": not_before}
    token = reader.read(jwt({name: value for name, value in claims.items() if value is not None}))
    assert token.status(wall) == status
