"""In what two URLs differ that were to be the same. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import SplitResult, urlsplit

from mcp_echo.http.origins import default_port

MILD = frozenset({"slash", "case"})
"""What many servers overlook: a slash at the end, and capitals in the name of the host."""


def differs_in(one: str, other: str) -> tuple[str, ...]:
    """Return in what two URLs differ; nothing where they are the same, byte for byte.

    ``slash`` is one at the end of the path; ``case`` that of letters, those of the path if ``path`` is told
    too; and ``text`` what is left where everything else is the same, such as a port that is the scheme's own.
    """
    if one == other:
        return ()
    try:
        found = tuple(_parts(urlsplit(one), urlsplit(other)))
    except ValueError:
        return ("text",)
    return found or (("case",) if one.lower() == other.lower() else ("text",))


def _parts(one: SplitResult, other: SplitResult) -> Iterator[str]:
    if one.scheme != other.scheme:
        yield "scheme"
    if one.hostname != other.hostname:
        yield "host"
    elif one.netloc != other.netloc and one.netloc.lower() == other.netloc.lower():
        yield "case"
    if _port(one) != _port(other):
        yield "port"
    if one.path.rstrip("/") != other.path.rstrip("/"):
        yield "path"
        if one.path.rstrip("/").lower() == other.path.rstrip("/").lower():
            yield "case"
    elif one.path != other.path:
        yield "slash"
    if one.query != other.query:
        yield "query"
    if one.fragment != other.fragment:
        yield "fragment"


def _port(url: SplitResult) -> str | None:
    return default_port(url.scheme) if url.port is None else str(url.port)
