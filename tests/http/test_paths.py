"""Paths as they may be shown."""

from __future__ import annotations

import pytest

from mcp_echo.http.paths import shown_path

KEY = "aB3_" * 8


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/mcp", "/mcp"),
        (f"/t/{KEY}/mcp", "/t/{trace}/mcp"),
        ("/t/short", "/t/{trace}"),
        ("/t/", "/t/"),
        (f"/v/{KEY}/", "/v/{key}/"),
        (
            f"/.well-known/oauth-protected-resource/t/{KEY}/mcp",
            "/.well-known/oauth-protected-resource/t/{trace}/mcp",
        ),
        (
            f"/.well-known/oauth-authorization-server/t/{KEY}",
            "/.well-known/oauth-authorization-server/t/{trace}",
        ),
        ("/api/v1/users/12", "/api/v1/users/12"),
        ("/mcp/eyJhbGciOiJub25lIn0.e30.", "/mcp/…"),
        (f"/{'x' * 1000}", "/…"),
        ("/a\x00b", "/…"),
    ],
)
def test_a_path_is_shown_without_what_gives_access(path: str, shown: str) -> None:
    """The id of a trace is the right to read it, and a token may stand where a query belongs."""
    assert shown_path(path.encode("latin-1")) == shown
