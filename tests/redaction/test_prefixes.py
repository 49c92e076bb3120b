"""What a token without structure says by its prefix."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from mcp_echo.redaction import prefixes
from mcp_echo.redaction.prefixes import PREFIXES, TOKEN, TokenPrefix, prefix_of

rows = pytest.mark.parametrize("row", PREFIXES, ids=lambda row: row.prefix)


def example(row: TokenPrefix, length: int | None = None) -> str:
    """Return a made-up token of this kind."""
    return row.prefix + ("a1B2" * 40)[: row.shortest if length is None else length]


@rows
def test_a_token_is_told_by_its_prefix(row: TokenPrefix) -> None:
    """Each issuer's own page, named in the row."""
    assert prefix_of(example(row)) == row
    assert prefix_of(example(row, 90)) == row
    assert row.source.startswith("https://")


@rows
def test_a_token_is_found_in_running_text_and_nothing_else_with_it(row: TokenPrefix) -> None:
    """Our choice: what masking needs."""
    token = example(row, 48)
    text = f'{{"key": "{token}", "next": 1}} key:{token}, and ({token}) too'
    assert TOKEN.findall(text) == [token] * 3


@rows
def test_a_word_that_begins_alike_is_no_token(row: TokenPrefix) -> None:
    """Our choice: risk-free, task-force and npm_config are words."""
    assert prefix_of(row.prefix) is None
    assert prefix_of(f"{row.prefix}it") is None
    assert TOKEN.search(f"ta{example(row)}") is None


@pytest.mark.parametrize(
    "text", ["", "sk-learn", "npm_config_x", "hf_hub", "eyJhbGciOiJub25lIn0.e30.", "AKIA"]
)
def test_words_in_use_are_no_tokens(text: str) -> None:
    """Our choice, as above."""
    assert TOKEN.search(text) is None


def test_no_prefix_is_listed_twice() -> None:
    """Our choice: one row says what a prefix means."""
    assert len({row.prefix for row in PREFIXES}) == len(PREFIXES)


def test_the_table_imports_nothing_of_the_project() -> None:
    """Our choice: a leaf, so that nothing stands between a secret and its mask."""
    tree = ast.parse(Path(prefixes.__file__).read_text())
    named = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    named |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    assert named == {"__future__", "re", "typing"}
