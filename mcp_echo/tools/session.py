"""sessionInfo: what the server knows of the caller's own session, and of no other."""

from __future__ import annotations

import msgspec

from mcp_echo.protocol.texts import moment, size, span, yes
from mcp_echo.redaction import mask_tokens, printable
from mcp_echo.sessions.session import Session
from mcp_echo.tools.auth import PrincipalShown, principal_text, shown_principal
from mcp_echo.tools.base import SESSION_MADE, Answer, Call, Tool
from mcp_echo.tools.handles import SessionArguments, needed_session, with_handle_where_stateless


class ShareShown(msgspec.Struct, rename="camel"):
    """What the caller has of what there is, and how much more it may have."""

    sessions: int
    sessions_left: int
    held_bytes: int
    held_left: int
    state_bytes: int | None
    state_left: int | None
    streams_left: int
    queue_left: int


class SessionInfoResult(msgspec.Struct, rename="camel"):
    """What sessionInfo answers; spans are in seconds."""

    session: str
    label: str | None
    created: str
    last_activity: str
    age: float
    time_until_expiry: float
    total_requests: int
    echo_count: int
    replay_count: int
    pending_messages: int
    dropped_messages: int
    open_streams: int
    initialized: bool
    is_new: bool
    protocol_version: str
    client_name: str | None
    client_version: str | None
    client_capabilities: list[str]
    is_handle: bool
    minted_by: str
    served_by: str
    principal: PrincipalShown
    share: ShareShown
    findings: list[str] | None
    """The ids of the rules that were broken in it, the worst first; None where it is not recorded."""


def session_info(call: Call, arguments: SessionArguments) -> Answer:
    """Display current session information."""
    session = needed_session(call, arguments.session)
    result = describe_session(call, session)
    return Answer(_text(result), result)


def describe_session(call: Call, session: Session) -> SessionInfoResult:
    """Return what the server knows of a session; the client and revision are those of this request."""
    now, wall = call.context.now(), call.context.wall()
    client = call.client
    return SessionInfoResult(
        session=session.id,
        label=session.record.label,
        created=moment(wall - (now - session.created)),
        last_activity=moment(wall - (now - session.last_activity)),
        age=now - session.created,
        time_until_expiry=session.timeout - (now - session.last_activity),
        total_requests=session.record.requests,
        echo_count=session.record.echo_count,
        replay_count=session.record.replay_count,
        pending_messages=session.pending,
        dropped_messages=session.dropped,
        open_streams=session.open_streams,
        initialized=session.record.initialized,
        is_new=session is call.session and call.back_channel.session_made,
        protocol_version=call.revision.name,
        client_name=client.name and mask_tokens(client.name),
        client_version=client.version and mask_tokens(client.version),
        client_capabilities=list(client.capabilities),
        is_handle=session.handle,
        minted_by=session.node or call.context.store.node,
        served_by=call.context.store.node,
        principal=shown_principal(call),
        share=_share(call, session),
        findings=_findings(call, session),
    )


def _findings(call: Call, session: Session) -> list[str] | None:
    insight, trace = call.context.insight, call.request.seen.trace
    # Records name protocol sessions alone.
    if insight is None or trace is None or session.handle:
        return None
    return [each.id for each in insight.report_about_session(trace, session.id, "session").findings]


def _share(call: Call, session: Session) -> ShareShown:
    """Return the caller's share; streams and queue are those of the session."""
    caller, settings, held = call.caller(), call.context.settings, call.context.limits.held
    sessions, most, state, state_left = call.context.store.share(caller.principal, caller.address)
    holds = held.of(call.context.limits.owner(caller.principal, caller.address))
    return ShareShown(
        sessions=sessions,
        sessions_left=max(0, most - sessions),
        held_bytes=holds,
        held_left=min(held.share - holds, held.limit - held.total),
        state_bytes=state,
        state_left=state_left,
        streams_left=max(0, settings.max_streams_per_session - session.log.listeners),
        queue_left=max(0, settings.max_queue_messages - session.pending),
    )


def _share_text(share: ShareShown) -> str:
    state = "bounded for all together, in the session store"
    if share.state_bytes is not None and share.state_left is not None:
        state = f"{size(share.state_bytes)} ({size(share.state_left)} more)"
    return (
        "⚖️ Your Share:\n"
        f"- Sessions: {share.sessions} ({share.sessions_left} more)\n"
        f"- Held by Requests and Streams: {size(share.held_bytes)} ({size(share.held_left)} more)\n"
        f"- Messages and Last Echoes: {state}\n"
        f"- This Session: {share.streams_left} more streams, {share.queue_left} more messages\n\n"
    )


def _findings_text(findings: list[str] | None) -> str:
    if findings is None:
        return ""
    return f"- Findings: {', '.join(findings) or 'none in what was recorded'}\n"


def _text(result: SessionInfoResult) -> str:
    client = "unknown (no name was given in this session)"
    if result.client_name is not None:
        client = result.client_name
        if result.client_version is not None:
            client += f" v{result.client_version}"
    dropped = f" ({result.dropped_messages} dropped)" if result.dropped_messages else ""
    label = f"- Label: {result.label}\n" if result.label is not None else ""
    initialized = "not applicable: state named by a handle, no protocol session"
    if not result.is_handle:
        unheard = "" if result.initialized else " (no notifications/initialized has come in this session)"
        initialized = f"{yes(result.initialized)}{unheard}"
    made = f"- {SESSION_MADE}\n" if result.is_new else ""
    return printable(
        "📊 Session Information\n\n"
        "🔑 Session Details:\n"
        f"- Session ID: {result.session}\n"
        f"{made}"
        f"- Principal: {principal_text(result.principal)}\n"
        f"{label}"
        f"- Made By: {result.minted_by}\n"
        f"- Served By: {result.served_by}\n"
        f"- Created: {result.created}\n"
        f"- Last Activity: {result.last_activity}\n"
        f"- Age: {span(result.age)}\n"
        f"- Time Until Expiry: {span(result.time_until_expiry)}\n\n"
        "📈 Session Metrics:\n"
        f"- Total Requests: {result.total_requests}\n"
        f"- Echo Count: {result.echo_count}\n"
        f"- Replay Count: {result.replay_count}\n"
        f"- Message Queue: {result.pending_messages} pending{dropped}\n\n"
        f"{_share_text(result.share)}"
        "🧠 Session State:\n"
        f"- Initialized: {initialized}\n"
        f"- Protocol Version: {result.protocol_version}\n"
        f"{_findings_text(result.findings)}"
        f"- Client: {client}"
    )


SESSION_INFO = Tool(
    name="sessionInfo",
    title="Session",
    description=(
        "Return what is kept of the session, times in s. Call it when a session is lost or mixed up."
    ),
    arguments=SessionArguments,
    result=SessionInfoResult,
    run=session_info,
    adapt=with_handle_where_stateless,
)
