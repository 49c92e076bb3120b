"""How the time that something takes grows with the text it is given."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

SMALLEST = 256
"""Characters to begin with: few enough that even a cube of them is over in a second."""

MOST_GROWTH = 2.6
"""How many times longer twice the text may take."""

MEASURABLE = 0.004
"""Seconds of processor time; less says nothing about growth."""


def seconds_of(run: Callable[[], object], tries: int) -> float:
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
    """Fail if the time grows by more than `MOST_GROWTH` when the text doubles, more than once.

    The text begins small and is doubled, so that what grows as a power fails before it takes long.

    Args:
        make: Makes what is to be run, for a number of characters.
        most: Characters of the longest text.
        smallest: Characters of the shortest text.
    """
    before, size, steep = 0.0, smallest, 0
    while size <= most:
        run = make(size)
        took = seconds_of(run, 1)
        if took > MEASURABLE and before > MEASURABLE / 8 and took / before > MOST_GROWTH:
            # Perhaps the machine was busy.
            took = min(took, seconds_of(run, 4))
            before = min(before, seconds_of(make(size // 2), 4))
            if took / before > MOST_GROWTH:
                steep += 1
                assert steep < 2, f"{size} characters took {took:.3f} s, half of them {before:.3f} s"
        before, size = took, size * 2


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
