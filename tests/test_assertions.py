"""The table of what the specification asks for is complete, and every test it names is there."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
TABLE = Path(__file__).parent / "assertions.txt"

ASSERTIONS = 243
"""How many there are."""

NO_TEST = "not: "
SHORTEST_REASON = 20
"""Characters."""


def lines() -> list[str]:
    """Return the lines of the table that are neither empty nor remarks."""
    return [line for line in TABLE.read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]


def rows() -> list[list[str]]:
    """Return the fields of each line."""
    return [line.split(" | ") for line in lines()]


def named_tests() -> list[str]:
    """Return every test that the table names, each once."""
    fields = (row[-1] for row in rows())
    return sorted({name for field in fields if not field.startswith(NO_TEST) for name in field.split()})


def functions(tree: ast.Module | ast.ClassDef) -> Iterator[str]:
    """Yield the names of the functions of a module or class, those of classes behind theirs."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.ClassDef):
            yield from (f"{node.name}::{name}" for name in functions(node))


@cache
def names_in(file: str) -> frozenset[str]:
    """Return the names in a test file, as pytest writes them behind the file's."""
    path = PROJECT / file
    if not path.is_file():
        return frozenset()
    return frozenset(functions(ast.parse(path.read_text(encoding="utf-8"))))


def is_there(test: str) -> bool:
    """Return whether a pytest id names a test of this project."""
    file, _, name = test.partition("::")
    return name.rpartition("::")[2].startswith("test_") and name in names_in(file)


def test_the_numbers_are_complete_and_in_order() -> None:
    """Our choice: an assertion that is left out would not be missed otherwise."""
    assert [line.partition(" ")[0] for line in lines()] == [str(n) for n in range(1, ASSERTIONS + 1)]


def test_every_line_has_its_five_fields() -> None:
    """Our choice: what the head of the table says."""
    odd = [
        row[0] for row in rows() if len(row) != 5 or not all(field.strip() == field != "" for field in row)
    ]
    assert odd == []


@pytest.mark.parametrize("test", named_tests())
def test_every_test_that_is_named_is_there(test: str) -> None:
    """Our choice: a test that was renamed or taken away holds nothing."""
    assert is_there(test)


def test_no_line_names_a_test_twice() -> None:
    """Our choice: a list that looks longer than it is misleads."""
    tests = {row[0]: row[-1].split() for row in rows() if not row[-1].startswith(NO_TEST)}
    assert [number for number, names in tests.items() if len(names) != len(set(names))] == []


def test_every_assertion_without_a_test_has_a_reason() -> None:
    """Our choice: a gap is a decision that is told in a sentence."""
    reasons = {row[0]: row[-1].removeprefix(NO_TEST) for row in rows() if row[-1].startswith(NO_TEST)}
    bad = [
        number
        for number, reason in reasons.items()
        if len(reason) < SHORTEST_REASON or not reason[0].isupper() or not reason.endswith(".")
    ]
    assert bad == []


@pytest.mark.parametrize(
    "test",
    [
        "tests/test_assertions.py::test_nothing",
        "tests/test_assertions.py::rows",
        "tests/test_assertions.py",
        "tests/test_nothing.py::test_nothing",
        "tests/test_logs.py::test_a_session_appears_as_a_short_hash",
        "not:",
    ],
)
def test_a_test_that_is_not_there_is_missed(test: str) -> None:
    """Guards the tests above: names alone, without their class or file, are not enough."""
    assert not is_there(test)
