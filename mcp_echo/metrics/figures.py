"""The figures of the server for Prometheus, on a port of their own.

https://prometheus.io/docs/instrumenting/exposition_formats/ and https://prometheus.io/docs/specs/om/open_metrics_spec/

Nothing is counted here: what is shown is read from the parts of the server when somebody scrapes. No label
holds anything that a client can choose.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, NamedTuple, Protocol

from prometheus_client import GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector, CollectorRegistry
from prometheus_client.utils import floatToGoString

from mcp_echo import __version__
from mcp_echo.tools.base import ServerContext
from mcp_echo.transport.edge.site import EchoSite
from mcp_echo.transport.streams import Streams
from mcp_echo.watch.tally import Answered, Histogram, Tally

PREFIX = "mcp_echo_"

BREAKER_STATES = ("closed", "open", "half-open")

Values = float | Mapping[str, float] | Mapping[tuple[str, ...], float]
"""A number; or several, each by the value of its label, or by those of all its labels in their order."""


class Figure(NamedTuple):
    """One metric: its name without `PREFIX` and suffix, what it says, and what it is told apart by."""

    name: str
    help: str
    labels: tuple[str, ...] = ()


REQUESTS = Figure(
    "requests",
    "JSON-RPC requests, by what they asked for and how they were answered. status is the HTTP status that "
    "goes with the answer, or cancelled; error is the JSON-RPC error code, empty for a result.",
    ("method", "tool", "revision", "era", "status", "error"),
)
REQUEST_SECONDS = Figure(
    "request_seconds",
    "Seconds from the arrival of a JSON-RPC request to its answer or cancellation; of a subscription, to its "
    "beginning.",
    ("method",),
)
REQUESTS_LIMITED = Figure(
    "requests_limited",
    "Requests refused because their client has or asks for too much: calls_too_fast (MCP_ECHO_CALL_RATE), "
    "in_flight (MCP_ECHO_MAX_REQUESTS_IN_FLIGHT), streams (MCP_ECHO_MAX_STREAMS_PER_SESSION).",
    ("reason",),
)
HELD_BYTES = Figure(
    "held_bytes", "Bytes that waiting requests and open streams are counted with (MCP_ECHO_MAX_HELD_BYTES)."
)
HELD_REFUSED = Figure(
    "held_refused",
    "Requests and streams refused because no more may be held: full (MCP_ECHO_MAX_HELD_BYTES), client "
    "(MCP_ECHO_MAX_HELD_BYTES_PER_CLIENT).",
    ("reason",),
)
FINDINGS = Figure(
    "findings", "Rules that clients, gateways and browsers did not keep, by the rule's id.", ("rule",)
)
HTTP_REFUSED = Figure(
    "http_refused",
    "HTTP requests answered with an error before a JSON-RPC message was looked at, by HTTP status.",
    ("status",),
)
SESSIONS = Figure(
    "sessions",
    "Sessions that live now, on all nodes of the store: session for those of the protocol, handle for state "
    "named by a handle.",
    ("kind",),
)
SESSIONS_LIMIT = Figure(
    "sessions_limit", "Sessions and handles that may live at once (MCP_ECHO_MAX_SESSIONS)."
)
SESSIONS_CREATED = Figure("sessions_created", "Sessions and handles made here.")
SESSIONS_ENDED = Figure(
    "sessions_ended",
    "Sessions and handles that have ended here: expired, closed, or displaced (never used, they gave way to "
    "new ones).",
    ("reason",),
)
SESSIONS_REFUSED = Figure(
    "sessions_refused",
    "Sessions and handles not made: full (MCP_ECHO_MAX_SESSIONS), principal "
    "(MCP_ECHO_MAX_SESSIONS_PER_PRINCIPAL), address (MCP_ECHO_MAX_SESSIONS_PER_ADDRESS), too_fast "
    "(MCP_ECHO_INITIALIZE_RATE).",
    ("reason",),
)
SESSION_LIFETIME = Figure(
    "session_lifetime_seconds", "Seconds from creation to end, of all ended sessions together."
)
STREAMS = Figure(
    "streams",
    "Event streams that are connected now: listening (GET, or /sse), answer, subscription.",
    ("kind",),
)
STREAM_EVENTS = Figure("stream_events", "Messages written to event streams.")
STREAM_BYTES = Figure("stream_bytes", "Bytes of the events that carried those messages.")
QUEUED = Figure("messages_queued", "Messages put in the queues of sessions and streams.")
DROPPED = Figure(
    "messages_dropped",
    "Messages lost before any stream took them: pushed_out (by later ones, or nobody was left to read them), "
    "too_large (MCP_ECHO_MAX_QUEUE_BYTES), no_room (MCP_ECHO_MAX_STATE_BYTES), client "
    "(MCP_ECHO_MAX_STATE_BYTES_PER_CLIENT).",
    ("reason",),
)
WAITING = Figure("queue_messages", "Messages in all queues that no stream has taken yet.")
QUEUE_BYTES = Figure("queue_bytes", "Bytes of messages in all queues, those kept for resuming included.")
STATE_BYTES = Figure(
    "state_bytes",
    "Bytes that count against the limit: queues for messages, echoes for last echoes.",
    ("kind",),
)
STATE_LIMIT = Figure("state_limit_bytes", "Bytes they may take together (MCP_ECHO_MAX_STATE_BYTES).")
ECHOES_REFUSED = Figure(
    "echoes_refused",
    "Echoes not kept for replay because there was no room: full (MCP_ECHO_MAX_STATE_BYTES), client "
    "(MCP_ECHO_MAX_STATE_BYTES_PER_CLIENT).",
    ("reason",),
)
STORE = Figure("store", "Where sessions live, and the name of this process among those that share them.")
STORE_AVAILABLE = Figure("store_available", "1 while the session store keeps what it is given, else 0.")
STORE_BREAKER = Figure(
    "store_breaker",
    "1 for the state that the circuit breaker of the store is in: closed, open (operations are refused "
    "without being tried), half-open (one is being tried).",
    ("state",),
)
STORE_LATENCY = Figure(
    "store_latency_seconds",
    "Seconds that the store took for the last batch of operations; 0 while none was measured.",
)
STORE_FAILURES = Figure("store_failures", "Batches of operations that the store has failed.")
STALLS = Figure(
    "stalls", "Connections dropped because their client took nothing of what waited (MCP_ECHO_STALL_TIMEOUT)."
)
CONNECTIONS = Figure("connections", "Connections that are open now; those to this endpoint do not count.")
CONNECTIONS_LIMIT = Figure(
    "connections_limit", "Connections that may be open at once (MCP_ECHO_MAX_CONNECTIONS)."
)
ACCEPTED = Figure("connections_accepted", "Connections that were accepted.")
CONNECTIONS_REFUSED = Figure(
    "connections_refused", "Connections closed at once because there were as many as may be."
)
CONNECTIONS_OVER_SHARE = Figure(
    "connections_over_share",
    "Connections closed at once because their address had as many as it may "
    "(MCP_ECHO_MAX_CONNECTIONS_PER_ADDRESS).",
)
IDLE_CLOSED = Figure(
    "connections_idle_closed", "Connections closed because no request came (MCP_ECHO_IDLE_TIMEOUT)."
)
SWEEPS = Figure("sweeps", "Sweeps for expired sessions.")
SINCE_SWEEP = Figure(
    "last_sweep_age_seconds",
    "Seconds since the last sweep for expired sessions; before the first, since the start.",
)
UPTIME = Figure("uptime_seconds", "Seconds since the server started.")
LAG = Figure("reactor_lag_seconds", "Seconds by which a timer that is due every 0.25 s was late.")
FAILURES = Figure("log_failures", "Unexpected exceptions that were logged with their traceback.")
BUILD = Figure("build", "The versions that run.")


class Failures(Protocol):
    """Counts unexpected exceptions."""

    count: int


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the figures are read."""

    context: ServerContext
    tally: Tally
    streams: Streams
    site: EchoSite
    lateness: Histogram
    failures: Failures


