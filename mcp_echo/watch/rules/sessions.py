"""What the transport asks of a session's id, and what became of the session. No I/O."""

from __future__ import annotations

from mcp_echo.protocol.session_ids import is_named, node_tag
from mcp_echo.protocol.texts import timestamp
from mcp_echo.watch.records import ExchangeRecord, SessionForm, Tombstone
from mcp_echo.watch.rules.facts import SESSION, broken, held, value
from mcp_echo.watch.rules.pages import sessions
from mcp_echo.watch.rules.rule import Broken, Held, Outcome, Rule

_PAGES = sessions("session-management")


def session_id_joined(x: ExchangeRecord) -> Outcome | None:
    """Send the id once."""
    if x.session_form != "doubled":
        return _held_with_id(x)
    return broken(
        x,
        f"{SESSION} is one id joined with itself, as two lines of one name are joined to one",
        x.line_of(SESSION),
        found=value(x, SESSION),
        wanted="the id, once",
    )


def session_id_characters(x: ExchangeRecord) -> Outcome | None:
    """Send an id of the characters that an id may have."""
    if x.session_form != "characters":
        return _held_with_id(x)
    return broken(
        x,
        f"{SESSION} has characters outside 0x21 to 0x7E, which no server may put into an id",
        x.line_of(SESSION),
        found=value(x, SESSION),
        wanted="the id as the server sent it",
    )


_INVENTED: dict[SessionForm, str] = {
    "undefined": "is empty, or the name of a value that was not there, and no id",
    "quoted": "is an id in quotation marks, which are not part of it",
    "foreign": "is not as this server makes its ids",
}


def session_id_invented(x: ExchangeRecord) -> Outcome | None:
    """Send the id that this server gave."""
    told = _INVENTED.get(x.session_form)
    if told is None or x.known or x.tombstone is not None:
        return _held_with_id(x)
    return broken(
        x,
        f"{SESSION} {told}",
        x.line_of(SESSION),
        found=value(x, SESSION),
        wanted="the Mcp-Session-Id of the answer to initialize",
    )


def _held_with_id(x: ExchangeRecord) -> Held | None:
    return held(x) if x.session_form == "ours" else None


def initialize_with_dead_id(x: ExchangeRecord) -> Outcome | None:
    """Begin a new session without the id of the old one."""
    if not any(each.method == "initialize" for each in x.messages):
        return None
    if value(x, SESSION) is None:
        return held(x)
    grave = x.tombstone
    if grave is None or grave.ended is None:
        return None
    return broken(
        x,
        f"initialize came with the id of a session that ended {timestamp(grave.ended)}; it must come without "
        "one",
        x.line_of(SESSION),
        found=value(x, SESSION),
        wanted="no Mcp-Session-Id",
    )


_ENDINGS = {
    "expired": "nobody used it for as long as sessions are kept",
    "closed": "DELETE or a fault ended it",
    "displaced": "others needed its room",
}


def session_expired(x: ExchangeRecord) -> Outcome | None:
    """Tell what became of a session."""
    grave = x.tombstone
    if grave is None or grave.ended is None:
        return None
    why = f": {_ENDINGS[grave.reason]}" if grave.reason is not None else ""
    return broken(
        x,
        f"This session existed{_life(grave)}, and ended {timestamp(grave.ended)}{why}",
        x.line_of(SESSION),
        found=value(x, SESSION),
        key=x.session or "",
    )


def _life(grave: Tombstone) -> str:
    """Return when and where a session was made and used, as far as that is known."""
    made = f"made {timestamp(grave.made)}" if grave.made is not None else ""
    node = f"on node {grave.node}" if grave.node else ""
    used = f"last used {timestamp(grave.used)}" if grave.used is not None else ""
    told = ", ".join(filter(None, (f"{made} {node}".strip(), used)))
    return f" ({told})" if told else ""


def session_made_elsewhere(x: ExchangeRecord) -> Outcome | None:
    """Bring a session to the node that has it."""
    grave = x.tombstone
    if x.known:
        return Held(x.number)
    if grave is None or grave.shared or not grave.node or grave.ended is not None:
        return None
    here = node_tag(x.node)
    who = "another node made it"
    if not is_named(x.node):
        who += ", or this one before it was started again, which gave it a new tag"
    return Broken(
        exchange=x.number,
        summary=f"The id names the node of tag {grave.node}, and its request arrived at the one of tag "
        f"{here} ({x.node}), which does not have the session: {who}",
        subject=x.line_of(SESSION),
        found=here,
        wanted=grave.node,
    )


ROWS = (
    Rule(
        id="session-id-joined",
        level="error",
        keyword="MUST",
        title="Mcp-Session-Id is the id, once.",
        advice="Look for two pieces of code, or a proxy, that both add Mcp-Session-Id, and keep one.",
        pages=_PAGES,
        check=session_id_joined,
    ),
    Rule(
        id="session-id-characters",
        level="error",
        keyword="MUST",
        title="Mcp-Session-Id is of visible ASCII.",
        advice="Send the value of Mcp-Session-Id as it came with the answer to initialize, and decode or "
        "encode nothing.",
        pages=_PAGES,
        check=session_id_characters,
    ),
    Rule(
        id="session-id-invented",
        level="warning",
        keyword="MUST",
        title="Mcp-Session-Id is the id that this server gave.",
        advice="Send the Mcp-Session-Id of the answer to initialize. A gateway that has sessions of its own "
        "must put this server's id in the place of its own.",
        pages=_PAGES,
        check=session_id_invented,
    ),
    Rule(
        id="initialize-with-dead-id",
        level="error",
        keyword="MUST",
        title="A new session begins without the id of an old one.",
        advice="Forget the id when a request with it is answered 404, and send initialize without "
        "Mcp-Session-Id.",
        pages=_PAGES,
        check=initialize_with_dead_id,
    ),
    Rule(
        id="session-expired",
        level="info",
        title="A session that has ended serves no more requests.",
        advice="Send initialize without Mcp-Session-Id and go on with the new session. "
        "MCP_ECHO_SESSION_TIMEOUT says how long unused sessions are kept.",
        pages=_PAGES,
        check=session_expired,
    ),
    Rule(
        id="session-made-elsewhere",
        level="error",
        confidence="likely",
        title="A request reaches the node that has its session.",
        advice="Have the load balancer send requests with one Mcp-Session-Id to one node, or give all nodes "
        "one store, which also keeps sessions while a node is started again. /health shows a node's tag, "
        "which stays over a restart where MCP_ECHO_NODE gives each node a name of its own.",
        check=session_made_elsewhere,
    ),
)
