"""sessionInfo: what the server knows of the caller's own session, and of no other."""

from __future__ import annotations

import msgspec

from mcp_echo.redaction import printable
from mcp_echo.tools.base import Answer, Call, NoArguments, Tool
from mcp_echo.tools.texts import moment, span, yes


class SessionInfoResult(msgspec.Struct, rename="camel"):
    """What sessionInfo answers; spans are in seconds."""

    session: str
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
    protocol_version: str
    client_name: str | None
    client_version: str | None
    client_capabilities: list[str]


def session_info(call: Call, _: NoArguments) -> Answer:
    """Display current session information."""
    result = describe_session(call)
    return Answer(_text(result), result)


def describe_session(call: Call) -> SessionInfoResult:
    """Return what the server knows of the caller's session."""
    session = call.session
    now = call.facts.now()
    timeout = call.facts.store.timeout
    return SessionInfoResult(
        session=session.id,
        created=moment(session.created_at),
        last_activity=moment(session.last_activity_at),
        age=now - session.created,
        time_until_expiry=timeout - (now - session.last_activity),
        total_requests=session.requests,
        echo_count=session.echo_count,
        replay_count=session.replay_count,
        pending_messages=session.pending,
        dropped_messages=session.dropped,
        open_streams=session.open_streams,
        initialized=session.initialized,
        protocol_version=session.revision.name,
        client_name=session.client.name,
        client_version=session.client.version,
        client_capabilities=list(session.client.capabilities),
    )


def _text(result: SessionInfoResult) -> str:
    client = "unknown (the session was made without initialize)"
    if result.client_name is not None:
        client = result.client_name
        if result.client_version is not None:
            client += f" v{result.client_version}"
    dropped = f" ({result.dropped_messages} dropped)" if result.dropped_messages else ""
    return printable(
        "📊 Session Information\n\n"
        "🔑 Session Details:\n"
        f"- Session ID: {result.session}\n"
        f"- Created: {result.created}\n"
        f"- Last Activity: {result.last_activity}\n"
        f"- Age: {span(result.age)}\n"
        f"- Time Until Expiry: {span(result.time_until_expiry)}\n\n"
        "📈 Session Metrics:\n"
        f"- Total Requests: {result.total_requests}\n"
        f"- Echo Count: {result.echo_count}\n"
        f"- Replay Count: {result.replay_count}\n"
        f"- Message Queue: {result.pending_messages} pending{dropped}\n\n"
        "🧠 Session State:\n"
        f"- Initialized: {yes(result.initialized)}\n"
        f"- Protocol Version: {result.protocol_version}\n"
        f"- Client: {client}"
    )


SESSION_INFO = Tool(
    name="sessionInfo",
    title="Session information",
    description="Display current session information.",
    arguments=NoArguments,
    result=SessionInfoResult,
    run=session_info,
)
