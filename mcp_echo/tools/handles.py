"""State that a request names by a handle: createEchoSession, closeEchoSession, and finding it again.

The modern era has no protocol sessions; state that spans requests is named by an explicit identifier that the
server has made and the client passes on.
https://modelcontextprotocol.io/specification/2026-07-28/server/tools#stateful-tools
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from mcp_echo.protocol.errors import SessionNotFound, TooManySessions, TooManySessionsForHolder
from mcp_echo.protocol.jsonrpc import notification_bytes
from mcp_echo.protocol.levels import log_params
from mcp_echo.protocol.revisions import Revision
from mcp_echo.protocol.texts import moment, span, timestamp
from mcp_echo.sessions.key import handle_key
from mcp_echo.sessions.session import Session, Terms
from mcp_echo.sessions.store import SessionStore
from mcp_echo.tools.base import Answer, Call, Tool, ToolError
from mcp_echo.tools.misnamed import fault_in
from mcp_echo.tools.schemas import Schema

MESSAGES_URI = "echo://session/{session}/messages"
STATE_URI = "echo://session/{session}"

SessionArgument = Annotated[
    str | None,
    Meta(
        description="Handle from createEchoSession; else the protocol session, if any.",
        # For clients to see; whatever else comes is refused in words of our own.
        extra_json_schema={"pattern": "^es_"},
    ),
]


class SessionArguments(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What a tool takes that works on a session and asks for nothing else."""

    session: SessionArgument = None


_CREATE = "Call createEchoSession and pass the session it returns."
_NEEDED = "Handle: call createEchoSession and pass its session."


def with_handle(schema: Schema, _: Revision) -> Schema:
    """Return the input schema of a tool that needs a handle, which says where to get one."""
    properties = schema["properties"]
    session = {**properties["session"], "description": _NEEDED}
    return {**schema, "properties": {**properties, "session": session}, "required": ["session"]}


def with_handle_where_stateless(schema: Schema, revision: Revision) -> Schema:
    """Return the input schema of a tool that needs a handle where there is no protocol session."""
    return with_handle(schema, revision) if revision.stateless else schema


def named_session(call: Call, handle: str | None) -> Session | None:
    """Return the session a tool is to work on: the one of the handle, else the protocol session, or None.

    Raises:
        ToolError: The handle is no handle, or it is unknown, expired or someone else's; those read the same.
    """
    if handle is None:
        return call.session
    instead = "" if call.session is None else " Without session the protocol session is used."
    return _session_behind(call, handle, f"{_CREATE}{instead}")


def _session_behind(call: Call, handle: str, advice: str = _CREATE) -> Session:
    try:
        session = call.context.store.use(handle, call.principal, handle=True)
    except SessionNotFound:
        fault = fault_in(handle) or f"Echo session {handle} is unknown or has expired."
        raise ToolError(f"{fault} {advice}") from None
    session.record.requests += 1
    return session


def needed_session(call: Call, handle: str | None) -> Session:
    """Return the session a tool is to work on.

    Raises:
        ToolError: There is none.
    """
    session = named_session(call, handle)
    if session is None:
        revision = call.revision.name
        raise ToolError(f"Revision {revision} has no protocol session, and no handle was given. {_CREATE}")
    return session


def may_watch(store: SessionStore, principal: str | None, uri: str) -> bool:
    """Return whether a caller may hear of changes of ``uri``, if that is state behind a handle.

    Whose state it is decides; a handle that is unknown, expired or someone else's reads the same.
    """
    handle = handle_of(uri)
    if handle is None:
        return True
    try:
        store.use(handle, principal, handle=True)
    except SessionNotFound:
        return False
    return True


def announce_echo(call: Call, session: Session) -> None:
    """Queue the news of an echo in the state behind a handle, and tell who listens to it."""
    data = {"event": "echo", "echoCount": session.record.echo_count}
    session.log.queue(notification_bytes("notifications/message", log_params("info", data)))
    if call.context.subscriptions.resources_watched:
        call.effects.then(call.context.subscriptions.state_changed, state_uris(session.id))


