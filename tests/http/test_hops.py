"""What hops call themselves."""

from __future__ import annotations

import pytest

from mcp_echo.http.hops import named_hop


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ([], None),
        (["1.1 nginx"], "nginx"),
        (["1.0 fred, 1.1 p.example.net"], "p.example.net"),
        (["1.1 far", "2.0 near:8080 (Apache/1.1)"], "near:8080 (Apache/1.1)"),
        (["HTTP/1.1 cache "], "cache"),
        (["1.1"], None),
        ([""], None),
    ],
)
def test_the_hop_next_to_the_server_is_named_last(values: list[str], name: str | None) -> None:
    """RFC 9110 section 7.6.3: each intermediary appends its own information."""
    lines = [
        ("Host", "mcp.example"),
        *(("Via" if place else "via", each) for place, each in enumerate(values)),
    ]
    assert named_hop(lines) == name
