"""How the time that something takes grows with the text it is given."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

import pytest

ONE_AT_A_TIME = pytest.mark.xdist_group("growth")
"""For tests that measure time: none of them runs beside another one."""

SMALLEST = 256
"""Characters to begin with: few enough that even a cube of them is over in a second."""

MOST_GROWTH = 2.6
"""How many times longer twice the text may take."""

MEASURABLE = 0.004
"""Seconds of processor time; less says nothing about growth."""

ROUNDS = 8
"""Readings before growth is believed: perhaps the machine was busy."""


def seconds_of(run: Callable[[], object], tries: int = 1) -> float:
    """Return the processor time of one run, the best of several."""
    best = float("inf")
    for _ in range(tries):
        gc.disable()
        try:
            begun = time.process_time()
            run()
            best = min(best, time.process_time() - begun)
        finally:
            gc.enable()
    return best


def check_linear(make: Callable[[int], Callable[[], object]], most: int, smallest: int = SMALLEST) -> None:
    """Fail if the time grows by more than `MOST_GROWTH` per doubling, when the text is doubled twice.

    Twice, because what outgrows a cache of the processor takes three times as long once, and then goes on as
    before. The text begins small, so that what grows as a power fails before it takes long.

    Args:
        make: Makes what is to be run, for a number of characters.
        most: Characters of the longest text.
        smallest: Characters of the shortest text.
    """
    earlier, before, size = 0.0, 0.0, smallest
    while size <= most:
        took = seconds_of(make(size))
        if is_steep(earlier, took, 2):
            earlier, took = best_of_both(make(size // 4), make(size), 2)
            assert not is_steep(earlier, took, 2), (
                f"{size} characters took {took:.3f} s, a quarter of them {earlier:.3f} s"
            )
        earlier, before, size = before, took, size * 2


def is_steep(short: float, long: float, doublings: int) -> bool:
    """Tell whether these seconds are too far apart for texts so many doublings apart."""
    measurable = long > MEASURABLE and short > MEASURABLE / 4**doublings
    return measurable and long > MOST_GROWTH**doublings * short


def best_of_both(
    short: Callable[[], object], long: Callable[[], object], doublings: int
) -> tuple[float, float]:
    """Return the seconds of two runs, measured in turn, `ROUNDS` times or until they are not too far apart.

    What else the machine does makes some readings long; it makes none too short.
    """
    best = seconds_of(short), seconds_of(long)
    for _ in range(ROUNDS - 1):
        if not is_steep(*best, doublings):
            break
        best = min(best[0], seconds_of(short)), min(best[1], seconds_of(long))
    return best


FAMILIES = {
    "one letter": "a",
    "one blank": " ",
    "one quote": '"',
    "quotes in turn": "\"'`",
    "escapes": "\\",
    "escaped quotes": '\\"',
    "brackets": "[",
    "empty arrays": "[[]],",
    "braces": '{"a":',
    "commas": ",",
    "semicolons": ";",
    "equals signs": "=",
    "question marks": "?",
    "dots": ".",
    "at signs": "@",
    "slashes": "/",
    "colons": ":",
    "dashes": "-",
    "percent signs": "%",
    "parameters": "?token",
    "named parameters": "&token=",
    "cookies": "token=a; ",
    "named values": '"password":"',
    "names": "password: ",
    "objects in base64": "eyJ",
    "unfinished tokens": "eyJ.",
    "tokens behind slashes": "eyJ/",
    "text in base64": "dG9rZW49YWJjZGVmZ2hp",
    "schemes": "Bearer ",
    "schemes and words": "Bearer 1,",
    "authorities": "://",
    "users of authorities": "a://b@",
    "escapes of escapes": "%25",
    "escaped parameters": "%3Dtoken%26",
    "published prefixes": "ghp_/",
    "key ids": "AKIA-",
    "versions": "v1.local.",
    "keys in PEM": "-----PRIVATE KEY-----",
    "handles": "es_",
    "beginnings of UUIDs": "00000000-",
    "encoded words": "=?base64?",
    "qualities": ";q=0.",
    "media types": "a/b,",
    "digits": "1",
    "nines with a point": "9.",
    "addresses": "1.2.3.4,",
    "addresses of six": "::1,",
    "controls": "\x1b",
    "letters of two bytes": "é",
    "lone surrogates": "\\ud800",
    "event ids": "g1-",
    "lines": "a\n",
}
"""Name → what is repeated: the beginnings of whatever is looked for, never finished, and its separators."""


def repeated(unit: str, size: int) -> str:
    """Return so many characters of a repeated unit."""
    return (unit * (size // len(unit) + 1))[:size]
