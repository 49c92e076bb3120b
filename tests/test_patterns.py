"""No regular expression of the package can take more than linear time, by the way it is written.

A backtracking matcher takes quadratic time where two unbounded repetitions can share a run of characters, or
where a search can begin anew at each character of a run that it has gone through in vain. So each pattern is
read with the parser of `re` itself, and has to be written so that neither can be.
"""

from __future__ import annotations

import ast
import re
import re._constants as constants  # type: ignore[import-not-found]
import re._parser as parser  # type: ignore[import-not-found]
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import mcp_echo
from mcp_echo.auth import credentials
from mcp_echo.tools import misnamed

PACKAGE = Path(mcp_echo.__file__).parent
ALPHABET = frozenset(range(256))
UNBOUNDED = 1000
"""Repetitions from which on a bound is none."""

SEARCHING = {"search", "sub", "subn", "split", "findall", "finditer"}
ANCHORED = {"match", "fullmatch"}
REPEATS = (constants.MAX_REPEAT, constants.MIN_REPEAT, constants.POSSESSIVE_REPEAT)

LINEAR_ALL_THE_SAME = {
    "(?<=://)[^/\\s]+(?=@)": "a search begins only behind ://, and the run ends at the next slash",
    '"[^"\\\\]*+(?:\\\\.[^"\\\\]*+)*+"': "a search begins at a quote, and the next where it has ended",
    ".{1,65536}[\\x80-\\xbf]*+": "nothing follows that could fail, so that nothing is given back",
    "-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----": "read from the operator's own file",
}
"""Pattern → why it is linear though it is written otherwise."""


class Used(NamedTuple):
    """A pattern and how it is used."""

    where: str
    pattern: str | bytes
    flags: int
    searching: bool


def patterns_in(path: Path) -> Iterator[Used]:
    """Yield the patterns that a module writes, with the calls made of them."""
    tree = ast.parse(path.read_text())
    calls = [
        each for each in ast.walk(tree) if isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute)
    ]
    uses: dict[str, set[str]] = {}
    for call in calls:
        if isinstance(call.func.value, ast.Name):
            uses.setdefault(call.func.value.id, set()).add(call.func.attr)
    here = str(path.relative_to(PACKAGE))
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and is_re(node.value, {"compile"}):
            name = getattr(node.targets[0], "id", "")
            found = uses.get(name, set()) & (SEARCHING | ANCHORED)
            yield Used(f"{here} {name}", *written(node.value, path), bool(found & SEARCHING) or not found)
        elif is_re(node, SEARCHING | ANCHORED):
            how = node.func.attr  # type: ignore[attr-defined]
            yield Used(f"{here} re.{how}", *written(node, path), how in SEARCHING)


def is_re(node: ast.AST, names: set[str]) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "re"
        and node.func.attr in names
    )


def written(node: Any, path: Path) -> tuple[str | bytes, int]:
    """Return the pattern and the flags of a call, evaluated where it stands."""
    module = ".".join(("mcp_echo", *path.relative_to(PACKAGE).with_suffix("").parts))
    names = dict(vars(__import__(module.removesuffix(".__init__"), fromlist=["x"])))

    def value(each: ast.expr) -> Any:
        return eval(compile(ast.Expression(each), str(path), "eval"), names)

    flags = [value(each) for each in node.args[1:] if "re." in ast.unparse(each)]
    flags += [value(each.value) for each in node.keywords if each.arg == "flags"]
    try:
        return value(node.args[0]), int(sum(flags))
    except NameError:
        # Made of literal texts, escaped, and of what is written in the rest of it.
        texts = [each.value for each in ast.walk(node.args[0]) if isinstance(each, ast.Constant)]
        return "".join(each for each in texts if isinstance(each, str)), 0


ALL = [each for path in sorted(PACKAGE.rglob("*.py")) for each in patterns_in(path)]


