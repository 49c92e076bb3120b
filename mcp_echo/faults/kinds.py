"""The table of faults, and how an order's options are read. No I/O."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import msgspec
from msgspec import inspect

from mcp_echo.faults import of_answers, of_oauth, of_requests, of_tools
from mcp_echo.faults.fault import Fault

KINDS: dict[str, type[Fault]] = {
    "session-lost": of_requests.SessionLost,
    "reject": of_requests.Reject,
    "empty": of_requests.Empty,
    "redirect": of_requests.Redirect,
    "headers-required": of_requests.HeadersRequired,
    "delay": of_answers.Delay,
    "silence": of_answers.Silence,
    "drip": of_answers.Drip,
    "cut": of_answers.CutOff,
    "content-type": of_answers.ContentType,
    "answer": of_answers.WrongAnswer,
    "events": of_answers.WrongEvents,
    "tools": of_tools.Tools,
    "tool-error": of_tools.ToolError,
    "challenge": of_oauth.Challenge,
    "metadata": of_oauth.Metadata,
    "issuer": of_oauth.Issuer,
    "consent": of_oauth.Consent,
    "token": of_oauth.Token,
    "refresh": of_oauth.Refresh,
    "scope": of_oauth.Scope,
}
"""Name → kind, named as toxiproxy, WireMock and httpbin name theirs."""


class WrongOptions(ValueError):
    """The options of an order are none that its fault has; the message says which, and why."""


def fault_of(kind: str, options: dict[str, Any]) -> Fault:
    """Return a fault with its options.

    Args:
        kind: A name in `KINDS`.
        options: As an order gives them.

    Raises:
        WrongOptions: They are none that it has.
    """
    try:
        return msgspec.convert(options, KINDS[kind])
    except msgspec.ValidationError as error:
        raise WrongOptions(f"options of {kind}: {error}") from None


class OptionShown(NamedTuple):
    """One option of a fault, as those see it who order one."""

    name: str
    kind: str
    """``integer``, ``number``, ``boolean``, ``string``, ``list`` or ``choice``."""
    default: Any
    """None for none."""
    least: float | None
    most: float | None
    choices: list[Any] | None


class KindShown(msgspec.Struct, frozen=True):
    """One fault, as those see it who order one."""

    fault: str
    summary: str
    options: list[dict[str, Any]]


@cache
def kinds_shown() -> tuple[KindShown, ...]:
    """Return every fault with its options. To look into the types takes 10 ms, and every reader asks."""
    return tuple(
        KindShown(name, kind.summary, [_shown(field)._asdict() for field in _fields(kind)])
        for name, kind in KINDS.items()
    )


def _fields(kind: type[Fault]) -> tuple[inspect.Field, ...]:
    info = inspect.type_info(kind)
    return info.fields if isinstance(info, inspect.StructType) else ()


def _shown(field: inspect.Field) -> OptionShown:
    default = None if field.default is msgspec.NODEFAULT else field.default
    kind = field.type
    if isinstance(kind, inspect.UnionType):
        kind = next(each for each in kind.types if not isinstance(each, inspect.NoneType))
    if isinstance(kind, inspect.LiteralType):
        # In the order in which they were written, the ordinary one first.
        choices = sorted(kind.values, key=lambda each: each != default)
        return OptionShown(field.encode_name, "choice", default, None, None, choices)
    names = {
        inspect.IntType: "integer",
        inspect.FloatType: "number",
        inspect.BoolType: "boolean",
        inspect.ListType: "list",
    }
    least, most = getattr(kind, "ge", None), getattr(kind, "le", None)
    return OptionShown(field.encode_name, names.get(type(kind), "string"), default, least, most, None)
