"""requestTiming, environmentDump and healthProbe: how the server is doing."""

from __future__ import annotations

import msgspec

from mcp_echo.protocol.texts import exact_moment, milliseconds, size, span
from mcp_echo.redaction import mask, mask_tokens, printable
from mcp_echo.sessions.store import Statistics, StoreHealth
from mcp_echo.settings.load import Effective
from mcp_echo.settings.table import DECLARED, Declared
from mcp_echo.tools.base import SESSION_MADE, Answer, Call, NoArguments, ServerContext, Tool

_UNREADABLE = "not readable on this system"


class RequestTimingResult(msgspec.Struct, rename="camel"):
    """What requestTiming answers; times in seconds, sizes in bytes, None where it cannot be measured."""

    request_start: str
    processing_time: float
    performance: str
    cpu_percent: float | None
    process_memory: int | None
    total_memory: int | None
    active_sessions: int
    message_queue_size: int | None
    session_age: float | None
    session_requests: int | None
    average_response_time: float | None


def _grade(seconds: float) -> tuple[str, str]:
    """Return the sign and word for a processing time; the bounds are where users begin to notice."""
    if seconds < 0.1:
        return "🟢", "Excellent"
    return ("🟡", "Acceptable") if seconds < 1.0 else ("🔴", "Slow")


def request_timing(call: Call, _: NoArguments) -> Answer:
    """Display request performance statistics with session context."""
    context, session = call.context, call.session
    now = context.now()
    processing = now - call.arrived
    sign, grade = _grade(processing)
    result = RequestTimingResult(
        request_start=exact_moment(context.wall() - processing),
        processing_time=processing,
        performance=grade,
        cpu_percent=context.machine.cpu_percent(),
        process_memory=context.machine.process_bytes(),
        total_memory=context.machine.memory_bytes(),
        active_sessions=len(context.store),
        message_queue_size=None if session is None else session.pending,
        session_age=None if session is None else now - session.created,
        session_requests=None if session is None else session.record.requests,
        average_response_time=None if session is None else session.record.average_response_seconds,
    )
    text = (
        "⏱️ Request Timing Analysis\n\n"
        "📊 Performance Metrics:\n"
        f"- Request Start: {result.request_start}\n"
        f"- Processing Time: {milliseconds(processing)}\n"
        f"- Performance: {sign} {grade}\n\n"
        "🖥️ System Resources:\n"
        f"- CPU Usage: {_cpu(result.cpu_percent)}\n"
        f"- Memory Usage: {_memory(result.process_memory, result.total_memory)}\n"
        f"- Active Sessions: {result.active_sessions}\n" + _session_statistics(call, now)
    )
    return Answer(text, result)


def _session_statistics(call: Call, now: float) -> str:
    session = call.session
    if session is None:
        return "\n📈 Session Statistics:\n- none: this request stands alone"
    average = session.record.average_response_seconds
    made = f"- {SESSION_MADE}\n" if call.back_channel.session_made else ""
    return (
        f"- Message Queue Size: {session.pending}\n\n"
        "📈 Session Statistics:\n"
        f"{made}"
        f"- Session Age: {span(now - session.created)}\n"
        f"- Requests in Session: {session.record.requests}\n"
        f"- Average Response Time: {'none yet' if average is None else milliseconds(average)}"
    )


def _cpu(percent: float | None) -> str:
    return _UNREADABLE if percent is None else f"{percent:.1f}% of a core, by this process"


def _memory(process: int | None, total: int | None) -> str:
    if process is None:
        return _UNREADABLE
    if total is None:
        return f"{size(process)} (of a total {_UNREADABLE})"
    return f"{size(process)} / {size(total)} ({100 * process / total:.0f}%)"


REQUEST_TIMING = Tool(
    name="requestTiming",
    title="Request timing",
    description=(
        "Return times (s) and sizes (bytes) of request, process and session. Call it when answers are slow."
    ),
    arguments=NoArguments,
    result=RequestTimingResult,
    run=request_timing,
)


class SettingShown(msgspec.Struct):
    """One setting in force."""

    name: str
    value: str
    origin: str


class StoreShown(msgspec.Struct, rename="camel"):
    """The store of the sessions; latency in seconds, None before the first measurement."""

    kind: str
    address: str
    available: bool
    breaker: str
    latency: float | None
    failures: int
    last_failure: str | None
    reason: str | None
    """Why it is not available; None while it is."""


