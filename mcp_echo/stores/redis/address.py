"""The address of a Redis server and what may be said in it. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from mcp_echo.cluster.engine import EngineRefused
from mcp_echo.redaction import one_line

INSTALL = "pip install 'mcp-echo-daemon[redis]'"
"""What to do where a library is missing."""

CLUSTER_SHARDS = 16
"""Over how many slots the records are spread in a cluster, unless it is said."""


class RedisAddress(NamedTuple):
    """Where a Redis server is, and how it is to be used."""

    tls: bool
    host: str
    port: int
    database: int
    user: str | None
    password: str | None
    prefix: str = "mcp-echo"
    """What the names of all keys and channels begin with."""
    shards: int = 1
    """Over how many slots of a cluster the records are spread."""
    cluster: bool = False
    """Whether it is one server of a Redis Cluster, whose others are to be found and followed."""
    timeout: float = 0.5
    """Seconds that Redis has to answer."""
    cafile: str | None = None
    """A file of certificates to trust instead of the platform's."""

    @property
    def where(self) -> str:
        """It, without user and password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'rediss' if self.tls else 'redis'}://{host}:{self.port}/{self.database}"

    def shown(self, reason: str) -> str:
        """Return what the server has said as it may be shown: on one line, and without the password."""
        # Redis quotes what it did not understand.
        return one_line(reason.replace(self.password, "***") if self.password else reason)[:200]


def _prefix(value: str) -> str:
    # Braces would move the hash tag: https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/
    if not re.fullmatch(r"[A-Za-z0-9_.:-]{1,64}", value):
        raise ValueError("must be 1 to 64 of A-Z a-z 0-9 _ . : -")
    return value


def _shards(value: str) -> int:
    return _whole(value, 1, 1024)


def _cluster(value: str) -> bool:
    if value not in ("true", "false"):
        raise ValueError("must be true or false")
    return value == "true"


def _timeout(value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = math.nan
    if not 0.01 <= seconds <= 60:
        raise ValueError("must be a number of seconds from 0.01 to 60")
    return seconds


def _cafile(value: str) -> str:
    if not value:
        raise ValueError("must be a path")
    return value


def _whole(value: str, least: int, most: int) -> int:
    if not (value.isascii() and value.isdigit() and len(value) < 10 and least <= int(value) <= most):
        raise ValueError(f"must be a whole number from {least} to {most}")
    return int(value)


_OPTIONS: dict[str, Callable[[str], Any]] = {
    "prefix": _prefix,
    "shards": _shards,
    "cluster": _cluster,
    "timeout": _timeout,
    "cafile": _cafile,
}


def parse_address(address: str) -> RedisAddress:
    """Return what an address says.

    Args:
        address: ``redis://[[user]:password@]host[:port][/db][?option=value&…]``, or ``rediss:`` for TLS.

    Raises:
        EngineRefused: It cannot be read; the message names no part that may be secret.
    """
    try:
        return _read(urlsplit(address))
    except ValueError as error:
        # urlsplit quotes what it cannot read, and that may be the password.
        reason = error.args[0] if isinstance(error, _Wrong) else "it is not a URL"
        raise EngineRefused(f"the address of Redis cannot be used: {reason}") from None


class _Wrong(ValueError):
    """A part of an address has a value that it cannot have; the message quotes no value."""


def _read(url: SplitResult) -> RedisAddress:
    if url.fragment:
        raise _Wrong("it has a fragment; write # as %23")
    user, password = _credentials(url)
    options = _options(url)
    if options.get("cluster"):
        options.setdefault("shards", CLUSTER_SHARDS)
        if _database(url.path):
            raise _Wrong("a cluster has only database 0")
    return RedisAddress(
        url.scheme == "rediss",
        _host(url),
        _port(url),
        _database(url.path),
        user,
        password,
        **options,
    )


def _host(url: SplitResult) -> str:
    host = unquote(url.hostname or "")
    if not host or not re.fullmatch(r"[A-Za-z0-9_.:%-]+", host):
        raise _Wrong("the host is missing, or is not a host name")
    return host


def _port(url: SplitResult) -> int:
    try:
        port = url.port
    except ValueError:
        port = 0
    if port == 0:
        raise _Wrong("the port must be a number from 1 to 65535")
    return port or 6379


def _database(path: str) -> int:
    if path in ("", "/"):
        return 0
    try:
        return _whole(path[1:], 0, 1_000_000)
    except ValueError as error:
        raise _Wrong(f"the database {error}") from None


def _credentials(url: SplitResult) -> tuple[str | None, str | None]:
    user = unquote(url.username or "", errors="strict") or None
    password = unquote(url.password or "", errors="strict") or None
    if user is not None and password is None:
        raise _Wrong("a user needs a password: user:password@host, or :password@host for the default one")
    return user, password


def _options(url: SplitResult) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in parse_qsl(url.query, keep_blank_values=True):
        if name not in _OPTIONS:
            # The name is not shown: with a # or ? in the password it may be the password.
            raise _Wrong(f"it has an unknown option; there are {', '.join(_OPTIONS)}")
        if name in found:
            raise _Wrong(f"{name} is given twice")
        try:
            found[name] = _OPTIONS[name](value)
        except ValueError as error:
            raise _Wrong(f"{name} {error}") from None
    if "cafile" in found and url.scheme != "rediss":
        raise _Wrong("cafile is of use only with rediss:")
    return found
