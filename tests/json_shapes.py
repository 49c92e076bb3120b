"""JSON texts that take more memory or time than their length tells, as families: a number to a text."""

from __future__ import annotations

from collections.abc import Callable

Shape = Callable[[int], bytes]


def filled(unit: bytes, values: int, count: int) -> bytes:
    """Return an array of ``unit`` over and over that holds ``count`` values, ``values`` in each unit."""
    units, others = divmod(count - 1, values)
    return b"[" + b",".join([unit] * units + [b"0"] * others) + b"]"


def counted(value: object) -> int:
    """Return how many values a decoded value is."""
    if isinstance(value, dict):
        return 1 + len(value) + sum(map(counted, value.values()))
    return 1 + sum(map(counted, value)) if isinstance(value, list) else 1


def _members(count: int, name: bytes) -> bytes:
    return b"{" + b",".join(b'"%b%d":0' % (name, number) for number in range((count - 1) // 2)) + b"}"


VALID: dict[str, Shape] = {
    "brackets in a string": lambda n: b'["' + b"[" * n + b'"]',
    "quotes in a string": lambda n: b'["' + b'\\"' * n + b'"]',
    "backslashes in a string": lambda n: b'["' + b"\\\\" * n + b'"]',
    "escaped characters": lambda n: b'["' + b"\\u00e9" * n + b'"]',
    "escaped controls": lambda n: b'["' + b"\\u0001" * n + b'"]',
    "raw controls": lambda n: b'["' + b"\x7f" * n + b'"]',
    "line separators": lambda n: b'["' + "a\u2028".encode() * n + b'"]',
    "empty arrays": lambda n: filled(b"[]", 1, n),
    "arrays in arrays": lambda n: filled(b"[[]]", 2, n),
    "arrays 100 deep": lambda n: filled(b"[" * 100 + b"]" * 100, 100, n),
    "empty objects": lambda n: filled(b"{}", 1, n),
    "objects of one member": lambda n: filled(b'{"a":0}', 3, n),
    "objects 100 deep": lambda n: filled(b'{"a":' * 100 + b"0" + b"}" * 100, 201, n),
    "objects with a long name": lambda n: filled(b'{"' + b"a" * 100 + b'":0}', 3, n),
    "empty strings": lambda n: filled(b'""', 1, n),
    "strings": lambda n: filled('"aé"'.encode(), 1, n),
    "names": lambda n: _members(n, b""),
    "names in Greek": lambda n: _members(n, "α".encode()),
    "secret names": lambda n: _members(n, b"password"),
    "one name": lambda n: b"{" + b",".join([b'"a":0'] * ((n - 1) // 2)) + b"}",
    "_meta members": lambda n: b"{" + b",".join([b'"_meta":{}'] * ((n - 1) // 2)) + b"}",
    "a long name": lambda n: b'{"' + b"a" * n + b'":0}',
    "numbers": lambda n: filled(b"1000", 1, n),
    "fractions": lambda n: filled(b"0.5", 1, n),
    "numbers of 4000 digits": lambda n: filled(b"1" * 4000, 1, n // 1000),
    "one number": lambda n: b"0." + b"1" * n,
    "nulls": lambda n: filled(b"null", 1, n),
    "blanks": lambda n: b"[" + b" " * n + b"]",
    "text in a wide script": lambda n: b'"' + "😀".encode() * n + b'"',
    "text with one wide character": lambda n: b'"' + b"a" * n + "😀".encode() + b'"',
}
"""JSON, each of about as many values or characters as the number says, and never of more values."""

BROKEN: dict[str, Shape] = {
    "an open string": lambda n: b'["' + b"\\a" * n,
    "open strings": lambda n: b'["",' * n + b'"',
    "quotes": lambda n: b'"' * n,
    "backslashes": lambda n: b"\\" * n,
    "open arrays": lambda n: b"[" * n,
    "open objects": lambda n: b'{"a":' * n,
    "closing brackets": lambda n: b"]" * n,
    "commas": lambda n: b"[" + b"," * n,
    "halves of characters": lambda n: b'["' + b"\\ud800" * n + b'"]',
    "not UTF-8": lambda n: b'"' + b"\xc3\xa9" * n + b'\xff"',
    "UTF-16": lambda n: ("[" * n).encode("utf-16"),
}
"""No JSON."""

ALL = {**VALID, **BROKEN}
