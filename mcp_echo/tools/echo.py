"""echo and replayLastEcho: the server's memory made visible."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from mcp_echo.protocol.revisions import Revision
from mcp_echo.redaction import printable
from mcp_echo.sessions.session import Echo
from mcp_echo.tools.base import SESSION_MADE, Answer, Call, Tool, ToolError
from mcp_echo.tools.handles import (
    SessionArgument,
    SessionArguments,
    announce_echo,
    named_session,
    needed_session,
    with_handle_where_stateless,
)

Content = tuple[dict[str, Any], ...]
_NO_CONTENT: Content = ()

_PIECE = 65536
"""Characters put in upper case at once."""


class EchoArguments(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What echo takes."""

    message: Annotated[str, Meta(description="Message to echo.")]
    uppercase: Annotated[bool, Meta(description="Convert to uppercase.")] = False
    session: SessionArgument = None


class BinaryEchoArguments(EchoArguments, frozen=True):
    """What echo takes when binary data is enabled."""

    data: Annotated[str | None, Meta(description="Bytes to echo as well, in base64.")] = None
    mime_type: Annotated[
        str,
        msgspec.Meta(
            description="Media type of data; image/* and audio/* come back as such.",
            pattern=r"^[A-Za-z0-9!#$&^_.+-]{1,127}/[A-Za-z0-9!#$&^_.+-]{1,127}$",
        ),
    ] = msgspec.field(name="mimeType", default="application/octet-stream")


class EchoResult(msgspec.Struct, rename="camel", omit_defaults=True):
    """What echo answers; a modern call without a handle has neither session nor count."""

    message: str
    session: str | None = None
    echo_count: int | None = None


class ReplayResult(msgspec.Struct, rename="camel"):
    """What replayLastEcho answers."""

    message: str
    original_echo_count: int
    replay_count: int


def echo(call: Call, arguments: EchoArguments) -> Answer:
    """Answer with the message, and count it where there is a session to count it in."""
    message = _upper(arguments.message) if arguments.uppercase else arguments.message
    echoed, content = Echo(message), _NO_CONTENT
    if isinstance(arguments, BinaryEchoArguments) and arguments.data is not None:
        echoed = Echo(message, _base64(arguments.data), arguments.mime_type)
        content = _content(echoed, call.revision)
    session = named_session(call, arguments.session)
    if session is None:
        return Answer(printable(message), EchoResult(message), content)
    session.remember_echo(echoed)
    if session.handle:
        announce_echo(call, session)
    text = (
        f"{printable(message)}\n\nSession: {session.id}\nEcho count in session: {session.record.echo_count}"
    )
    return Answer(text, EchoResult(message, session.id, session.record.echo_count), content)


def _upper(text: str) -> str:
    """Return a text in upper case, made in pieces: Python takes 12 bytes a character while it makes one."""
    return "".join(text[start : start + _PIECE].upper() for start in range(0, len(text), _PIECE))


def _base64(data: str) -> str:
    """Return data that is base64.

    Raises:
        ToolError: It is not.
    """
    try:
        base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ToolError(f"Invalid arguments for tool echo: data is not base64 ({error})") from None
    return data


def _content(echo: Echo, revision: Revision) -> Content:
    """Return the echoed bytes as the richest content block the revision has for them."""
    if echo.data is None or echo.mime_type is None:
        return _NO_CONTENT
    main_type = echo.mime_type.partition("/")[0]
    if main_type == "image" or (main_type == "audio" and revision.audio):
        return ({"type": main_type, "data": echo.data, "mimeType": echo.mime_type},)
    resource = {"uri": "echo://last-echo/data", "mimeType": echo.mime_type, "blob": echo.data}
    return ({"type": "resource", "resource": resource},)


def replay_last_echo(call: Call, arguments: SessionArguments) -> Answer:
    """Answer with the session's last echo once more."""
    session = needed_session(call, arguments.session)
    last = session.last_echo
    if last is None and session.record.echo_count:
        raise ToolError(
            f"Nothing to replay: when the last echo came, {_bounds(call)} left no room to keep it. Close "
            "sessions that are not needed, and echo again."
        )
    if last is None and session is call.session and call.back_channel.session_made:
        raise ToolError(
            f"Nothing to replay. {SESSION_MADE}. Send the session id that came with the answer to "
            "initialize or echo."
        )
    if last is None:
        raise ToolError("Nothing to replay: this session has not echoed anything yet. Call echo first.")
    session.record.replay_count += 1
    text = (
        f"🔄 Replaying last echo:\n{printable(last.message)}\n\n"
        f"Original echo count: {session.record.echo_count}\n"
        f"This session has replayed {session.record.replay_count} messages"
    )
    return Answer(
        text,
        ReplayResult(last.message, session.record.echo_count, session.record.replay_count),
        _content(last, call.revision),
    )


def _bounds(call: Call) -> str:
    """Return what may leave no room for an echo, where the session is kept."""
    caller = call.caller()
    has_share = call.context.store.share(caller.principal, caller.address).state is not None
    of_one = " or MCP_ECHO_MAX_STATE_BYTES_PER_CLIENT, which bounds what those of one client hold,"
    whole = "MCP_ECHO_MAX_STATE_BYTES, which bounds what all sessions together hold,"
    return whole + (of_one if has_share else "")


def echo_tool(binary: bool) -> Tool[Any]:
    """Return the echo tool, which takes ``data`` only where binary data is enabled."""
    return Tool(
        name="echo",
        title="Echo",
        description="Return a message and count it in the session. Call it first to see that calls arrive.",
        arguments=BinaryEchoArguments if binary else EchoArguments,
        result=EchoResult,
        run=echo,
        read_only=False,
        idempotent=False,
    )


REPLAY_LAST_ECHO = Tool(
    name="replayLastEcho",
    title="Replay last echo",
    description="Return the last echoed message. Call it after echo to see whether state survives.",
    arguments=SessionArguments,
    result=ReplayResult,
    run=replay_last_echo,
    read_only=False,
    idempotent=False,
    adapt=with_handle_where_stateless,
)
