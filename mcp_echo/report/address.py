"""The address of a trace, read from whatever address below it was copied. No I/O."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

_BEFORE_THE_KEY = ("t", "v")
"""The segments of a path that stand before a trace's id, and before a key that may only read."""


def trace_address(url: str) -> str:
    """Return the address of a trace, with a slash at its end.

    Args:
        url: The address of a trace or of its share, or of anything below it.

    Raises:
        ValueError: It is none; the message says why, and does not repeat it: whoever knows it may read.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("the address must begin with http:// or https:// and a host")
    if "@" in parts.netloc:
        raise ValueError("the address has a user in it; use --header 'Authorization: …' instead")
    segments = parts.path.split("/")
    for place, segment in enumerate(segments[:-1]):
        if segment in _BEFORE_THE_KEY and segments[place + 1]:
            path = "/".join(segments[: place + 2])
            return urlunsplit((parts.scheme, parts.netloc, f"{path}/", "", ""))
    raise ValueError("the address is not that of a trace, which has /t/{trace}/ or /v/{key}/ in its path")


def key_in(url: str) -> str:
    """Return the trace's id, or the key of its share, in an address right below it."""
    return url.rsplit("/", 2)[1]


def origin_of(url: str) -> str:
    """Return the scheme and the host of an address, which may be shown to everybody."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
