"""Evidence to paste into an issue: the verdict, findings and flows, then what was sent. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from mcp_echo import __version__
from mcp_echo.protocol.texts import often, timestamp
from mcp_echo.watch.evidence.markup import code, fence, link, prose
from mcp_echo.watch.evidence.room import (
    FOR_DRILLS,
    FOR_FINDINGS,
    FOR_FLOWS,
    MOST,
    first_that_fit,
    last_that_fit,
)
from mcp_echo.watch.evidence.subject import line_of
from mcp_echo.watch.evidence.veil import veiled
from mcp_echo.watch.evidence.wire import answer_head, curl, request_head, target
from mcp_echo.watch.findings import ClientName, Drill, Evidence, Finding, Flow, Report, Step
from mcp_echo.watch.oauth_records import OauthRecord
from mcp_echo.watch.records import (
    ExchangeRecord,
    NodeChange,
    ProbeRecord,
    Record,
    SentRecord,
    SessionChange,
    StreamRecord,
)

_FOR_NOTES = 4096
"""Bytes that headings and what is said of cuts may take."""

_HOW_TO_RUN = (
    b"The commands run in a shell in which `SERVER` is the server's scheme and host, and `TRACE`, `SESSION` "
    b"and `TOKEN` are what is not recorded. A body that is not recorded is read from a file."
)


def markdown(report: Report, records: Sequence[Record]) -> bytes:
    """Return a report and its records as Markdown, in UTF-8.

    Args:
        report: The report.
        records: What it is about, the oldest first.
    """
    report, records = veiled(report, records)
    exchanges = {each.number: each for each in records if isinstance(each, ExchangeRecord)}
    parts = [
        _head(report).encode(),
        *_findings(report.findings, exchanges),
        *_flows(report.flows),
        *_drills(report.drills),
    ]
    parts += _records(records, MOST - _FOR_NOTES - sum(len(part) + 2 for part in parts))
    return b"\n\n".join(parts) + b"\n"


def _head(report: Report) -> str:
    facts = [
        f"- Client: {client_named(report.client)}",
        f"- Revision: {code(report.revision) if report.revision else 'unknown'}",
        f"- Rules: {report.held} held, {len(report.findings)} did not, {report.not_applicable} do not apply",
        f"- Exchanges: {report.exchanges}{_unseen(report)}",
    ]
    facts += [f"- {line}" for line in map(node_line, report.nodes)]
    if report.label:
        facts.insert(0, f"- Trace: {code(report.label)}")
    if report.begun:
        facts.append(f"- Begun: {code(report.begun)}")
    facts.append(f"- Seen by: mcp-echo {__version__}; secrets are masked, a1, a2 … stand for addresses")
    return "\n".join([f"**Verdict:** {code(report.verdict)}", "", *facts])


def node_line(change: NodeChange) -> str:
    """Return what has become of a node, as a sentence in Markdown."""
    when = f"Node {code(change.node)} {change.kind} at {code(timestamp(change.at))}"
    return f"{when}: what it saw last may be missing" if change.kind == "died" else when


def _unseen(report: Report) -> str:
    unseen = ""
    if report.dropped:
        unseen += f", the oldest {report.dropped} of which were dropped"
    if report.unrecorded:
        unseen += f"; {report.unrecorded} more were counted and not kept"
    return unseen


def client_named(client: ClientName | None) -> str:
    """Return what a client calls itself, in Markdown."""
    said = [] if client is None else [each for each in (client.name, client.version) if each]
    return " ".join(map(code, said)) or "unknown"


def _findings(findings: Sequence[Finding], exchanges: Mapping[int, ExchangeRecord]) -> Iterator[bytes]:
    if findings:
        pieces = first_that_fit(findings, lambda each: _finding(each, exchanges).encode(), FOR_FINDINGS)
        yield b"## Findings"
        yield from pieces
        yield from _cut("last", len(findings) - len(pieces), "finding")


def _flows(flows: Sequence[Flow]) -> Iterator[bytes]:
    if flows:
        pieces = last_that_fit(flows, lambda each: _flow(each).encode(), FOR_FLOWS)
        yield b"## Flows"
        yield from _cut("oldest", len(flows) - len(pieces), "flow")
        yield from pieces


def _drills(drills: Sequence[Drill]) -> Iterator[bytes]:
    if drills:
        pieces = last_that_fit(drills, lambda each: drill_line(each).encode(), FOR_DRILLS)
        yield b"## Faults"
        yield from _cut("oldest", len(drills) - len(pieces), "fault")
        yield b"\n".join(pieces)


def drill_line(drill: Drill) -> str:
    """Return what came of a fault, as an entry of a list in Markdown."""
    order = "" if drill.order is None else f"Order {drill.order}, "
    shown = "" if drill.shown in (None, drill.exchange) else f", exchange {drill.shown}"
    broke = f"; breaks {', '.join(map(code, drill.findings))}" if drill.findings else ""
    hit = (
        f"{order}{code(drill.fault)}: hit exchange {drill.exchange}, {code(drill.request)}, {code(drill.at)}"
    )
    return f"- {hit}. {code(drill.verdict)} ({drill.outcome}{shown}{broke})"


def _cut(which: str, number: int, name: str) -> Iterator[bytes]:
    """Yield a sentence that says what is left out, if anything is."""
    if number:
        are = f"{name} is" if number == 1 else f"{number} {name}s are"
        yield f"*The {which} {are} left out, to save room.*".encode()


def _finding(finding: Finding, exchanges: Mapping[int, ExchangeRecord]) -> str:
    line = line_of(finding, exchanges)
    parts = [
        f"### {finding.level.capitalize()}: {code(finding.id)}",
        "",
        code(finding.summary),
        "",
        f"- Rule: {_rule(finding)}",
        f"- What to do: {prose(finding.advice)}",
        f"- Seen: {_seen(finding)}",
        *(_occurrence(each, finding.subject) for each in finding.evidence),
    ]
    return "\n".join(parts if line is None else [*parts, "", fence([line], "text")])


def _rule(finding: Finding) -> str:
    rule = finding.rule
    title = prose(rule.title) if rule.url is None else link(rule.title, rule.url)
    return f"{title} ({rule.keyword})" if rule.keyword else title


def _seen(finding: Finding) -> str:
    when = code(finding.first) if finding.count == 1 else f"{code(finding.first)} to {code(finding.last)}"
    held = ", and held since then" if finding.resolved else ""
    who = f", by {client_named(finding.client)}" if finding.client else ""
    spoken = f", at {code(finding.revision)}" if finding.revision else ""
    return f"{often(finding.count)}, {when}{who}{spoken}; {finding.confidence}{held}"


def _occurrence(evidence: Evidence, subject: str) -> str:
    facts = [f"- Exchange {evidence.exchange}" + (f", {code(subject)}" if subject else "")]
    if evidence.found is not None:
        facts.append(f"found {code(evidence.found)}")
    if evidence.wanted is not None:
        facts.append(f"wanted {code(evidence.wanted)}")
    if evidence.differs_in:
        facts.append(f"they differ in {', '.join(map(code, evidence.differs_in))}")
    return "; ".join(facts)


def _flow(flow: Flow) -> str:
    session = f", session {code(flow.session)}" if flow.session else ""
    return "\n".join(
        [
            f"### Flow {flow.kind}: {flow.state}",
            "",
            f"{code(flow.verdict)} ({client_named(flow.client)}{session}, begun {code(flow.begun)})",
            "",
            *(f"{number}. {_step(step)}" for number, step in enumerate(flow.steps, 1)),
        ]
    )


def _step(step: Step) -> str:
    repeated = f", {often(step.count)}" if step.count > 1 else ""
    where = f" (exchange {', '.join(map(str, step.exchanges))})" if step.exchanges else ""
    at = f", {code(step.at)}" if step.at else ""
    return f"{code(step.step)} {step.state}{repeated}{at}{where}"


def _records(records: Sequence[Record], room: int) -> Iterator[bytes]:
    """Yield the newest records that there is room for, and say how many are cut."""
    if not records:
        return
    pieces = last_that_fit(records, lambda each: _record(each).encode(), room)
    lost, kept = records[: len(records) - len(pieces)], records[len(records) - len(pieces) :]
    yield b"## Exchanges"
    yield from _cut("oldest", sum(isinstance(each, ExchangeRecord) for each in lost), "exchange")
    if any(isinstance(each, ExchangeRecord) for each in kept):
        yield _HOW_TO_RUN
    yield from pieces


def _record(record: Record) -> str:
    when = code(timestamp(record.at))
    if isinstance(record, StreamRecord):
        return f"- {record.number}: Stream {code(record.tag)}: {record.kind}{_why(record)}, {when}"
    if isinstance(record, SessionChange):
        reason = f", {code(record.reason)}" if record.reason else ""
        return f"- {record.number}: Session {code(record.session)}: {record.kind}{reason}, {when}"
    if isinstance(record, SentRecord):
        return f"- {record.number}: Sent by the server: {code(record.method)}, {record.state}, {when}"
    if isinstance(record, NodeChange):
        return f"- {record.number}: Node {code(record.node)}: {record.kind}, {when}"
    if isinstance(record, ProbeRecord):
        return f"- {record.number}: Probe of a stream ({record.way}): {_probed(record)}, {when}"
    return "\n".join(_exchange(record))


def _probed(probe: ProbeRecord) -> str:
    written = f"events written after {_milliseconds(probe.written)} ms"
    answered = f", answered after {_milliseconds(probe.answered)} ms" if probe.answered else ""
    silence = f", silent for {probe.silence:.3f} s" if probe.silence else ""
    cut = "" if probe.cut is None else f", cut after {probe.cut:.3f} s of silence"
    return f"{written}{answered}{silence}{cut}"


def _milliseconds(times: Iterable[float | None]) -> str:
    return ", ".join("-" if each is None else f"{each * 1000:.0f}" for each in times)


def _why(stream: StreamRecord) -> str:
    why = f", {stream.why}" if stream.why else ""
    return why if stream.seconds is None else f"{why} after {stream.seconds:.3f} s"


def _exchange(exchange: ExchangeRecord) -> Iterable[str]:
    status = "no answer" if exchange.status is None else str(exchange.status)
    line = code(f"{exchange.http_method} {target(exchange)}")
    yield f"### Exchange {exchange.number}: {line} → {status}"
    yield ""
    where = f", at node {code(exchange.node)}" if exchange.node else ""
    came = f"connection {exchange.connection} from {code(exchange.address)}"
    yield f"{code(timestamp(exchange.at))}, {came}{where}"
    yield ""
    yield fence([*request_head(exchange), "", *_body(exchange)], "http")
    yield ""
    if answer := answer_head(exchange):
        yield fence([*answer, "", f"({exchange.sent} bytes of body{_timing(exchange)})"], "http")
    else:
        yield "Nothing was answered."
    if exchange.oauth:
        yield ""
        yield _oauth(exchange.oauth)
    if exchange.reason:
        yield ""
        yield f"Refused: {code(exchange.reason)}"
    yield ""
    yield fence([curl(exchange)], "sh")


def _oauth(oauth: OauthRecord) -> str:
    """Return what the bodies of a leg of OAuth say, which are not shown."""
    every = {"asked": msgspec.to_builtins(oauth.asked), "answered": msgspec.to_builtins(oauth.answered)}
    facts = [f"{name} {code(msgspec.json.encode(said).decode())}" for name, said in every.items() if said]
    return "; ".join([f"OAuth {code(oauth.leg)}", *facts])


def _body(exchange: ExchangeRecord) -> list[str]:
    whole = "" if exchange.complete else ", not all of the request came"
    beginning = [] if exchange.body is None else exchange.body.splitlines()
    return [*beginning, f"({exchange.body_bytes} bytes of body{whole})"]


def _timing(exchange: ExchangeRecord) -> str:
    timing = "" if exchange.first is None else f", the first after {exchange.first * 1000:.1f} ms"
    return timing + (", an event stream" if exchange.streamed else "")