def members(items: Any, ignore_case: bool) -> frozenset[int]:
    """Return the characters that one item of a pattern takes."""
    op, argument = items
    if op is constants.LITERAL:
        return cased({argument}, ignore_case)
    if op is constants.NOT_LITERAL:
        return ALPHABET - cased({argument}, ignore_case)
    if op is constants.ANY:
        return ALPHABET
    if op is constants.RANGE:
        return cased(set(range(argument[0], min(argument[1], 255) + 1)), ignore_case)
    if op is constants.CATEGORY:
        return category(argument)
    if op is constants.IN:
        negated = argument[0][0] is constants.NEGATE
        found = frozenset().union(*(members(each, ignore_case) for each in argument[negated:]))
        return ALPHABET - found if negated else found
    raise AssertionError(f"members() must say what {op} takes")


def cased(points: set[int], ignore_case: bool) -> frozenset[int]:
    if not ignore_case:
        return frozenset(points)
    return frozenset(
        ord(form) for each in points for form in (chr(each).lower(), chr(each).upper()) if len(form) == 1
    )


@lru_cache
def category(name: Any) -> frozenset[int]:
    tests = {
        constants.CATEGORY_DIGIT: r"\d",
        constants.CATEGORY_SPACE: r"\s",
        constants.CATEGORY_WORD: r"\w",
        constants.CATEGORY_NOT_DIGIT: r"\D",
        constants.CATEGORY_NOT_SPACE: r"\S",
        constants.CATEGORY_NOT_WORD: r"\W",
    }
    return frozenset(each for each in ALPHABET if re.fullmatch(tests[name], chr(each)))


class Piece(NamedTuple):
    """What stands at one place of a pattern, on one way through it."""

    takes: frozenset[int]
    unbounded: bool
    optional: bool


Way = tuple[Piece, ...]
MOST_WAYS = 4096


def ways(sequence: Any, ignore_case: bool) -> list[Way]:
    """Return the ways through a pattern, each as the pieces that follow one another."""
    found: list[Way] = [()]
    for op, argument in sequence:
        found = [(*before, *after) for before in found for after in ways_of(op, argument, ignore_case)]
        assert len(found) <= MOST_WAYS, "too many ways to look at"
    return found


def ways_of(op: Any, argument: Any, ignore_case: bool) -> list[Way]:
    if op is constants.AT or op in (constants.ASSERT_NOT,):
        return [()]
    if op is constants.ASSERT:
        return ways(argument[1], ignore_case) if argument[0] > 0 else [()]
    if op in (constants.SUBPATTERN, constants.ATOMIC_GROUP):
        return ways(argument[-1] if op is constants.SUBPATTERN else argument, ignore_case)
    if op is constants.BRANCH:
        merged = alike(argument[1], ignore_case)
        return merged or [way for branch in argument[1] for way in ways(branch, ignore_case)]
    if op in REPEATS:
        return repeated(argument, ignore_case, possessive=op is constants.POSSESSIVE_REPEAT)
    return [(Piece(members((op, argument), ignore_case), False, False),)]


def alike(branches: Any, ignore_case: bool) -> list[Way] | None:
    """Return one way for branches that only differ in their literal characters; None for others."""
    found = [ways(branch, ignore_case) for branch in branches]
    if any(len(each) != 1 or any(piece.unbounded for piece in each[0]) for each in found):
        return None
    return [tuple(found[0][0])] if len(found) > 32 else None


def repeated(argument: Any, ignore_case: bool, *, possessive: bool) -> list[Way]:
    least, most, inner = argument
    body = ways(inner, ignore_case)
    if most < UNBOUNDED:
        return [(), *body] if least == 0 else body
    # A possessive one gives nothing back, so that there is one way through its run.
    inside = any(piece.unbounded for way in body for piece in way)
    assert possessive or not inside, "a repetition inside a repetition"
    takes = frozenset().union(*(piece.takes for way in body for piece in way))
    return [(Piece(takes, True, least == 0),)]


