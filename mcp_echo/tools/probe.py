"""clientProbe: the server tests the client, in whichever era it speaks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

from mcp_echo.protocol.jsonrpc import notification_bytes
from mcp_echo.protocol.levels import LOG_LEVELS, log_params
from mcp_echo.protocol.modern import is_declared, required_capability
from mcp_echo.protocol.progress import WrongToken
from mcp_echo.protocol.texts import milliseconds, yes
from mcp_echo.redaction import excerpt, mask_json, printable
from mcp_echo.sessions.subscriptions import LISTS
from mcp_echo.tools.base import SESSION_MADE, Answer, AskError, Call, NoAnswer, Question, Tool

Feature = Literal[
    "sampling", "elicitation", "roots", "ping", "progress", "logging", "cancellation", "list-changed"
]
Verdict = Literal["answered", "unacknowledged", "problem"]

Answered = TypeVar("Answered")

_STEP = 0.05
"""Seconds between two notifications, so that a hop that holds them back shows."""


_OF_THE_REQUEST = frozenset({"progress", "cancellation"})
"""Features that need nothing of the session."""


class ProbeArguments(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What clientProbe takes."""

    feature: Annotated[Feature, Meta(description="Feature of the client to test.")]
    mode: Annotated[Literal["form", "url"], Meta(description="Mode of elicitation.")] = "form"
    seconds: Annotated[
        Annotated[float, Meta(ge=0.01, le=30)],
        Meta(description="Seconds to wait for a cancellation or a list request."),
    ] = 2.0


class ProbeResult(msgspec.Struct, rename="camel"):
    """What clientProbe answers, as far as it is known; times in seconds."""

    feature: str
    era: str
    protocol_version: str
    declared: bool | None = None
    sent: list[str] = []
    """What a stream has taken that a connection reads or a client can come back to."""
    answer: Any = None
    round_trip: float | None = None
    problems: list[str] = []
    verdict: str = ""


_VERDICTS: dict[Verdict, str] = {
    "answered": "✅ no problem found",
    "unacknowledged": "❔ sent; nothing acknowledges it, so look in the client whether it arrived",
    "problem": "❌ see the problems above",
}


async def client_probe(call: Call, arguments: ProbeArguments) -> Answer:
    """Exercise one feature of the client and report what came back."""
    era = "modern" if call.revision.stateless else "legacy"
    report = ProbeResult(arguments.feature, era, call.revision.name)
    if call.back_channel.session_made and arguments.feature not in _OF_THE_REQUEST:
        report.problems.append(f"{SESSION_MADE}, so nothing that came before it counts here")
    await _PROBES[arguments.feature](call, report, arguments)
    report.verdict = _verdict(report)
    return Answer(_text(report), report)


def _verdict(report: ProbeResult) -> Verdict:
    """Return what follows from a report: what nobody has answered is not known to have arrived."""
    if report.problems:
        return "problem"
    return "unacknowledged" if report.answer is None else "answered"


def _question(call: Call, arguments: ProbeArguments) -> Question:
    if arguments.feature == "roots":
        return Question("roots/list", {})
    if arguments.feature == "sampling":
        content = {"type": "text", "text": "Reply with the single word: pong"}
        return Question(
            "sampling/createMessage", {"messages": [{"role": "user", "content": content}], "maxTokens": 16}
        )
    if arguments.mode == "url":
        location: dict[str, Any] = {
            "mode": "url",
            "message": "mcp-echo asks for nothing there: this only tests that you are asked first.",
            "url": "https://example.com/mcp-echo-probe",
        }
        if not call.revision.stateless:
            location["elicitationId"] = f"probe-{int(call.context.wall() * 1000)}"
        return Question("elicitation/create", location)
    schema = {
        "type": "object",
        "properties": {"answer": {"type": "string", "title": "Answer", "description": "Anything you like."}},
        "required": ["answer"],
    }
    params: dict[str, Any] = {
        "message": "mcp-echo tests elicitation. Answer anything.",
        "requestedSchema": schema,
    }
    if call.revision.implementation_details:
        params["mode"] = "form"
    return Question("elicitation/create", params)


