"""Reading the value of one setting: what it means, or a `ValueError` that says what it must be. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import ip_network
from typing import NamedTuple

_ORIGIN = re.compile(
    r"https?://[A-Za-z0-9.-]+(?::[0-9]{1,5})?/?|https?://\[[0-9A-Fa-f:.]+\](?::[0-9]{1,5})?/?"
)

_PORT = re.compile(r"(?:(?:tcp[46]?|ssl):)?([0-9]+)(?::|$)")
"""How a port is written, by itself or in the description of an endpoint."""

NEVER = 10**9
"""An upper bound for spans of time, about 31 years in seconds."""


def text(value: str) -> str:
    """Return a text, which must not be empty."""
    if not value:
        raise ValueError("must not be empty")
    return value


def port(value: str) -> str:
    """Return a port or the description of an endpoint."""
    number = _PORT.match(value)
    # More digits than that are no number to Python.
    if not value or (number is not None and int(number[1][:20]) > 65535):
        raise ValueError("must be a port from 0 to 65535 or an endpoint description")
    return value


def optional_port(value: str) -> str | None:
    """Return a port as `port` does; None for nothing."""
    return port(value) if value else None


def optional_text(value: str) -> str | None:
    """Return a text; None for nothing."""
    return value or None


def _of_form(form: re.Pattern[str], must: str) -> Callable[[str], str | None]:
    """Return what reads a text of a form; None for nothing."""

    def parse(value: str) -> str | None:
        if value and not form.fullmatch(value):
            raise ValueError(must)
        return value or None

    return parse


_KEY = re.compile(r"[A-Za-z0-9_-]{43}=")
_NODE = re.compile(r"[A-Za-z0-9_-]{1,40}")
state_key = _of_form(_KEY, "must be 32 bytes in URL-safe base64")
node = _of_form(_NODE, "must be 1 to 40 letters, digits, - or _")


def store(value: str) -> str:
    """Return the address of a session store."""
    scheme, colon, rest = value.partition(":")
    if value == "memory" or (scheme == "memory" and not rest):
        return "memory:"
    if colon and scheme == "sqlite" and rest.partition("?")[0]:
        return value
    if scheme in ("redis", "rediss") and rest.startswith("//"):
        return value
    raise ValueError("must be memory:, sqlite:PATH, redis://HOST or rediss://HOST")


_YES = ("true", "1", "yes", "on")
_NO = ("false", "0", "no", "off")


def flag(value: str) -> bool:
    """Return whether a word means yes."""
    word = value.strip().lower()
    if word not in _YES and word not in _NO:
        raise ValueError("must be true or false")
    return word in _YES


def whole(least: int, most: int) -> Callable[[str], int]:
    """Return what reads a whole number within bounds, both included."""

    def parse(value: str) -> int:
        digits = value.strip()
        if not digits.isascii() or not digits.isdigit() or not least <= int(digits) <= most:
            raise ValueError(f"must be a whole number from {least} to {most}")
        return int(digits)

    return parse


def seconds(value: str) -> float:
    """Return a span of time in seconds."""
    try:
        seconds = float(value)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds <= NEVER:
        raise ValueError(f"must be a number of seconds greater than 0 and at most {NEVER}")
    return seconds


def public_url(value: str) -> str | None:
    """Return the origin that clients use, without a slash at its end; None for none.

    Raises:
        ValueError: It is no origin of HTTP.
    """
    if not value:
        return None
    if not _ORIGIN.fullmatch(value):
        raise ValueError("must be a scheme and a host, https://mcp.example.com, without a path")
    return value.rstrip("/")


def words(value: str) -> tuple[str, ...]:
    """Return the words of a list with commas."""
    return tuple(word for word in (part.strip() for part in value.split(",")) if word)


def peers(value: str) -> tuple[str, ...]:
    """Return addresses and networks, and the word ``unix``, of a list with commas."""
    peers = words(value)
    for peer in peers:
        try:
            if peer != "unix":
                ip_network(peer)
        except ValueError as error:
            raise ValueError(f"must be addresses, networks or the word unix: {error}") from None
    return peers


_HOST = re.compile(r"[a-z0-9.-]{1,253}(?::[0-9]{1,5})?")
_WEB = r"(?:https://[A-Za-z0-9.-]+|http://(?:localhost|127\.0\.0\.1|\[::1\]))(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~/-]*)?"
_ISSUER = re.compile(_WEB)
_KEYS = re.compile(_WEB + r"(?:\?[A-Za-z0-9._~/=&%-]*)?")


class OutsideIssuer(NamedTuple):
    """An issuer whose tokens are verified."""

    name: str
    """As its tokens have it in ``iss``."""
    keys: str | None = None
    """The address of its JWKS; None for the one that its metadata names, on its own host."""


def hosts(value: str) -> tuple[str, ...]:
    """Return the names of hosts of a list with commas, each with or without a port."""
    found = tuple(each.lower() for each in words(value))
    for each in found:
        if not _HOST.fullmatch(each):
            raise ValueError(f"must be names of hosts, and {each!r} is none")
    return found


def issuers(value: str) -> tuple[OutsideIssuer, ...]:
    """Return the issuers of a list with commas, as they are written: they are compared so."""
    found: dict[str, OutsideIssuer] = {}
    for each in words(value):
        name, equals, keys = each.partition("=")
        if not _ISSUER.fullmatch(name):
            raise ValueError(
                f"must be https URLs without a query, or http ones of loopback addresses; {name!r} is none"
            )
        if equals and not _KEYS.fullmatch(keys):
            raise ValueError(
                "must have behind = the address of the issuer's JWKS, an https URL or an http one of a "
                f"loopback address; {keys!r} is none"
            )
        if name in found:
            raise ValueError(f"must name each issuer once, and {name!r} is there twice")
        found[name] = OutsideIssuer(name, keys or None)
    return tuple(found.values())


def one_of(*choices: str) -> Callable[[str], str]:
    """Return what reads one of these words, however its letters are written."""

    def parse(value: str) -> str:
        for choice in choices:
            if value.strip().lower() == choice.lower():
                return choice
        raise ValueError(f"must be one of {', '.join(choices)}")

    return parse


_LEVELS = {
    "DEBUG": ("debug", "trace", "verbose", "all", "10"),
    "INFO": ("info", "information", "notice", "20"),
    "WARNING": ("warning", "warn", "30"),
    "ERROR": ("error", "err", "40"),
    "CRITICAL": ("critical", "crit", "fatal", "alert", "emergency", "emerg", "panic", "50"),
}
"""Level → how programs write it, or the nearest to it that they have: Python, syslog, log4j and others."""


def log_level(value: str) -> str:
    """Return a level, from any usual spelling of one."""
    word = value.strip().lower()
    for level, spellings in _LEVELS.items():
        if word in spellings:
            return level
    raise ValueError(f"must be one of {', '.join(_LEVELS)}")
