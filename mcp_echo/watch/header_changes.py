"""What happened to the header lines of one message on the way. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

Fields = Sequence[tuple[str, str]]
"""Name, value of header lines, in the order of the wire."""

ChangeKind = Literal["dropped", "added", "repeated", "changed"]


class HeaderChange(NamedTuple):
    """What happened to all lines of one name."""

    kind: ChangeKind
    name: str
    """As it was spelled first."""
    before: str | None
    """Its values, joined; None where there was no line."""
    behind: str | None


def header_changes(before: Fields, behind: Fields) -> list[HeaderChange]:
    """Return what happened to each name; lines that were joined to one mean the same (RFC 9110 5.3).

    Args:
        before: The lines as they were sent.
        behind: The lines as they arrived.
    """
    sent, arrived = _by_name(before), _by_name(behind)
    changes = [_change(sent.get(name, []), arrived.get(name, [])) for name in {**sent, **arrived}]
    return [each for each in changes if each is not None]


def order_change(before: Fields, behind: Fields) -> Literal["order", "spelling"] | None:
    """Return whether the names that are on both sides come in another order or are spelled otherwise."""
    sent, arrived = _spelled(before), _spelled(behind)
    here = [name for name in sent if name in arrived]
    there = [name for name in arrived if name in sent]
    if here != there:
        return "order"
    return None if all(sent[name] == arrived[name] for name in here) else "spelling"


def _by_name(fields: Fields) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for name, value in fields:
        found.setdefault(name.lower(), []).append((name, value.strip()))
    return found


def _spelled(fields: Fields) -> dict[str, str]:
    """Return each name in lower case → as it is spelled first, in order."""
    found: dict[str, str] = {}
    for name, _ in fields:
        found.setdefault(name.lower(), name)
    return found


def _change(sent: Fields, arrived: Fields) -> HeaderChange | None:
    before, behind = _joined(sent), _joined(arrived)
    if before == behind:
        return None
    name = (sent or arrived)[0][0]
    if before is None:
        return HeaderChange("added", name, before, behind)
    if behind is None:
        return HeaderChange("dropped", name, before, behind)
    kind: ChangeKind = "repeated" if _is_repeated(before, behind) else "changed"
    return HeaderChange(kind, name, before, behind)


def _joined(fields: Fields) -> str | None:
    return ", ".join(value for _, value in fields) if fields else None


def _is_repeated(before: str, behind: str) -> bool:
    """Return whether a value came twice or more and nothing else."""
    times, rest = divmod(len(behind) + 2, len(before) + 2)
    return rest == 0 and times > 1 and behind == ", ".join([before] * times)