def shown_store(health: StoreHealth) -> StoreShown:
    """Return how the store is doing, as answers show it."""
    shown = StoreShown(*health)
    for name in ("address", "last_failure", "reason"):
        if text := getattr(shown, name):
            setattr(shown, name, mask_tokens(text))
    return shown


def _store_text(store: StoreShown) -> str:
    if store.kind == "memory":
        return "memory of this process"
    latency = "not measured yet" if store.latency is None else milliseconds(store.latency)
    state = "" if store.breaker == "closed" else f", breaker {store.breaker}"
    failed = f", {store.failures} failures" if store.failures else ""
    return f"{store.address}, {'available' if store.available else 'NOT AVAILABLE'}{state}, {latency}{failed}"


class EnvironmentDumpResult(msgspec.Struct, rename="camel"):
    """What environmentDump answers."""

    store: StoreShown
    node: str
    settings: list[SettingShown]
    debug: bool
    binary: bool
    compression: bool
    strict: bool
    reveal_secrets: bool


def environment_dump(call: Call, _: NoArguments) -> Answer:
    """Show the settings in force and where each came from.

    Only declared settings are shown, never the process's environment, so that nothing else the operator keeps
    there can leak.
    """
    settings = call.context.settings
    shown = effective_settings(call.context.effective)
    store = call.context.store
    result = EnvironmentDumpResult(
        shown_store(store.health()),
        store.node,
        shown,
        settings.debug,
        settings.enable_binary,
        settings.enable_compression,
        settings.strict,
        settings.reveal_secrets,
    )
    text = (
        "🔧 Environment Configuration\n\n"
        "MCP Settings:\n"
        + "".join(f"- {each.name}: {each.value} ({each.origin})\n" for each in shown)
        + "\nSession Store:\n"
        f"- Store: {_store_text(result.store)}\n"
        f"- Node: {result.node}\n"
        "\nFeature Flags:\n"
        f"- Debug Mode: {_enabled(result.debug)}\n"
        f"- Binary Support: {_enabled(result.binary)}\n"
        f"- Compression: {_enabled(result.compression)}\n"
        f"- Strict Mode: {_enabled(result.strict)}\n"
        f"- Secrets Revealed: {_enabled(result.reveal_secrets)}"
    )
    return Answer(printable(text), result)


def effective_settings(effective: Effective) -> list[SettingShown]:
    """Return every setting in force as it was written, secrets masked."""
    return [
        SettingShown(
            each.called,
            _shown_value(each, effective.values[each.name]),
            effective.origins[each.name],
        )
        for each in DECLARED
    ]


def _shown_value(setting: Declared, value: str) -> str:
    if not value:
        return "(not set)"
    return mask(value) if setting.secret else mask_tokens(value)


def _enabled(flag: bool) -> str:
    return "✅ Enabled" if flag else "❌ Disabled"


ENVIRONMENT_DUMP = Tool(
    name="environmentDump",
    title="Environment dump",
    description=(
        "Return every setting and its origin, secrets masked. Call it to check the server's set-up."
    ),
    arguments=NoArguments,
    result=EnvironmentDumpResult,
    run=environment_dump,
)


class HealthProbeResult(msgspec.Struct, rename="camel"):
    """What healthProbe answers; spans in seconds, sizes in bytes, None where there is nothing to measure.

    How many sessions there are, were made, and have ended, and what they hold, is told of all nodes that
    share the store; everything else is this node's.
    """

    status: str
    active_sessions: int
    total_sessions_created: int
    sessions_expired: int
    sessions_closed: int
    sessions_refused: int
    cleanup_runs: int
    since_last_cleanup: float | None
    process_memory: int | None
    session_storage: int
    message_queues: int
    average_session_lifetime: float | None
    session_creation_rate: float
    average_queue_depth: float
    uptime: float
    problems: list[str]
    store: StoreShown
    node: str


