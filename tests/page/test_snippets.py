"""How clients are pointed at an address."""

from __future__ import annotations

import ast
import json

import pytest

from mcp_echo.page.snippets import SNIPPETS, URL, Snippet, as_text

ADDRESS = "http://localhost:3000/t/abc/mcp"

each = pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda snippet: snippet.client)


@each
def test_each_snippet_has_the_address(snippet: Snippet) -> None:
    """Our choice: what is copied works as it is."""
    assert snippet.text.count(URL) == 1
    assert "{" + "url" not in snippet.text.replace(URL, ADDRESS)


@each
def test_each_snippet_is_what_it_says(snippet: Snippet) -> None:
    """Our choice: a file for a client can be read by it."""
    whole = snippet.text.replace(URL, ADDRESS)
    if whole.startswith("{"):
        assert ADDRESS in json.dumps(json.loads(whole))
    elif snippet.client == "Python":
        ast.parse(whole)
    else:
        assert snippet.where.startswith(("in a terminal", "with npm"))


def test_a_terminal_is_told_the_same() -> None:
    """Our choice: curl is a client of this server too."""
    text = as_text(ADDRESS, "1.2.3", "http://localhost:3000/t")
    assert text.startswith("mcp-echo 1.2.3: ")
    for snippet in SNIPPETS:
        assert f"{snippet.client}, {snippet.where}:" in text
    assert URL not in text
    assert "curl -s http://localhost:3000/t -H" in text
    assert "Make a trace" not in as_text(ADDRESS, "1.2.3", None)