class ServerCollector(Collector):
    """Reads the figures of a server.

    Args:
        sources: Where.
    """

    def __init__(self, sources: Sources) -> None:
        self._from = sources

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        yield from self._requests()
        yield from self._sessions()
        yield from self._messages()
        yield from self._store()
        yield from self._machinery()

    def _requests(self) -> Iterator[Metric]:
        tally = self._from.tally
        yield counter(REQUESTS, {_shown(labels): count for labels, count in tally.requests.items()})
        yield histogram(
            REQUEST_SECONDS, {(method or "none",): each for method, each in tally.durations.items()}
        )
        limited = self._from.context.limits.refused
        reasons = {
            "calls_too_fast": limited.calls_too_fast,
            "in_flight": limited.in_flight,
            "streams": limited.streams,
        }
        yield counter(REQUESTS_LIMITED, reasons)
        held = self._from.context.limits.held
        yield gauge(HELD_BYTES, held.total)
        yield counter(HELD_REFUSED, {"full": held.refused, "client": held.refused_to_holders})
        insight = self._from.context.insight
        yield counter(FINDINGS, {} if insight is None else dict(insight.found))
        yield counter(HTTP_REFUSED, {str(status): count for status, count in tally.refused.items()})

    def _sessions(self) -> Iterator[Metric]:
        store = self._from.context.store
        statistics = store.statistics
        handles = store.handles
        yield gauge(SESSIONS, {"session": len(store) - handles, "handle": handles})
        yield gauge(SESSIONS_LIMIT, store.limit)
        yield counter(SESSIONS_CREATED, statistics.created)
        ended = {
            "expired": statistics.expired,
            "closed": statistics.closed,
            "displaced": statistics.displaced,
        }
        yield counter(SESSIONS_ENDED, ended)
        refused = {
            "full": statistics.refused,
            "principal": statistics.refused_to_principals,
            "address": statistics.refused_to_addresses,
            "too_fast": self._from.context.limits.refused.sessions_too_fast,
        }
        yield counter(SESSIONS_REFUSED, refused)
        yield counter(SESSION_LIFETIME, statistics.lifetime_seconds)
        yield counter(SWEEPS, statistics.sweeps)
        before = self._from.context.started if statistics.last_sweep is None else statistics.last_sweep
        yield gauge(SINCE_SWEEP, self._from.context.now() - before)

    def _messages(self) -> Iterator[Metric]:
        streams, store = self._from.streams, self._from.context.store
        budget, holdings = store.budget, store.holdings
        yield gauge(STREAMS, streams.by_kind())
        yield counter(STREAM_EVENTS, streams.written.events)
        yield counter(STREAM_BYTES, streams.written.bytes)
        yield counter(QUEUED, budget.messages_queued)
        lost = {"too_large": budget.messages_too_large, "no_room": budget.messages_refused}
        lost["client"] = budget.messages_refused_to_holders
        lost["pushed_out"] = budget.messages_dropped - sum(lost.values())
        yield counter(DROPPED, lost)
        yield gauge(WAITING, holdings.waiting)
        yield gauge(QUEUE_BYTES, holdings.queues)
        yield gauge(STATE_BYTES, {"queues": holdings.queues, "echoes": holdings.echoes})
        yield gauge(STATE_LIMIT, budget.limit)
        refused = {"full": budget.echoes_refused, "client": budget.echoes_refused_to_holders}
        yield counter(ECHOES_REFUSED, refused)

    def _store(self) -> Iterator[Metric]:
        store = self._from.context.store
        health = store.health()
        yield InfoMetricFamily(PREFIX + STORE.name, STORE.help, {"kind": health.kind, "node": store.node})
        yield gauge(STORE_AVAILABLE, health.available)
        yield gauge(STORE_BREAKER, {state: health.breaker == state for state in BREAKER_STATES})
        yield gauge(STORE_LATENCY, health.latency or 0)
        yield counter(STORE_FAILURES, health.failures)

    def _machinery(self) -> Iterator[Metric]:
        site = self._from.site
        yield counter(STALLS, site.counts.stalls)
        yield gauge(CONNECTIONS, site.connections)
        yield gauge(CONNECTIONS_LIMIT, site.max_connections)
        yield counter(ACCEPTED, site.counts.connections_accepted)
        yield counter(CONNECTIONS_REFUSED, site.counts.connections_refused)
        yield counter(CONNECTIONS_OVER_SHARE, site.counts.connections_over_share)
        yield counter(IDLE_CLOSED, site.counts.idle_closed)
        yield gauge(UPTIME, self._from.context.uptime)
        yield histogram(LAG, {(): self._from.lateness})
        yield counter(FAILURES, self._from.failures.count)
        versions = {
            "version": __version__,
            "python": platform.python_version(),
            "twisted": version("twisted"),
        }
        yield InfoMetricFamily(PREFIX + BUILD.name, BUILD.help, versions)


