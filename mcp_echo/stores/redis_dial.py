"""Making connections to Redis: where to, over TLS or not, and as whom."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IStreamClientEndpoint

from mcp_echo.state.engine import EngineRefused
from mcp_echo.stores.redis_address import RedisAddress
from mcp_echo.stores.redis_link import Greet, Link, Wire


class Dialer:
    """Makes connections.

    Args:
        reactor: Connects.
        address: Where to, and as whom.

    Raises:
        EngineRefused: A library is missing, or the file of certificates is none.
    """

    def __init__(self, reactor: Any, address: RedisAddress) -> None:
        self._reactor = reactor
        self._address = address
        try:
            # This imports the global reactor, and OpenSSL's bindings.
            from mcp_echo.stores import redis_wire
        except ImportError as error:
            raise EngineRefused(
                f"Redis needs libraries that are not there ({error}): pip install 'mcp-echo-daemon[redis]'"
            ) from None
        self._wires = redis_wire
        endpoint: IStreamClientEndpoint = HostnameEndpoint(
            reactor, address.host, address.port, timeout=address.timeout
        )
        self._endpoint = wrapClientTLS(_tls_options(address), endpoint) if address.tls else endpoint

    def command_link(
        self, greet: Greet, up: Callable[[Wire], None], down: Callable[[str], None], rest: Callable[[], float]
    ) -> Link:
        """Return a link for commands; see `Link`."""

        async def greet_first(wire: Wire) -> None:
            await self._log_in(wire)
            # A short command first: before a login Redis refuses a long one without saying NOAUTH.
            await wire.call("PING")
            # In a cluster there is but one database, which must not be named.
            if self._address.database:
                await wire.call("SELECT", self._address.database)
            await greet(wire)

        return Link(self._reactor, self._command, greet_first, up, down, self._address.timeout, rest)

    def subscriber_link(self, greet: Greet, up: Callable[[Wire], None], down: Callable[[str], None]) -> Link:
        """Return a link for messages that are published; see `Link`."""

        async def greet_first(wire: Wire) -> None:
            await self._log_in(wire)
            await greet(wire)

        return Link(self._reactor, self._subscriber, greet_first, up, down, self._address.timeout)

    def _command(self) -> Deferred[Wire]:
        return self._endpoint.connect(self._wires.factory(self._wires.CommandWire))

    def _subscriber(self) -> Deferred[Wire]:
        return self._endpoint.connect(self._wires.factory(self._wires.SubscriberWire))

    async def _log_in(self, wire: Wire) -> None:
        if self._address.password is not None:
            user = (self._address.user,) if self._address.user is not None else ()
            try:
                await wire.call("AUTH", *user, self._address.password)
            except CancelledError:
                raise
            except Exception as error:
                raise ValueError(_login_refused(str(error))) from None


# What Redis begins with when it refuses a login. What follows is not shown: it may quote what was sent.
_REFUSAL = re.compile(
    r"WRONGPASS|NOAUTH|NOPERM|LOADING|MASTERDOWN|CLUSTERDOWN|MOVED|DENIED|ERR Client sent AUTH|ERR AUTH|"
    r"ERR invalid password|ERR wrong number of arguments"
)


def _login_refused(reason: str) -> str:
    """Return why a login was refused, without what it was made with, of which a server may quote any part."""
    found = _REFUSAL.match(reason)
    what = found[0] if found else "what answers does not take AUTH"
    return f"{what}, at the login: see the user and the password in MCP_ECHO_STORE"


async def eviction_policy(wire: Wire) -> str | None:
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
    from twisted.internet.ssl import optionsForClientTLS, platformTrust

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
