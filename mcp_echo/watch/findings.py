"""Findings, flows and reports, as everybody is shown them: tools, HTTP, resources, evidence. No I/O."""

from __future__ import annotations

from typing import Literal

import msgspec

from mcp_echo.watch.drill_outcomes import Outcome
from mcp_echo.watch.records import NodeChange
from mcp_echo.watch.rules.rule import Confidence, Level
from mcp_echo.watch.seen import Era


class RuleLink(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """Where a rule is from."""

    title: str
    url: str | None = None
    keyword: str | None = None
    conformance: str | None = None


class Evidence(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True, rename="camel"):
    """One occurrence of a finding."""

    exchange: int
    found: str | None = None
    wanted: str | None = None
    differs_in: tuple[str, ...] = ()


class ClientName(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a client calls itself."""

    name: str | None = None
    version: str | None = None


class Finding(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """A rule that was not kept: how often, since when, and by what it is seen."""

    id: str
    level: Level
    confidence: Confidence
    summary: str
    advice: str
    rule: RuleLink
    subject: str = ""
    count: int
    first: str
    """ISO 8601 with milliseconds and ``Z``."""
    last: str
    evidence: tuple[Evidence, ...] = ()
    """The first occurrences, at most `MOST_EVIDENCE`."""
    client: ClientName | None = None
    era: Era | None = None
    revision: str | None = None
    resolved: bool = False
    """Whether the rule was held after its last occurrence."""


MOST_EVIDENCE = 3
"""Occurrences of one finding that are kept with it."""

StepState = Literal["done", "repeated", "skipped", "missing", "failed"]
"""It came, came more often than needed, may lawfully be left out and was, did not come by its deadline, or
was answered with an error."""


class Step(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """One step of a flow."""

    step: str
    state: StepState
    count: int = 0
    exchanges: tuple[int, ...] = ()
    """The first exchanges that took it, at most 10."""
    at: str | None = None
    """When it was taken first; ISO 8601."""


FlowState = Literal["running", "complete", "stopped", "failed"]


class Flow(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """What one client did, step by step."""

    kind: Literal["oauth", "legacy", "modern"]
    state: FlowState
    verdict: str
    """For people: one sentence or two, with times; says what is missing."""
    steps: tuple[Step, ...]
    session: str | None = None
    """As of `mcp_echo.watch.records.ExchangeRecord`."""
    client: ClientName | None = None
    revision: str | None = None
    likely: bool = False
    """Whether some of it may be of somebody else: it was joined by the address it came from, and no more."""
    begun: str
    """ISO 8601."""


class Drill(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """An exchange that was hit by a fault, and what its client did then."""

    order: int | None = None
    """The number of the order that it was hit by."""
    fault: str
    """The kind of the fault, and its variant."""
    exchange: int
    """The one that was hit."""
    request: str
    """What it asked for: a JSON-RPC method with its tool, or an HTTP method with its path."""
    status: int | None = None
    """What it was answered; None where nothing was."""
    at: str
    """When it came; ISO 8601."""
    outcome: Outcome
    verdict: str
    """For people: one sentence."""
    milliseconds: int | None = None
    """From the answer to what the client did; None where nothing has come."""
    shown: int | None = None
    """The number of the record that shows what it did."""
    findings: tuple[str, ...] = ()
    """The ids of the rules that it broke by that."""


class Report(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True, rename="camel"):
    """What ``clientReport`` and ``GET …/report`` answer."""

    client: ClientName | None = None
    """The client that was seen last; None where none has said its name."""
    era: Era | None = None
    revision: str | None = None
    verdict: str
    """For people: the first thing to know."""
    findings: tuple[Finding, ...]
    """Errors first, then warnings, then the rest; each by when it was seen first."""
    held: int
    """Rules that applied and were kept."""
    held_rules: tuple[str, ...] = ()
    """The ids of these."""
    not_applicable: int
    """Rules that nothing applied to."""
    flows: tuple[Flow, ...]
    drills: tuple[Drill, ...] = ()
    """What was hit by faults that somebody ordered, and what came of it."""
    exchanges: int
    """How many exchanges there were."""
    dropped: int
    """How many of the oldest are kept no more."""
    unrecorded: int
    """How many were counted but not kept, for want of time or of a store that could be reached."""
    nodes: tuple[NodeChange, ...] = ()
    """Nodes that have recorded some of it and have stopped or died since. What one that died saw in its last
    moments may be missing."""
    label: str | None = None
    """The name that the trace was given when it was made."""
    begun: str | None = None
    """When the trace was made; ISO 8601."""
    about: str = ""
    """What the report is about: ``trace``, ``session``, ``handle``, ``principal`` or ``exchange``."""