def health_probe(call: Call, _: NoArguments) -> Answer:
    """Measure the server: sessions, memory, cleanup. Counts only, never another session's data."""
    result = measure(call.context)
    own = None if call.context.store.counts is None else call.context.store.statistics
    here = "" if own is None else " (this node)"
    lifetime = result.average_session_lifetime
    lived = "no session has ended yet" if lifetime is None else span(lifetime)
    cleanup = result.since_last_cleanup
    status = "✅ Overall Status: HEALTHY" if not result.problems else "⚠️ Overall Status: DEGRADED"
    text = (
        "🏥 System Health Report\n\n"
        f"{status}\n"
        + "".join(f"- Problem: {problem}\n" for problem in result.problems)
        + f"\n📊 Session Statistics{'' if own is None else ' (all nodes)'}:\n"
        f"- Active Sessions: {result.active_sessions}\n"
        f"- Total Sessions Created: {result.total_sessions_created}\n"
        f"- Sessions Expired: {result.sessions_expired}\n"
        + ("" if own is None else _own_text(own))
        + f"- Cleanup Run Count: {result.cleanup_runs}\n"
        f"- Last Cleanup: {'none yet' if cleanup is None else span(cleanup) + ' ago'}\n\n"
        "🗄️ Session Store:\n"
        f"- Store: {_store_text(result.store)}\n"
        f"- Node: {result.node}\n\n"
        "💾 Memory Status:\n"
        f"- Process Memory: {_UNREADABLE if result.process_memory is None else size(result.process_memory)}\n"
        f"- Session Storage: {size(result.session_storage)}\n"
        f"- Message Queues: {size(result.message_queues)}\n\n"
        "⚡ Performance:\n"
        f"- Average Session Lifetime: {lived}{here}\n"
        f"- Session Creation Rate: {result.session_creation_rate:.1f}/min{here}\n"
        f"- Message Queue Depth: {result.average_queue_depth:.1f} avg"
    )
    return Answer(text, result)


def _own_text(own: Statistics) -> str:
    return f"\n📍 This Node:\n- Sessions Created: {own.created}\n- Sessions Expired: {own.expired}\n"


def measure(context: ServerContext) -> HealthProbeResult:
    """Return the figures of a health probe, measured now."""
    store, statistics = context.store, context.store.statistics
    active, holdings, health = len(store), store.holdings, store.health()
    counts = store.counts
    everywhere = statistics if counts is None else counts
    cleanup = None if statistics.last_sweep is None else context.now() - statistics.last_sweep
    problems = _problems(context, active, cleanup)
    return HealthProbeResult(
        status="degraded" if problems else "healthy",
        active_sessions=active,
        total_sessions_created=everywhere.created,
        sessions_expired=everywhere.expired,
        sessions_closed=everywhere.closed,
        sessions_refused=statistics.refused,
        cleanup_runs=statistics.sweeps,
        since_last_cleanup=cleanup,
        process_memory=context.machine.process_bytes(),
        session_storage=holdings.storage,
        message_queues=holdings.queues,
        average_session_lifetime=statistics.average_lifetime,
        session_creation_rate=statistics.created / max(context.uptime / 60, 1.0),
        average_queue_depth=holdings.waiting / max(active, 1),
        uptime=context.uptime,
        problems=problems,
        store=shown_store(health),
        node=store.node,
    )


def _problems(context: ServerContext, sessions: int, since_cleanup: float | None) -> list[str]:
    problems = []
    if sessions >= context.store.limit:
        problems.append(f"All {context.store.limit} sessions that MCP_ECHO_MAX_SESSIONS allows are in use")
    health = context.store.health()
    if not health.available:
        reason = mask_tokens(health.reason or "no answer")
        problems.append(f"The session store keeps nothing, so clients get 503: {reason}")
    budget = context.store.budget
    if not budget.has_room(1):
        problems.append(f"Sessions hold all {budget.limit} bytes that MCP_ECHO_MAX_STATE_BYTES allows")
    interval = context.settings.session_cleanup_interval
    if (context.uptime if since_cleanup is None else since_cleanup) > 2 * interval + 1:
        problems.append(f"The session cleanup is overdue: it should run every {interval:g} s")
    return problems


HEALTH_PROBE = Tool(
    name="healthProbe",
    title="Health probe",
    description=(
        "Return the server's sessions, memory (bytes), times (s) and store. Call it when the server fails."
    ),
    arguments=NoArguments,
    result=HealthProbeResult,
    run=health_probe,
)
