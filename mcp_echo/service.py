"""Putting the parts together: settings to a running service. The one module that knows every part."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, cast

from twisted.application.service import MultiService, Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IListeningPort, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from mcp_echo.auth.sealed import Seal
from mcp_echo.cluster.budget import SharedBudget
from mcp_echo.cluster.bus import SharedSubscriptions
from mcp_echo.cluster.cached_session import CachedSession
from mcp_echo.cluster.engine import Engine
from mcp_echo.cluster.repository import StoreHooks
from mcp_echo.cluster.store import Runtime, SharedStore
from mcp_echo.cluster.stream_log import Bounds
from mcp_echo.cluster.traces import SharedTraces
from mcp_echo.eras.methods import Methods
from mcp_echo.eras.running import InMemory, InTransactions, Runner
from mcp_echo.eras.server import Server
from mcp_echo.host.clocks import CLOCKS, Clocks
from mcp_echo.host.listening import STOP_MARGIN, Place, endpoint, endpoint_description, metrics_description
from mcp_echo.host.logs import FailureCount, on_terminal
from mcp_echo.host.notify import Notices
from mcp_echo.host.private_file import PrivateFile
from mcp_echo.host.start import Start
from mcp_echo.host.trace_file import read_named
from mcp_echo.metrics.exposition import MetricsSite, Scrapes
from mcp_echo.metrics.figures import Sources, registry_of
from mcp_echo.offer.offer import Offer, diagnostic_offer
from mcp_echo.offer.trace_resources import news_of_traces
from mcp_echo.protocol.revisions import Supported
from mcp_echo.protocol.session_ids import new_node, node_tag
from mcp_echo.sessions.budget import StateBudget
from mcp_echo.sessions.event_log import EventLog
from mcp_echo.sessions.key import SessionKey
from mcp_echo.sessions.limits import Limits, share_of
from mcp_echo.sessions.memory import MemoryStore
from mcp_echo.sessions.session import Session
from mcp_echo.sessions.store import Clock, EndReason, SessionStore, StoreLimits
from mcp_echo.sessions.subscriptions import Subscriptions
from mcp_echo.sessions.tombstones import Life, Tombstones
from mcp_echo.settings.load import Effective
from mcp_echo.settings.table import ConfigError, Settings
from mcp_echo.stores.choose import StoreService, TraceService, open_engine, open_trace_engine
from mcp_echo.tools.base import ServerContext
from mcp_echo.tools.handles import handle_of, state_uris
from mcp_echo.tools.machine import Machine
from mcp_echo.transport.edge.site import EchoSite
from mcp_echo.transport.faults.seam import FaultSeam
from mcp_echo.transport.guards import Guards
from mcp_echo.transport.health import Health
from mcp_echo.transport.lag import ReactorLag
from mcp_echo.transport.landing import Landing
from mcp_echo.transport.oauth.assembly import OAuth, Outside, oauth_of, outside
from mcp_echo.transport.ports import Listener, MetricsPort
from mcp_echo.transport.streamable_http import StreamableHttp
from mcp_echo.transport.streams import Streams
from mcp_echo.transport.timers import ReactorTimers
from mcp_echo.transport.trace_routes import TraceRoutes
from mcp_echo.watch.insight import LOOK_SECONDS, Insight, has_traces
from mcp_echo.watch.journal import Journal
from mcp_echo.watch.observer import Observer, Watch
from mcp_echo.watch.request_log import RequestLog
from mcp_echo.watch.seen import SessionEvent
from mcp_echo.watch.tally import Tally
from mcp_echo.watch.traces import Trace, new_key
from mcp_echo.workers.assignment import Assignment
from mcp_echo.workers.worker import shared_endpoint


class Sweeper(Service):
    """Does something again and again while the service runs, whatever comes of it.

    Args:
        clock: Times it.
        sweep: What is done.
        what: What that is, for the log.
        interval: Seconds between two times.
    """

    _log = Logger("mcp_echo")

    def __init__(self, clock: IReactorTime, sweep: Callable[[], object], what: str, interval: float) -> None:
        self._sweep = sweep
        self._what = what
        self._interval = interval
        self._loop = LoopingCall(self._once)
        self._loop.clock = clock

    def startService(self) -> None:
        """Do it every interval from now on."""
        super().startService()
        # The loop ends only when the service stops: `_once` lets nothing out.
        self._loop.start(self._interval, now=False)

    def stopService(self) -> None:
        """Do it no more."""
        super().stopService()
        if self._loop.running:
            self._loop.stop()

    def _once(self) -> None:
        # An exception would end the LoopingCall, and what is swept would pile up from then on.
        try:
            self._sweep()
        except Exception:
            self._log.failure(
                "The {what} failed; it runs again in {interval:g} s",
                what=self._what,
                interval=self._interval,
            )


class EchoService(MultiService):
    """The whole server as one service.

    Args:
        reactor: Runs it.
        effective: The settings and where they came from.
        clocks: What it reads the time from.
        environ: Where a service manager has left word.
        engine: Keeps the sessions; None for what the settings name.
        trace_engine: Keeps the traces; None for what the settings name.
        world: Where keys are made, and documents are fetched from; None for what the reactor has.

    Raises:
        ConfigError: A setting is not possible together with the others or on this machine.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        effective: Effective,
        *,
        clocks: Clocks = CLOCKS,
        environ: Mapping[str, str] = MappingProxyType({}),
        engine: Engine | None = None,
        trace_engine: Engine | None = None,
        world: Outside | None = None,
    ) -> None:
        super().__init__()
        settings = effective.settings
        self._reactor = reactor
        self._effective = effective
        self._clocks = clocks
        self._limits = Limits(settings)
        self._drain_timeout = settings.drain_timeout
        self._keeping: StoreService | None = None
        self.journal = Journal(
            Logger("mcp_echo"),
            settings.debug or settings.log_level == "DEBUG",
            settings.reveal_secrets,
            effective.secrets,
            lambda session_id: self.store.knows(session_id),
        )
        node = new_node(settings.node)
        self.engine = open_engine(reactor, settings, node) if engine is None else engine
        self.tally = Tally() if settings.metrics_port is not None else None
        self._offer = _offer(settings)
        tag = node_tag(node)
        self.tombstones = Tombstones(settings.tombstones, tag, clocks.wall, alone=self.engine is None)
        self.trace_service: TraceService | None = None
        self.insight = self._insight(settings, node, trace_engine) if has_traces(settings) else None
        self.oauth = self._oauth(outside(reactor) if world is None else world)
        observers = self._observers()
        self.watch = Watch(observers, clocks.now, self.journal.failure, bodies=self.journal.verbose)
        self.store: SessionStore
        if self.engine is None:
            self._build_alone(node)
        else:
            self._build_shared(self.engine)
        if self.trace_service is not None:
            # After that of the sessions, which says first what is wrong with the store.
            self.trace_service.setServiceParent(self)
        if self.insight is not None:
            subscriptions = self.context.subscriptions
            self.insight.traces.changed = news_of_traces(subscriptions)
            self.insight.tools_changed = lambda session_id: subscriptions.announce(session_id, ("tools",))
            self.insight.tools = self._offer.tools.keys()
        self.health = Health(self.context)
        if self.tally is not None:
            self.tally.expect(self.server.methods, self._offer.tools, self.server.supported.names)
        self.streams = Streams(reactor, settings.keepalive_interval, self.watch, settings.stall_timeout / 2)
        try:
            self.http = StreamableHttp(
                server=self.server,
                settings=settings,
                health=self.health,
                streams=self.streams,
                journal=self.journal,
                traces=self._trace_routes(self.oauth),
                landing=Landing(settings, self.insight),
                oauth=self.oauth,
            )
        except ValueError as error:
            raise ConfigError(str(error)) from None
        self.site = EchoSite(self.http, reactor, settings, watch=self.watch)
        self.listener: Listener | None = None
        self._own_trace: PrivateFile | None = None
        self.is_first = True
        """Whether it is the first of several workers, or the only one; what all have in common it says."""
        self.metrics: MetricsPort | None = None
        self.notices = Notices(reactor, environ, self.status)
        self._sweep()

    def _observers(self) -> tuple[Observer, ...]:
        """Return who is told of what passes; the recorder first, since others say what it finds."""
        told = (
            None if self.insight is None else self.insight.recorder.see,
            self.journal.see,
            None if self.tally is None else self.tally.see,
            self._request_log(self._effective.settings),
        )
        return tuple(observer for observer in told if observer is not None)

    def _sweep(self) -> None:
        """Have sessions expire, and traces looked at, while the service runs."""
        every = self._effective.settings.session_cleanup_interval
        Sweeper(self._reactor, self.store.expire, "session cleanup", every).setServiceParent(self)
        if self.insight is not None:
            look = Sweeper(self._reactor, self.insight.look, "look at traces", LOOK_SECONDS)
            look.setServiceParent(self)

    def _build_alone(self, node: str) -> None:
        """Make a server whose sessions live in this process."""
        settings, clocks = self._effective.settings, self._clocks
        self.store = MemoryStore(
            self._store_limits(settings),
            clocks.now,
            lambda: EventLog(settings.max_queue_messages, settings.max_queue_bytes),
            ended=self._session_ended,
            budget=StateBudget(settings.max_state_bytes, self.journal.note, self._state_share(settings)),
            node=node,
        )
        # Whoever has the operator's key has nothing else in common with this process than what day it is.
        agreed = clocks.now if settings.state_key is None else clocks.wall
        self.context = self._context(Subscriptions(), agreed)
        self.server = self._server(Seal(agreed, settings.state_key), InMemory())

    def _build_shared(self, engine: Engine) -> None:
        """Make a server whose sessions an engine keeps."""
        settings = self._effective.settings
        store = SharedStore(
            engine,
            self._store_limits(settings),
            bounds=Bounds(settings.max_queue_messages, settings.max_queue_bytes),
            budget=SharedBudget(
                settings.max_state_bytes, engine, self.journal.note, self._state_share(settings)
            ),
            runtime=Runtime(self._clocks.now, ReactorTimers(self._reactor), self._spawn),
            hooks=StoreHooks(
                self._shared_session_ended,
                lambda handle: subscriptions.echoed(state_uris(handle)),
                self.journal.note,
            ),
        )
        store.bus.buried = self.tombstones.bury
        subscriptions = SharedSubscriptions(store.bus, handle_of)
        self.store = store
        self.context = self._context(subscriptions, store.agreed_now)
        seal = Seal(store.agreed_now, settings.state_key)
        self.server = self._server(seal, InTransactions(store, self._spawn))
        self._keeping = StoreService(self._reactor, store, seal, settings.state_key, self._spawn)
        self._keeping.setServiceParent(self)

    def _request_log(self, settings: Settings) -> Observer | None:
        """Return what writes a line for each exchange; None where none would be written.

        A debug log has each exchange whole.
        """
        if settings.access_log == "off" or self.journal.verbose or settings.log_level != "INFO":
            return None
        everything = settings.access_log == "on" or on_terminal(settings)
        return RequestLog(Logger("mcp_echo"), self._reactor.callLater, everything=everything).see

    @staticmethod
    def _store_limits(settings: Settings) -> StoreLimits:
        return StoreLimits(
            settings.session_timeout,
            settings.max_sessions,
            settings.max_sessions_per_principal,
            share_of(settings.max_sessions_per_address, settings.max_sessions),
        )

    @staticmethod
    def _state_share(settings: Settings) -> int:
        return share_of(settings.max_state_bytes_per_client, settings.max_state_bytes)

    def _context(self, subscriptions: Subscriptions, agreed: Clock) -> ServerContext:
        now, wall = self._clocks
        return ServerContext(
            effective=self._effective,
            store=self.store,
            machine=Machine(),
            now=now,
            wall=wall,
            started=now(),
            subscriptions=subscriptions,
            spawn=self._spawn,
            limits=self._limits,
            tombstones=self.tombstones,
            insight=self.insight,
            tokens=None if self.oauth is None else self.oauth.guard,
            agreed=agreed,
        )

    def _insight(self, settings: Settings, node: str, engine: Engine | None) -> Insight:
        named = () if settings.trace_file is None else read_named(settings.trace_file, new_key)
        engine = engine or open_trace_engine(self._reactor, settings, node)
        if engine is None:
            insight = Insight(settings, node, self._clocks)
            insight.begin((settings.state_key or Seal.new_key().hex()).encode())
        else:
            insight = self._shared_insight(settings, engine)
        for label, trace_id in named:
            insight.store.stand(insight.traces.standing(label, trace_id), lambda _: None)
        return insight

    def _shared_insight(self, settings: Settings, engine: Engine) -> Insight:
        runtime = Runtime(self._clocks.now, ReactorTimers(self._reactor), self._spawn)
        insight = Insight(
            settings,
            engine.node,
            self._clocks,
            lambda traces: SharedTraces(engine, traces, runtime, self._clocks.wall),
        )
        shared = cast(SharedTraces, insight.store)
        shared.began = insight.begin
        self.trace_service = TraceService(engine, shared, settings.state_key, self._spawn)
        return insight

    def _oauth(self, world: Outside) -> OAuth | None:
        settings = self._effective.settings
        if self.insight is not None:
            try:
                return oauth_of(self.insight, settings, world)
            except ValueError as error:
                raise ConfigError(str(error)) from None
        if settings.challenge == "on":
            raise ConfigError(
                "MCP_ECHO_CHALLENGE cannot be on while MCP_ECHO_WATCH is off: there are no traces then, and "
                "what an authorization server keeps is in one"
            )
        return None

    def _trace_routes(self, oauth: OAuth | None) -> TraceRoutes | None:
        if self.insight is None or oauth is None:
            return None
        settings = self._effective.settings
        seam = FaultSeam(self.insight, oauth, Guards(settings), self._reactor)
        seam.broken = lambda http, failure: self.journal.failure(
            "A fault failed", failure=failure, secrets=http.secrets()
        )
        routes = TraceRoutes(self.insight, settings, self._reactor, oauth.legs, seam)
        self.streams.also_stop.append(routes.stop)
        return routes

    def _server(self, seal: Seal, runner: Runner) -> Server:
        methods = Methods(self.context, self._offer, _supported(self.context.settings))
        return Server(methods, self.journal, ReactorTimers(self._reactor), seal, runner)

    def listen(self, place: Place) -> None:
        """Serve at a place while the service runs; see `Listener`."""
        self.listener = Listener(
            place,
            self.site,
            self._drain_timeout,
            health=self.health,
            streams=self.streams,
            listening=partial(self._listening, place),
        )
        self.listener.setServiceParent(self)

    def _listening(self, place: Place, port: IListeningPort) -> None:
        self.notices.ready()
        start = Start(self._effective.settings, place.description, port.getHost())
        if not place.quiet:
            start.announce()
        if self.insight is not None and self.is_first:
            self.insight.when_plain(partial(self._tell_of_own_trace, start))

    def _tell_of_own_trace(self, start: Start, trace: Trace) -> None:
        """Tell the operator, and nobody else, where it is shown what comes to /mcp."""
        self._own_trace = start.tell_trace(trace.id)

    def show_metrics(self, place: Place) -> None:
        """Show the figures at a place while the service runs; see `MetricsPort`.

        Only for a service whose settings have a metrics port: another one counts nothing.
        """
        lag, failures = ReactorLag(self._reactor), FailureCount()
        tally = cast(Tally, self.tally)
        sources = Sources(self.context, tally, self.streams, self.site, lag.lateness, failures)
        site = MetricsSite(Scrapes(registry_of(sources)), self._reactor, self.context.settings)
        self.metrics = MetricsPort(place, site, self._drain_timeout, lag, failures)
        self.metrics.setServiceParent(self)

    def hurry(self) -> None:
        """Wait for no connection any more."""
        for port in (self.listener, self.metrics):
            if port is not None:
                port.hurry()

    def rotated(self) -> None:
        """Do nothing about a new log file: this process alone writes to it."""

    def status(self) -> str:
        """Return what the server does now, in one line."""
        doing = "Draining" if self.health.draining else "Serving"
        return f"{doing}: {len(self.store)} sessions, {len(self.streams)} streams"

    def stopService(self) -> Deferred[Any]:
        """Stop; the service manager hears from the server until it has."""
        self.notices.stopping(self._drain_timeout + STOP_MARGIN)
        stopped: Deferred[Any] = super().stopService()
        # After the last request.
        for keeping in (self.trace_service, self._keeping):
            if keeping is not None:
                stopped.addBoth(self._stop_keeping, keeping)
        return stopped.addBoth(self._stopped)

    def _stop_keeping(self, outcome: object, keeping: StoreService | TraceService) -> Deferred[object]:
        return keeping.stop().addBoth(lambda _: outcome)

    def _stopped(self, outcome: object) -> object:
        if self._own_trace is not None:
            self._own_trace.remove()
        self.notices.stopped()
        return outcome

    def _spawn(self, work: Coroutine[Any, Any, None]) -> Callable[[], None]:
        running = Deferred.fromCoroutine(work)
        running.addErrback(self._spawned_failed)
        return running.cancel

    def _spawned_failed(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self.journal.failure("Work in the background failed", failure=failure)

    def _session_ended(self, session: Session, reason: EndReason) -> None:
        self.tombstones.bury(session.key, Life.of(session, self.store.node, self._clocks.now()), reason)
        self._ended(session.id, session.client.name, session.revision.name, reason)

    def _shared_session_ended(self, session_id: str, reason: EndReason, cached: CachedSession | None) -> None:
        if cached is not None:
            age = self.context.agreed_now - cached.created / 1000
            life = Life(cached.stored.minted, age, None, cached.stored.timeout / 1000)
            self.tombstones.bury(SessionKey(cached.id, cached.owner, cached.handle), life, reason)
        self._ended(session_id, None, None if cached is None else cached.stored.revision, reason)

    def _ended(self, session_id: str, client: str | None, revision: str | None, reason: EndReason) -> None:
        self.server.legacy.session_ended(session_id)
        event = SessionEvent("end", self.watch.now(), session_id, client, revision, reason)
        self.watch.tell(event)


def build(reactor: IReactorTime, effective: Effective, assignment: Assignment | None = None) -> EchoService:
    """Return the service that the settings describe, ready to be started.

    Args:
        reactor: Runs it.
        effective: The settings and where they came from.
        assignment: This process's, if it is one of several workers: it serves on the port that its parent
            holds, and shows its figures to its parent.

    Raises:
        ConfigError: A setting is not possible.
    """
    whole = EchoService(reactor, effective, environ=os.environ)
    whole.is_first = assignment is None or assignment.number == 1
    settings, stop = effective.settings, cast(Any, reactor).stop
    description, scraped = endpoint_description(settings), metrics_description(settings)
    if assignment is None:
        port = endpoint(reactor, description, "MCP_ECHO_PORT")
    else:
        port = shared_endpoint(reactor, description, "MCP_ECHO_PORT", lambda: whole.site.connections)
        scraped = scraped and f"unix:{assignment.metrics}:lockfile=0"
    quiet = assignment is not None
    whole.listen(Place(port, description, stop, quiet))
    if scraped is not None:
        whole.show_metrics(Place(endpoint(reactor, scraped, "MCP_ECHO_METRICS_PORT"), scraped, stop, quiet))
    return whole


def _offer(settings: Settings) -> Offer:
    offer = diagnostic_offer(settings)
    if not settings.conformance:
        return offer
    from mcp_echo.fixtures import sets

    try:
        return sets.add(offer, settings.conformance)
    except ValueError as error:
        raise ConfigError(f"MCP_ECHO_CONFORMANCE: {error}") from None


def _supported(settings: Settings) -> Supported:
    try:
        return Supported(settings.protocol_versions_supported, settings.protocol_version)
    except ValueError as error:
        raise ConfigError(
            f"MCP_ECHO_PROTOCOL_VERSIONS_SUPPORTED, MCP_ECHO_PROTOCOL_VERSION: {error}"
        ) from None