def _shown(labels: Answered) -> tuple[str, ...]:
    names = (labels.method, labels.tool, labels.revision, labels.era)
    error = "" if labels.error is None else str(labels.error)
    return (*(name or "none" for name in names), str(labels.status), error)


def counter(figure: Figure, values: Values) -> Metric:
    """Return what has been counted, for Prometheus."""
    return _filled(CounterMetricFamily(PREFIX + figure.name, figure.help, labels=figure.labels), values)


def gauge(figure: Figure, values: Values) -> Metric:
    """Return what there is now, for Prometheus."""
    return _filled(GaugeMetricFamily(PREFIX + figure.name, figure.help, labels=figure.labels), values)


def _filled(family: CounterMetricFamily | GaugeMetricFamily, values: Values) -> Metric:
    by_labels: Mapping[Any, float] = values if isinstance(values, Mapping) else {(): values}
    for labels, value in by_labels.items():
        family.add_metric([labels] if isinstance(labels, str) else labels, value)
    return family


def histogram(figure: Figure, values: Mapping[Sequence[str], Histogram]) -> Metric:
    """Return measurements, for Prometheus."""
    family = HistogramMetricFamily(PREFIX + figure.name, figure.help, labels=figure.labels)
    for labels, each in values.items():
        buckets = [(floatToGoString(bound), float(count)) for bound, count in each.cumulative()]
        family.add_metric(labels, buckets, each.sum)
    return family


def registry_of(sources: Sources) -> CollectorRegistry:
    """Return a registry with the figures of the server, of its process and of Python."""
    registry = CollectorRegistry()
    registry.register(ServerCollector(sources))
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry
