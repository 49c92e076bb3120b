"""Paths as they may be shown. No I/O."""

from __future__ import annotations

import re

_LONGEST_SHOWN = 200
"""Bytes of a path that are shown."""

_WORD = re.compile(
    r"[A-Za-z._-]{0,24}|oauth-authorization-server|[vV]?[0-9]{1,3}|%[0-9A-Fa-f]{2}[a-z]{0,6}", re.ASCII
)
"""A part of a path that is shown; anything else may be a secret, such as a token where a query belongs."""

_IDS = {"t": "{trace}", "v": "{key}"}
"""Part of a path → what stands for the part behind it, which is the right to read a record."""


def shown_path(path: bytes) -> str:
    """Return a path with ``{trace}`` in the place of a trace's id, and ``…`` in that of what is no word.

    Args:
        path: The path as it came, without a query.
    """
    parts = path[:_LONGEST_SHOWN].decode("latin-1").split("/")
    shown = []
    for before, part in zip(("", *parts), parts, strict=False):
        if part and before in _IDS:
            shown.append(_IDS[before])
        else:
            shown.append(part if _WORD.fullmatch(part) else "…")
    return "/".join(shown)
