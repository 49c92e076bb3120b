"""whoIStheGOAT: the fun one, deterministic all the same."""

from __future__ import annotations

import hashlib
from typing import Annotated

import msgspec
from msgspec import Meta

from mcp_echo.auth import jwt
from mcp_echo.auth.identity_headers import Fact
from mcp_echo.redaction import printable
from mcp_echo.tools.auth import bearer_token
from mcp_echo.tools.base import Answer, Call, Tool
from mcp_echo.tools.identity import told

_DEFAULT_SUBJECT = "MCP Protocol"
_FACTORS = ("Promising", "Remarkable", "Outstanding", "Legendary", "Mythical")
_QUALITIES = (
    "Stateful session management",
    "Protocol compliance",
    "Developer experience",
    "Graceful error handling",
    "Impeccable header hygiene",
    "Fearless concurrency",
    "Backpressure under pressure",
    "Idempotent charm",
    "Low latency, high spirits",
    "Exactly-once wit",
)


class GoatArguments(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What whoIStheGOAT takes."""

    subject: Annotated[
        Annotated[str, Meta(max_length=1000)] | None,
        Meta(description="Whom or what to score; else the caller."),
    ] = None


class GoatResult(msgspec.Struct, rename="camel"):
    """What whoIStheGOAT answers."""

    subject: str
    score: int
    greatness_factor: str
    top_qualities: list[str]
    verdict: str


def who_is_the_goat(call: Call, arguments: GoatArguments) -> Answer:
    """Judge the subject; the same subject always gets the same judgement."""
    subject = arguments.subject or _caller(call) or _DEFAULT_SUBJECT
    digest = hashlib.sha256(subject.encode("utf-8", "surrogatepass")).digest()
    score = 90 + digest[0] % 11
    factor = _FACTORS[(score - 90) * len(_FACTORS) // 11]
    start, step = digest[1] % len(_QUALITIES), 1 + 2 * (digest[2] % 2)
    qualities = [_QUALITIES[(start + step * place) % len(_QUALITIES)] for place in range(3)]
    result = GoatResult(subject, score, factor, qualities, "Certified GOAT 🏆")
    text = (
        "🐐 GOAT Analysis Complete\n\n"
        f"Subject: {printable(subject)}\n"
        f"Excellence Score: {score}/100\n"
        f"Greatness Factor: {factor}\n\n"
        "Top Qualities:\n"
        + "".join(f"- {quality}\n" for quality in qualities)
        + f"\nVerdict: {result.verdict}"
    )
    return Answer(text, result)


def _caller(call: Call) -> str | None:
    """Return what the request calls its user, by header or by token."""
    context: tuple[Fact, ...] = ("user_name", "github_user", "user_id")
    named = next((name for fact in context if (name := told(call.headers, fact))), None)
    return named or _named_in_token(bearer_token(call.headers))


def _named_in_token(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        payload = jwt.read(text).payload or {}
    except jwt.NotAToken:
        return None
    claims = (payload.get(claim) for claim in ("name", "preferred_username", "sub"))
    return next((claim[:1000] for claim in claims if isinstance(claim, str) and claim), None)


WHO_IS_THE_GOAT = Tool(
    name="whoIStheGOAT",
    title="Who is the GOAT?",
    description="Return a score from a hash of the subject: a joke, the same every time. Call it for fun.",
    arguments=GoatArguments,
    result=GoatResult,
    run=who_is_the_goat,
)
