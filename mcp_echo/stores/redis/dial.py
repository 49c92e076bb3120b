"""Making connections to Redis: where to, over TLS or not, and as whom."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IStreamClientEndpoint

from mcp_echo.cluster.engine import EngineRefused
from mcp_echo.stores.redis.address import INSTALL, RedisAddress
from mcp_echo.stores.redis.wire import RedisWire, wires


class Dialer:
    """Makes connections.

    Args:
        reactor: Connects.
        address: Where to, and as whom.

    Raises:
        EngineRefused: A library is missing, or the file of certificates is none.
    """

    def __init__(self, reactor: Any, address: RedisAddress) -> None:
        self._address = address
        endpoint: IStreamClientEndpoint = HostnameEndpoint(
            reactor, address.host, address.port, timeout=address.timeout
        )
        self._endpoint = wrapClientTLS(_tls_options(address), endpoint) if address.tls else endpoint

    def connect(self) -> Deferred[RedisWire]:
        """Make a connection."""
        return cast(Deferred[RedisWire], self._endpoint.connect(wires()))

    async def begin(self, wire: RedisWire) -> None:
        """Agree on RESP3, log in, and choose the database. https://redis.io/docs/latest/commands/hello/"""
        password = self._address.password
        login = () if password is None else ("AUTH", self._address.user or "default", password)
        try:
            await wire.call("HELLO", 3, *login)
        except CancelledError:
            raise
        except Exception as error:
            raise ValueError(_refused(str(error), bool(login))) from None
        # In a cluster there is but one database, which must not be named.
        if self._address.database:
            await wire.call("SELECT", self._address.database)


_NO_RESP3 = re.compile(r"NOPROTO|ERR unknown command")
# What Redis begins with when it refuses a login. What follows is not shown: it may quote what was sent.
_REFUSAL = re.compile(
    r"WRONGPASS|NOAUTH|NOPERM|LOADING|MASTERDOWN|CLUSTERDOWN|MOVED|DENIED|ERR Client sent AUTH|ERR AUTH|"
    r"ERR invalid password|ERR wrong number of arguments"
)


def _refused(reason: str, with_login: bool) -> str:
    """Return why a greeting was refused, without what was sent, of which a server may quote any part."""
    if _NO_RESP3.match(reason):
        return "it does not speak RESP3: Redis 6 or newer, or Valkey, is needed"
    if not with_login:
        return reason
    found = _REFUSAL.match(reason)
    what = found[0] if found else "the server there does not take AUTH"
    return f"{what}, at the login: check the user and the password in MCP_ECHO_STORE"


async def eviction_policy(wire: RedisWire) -> str | None:
    """Return what Redis takes away when its memory is full, by its own name; None where that is not told."""
    try:
        told = await wire.call("INFO", "memory")
    except CancelledError:
        raise
    except Exception:
        # A user of its own may have no right to it; whatever else it is, the next command comes upon it.
        return None
    found = re.search(rb"maxmemory_policy:([a-z-]+)", told) if isinstance(told, bytes) else None
    return None if found is None else found[1].decode()


def _tls_options(address: RedisAddress) -> Any:
    # Not needed for `redis:`, and not there without OpenSSL's bindings.
    try:
        from twisted.internet.ssl import optionsForClientTLS, platformTrust
    except ImportError as error:
        raise EngineRefused(f"rediss: needs libraries that are not there ({error}): {INSTALL}") from None

    trust = platformTrust() if address.cafile is None else _trusted(address.cafile)
    return optionsForClientTLS(address.host, trustRoot=trust)


def _trusted(path: str) -> Any:
    from twisted.internet.ssl import Certificate, trustRootFromCertificates

    load: Callable[[bytes], Any] = Certificate.loadPEM
    try:
        text = Path(path).read_bytes()
        found = re.findall(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", text, re.DOTALL)
        certificates = [load(each) for each in found]
    except OSError as error:
        raise EngineRefused(f"cannot read cafile {path}: {error.strerror}") from None
    # OpenSSL's errors are lists of what it found, in its words.
    except Exception:
        certificates = []
    if not certificates:
        raise EngineRefused(f"cafile {path} holds no certificates in PEM that can be read")
    return trustRootFromCertificates(certificates)
