"""In what two URLs differ."""

from __future__ import annotations

import pytest

from mcp_echo.http.differences import differs_in

URL = "https://mcp.example/mcp"


@pytest.mark.parametrize(
    ("other", "wanted"),
    [
        (URL, ()),
        (f"{URL}/", ("slash",)),
        ("https://mcp.example/MCP", ("path", "case")),
        ("https://mcp.example", ("path",)),
        ("https://MCP.example/mcp", ("case",)),
        ("HTTPS://mcp.example/mcp", ("case",)),
        ("http://mcp.example/mcp", ("scheme", "port")),
        ("http://mcp.example:443/mcp", ("scheme",)),
        ("https://mcp.example:8443/mcp", ("port",)),
        ("https://mcp.example:443/mcp", ("text",)),
        ("https://api.example/mcp", ("host",)),
        (f"{URL}?a=b", ("query",)),
        (f"{URL}#a", ("fragment",)),
        ("c-1", ("scheme", "host", "port", "path")),
        ("https://[", ("text",)),
        ("https://mcp.example:x/mcp", ("text",)),
    ],
)
def test_what_differs_is_named(other: str, wanted: tuple[str, ...]) -> None:
    """RFC 3986 section 6.2: a resource is compared byte for byte, and what differs has a name."""
    assert differs_in(URL, other) == wanted
    assert differs_in(other, URL) == wanted
