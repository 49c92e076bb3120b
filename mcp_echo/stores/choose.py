"""Where the sessions of a daemon live, as one setting says, and the life of what keeps them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from mcp_echo.auth.sealed import Seal
from mcp_echo.cluster.engine import Engine, EngineRefused, RecordLimits, Secret, SecretKept
from mcp_echo.cluster.store import ACKNOWLEDGE, HEARTBEAT, SharedStore
from mcp_echo.cluster.traces import SharedTraces
from mcp_echo.host.listening import StartError
from mcp_echo.sessions.limits import share_of
from mcp_echo.settings.table import ConfigError, Settings
from mcp_echo.stores.health import SESSIONS, TRACES, Purpose
from mcp_echo.stores.redis.address import INSTALL

MEMORY = "memory:"


def open_engine(reactor: IReactorTime, settings: Settings, node: str) -> Engine | None:
    """Return the engine that keeps sessions, not started yet; None where they live in this process.

    Args:
        reactor: Runs it.
        settings: ``store`` chooses it.
        node: The name of this process.

    Raises:
        ConfigError: The address cannot be used, or its library is missing.
    """
    limits = RecordLimits(
        settings.max_sessions,
        settings.max_sessions_per_principal,
        share_of(settings.max_sessions_per_address, settings.max_sessions),
    )
    return _open(reactor, settings.store, limits, node, SESSIONS)


def open_trace_engine(reactor: IReactorTime, settings: Settings, node: str) -> Engine | None:
    """Return the engine that keeps traces, beside the sessions; see `open_engine`.

    Each trace has room for all that it may keep, so that all of them together never take more than they may.
    """
    most = min(settings.traces, max(1, settings.max_trace_bytes // settings.trace_bytes))
    return _open(reactor, settings.store, RecordLimits(most), node, TRACES)


def _open(
    reactor: IReactorTime, store: str, limits: RecordLimits, node: str, purpose: Purpose
) -> Engine | None:
    if store == MEMORY:
        return None
    # Each only where it is wanted: Redis needs a library that not everybody has.
    try:
        if store.startswith("sqlite:"):
            from mcp_echo.stores.sqlite.engine import SqliteEngine

            return SqliteEngine(reactor, store, limits, node, purpose=purpose)
        from mcp_echo.stores.redis.engine import RedisEngine

        return RedisEngine(reactor, store, limits, node, purpose=purpose)
    except ImportError as error:
        raise ConfigError(
            f"MCP_ECHO_STORE: Redis needs libraries that are not there ({error}): {INSTALL}"
        ) from None
    except EngineRefused as error:
        raise ConfigError(f"MCP_ECHO_STORE: {error}") from None


class TraceService(Service):
    """Starts and stops what keeps the traces.

    Args:
        engine: Keeps them.
        traces: Is told of what other nodes do.
        key: The operator's key, or None.
        spawn: Starts work that goes on by itself.
    """

    def __init__(
        self,
        engine: Engine,
        traces: SharedTraces,
        key: str | None,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self._engine = engine
        self._traces = traces
        self._key = key
        self._spawn = spawn

    def startService(self) -> None:
        """Open what is to be opened, and begin.

        Raises:
            StartError: It cannot be used.
        """
        super().startService()
        try:
            self._engine.open()
        except EngineRefused as error:
            raise StartError(f"MCP_ECHO_STORE: {error}") from None
        self._engine.start(self._traces)
        self._spawn(self._traces.begin(None if self._key is None else self._key.encode()))

    def stop(self) -> Deferred[None]:
        """Keep what waits, and stop; called once no request is recorded any more."""
        return Deferred.fromCoroutine(self._traces.stop())


class StoreService(Service):
    """Starts and stops what keeps the sessions, and gives it its beat.

    Args:
        clock: Times the beat.
        store: The store.
        seal: Gets the key that all nodes share, unless the operator has given one.
        key: The operator's key, or None.
        spawn: Starts work that goes on by itself.
    """

    _log = Logger("mcp_echo")

    def __init__(
        self,
        clock: IReactorTime,
        store: SharedStore,
        seal: Seal,
        key: str | None,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self._store = store
        self._seal = seal
        self._key = key
        self._spawn = spawn
        self._beats = [
            (LoopingCall(self._do, store.maintenance.beat), HEARTBEAT),
            (LoopingCall(self._do, store.maintenance.acknowledge), ACKNOWLEDGE),
        ]
        for beat, _ in self._beats:
            beat.clock = clock

    def startService(self) -> None:
        """Open what is to be opened, and begin.

        Raises:
            StartError: It cannot be used.
        """
        super().startService()
        engine = self._store.engine
        try:
            engine.open()
        except EngineRefused as error:
            raise StartError(f"MCP_ECHO_STORE: {error}") from None
        engine.start(self._store)
        for beat, interval in self._beats:
            # It ends only when the service stops: `_do` lets nothing out.
            beat.start(interval, now=False)
        if self._key is None:
            self._spawn(self._share_key())

    async def _share_key(self) -> None:
        """Seal with one key on all nodes, so that any of them can go on where another began."""
        secret = Secret(Seal.new_key())
        kept = await self._store.surely(lambda: self._store.engine.submit(secret))
        if isinstance(kept, SecretKept):
            self._seal.use(kept.value)

    def _do(self, work: Callable[[], None]) -> None:
        # An exception would end the LoopingCall.
        try:
            work()
        except Exception:
            self._log.failure("Looking after the shared sessions failed")

    def stop(self) -> Deferred[None]:
        """Keep what is still to be kept, and stop; called once no request needs the store any more."""
        for beat, _ in self._beats:
            if beat.running:
                beat.stop()
        return Deferred.fromCoroutine(self._store.stop())
