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


_ADDRESS = re.compile(r"""(/(?P<kind>[tv])/|echo://trace/|"trace" ?: ?")[A-Za-z0-9_-]{32}(?![A-Za-z0-9_-])""")


def without_traces(text: str) -> str:
    """Return a text in which no address of a trace lets anybody read it, in URLs and as a member of JSON."""
    return _ADDRESS.sub(lambda found: f"{found[1]}{_IDS[found['kind'] or 't']}", text)


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
