"""Evidence for programs: JSON, HAR, SARIF and JUnit."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from mcp_echo.watch.evidence.as_json import as_json, schema
from mcp_echo.watch.evidence.formats import EVIDENCE
from mcp_echo.watch.evidence.har import har
from mcp_echo.watch.evidence.junit import junit
from mcp_echo.watch.evidence.room import MOST
from mcp_echo.watch.evidence.sarif import sarif
from mcp_echo.watch.findings import Evidence, Flow, Report
from mcp_echo.watch.judge import Judge
from mcp_echo.watch.records import Record, SessionChange, StreamRecord
from mcp_echo.watch.rules.rule import Broken, Held, Rule
from tests.watch.evidence.support import ACCEPT, AT, SPECIFICATION, exchange, finding, report, said

HERE = Path(__file__).parent
ROOT = Path(__file__).parents[3]


def read(path: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return value


SCHEMAS = {
    "json": read(ROOT / "docs/evidence.schema.json"),
    "har": read(HERE / "har-1.2.schema.json"),
    "sarif": read(HERE / "sarif-2.1.0.reduced.schema.json"),
}
VALIDATORS = {name: Draft202012Validator(each) for name, each in SCHEMAS.items()}
JSON_FORMS = {"json": as_json, "har": har, "sarif": sarif}
Write = Callable[[Report, list[Record]], bytes]


def checked(form: str, whole: Report, records: list[Record]) -> Any:
    """Return what a form says, once it has been held to its schema."""
    said_in_it = json.loads(EVIDENCE[form].write(whole, records))
    VALIDATORS[form].validate(said_in_it)
    return said_in_it


def test_the_published_schema_is_that_of_the_structs() -> None:
    """Our choice: the file is what programs are written against."""
    wanted = json.loads(json.dumps(schema()))
    assert SCHEMAS["json"] == wanted, f"docs/evidence.schema.json must be:\n{json.dumps(wanted, indent=2)}"


def test_json_has_the_whole_report_and_the_records() -> None:
    """The design: the whole report and records, by kind and in order."""
    records: list[Record] = [
        exchange(1),
        StreamRecord(number=2, at=AT, kind="open", tag="g"),
        exchange(3),
        SessionChange(number=4, at=AT, kind="end", session="2195e51e", reason="expired"),
    ]
    made = checked("json", report(finding()), records)
    assert made["report"]["findings"][0]["evidence"][0]["wanted"] == f"application/json, {ACCEPT}"
    assert made["report"]["heldRules"] == ["one", "two"]
    assert [each["number"] for each in made["exchanges"]] == [1, 3]
    assert [each["number"] for each in made["streams"]] == [2]
    assert made["sessions"][0]["reason"] == "expired"
    assert set(made["cut"].values()) == {0}


def test_an_archive_has_each_exchange_with_what_it_breaks() -> None:
    """HAR 1.2: entries are ordered by when they began; names with an underscore are ours."""
    mask = "[9 characters, sha256 0a43e0ba]"
    records: list[Record] = [
        exchange(1, query=(("token", mask), ("q", "a b"))),
        StreamRecord(number=2, at=AT, kind="open"),
        exchange(3, status=None, first=None, last=None, path="*", headers=(("Host", "[2001:db8::1]:3000"),)),
        exchange(
            4,
            first=0.5,
            last=None,
            body="{}",
            headers=(("Content-Type", "application/json"),),
            fault="cut",
            order=1,
        ),
    ]
    first, second, third = checked("har", report(finding()), records)["log"]["entries"]
    assert first["request"]["url"].startswith("http://echo.example:3000/t/%7Btrace%7D/mcp?token=%5B9%20")
    assert first["request"]["queryString"][1] == {"name": "q", "value": "a b"}
    assert first["request"]["headers"][1] == {"name": "Accept", "value": ACCEPT}
    assert (first["_number"], first["_findings"]) == (1, ["accept-incomplete"])
    assert "_fault" not in first
    assert (third["_fault"], third["_order"]) == ("cut", 1)
    assert first["time"] == pytest.approx(12.5)
    assert first["timings"] == {"send": 0, "wait": 12.0, "receive": 0.5}
    assert (second["response"]["status"], second["request"]["url"]) == (0, "http://a2:3000/*")
    assert third["request"]["postData"] == {"mimeType": "application/json", "text": "{}"}
    assert third["timings"]["receive"] == 0


def test_sarif_has_a_result_and_a_rule_for_each_finding() -> None:
    """SARIF 2.1.0, 3.27 and 3.49: a rule's helpUri, and a result's level."""
    info = finding("client-kind", level="info", evidence=())
    run = checked("sarif", report(finding(), info), [])["runs"][0]
    rules, results = run["tool"]["driver"]["rules"], run["results"]
    assert [(each["id"], each["helpUri"]) for each in rules] == [
        ("accept-incomplete", f"{SPECIFICATION}#sending"),
        ("client-kind", f"{SPECIFICATION}#sending"),
    ]
    assert [(each["ruleId"], each["ruleIndex"], each["level"]) for each in results] == [
        ("accept-incomplete", 0, "error"),
        ("client-kind", 1, "note"),
    ]
    assert results[0]["locations"][0]["logicalLocations"][0]["fullyQualifiedName"] == "exchanges/1#header:1"


def test_no_message_of_sarif_has_a_link_of_a_client() -> None:
    """SARIF 2.1.0, 3.11.6: a message may have links in it."""
    made = checked("sarif", report(finding(summary="see [this](https://evil.example)")), [])
    assert "](" not in made["runs"][0]["results"][0]["message"]["text"]


def test_junit_has_a_case_for_each_rule_that_applied() -> None:
    """Our choice: errors and warnings fail, what is good to know does not."""
    whole = report(
        finding(), finding("session-never-deleted", level="warning"), finding("cookie-sent", level="info")
    )
    suite = ElementTree.fromstring(junit(whole, []))[0]
    cases = {case.get("name"): case for case in suite.iter("testcase")}
    assert [*cases] == ["accept-incomplete", "session-never-deleted", "cookie-sent", "one", "two"]
    assert [name for name, case in cases.items() if case.find("failure") is not None] == [
        "accept-incomplete",
        "session-never-deleted",
    ]
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("5", "2", "0")
    failure = cases["accept-incomplete"].find("failure")
    assert failure is not None
    assert failure.get("type") == "error"
    assert SPECIFICATION in (failure.text or "")
    facts = {each.get("name"): each.get("value") for each in suite.findall("properties/property")}
    assert facts["held"] == "2"
    assert facts["verdict"] == "One rule is broken."


def test_the_judge_names_the_rules_that_held() -> None:
    """Our choice: what was kept is a result too, rule by rule."""
    plain = {"level": "error", "title": "", "advice": ""}
    rules = [
        Rule(id="kept", check=lambda each: Held(each.number), **plain),  # type: ignore[arg-type]
        Rule(id="broken", check=lambda each: Broken(exchange=each.number, summary=""), **plain),  # type: ignore[arg-type]
        Rule(id="of-nothing", check=lambda _: None, **plain),  # type: ignore[arg-type]
    ]
    judge = Judge({rule.id: rule for rule in rules})
    judge.see(exchange())
    assert (judge.held_rules, judge.held, judge.not_applicable) == (("kept",), 1, 1)


TEXTS = st.text(st.characters(), min_size=1)
NASTY = '\x00\x1b\x85\u2028\ud800\udfff\ufffe\uffff"\\</testcase>]]>&<!--%{0}[a](b)\r\n'


@given(TEXTS)
@example(NASTY)
@example(" ")
def test_every_form_stays_valid_whatever_a_client_has_written(text: str) -> None:
    """RFC 8259, XML 1.0 2.2, and the schemas of the forms."""
    whole, records = said(text, ["Host", "Content-Type", "Location", "X-Forwarded-For"])
    for form in JSON_FORMS:
        checked(form, whole, records)
    suite = ElementTree.fromstring(junit(whole, records))[0]
    assert [case.get("name") for case in suite.iter("testcase")] == ["accept-incomplete", "one", "two"]
    urls = [each["request"]["url"] for each in json.loads(har(whole, records))["log"]["entries"]]
    assert all(urlsplit(url).netloc for url in urls)


@given(TEXTS)
@example(NASTY)
def test_no_form_acts_on_a_terminal(text: str) -> None:
    """Our choice: the command prints it."""
    for form, evidence in EVIDENCE.items():
        made = evidence.write(*said(text)).decode()
        assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", made), form


def many(count: int, size: int) -> list[Record]:
    return [exchange(number, headers=(("X-Long", "x" * size),)) for number in range(1, count + 1)]


@pytest.mark.parametrize("form", EVIDENCE)
@pytest.mark.parametrize(("count", "size"), [(500, 2000), (3, 300_000), (2000, 10)])
def test_evidence_is_bounded_and_loses_the_oldest_exchanges(form: str, count: int, size: int) -> None:
    """The design: at most 256 KiB, and it says what was cut."""
    made = EVIDENCE[form].write(report(finding(), exchanges=count), many(count, size))
    assert len(made) <= MOST
    if form == "md":
        shown = [int(each) for each in re.findall(r"^### Exchange (\d+):", made.decode(), re.MULTILINE)]
        cut = re.findall(r"The oldest (\d+) exchanges are left out", made.decode())
        assert made.count(b"```sh\n") == len(shown)
    elif form == "json":
        shown = [each["number"] for each in json.loads(made)["exchanges"]]
        cut = [json.loads(made)["cut"]["exchanges"]]
    elif form == "har":
        shown = [each["_number"] for each in json.loads(made)["log"]["entries"]]
        cut = re.findall(rf"the oldest (\d+) of {count} exchanges", made.decode())
    else:
        return
    assert [int(each) for each in cut] == [count - len(shown)]
    assert shown == list(range(count - len(shown) + 1, count + 1))


@pytest.mark.parametrize("form", EVIDENCE)
def test_a_report_of_any_size_is_cut_from_its_end(form: str) -> None:
    """Our choice: errors come first, so that the last findings are the least."""
    long = "\U0001f600 \x1b" * 1000
    occurrences = tuple(Evidence(exchange=1, found=long, wanted=long, differs_in=(long,)) for _ in range(3))
    findings = [finding(f"rule-{number}", summary=long, evidence=occurrences) for number in range(125)]
    flow = Flow(kind="legacy", state="running", verdict=long, steps=(), begun="", session=long)
    whole = report(*findings, verdict=long, label=long, flows=(flow,) * 50)
    made = EVIDENCE[form].write(whole, many(10, 10))
    assert len(made) <= MOST
    if form != "har":
        assert b"rule-0" in made
        assert b"rule-124" not in made
        assert re.search(
            rb'last \d+ findings are left out|"findings":\d|"findingsCut":\d|"findingsCut" value', made
        )