async def _ask(call: Call, report: ProbeResult, arguments: ProbeArguments) -> None:
    question = _question(call, arguments)
    if not call.revision.can_ask(question.method, question.params):
        report.problems.append(
            f"Revision {call.revision.name} does not have this, so the client is not asked"
        )
        return
    report.declared = is_declared(call.client.capabilities, question.method, question.params)
    if not report.declared:
        report.problems.append(_undeclared(call, question))
        return
    # In the modern era the answer comes with another request, which carries when the first was made.
    begun = call.context.agreed_now if call.back_channel.since is None else call.back_channel.since
    answers = await _answered(call, report, call.back_channel.ask({"probe": question}))
    if answers is None:
        return
    answer = answers["probe"]
    report.sent.append(question.method)
    if not isinstance(answer, NoAnswer):
        report.round_trip = max(0.0, call.context.agreed_now - begun)
    if isinstance(answer, AskError):
        report.problems.insert(0, str(answer))
        return
    report.answer = answer if call.context.settings.reveal_secrets else mask_json(answer)
    report.problems.extend(_faults(question, answer))


def _undeclared(call: Call, question: Question) -> str:
    needed = msgspec.json.encode(required_capability(question.method, question.params)).decode()
    if call.revision.stateless:
        return f"This request does not declare the capability {needed}, so the client is not asked"
    return f"The capability {needed} was not declared in this session, so the client is not asked"


async def _answered(
    call: Call, report: ProbeResult, asked: Awaitable[dict[str, Answered]]
) -> dict[str, Answered] | None:
    """Return what the client has answered; None where it could not be asked, which is noted then."""
    try:
        return await asked
    except AskError as error:
        report.problems.append(str(error))
        return None
    finally:
        report.problems.extend(call.back_channel.strays)


async def _ping(call: Call, report: ProbeResult, _: ProbeArguments) -> None:
    if call.revision.stateless:
        report.problems.append(f"Revision {call.revision.name} has no ping, so none is sent")
        return
    pongs = await _answered(call, report, call.back_channel.ping())
    if pongs is None:
        return
    if not pongs:
        report.problems.append(f"{_nowhere(call)}, and no stream of a GET is open, so no ping is sent")
    answers = {}
    for way, pong in pongs.items():
        report.sent.append(f"ping on {way}")
        problem = _ping_fault(pong.answer)
        if problem is None:
            answers[way] = {"answer": pong.answer, "roundTrip": pong.seconds}
        else:
            report.problems.append(f"On {way}: {problem}")
    report.answer = answers or None
    report.round_trip = max(
        (pong.seconds for pong in pongs.values() if pong.seconds is not None), default=None
    )


def _ping_fault(answer: Any) -> str | None:
    """Return what is wrong with the answer to a ping (basic/utilities/ping, Behavior Requirements)."""
    if isinstance(answer, AskError):
        return str(answer)
    if isinstance(answer, dict) and not set(answer) - {"_meta"}:
        return None
    return f"The answer is {msgspec.json.encode(mask_json(answer)).decode()[:200]}; it must be {{}}"


def _nowhere(call: Call) -> str:
    """Return the sentence that says why nothing can be sent ahead of the result."""
    return call.back_channel.obstacle or "The stream had no room for it"


def _faults(question: Question, answer: Any) -> list[str]:
    """Return what is wrong with a client's answer by the schema of its result."""
    if not isinstance(answer, dict):
        return ["The answer is not an object"]
    if question.method == "roots/list":
        roots = answer.get("roots")
        if not isinstance(roots, list):
            return ["roots is missing or not a list"]
        return [
            f"Root {place} has no file:// URI"
            for place, root in enumerate(roots)
            if not (isinstance(root, dict) and str(root.get("uri", "")).startswith("file://"))
        ]
    if question.method == "sampling/createMessage":
        return [f"{member} is missing" for member in ("role", "content", "model") if member not in answer]
    return _elicitation_faults(question, answer)


def _elicitation_faults(question: Question, answer: dict[str, Any]) -> list[str]:
    action = answer.get("action")
    if action not in ("accept", "decline", "cancel"):
        return [f"action is {excerpt(repr(action))}, not accept, decline or cancel"]
    content = answer.get("content")
    if action != "accept" or question.params.get("mode") == "url":
        return []
    if not isinstance(content, dict) or not isinstance(content.get("answer"), str):
        return ["content does not fit the requested schema: answer must be a string"]
    return []


async def _progress(call: Call, report: ProbeResult, _: ProbeArguments) -> None:
    token = call.progress_token
    if isinstance(token, WrongToken):
        report.problems.append(f"The request's {token.reason}; so no progress is sent")
        return
    if token is None:
        report.problems.append("The request has no progressToken in its _meta, so no progress is sent")
        return
    lost = 0
    for done in (0, 50, 100):
        if call.progress(done, 100, f"{done} of 100"):
            report.sent.append(f"notifications/progress {done}/100")
        else:
            lost += 1
        await call.back_channel.sleep(_STEP)
    _tell_lost(call, report, lost)


