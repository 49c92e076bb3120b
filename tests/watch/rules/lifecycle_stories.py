"""Stories of clients that begin a session, and of what is asked of them."""

from __future__ import annotations

from tests.watch.rules.building import LEGACY, MODERN
from tests.watch.rules.over_time import Case, Story


def offered(wanted: str, given: str) -> Story:
    """A client asks for a revision and is answered with one."""
    message = {"params": {"protocol_version": wanted}, "result": {"protocol_version": given}}
    return Story(given).initialize(message=message)


def declaring(*capabilities: str) -> Story:
    """A client declares capabilities."""
    return Story().initialize(message={"params": {"capabilities": capabilities}})


def after_many(count: int) -> Story:
    """More clients begin sessions than are remembered."""
    story = Story()
    for place in range(count):
        story.initialize(f"s{place}", address=f"address {place}", connection=place + 1)
    return story


CASES = {
    "id-reused": Case(
        broken=[
            (Story().ready().call(message={"id": 7}).call(message={"id": 7}), "The id 7 of tools/call"),
            (Story().initialize(message={"id": "a"}).call(message={"id": "a"}), "by request 1"),
            # Not what was refused, but another request.
            (
                Story().call(message={"id": 7}, status=401).call(message={"id": 7}, body_hash="other"),
                "The id 7",
            ),
        ],
        kept=[
            Story().ready().call(message={"id": 7}).call(message={"id": "7"}),
            Story().ready().call(message={"id": 7}).ready("s2").call("s2", message={"id": 7}),
            # The connection was lost and the same bytes came again.
            Story().call(message={"id": 7}, left=0.1, status=None).call(message={"id": 7}),
            # It was refused for want of a token.
            Story().call(message={"id": 7}, status=401).call(message={"id": 7}),
            Story(MODERN).call(message={"id": 7}).call(message={"id": 7}),
            # The session is gone, and its client begins anew with the id that it began with, but keeps the
            # old session id; which is another rule's.
            Story()
            .ready(message={"id": 7})
            .call(message={"id": 8})
            .call(message={"id": 9}, status=404)
            .post(
                "initialize",
                message={"id": 7},
                status=404,
                body_hash="anew",
                session_form="ours",
                made=False,
                known=False,
            ),
        ],
    ),
    "response-unasked": Case(
        broken=[
            (Story().post("x", message={"kind": "response", "id": 5, "stray": True}), "the id 5"),
        ],
        kept=[
            Story().post("x", message={"kind": "response", "id": 5}),
            # Late: the question was given up meanwhile.
            Story()
            .sent("ping", "unanswered", id=5)
            .post("x", message={"kind": "response", "id": 5, "stray": True}),
        ],
    ),
    "request-before-initialize": Case(
        broken=[(Story().call(None), "tools/call came before initialize")],
        kept=[
            Story().post("ping", None).ready(),
            Story().ready().call(None),
            Story().ready().call(None, address="192.0.2.8"),
            Story().ready(connection=3).call(None, connection=4),
            Story(MODERN).call(),
            # It may have begun something, before all of them.
            after_many(300).call(None, address="192.0.2.8", connection=0),
        ],
    ),
    "initialized-never-sent": Case(
        broken=[
            (Story().initialize().call().wait(10), "tools/call has come since"),
            (Story().initialize().get().wait(10), "GET has come since"),
            # Without the session id it is the same client all the same.
            (Story().initialize().post("tools/list", None).wait(10), "tools/list has come since"),
        ],
        kept=[
            Story().ready().call().wait(60),
            # The notification was overtaken.
            Story().initialize().call().post("notifications/initialized").wait(60),
            Story().initialize().call().post("notifications/initialized", None).wait(60),
            Story().initialize().wait(600),
            Story().initialize().post("ping").wait(60),
            Story().initialize().call(address="192.0.2.8", session=None).wait(60),
            Story().initialize().call().wait(5),
        ],
    ),
    "client-left-after-counter-offer": Case(
        broken=[
            (offered("2099-01-01", LEGACY).wait(10), f"asked for 2099-01-01, was offered {LEGACY}"),
            (offered("2099-01-01", LEGACY).delete().wait(10), "has sent nothing since"),
        ],
        kept=[
            offered(LEGACY, LEGACY).wait(60),
            offered("2099-01-01", LEGACY).post("notifications/initialized").wait(60),
            offered("2099-01-01", LEGACY).initialize("s2").wait(60),
            offered("2099-01-01", LEGACY).wait(5),
        ],
    ),
    "capability-not-served": Case(
        broken=[
            (
                declaring("sampling").sent("sampling/createMessage", "answered", error=-32601),
                "declares sampling; sampling/createMessage got -32601",
            ),
            (declaring("roots").sent("roots/list", "unanswered", seconds=0.5), "roots/list got no answer"),
        ],
        kept=[
            declaring("sampling").sent("sampling/createMessage", "answered"),
            declaring("elicitation").sent("elicitation/create", "answered", error=-32603),
            declaring().sent("sampling/createMessage", "answered", error=-32601),
            # Somebody is thinking it over.
            declaring("elicitation").sent("elicitation/create", "unanswered", seconds=60.0),
            # It never got there.
            declaring("roots").sent("roots/list", "waiting").sent("roots/list", "unanswered", seconds=1.0),
            declaring("roots").stream("close", why="left").sent("roots/list", "unanswered", seconds=60.0),
        ],
    ),
    "ping-unanswered": Case(
        broken=[
            (
                Story().ready().sent("ping", "written").sent("ping", "unanswered", seconds=1.0),
                "no answer in 1.0 s",
            ),
            (Story().ready().sent("ping", "answered", error=-32601), "the error -32601"),
        ],
        kept=[
            Story().ready().sent("ping", "written").sent("ping", "answered"),
            Story().ready().sent("ping", "waiting").sent("ping", "unanswered", seconds=10.0),
            Story().ready().stream("close", why="left").sent("ping", "unanswered", seconds=10.0),
        ],
    ),
}
