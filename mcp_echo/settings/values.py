"""Reading the value of one setting: what it means, or what it must be. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import ip_network

_ORIGIN = re.compile(
    r"https?://[A-Za-z0-9.-]+(?::[0-9]{1,5})?/?|https?://\[[0-9A-Fa-f:.]+\](?::[0-9]{1,5})?/?"
)

NEVER = 10**9
"""An upper bound for spans of time, about 31 years in seconds."""


def text(value: str) -> str:
    """Return a text, which must not be empty.

    Raises:
        ValueError: It is none; the message says what it must be.
    """
    if not value:
        raise ValueError("must not be empty")
    return value


def port(value: str) -> str:
    """Return a port or the description of an endpoint.

    Raises:
        ValueError: It is none; the message says what it must be.
    """
    if not value or (value.isdigit() and int(value) > 65535):
        raise ValueError("must be a port from 0 to 65535 or an endpoint description")
    return value


def optional_port(value: str) -> str | None:
    """Return a port as `port` does; None for nothing.

    Raises:
        ValueError: It is none; the message says what it must be.
    """
    return port(value) if value else None


def optional_text(value: str) -> str | None:
    """Return a text; None for nothing."""
    return value or None


def state_key(value: str) -> str | None:
    """Return a key of 32 bytes in URL-safe base64; None for nothing.

    Raises:
        ValueError: It is none; the message says what it must be.
    """
    if value and not re.fullmatch(r"[A-Za-z0-9_-]{43}=", value):
        raise ValueError("must be 32 bytes in URL-safe base64")
    return value or None


def store(value: str) -> str:
    """Return the address of a session store.

    Raises:
        ValueError: It is none; the message says what it must be.
    """
    scheme, colon, rest = value.partition(":")
    if value == "memory" or (scheme == "memory" and not rest):
        return "memory:"
    if colon and scheme == "sqlite" and rest.partition("?")[0]:
        return value
    if scheme in ("redis", "rediss") and rest.startswith("//"):
        return value
    raise ValueError("must be memory:, sqlite:PATH, redis://HOST or rediss://HOST")


def node(value: str) -> str | None:
    """Return the name of a node; None for nothing.

    Raises:
        ValueError: It is none; the message says what it must be.
    """
    if value and not re.fullmatch(r"[A-Za-z0-9_-]{1,40}", value):
        raise ValueError("must be 1 to 40 letters, digits, - or _")
    return value or None


def flag(value: str) -> bool:
    """Return whether a word means yes.

    Raises:
        ValueError: It is none; the message says what it must be.
    """
    words = {
        "true": True,
        "1": True,
        "yes": True,
        "on": True,
        "false": False,
        "0": False,
        "no": False,
        "off": False,
    }
    try:
        return words[value.strip().lower()]
    except KeyError:
        raise ValueError("must be true or false") from None


def whole(least: int, most: int) -> Callable[[str], int]:
    """Return what reads a whole number within bounds, both included."""

    def parse(value: str) -> int:
        digits = value.strip()
        if not digits.isascii() or not digits.isdigit() or not least <= int(digits) <= most:
            raise ValueError(f"must be a whole number from {least} to {most}")
        return int(digits)

    return parse


def seconds(value: str) -> float:
    """Return a span of time in seconds.

    Raises:
        ValueError: It is none; the message says what it must be.
    """
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
    """Return addresses and networks, and the word ``unix``, of a list with commas.

    Raises:
        ValueError: It is none; the message says what it must be.
    """
    peers = words(value)
    for peer in peers:
        try:
            if peer != "unix":
                ip_network(peer)
        except ValueError as error:
            raise ValueError(f"must be addresses, networks or the word unix: {error}") from None
    return peers


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
    """Return a level, from any usual spelling of one.

    Raises:
        ValueError: It is none; the message says what it must be.
    """
    word = value.strip().lower()
    for level, spellings in _LEVELS.items():
        if word in spellings:
            return level
    raise ValueError(f"must be one of {', '.join(_LEVELS)}")
