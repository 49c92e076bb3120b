"""What is looked at in a conversation: transport, sessions, both eras. No I/O."""

from __future__ import annotations

from collections.abc import Callable

from mcp_echo.check.check import Check, broken, held, refused, transports
from mcp_echo.check.conversation import FOREIGN, Conversation, answers_of
from mcp_echo.protocol.revisions import BY_NAME
from mcp_echo.watch.rules.pages import R2025_11_25, R2026_07_28, address, rfc
from mcp_echo.watch.rules.rule import Outcome

_JSON_TYPES = ("application/json", "text/event-stream")


def answers(seen: Conversation) -> Outcome | None:
    """Answer each request."""
    for each in answers_of(seen):
        if not each.status or each.error is not None:
            what = f"{each.method} number {each.number}"
            return broken(each, f"{what} was not answered: {each.error}", each.error, "an answer")
    return held(seen.initialize)


def an_era(seen: Conversation) -> Outcome | None:
    """Tell of what the server speaks."""
    spoken = [
        name for name, is_spoken in (("legacy", seen.is_legacy), ("modern", seen.is_modern)) if is_spoken
    ]
    if not spoken:
        return None
    said = " and ".join(spoken)
    revision = f", revision {seen.revision}" if seen.is_legacy else ""
    return broken(seen.initialize, f"The server speaks the {said} era{revision}", said)


def needs_credentials(seen: Conversation) -> Outcome | None:
    """Tell of what could not be looked at."""
    if seen.challenge is None:
        return None
    return broken(seen.challenge, "The server wants credentials, so that MCP itself was not looked at", "401")


def media_type(seen: Conversation) -> Outcome | None:
    """Answer a request with JSON or with an event stream."""
    asked = [each for each in (seen.initialize, seen.ping, seen.discover) if each is not None]
    answered = [each for each in asked if each.result is not None]
    for each in answered:
        if each.media_type not in _JSON_TYPES:
            found = each.value("Content-Type") or "no Content-Type"
            return broken(each, f"A result came as {found}", found, " or ".join(_JSON_TYPES))
    return held(answered[0]) if answered else None


def response_id(seen: Conversation) -> Outcome | None:
    """Answer with the id of the request."""
    if seen.ping is None or seen.ping.response is None:
        return None
    # initialize was request 1, discover is asked by it too, and ping is the third.
    if seen.ping.response_to(3) is not None:
        return held(seen.ping)
    found = repr(seen.ping.response.get("id"))
    return broken(seen.ping, f"The response to request 3 has the id {found}", found, "3")


def revision_known(seen: Conversation) -> Outcome | None:
    """Agree on a revision that there is."""
    if not seen.is_legacy:
        return None
    if seen.revision in BY_NAME and not BY_NAME[seen.revision].stateless:
        return held(seen.initialize)
    summary = f"initialize was answered with the revision {seen.revision}, which has no initialize"
    return broken(seen.initialize, summary, seen.revision)


def notification_accepted(seen: Conversation) -> Outcome | None:
    """Accept a notification with 202 and without a body."""
    answer = seen.initialized
    if answer is None or not answer.status:
        return None
    if answer.status == 202 and not answer.body:
        return held(answer)
    found = f"{answer.status} with {len(answer.body)} bytes"
    return broken(answer, f"notifications/initialized was answered with {found}", found, "202 without a body")


def get_stream(seen: Conversation) -> Outcome | None:
    """Answer GET with an event stream or with 405."""
    answer = seen.stream
    if answer is None or not answer.status:
        return None
    if answer.status == 405 or (answer.status == 200 and answer.is_stream):
        return held(answer)
    found = f"{answer.status} {answer.media_type}".strip()
    return broken(answer, f"GET was answered with {found}", found, "200 text/event-stream, or 405")


def unknown_version(seen: Conversation) -> Outcome | None:
    """Refuse a revision that there is not."""
    if BY_NAME.get(seen.revision) is None:
        return None
    return refused(seen.unknown_version, "A request with an MCP-Protocol-Version that does not exist", 400)


def foreign_origin(seen: Conversation) -> Outcome | None:
    """Refuse pages of origins that have nothing to do with the server."""
    return refused(seen.foreign_origin, f"A request with Origin: {FOREIGN}", 403)


_Judge = Callable[[Conversation], Outcome | None]

CHECKS: tuple[Check[Conversation], ...] = (
    Check(
        id="server-answers",
        level="error",
        title="Each request is answered.",
        advice="Look in the server's log, or give more time with --timeout.",
        url=rfc(9110, "3.3"),
        judge=answers,
    ),
    Check(
        id="server-speaks",
        level="info",
        title="Clients of each era have to know what a server speaks.",
        advice="Nothing needs to be done.",
        url=address(R2026_07_28, "basic/versioning"),
        judge=an_era,
    ),
    Check(
        id="server-wants-credentials",
        level="info",
        title="What is protected can be looked at with credentials.",
        advice="Give --header 'Authorization: Bearer …' to have the rest looked at.",
        url=address(R2025_11_25, "basic/authorization"),
        judge=needs_credentials,
    ),
    Check(
        id="answer-media-type",
        level="error",
        title="A request is answered with JSON or with an event stream.",
        advice="Send Content-Type: application/json or text/event-stream.",
        url=transports("sending-messages-to-the-server"),
        judge=media_type,
        keyword="MUST",
    ),
    Check(
        id="answer-id",
        level="error",
        title="A response has the id of its request.",
        advice="Send the id back as it came.",
        url=address(R2025_11_25, "basic#responses"),
        judge=response_id,
        keyword="MUST",
    ),
    Check(
        id="revision-known",
        level="error",
        title="initialize agrees on a revision that has initialize.",
        advice="Answer with the revision that was asked for, or with the newest one that the server speaks.",
        url=address(R2025_11_25, "basic/lifecycle#version-negotiation"),
        judge=revision_known,
        keyword="MUST",
    ),
    Check(
        id="notification-accepted",
        level="error",
        title="A notification is accepted with 202 and without a body.",
        advice="Answer 202 with an empty body; some clients read a body as a message.",
        url=transports("sending-messages-to-the-server"),
        judge=notification_accepted,
        keyword="MUST",
    ),
    Check(
        id="get-stream-or-405",
        level="error",
        title="GET is answered with an event stream or with 405.",
        advice="Answer 405 where the server has no stream to offer.",
        url=transports("listening-for-messages-from-the-server"),
        judge=get_stream,
        keyword="MUST",
    ),
    Check(
        id="version-header-checked",
        level="error",
        title="A revision that the server does not know is refused with 400.",
        advice="Compare MCP-Protocol-Version with the revisions that the server speaks.",
        url=transports("protocol-version-header"),
        judge=unknown_version,
        keyword="MUST",
    ),
    Check(
        id="origin-checked",
        level="warning",
        title="Pages of foreign origins are refused, so that none can reach a local server by DNS rebinding.",
        advice="Answer 403 to origins that are not allowed. A public server may mean to allow all.",
        url=transports("security-warning"),
        judge=foreign_origin,
        keyword="MUST",
        confidence="likely",
    ),
)