async def _logging(call: Call, report: ProbeResult, _: ProbeArguments) -> None:
    if call.log_level is None:
        how = "logLevel in _meta" if call.revision.stateless else "logging/setLevel in this session"
        report.problems.append(f"The client asked for no log messages with {how}, so none is sent")
        return
    lost = 0
    for level in LOG_LEVELS[LOG_LEVELS.index(call.log_level) :]:
        if call.log(level, {"probe": "logging", "level": level}):
            report.sent.append(f"notifications/message {level}")
        else:
            lost += 1
        await call.back_channel.sleep(_STEP)
    _tell_lost(call, report, lost)


def _tell_lost(call: Call, report: ProbeResult, lost: int) -> None:
    """Say of notifications that no stream has taken why that is."""
    if lost:
        report.problems.append(f"{_nowhere(call)}: {lost} of {lost + len(report.sent)} could not be sent")


async def _cancellation(call: Call, report: ProbeResult, arguments: ProbeArguments) -> None:
    seconds = arguments.seconds
    begun = call.context.now()
    try:
        await call.back_channel.sleep(seconds)
    except Exception:
        # Cancelled: a cancelled request is not answered, so the report goes to the session's queue.
        after = milliseconds(call.context.now() - begun)
        if call.session is not None:
            data = {"probe": "cancellation", "outcome": f"cancelled after {after}"}
            call.session.log.queue(notification_bytes("notifications/message", log_params("notice", data)))
        raise
    how = "The client did not close the response stream"
    if not call.revision.stateless:
        how = "No notifications/cancelled for this request came in this session"
    report.problems.append(f"{how} within {seconds:g} s")


async def _list_changed(call: Call, report: ProbeResult, arguments: ProbeArguments) -> None:
    seconds = arguments.seconds
    subscriptions = call.context.subscriptions
    begun = call.context.now()
    with subscriptions.watching_reads(call.reader) as reads:
        report.sent.extend(_announce(call))
        if not report.sent:
            report.problems.append(_unheard(call))
            return
        while reads() == 0 and call.context.now() - begun < seconds:
            await call.back_channel.sleep(_STEP)
        if reads() == 0:
            report.problems.append(f"The client asked for no list again within {seconds:g} s")
            return
    report.round_trip = call.context.now() - begun
    report.answer = "the client asked for a list again"


def _unheard(call: Call) -> str:
    if call.session is not None:
        return "No GET stream of this session is open, so nothing is announced: open one first"
    return (
        "No subscription of this client is open on this node, so nothing is announced: open "
        "subscriptions/listen with toolsListChanged first"
    )


def _announce(call: Call) -> list[str]:
    """Say that lists have changed, to this client alone; return what was said."""
    if call.session is None:
        watched = call.context.subscriptions.announce(call.reader)
        return [f"notifications/{which}/list_changed" for which in watched]
    if not call.session.log.listeners:
        return []
    methods = [f"notifications/{which}/list_changed" for which in LISTS]
    return [each for each in methods if call.session.log.queue(notification_bytes(each, {}))]


_PROBES: dict[Feature, Callable[[Call, ProbeResult, ProbeArguments], Awaitable[None]]] = {
    "sampling": _ask,
    "elicitation": _ask,
    "roots": _ask,
    "ping": _ping,
    "progress": _progress,
    "logging": _logging,
    "cancellation": _cancellation,
    "list-changed": _list_changed,
}


def _text(report: ProbeResult) -> str:
    answer = "none" if report.answer is None else msgspec.json.encode(report.answer).decode()
    lines = [
        f"🧪 Client Probe: {report.feature}",
        "",
        f"- Era: {report.era} ({report.protocol_version})",
        *([] if report.declared is None else [f"- Declared: {yes(report.declared)}"]),
        f"- Sent: {', '.join(report.sent) or 'nothing'}",
        f"- Answer: {answer}",
        *([] if report.round_trip is None else [f"- Round Trip: {milliseconds(report.round_trip)}"]),
        *(f"- Problem: {problem}" for problem in report.problems),
        "",
        f"Verdict: {_VERDICTS[_verdict(report)]}",
    ]
    return printable("\n".join(lines))


CLIENT_PROBE = Tool(
    name="clientProbe",
    title="Client probe",
    description=(
        "Test a feature of the client and return what came back. Call it to see what the client supports."
    ),
    arguments=ProbeArguments,
    result=ProbeResult,
    run=client_probe,
    idempotent=False,
    open_world=True,
)