def check(pattern: str | bytes, flags: int, *, searching: bool) -> None:
    """Fail if a pattern is not written so that matching is linear."""
    parsed = parser.parse(pattern, flags)
    for way in ways(parsed, bool(parsed.state.flags & re.IGNORECASE)):
        for place, piece in enumerate(way):
            if piece.unbounded:
                check_what_follows(piece, way[place + 1 :], searching=searching)


def check_what_follows(piece: Piece, after: Way, *, searching: bool) -> None:
    """Fail if a run of a repetition can be taken in more than one way, or gone through again and again."""
    for place, following in enumerate(after):
        if following.unbounded and not any(
            piece.takes.isdisjoint(each.takes) and (each is following or not each.optional)
            for each in after[: place + 1]
        ):
            raise AssertionError("two repetitions can share a run")
    if searching and after:
        raise AssertionError("a search goes through the run of a repetition again and again")


@pytest.mark.parametrize("used", ALL, ids=lambda used: used.where)
def test_a_pattern_is_linear_by_the_way_it_is_written(used: Used) -> None:
    """Our choice: what a client sends is matched, so no pattern may be one that can be attacked."""
    text = used.pattern if isinstance(used.pattern, str) else used.pattern.decode("latin-1")
    if text not in LINEAR_ALL_THE_SAME:
        check(used.pattern, used.flags, searching=used.searching)


ELSEWHERE = [*(form for form, _ in misnamed._FORMS), credentials._odd_beside("~")]
"""Those that are made of texts which stand in no call."""


@pytest.mark.parametrize("pattern", ELSEWHERE, ids=lambda pattern: pattern.pattern[:40])
def test_a_pattern_that_is_put_together_is_linear_too(pattern: re.Pattern[str]) -> None:
    """Our choice, as above; the forms of handles are matched as a whole."""
    check(pattern.pattern, pattern.flags, searching=pattern is ELSEWHERE[-1])


def test_every_exception_is_needed() -> None:
    """A pattern that is gone, or is written better now, must not be excused."""
    found = {
        used.pattern if isinstance(used.pattern, str) else used.pattern.decode("latin-1"): used
        for used in ALL
    }
    for pattern in LINEAR_ALL_THE_SAME:
        used = found[pattern]
        with pytest.raises(AssertionError):
            check(used.pattern, used.flags, searching=used.searching)


@pytest.mark.parametrize(
    ("pattern", "searching"),
    [
        (r"(a+)+", False),
        (r"a*a*b", False),
        (r"\s*,?\s*x", False),
        (r"(?:\w+|\d+)*x", False),
        (r".*=.*", False),
        (r"[a-z]+@", True),
        (r"\?[^=]*token[^=]*=", True),
        (r"eyJ[\w-]+\.", True),
    ],
)
def test_patterns_that_can_be_attacked_are_found(pattern: str, searching: bool) -> None:
    """The test above must be able to fail."""
    with pytest.raises(AssertionError):
        check(pattern, 0, searching=searching)


@pytest.mark.parametrize(
    ("pattern", "searching"),
    [(r"[a-z]+", True), (r"a+b+", False), (r"[^:]*:[^;]*;.*", False), (r"x{1,64}=", True)],
)
def test_patterns_that_cannot_be_attacked_pass(pattern: str, searching: bool) -> None:
    check(pattern, 0, searching=searching)


def test_the_patterns_of_the_package_are_found() -> None:
    """The collection must find them, those in calls too, and tell how they are used."""
    made = SEARCHING | ANCHORED | {"compile"}
    trees = [ast.parse(path.read_text()) for path in PACKAGE.rglob("*.py")]
    # Two calls are given texts that stand elsewhere.
    assert sum(is_re(node, made) for tree in trees for node in ast.walk(tree)) == len(ALL) + 2
    found = {used.where: used.searching for used in ALL}
    assert found["redaction/masking.py _WORD"]
    assert not found["protocol/modern.py _BASE64"]
    assert not found["stores/redis/address.py re.fullmatch"]