def state_uris(handle: str) -> tuple[str, ...]:
    """Return the resources that show the state behind a handle."""
    return tuple(uri.format(session=handle) for uri in (STATE_URI, MESSAGES_URI))


def handle_of(uri: str) -> str | None:
    """Return the handle whose state a resource shows, or None if it shows something else."""
    prefix = STATE_URI.partition("{")[0]
    return uri.removeprefix(prefix).partition("/")[0] if uri.startswith(prefix) else None


class CreateArguments(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What createEchoSession takes."""

    label: Annotated[
        Annotated[str, Meta(max_length=100)] | None,
        Meta(description="A name for people, shown by sessionInfo."),
    ] = None
    ttl_seconds: Annotated[
        Annotated[int, Meta(ge=1, le=86400)] | None,
        Meta(description="Seconds it is kept after its last use."),
    ] = msgspec.field(name="ttlSeconds", default=None)


class CreateResult(msgspec.Struct, rename="camel"):
    """What createEchoSession answers."""

    session: str
    label: str | None
    expires_at: str
    ttl_seconds: float


def create_echo_session(call: Call, arguments: CreateArguments) -> Answer:
    """Make an echo session and return its handle.

    Raises:
        SessionsTooFast: The caller's address makes sessions and handles too fast.
        ToolError: There are as many already as there may be.
    """
    store = call.context.store
    address = call.caller().address
    call.context.limits.admit_session(address, call.arrived, call.effects)
    ttl = store.timeout if arguments.ttl_seconds is None else min(arguments.ttl_seconds, store.timeout)
    try:
        terms = Terms(call.revision, call.client, ttl, arguments.label)
        session = store.create(handle_key(call.principal), terms, address)
    except (TooManySessions, TooManySessionsForHolder) as error:
        raise ToolError(str(error)) from None
    expires = call.context.wall() + ttl
    text = (
        "🆕 Echo Session Created\n\n"
        f"Session: {session.id}\n"
        f"Expires: {moment(expires)} ({span(ttl)} after its last use)\n\n"
        "Pass it as `session` to echo, replayLastEcho and sessionInfo."
    )
    return Answer(text, CreateResult(session.id, session.record.label, timestamp(expires), ttl))


class CloseResult(msgspec.Struct, rename="camel"):
    """What closeEchoSession answers."""

    session: str
    echo_count: int


def close_echo_session(call: Call, arguments: SessionArguments) -> Answer:
    """End an echo session.

    Raises:
        ToolError: None is named.
    """
    if arguments.session is None:
        raise ToolError(
            "No handle: pass the session that createEchoSession returned. DELETE ends a protocol session."
        )
    session = _session_behind(call, arguments.session)
    call.context.store.close(session.id, call.principal, handle=True)
    text = f"👋 Echo Session Closed\n\nSession: {session.id}\nEchoes in it: {session.record.echo_count}"
    return Answer(text, CloseResult(session.id, session.record.echo_count))


def create_tool(timeout: float, store: str) -> Tool[CreateArguments]:
    """Return the creation tool; its description says how long state is kept."""
    lost = ", and lost when the server restarts" if store == "memory:" else ""
    return Tool(
        name="createEchoSession",
        title="Create echo session",
        description=(
            "Create state and return its handle, to pass as session. Call it where "
            f"there is no protocol session. It is kept for {timeout:g} s after its last use, or "
            f"ttlSeconds if less{lost}."
        ),
        arguments=CreateArguments,
        result=CreateResult,
        run=create_echo_session,
        read_only=False,
        idempotent=False,
    )


CLOSE_ECHO_SESSION = Tool(
    name="closeEchoSession",
    title="Close echo session",
    description="End an echo session and return its count. Call it when done with its handle.",
    arguments=SessionArguments,
    result=CloseResult,
    run=close_echo_session,
    read_only=False,
    idempotent=False,
    adapt=with_handle,
)
