"""The tables of what the specification asks for are complete, and every test they name is there."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
HERE = Path(__file__).parent

TABLES = {"assertions.txt": 243, "client_assertions.txt": 93}
"""Table of what is asked of servers, and of clients → how many assertions it has."""

tables = pytest.mark.parametrize("table", TABLES)

NO_TEST = "not: "
SHORTEST_REASON = 20
"""Characters."""


def lines(table: str) -> list[str]:
    """Return the lines of a table that are neither empty nor remarks."""
    text = (HERE / table).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and line[0] != "#"]


def rows(table: str) -> list[list[str]]:
    """Return the fields of each line."""
    return [line.split(" | ") for line in lines(table)]


def named_tests() -> list[str]:
    """Return every test that a table names, each once."""
    fields = (row[-1] for table in TABLES for row in rows(table))
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


@tables
def test_the_numbers_are_complete_and_in_order(table: str) -> None:
    """Our choice: an assertion that is left out would not be missed otherwise."""
    expected = [str(number) for number in range(1, TABLES[table] + 1)]
    assert [line.partition(" ")[0] for line in lines(table)] == expected


@tables
def test_every_line_has_its_five_fields(table: str) -> None:
    """Our choice: what the head of the table says."""
    odd = [
        row[0]
        for row in rows(table)
        if len(row) != 5 or not all(field.strip() == field != "" for field in row)
    ]
    assert odd == []


@pytest.mark.parametrize("test", named_tests())
def test_every_test_that_is_named_is_there(test: str) -> None:
    """Our choice: a test that was renamed or taken away holds nothing."""
    assert is_there(test)


@tables
def test_no_line_names_a_test_twice(table: str) -> None:
    """Our choice: a list that looks longer than it is misleads."""
    tests = {row[0]: row[-1].split() for row in rows(table) if not row[-1].startswith(NO_TEST)}
    assert [number for number, names in tests.items() if len(names) != len(set(names))] == []


@tables
def test_every_assertion_without_a_test_has_a_reason(table: str) -> None:
    """Our choice: a gap is a decision that is told in a sentence."""
    reasons = {row[0]: row[-1].removeprefix(NO_TEST) for row in rows(table) if row[-1].startswith(NO_TEST)}
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
        "tests/host/test_logs.py::test_a_session_appears_as_a_short_hash",
        "not:",
    ],
)
def test_a_test_that_is_not_there_is_missed(test: str) -> None:
    """Guards the tests above: names alone, without their class or file, are not enough."""
    assert not is_there(test)
