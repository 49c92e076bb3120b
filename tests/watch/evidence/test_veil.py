"""Evidence does not say who it was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_echo.watch.evidence.formats import EVIDENCE
from mcp_echo.watch.evidence.veil import LONGEST_SENTENCE, Veil, is_identity, veiled
from mcp_echo.watch.findings import Evidence, Flow
from mcp_echo.watch.records import ExchangeRecord
from tests.growth import ONE_AT_A_TIME, check_linear
from tests.watch.evidence.support import exchange, finding, report, said


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("from 203.0.113.7:5050.", "from a1:5050."),
        ("203.0.113.7, 203.0.113.8, 203.0.113.7", "a1, a2, a1"),
        ("2001:DB8::1 is 2001:db8:0::1", "a1 is a1"),
        ("::ffff:203.0.113.7 is 203.0.113.7", "a1 is a1"),
        ("http://[2001:db8::1]:3000/ and http://127.0.0.1/", "http://[a1]:3000/ and http://a2/"),
        ("fe80::1%eth0, ::1", "a1%eth0, a2"),
        ("by 2001:db8::1.", "by a1."),
        ("IPv6:2001:db8::1", "IPv6:a1"),
        ("x203.0.113.7.nip.io", "xa1.nip.io"),
        ("1:203.0.113.7:80", "1:a1:80"),
    ],
)
def test_an_address_has_a_pseudonym(text: str, wanted: str) -> None:
    """The design: a1, a2 … in order of appearance, equal ones equal."""
    assert Veil([]).text(text) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "at 14:02:11 and 2026-11-29T14:02:11.000Z",
        "Mozilla/5.0 Chrome/140.0.0.0 Safari/537.36",
        "version 1.30.0, 300.1.1.1, 1.2.3.4.5",
        "std::vector, ::, de:ad",
        "0.0.0.0",
    ],
)
def test_what_is_nobody_s_address_stays(text: str) -> None:
    """Our choice: times, versions and networks are what a reader needs."""
    assert Veil([]).text(text) == text


@given(st.ip_addresses())
def test_every_address_is_found(address: object) -> None:
    """RFC 4291 section 2.2, RFC 5952: however an address is written."""
    text = str(address)
    shown = Veil([]).text(f"(peer {text})")
    assert shown == "(peer a1)" or text.endswith(".0.0.0") or text == "::"


IDENTITY = """X-Forwarded-For Forwarded X-Real-IP CF-Connecting-IP True-Client-IP X-Auth-Request-Email
    X-Auth-Request-Whatever X-Forwarded-User X-Forwarded-Email x-forwarded-groups Remote-User Fastly-Client-IP
    X-Company-User-Email X-WEBAUTH-USER Tailscale-User-Login""".split()


@pytest.mark.parametrize("name", IDENTITY)
def test_an_identity_header_is_masked_in_every_form_and_sentence(name: str) -> None:
    """The design: what a gateway says of a person is not for strangers."""
    value = "alice@example.com"
    records = [
        exchange(1, headers=((name, value),)),
        exchange(2, headers=((name, value),), reason=f"by {value}"),
    ]
    seen = finding(summary=f"It is {value}", evidence=(Evidence(exchange=1, found=value),))
    flow = Flow(kind="oauth", state="running", verdict=f"{value} came", steps=(), begun="")
    whole = report(seen, verdict=f"Seen {value}", flows=(flow,))
    for form, evidence in EVIDENCE.items():
        assert b"alice" not in evidence.write(whole, records), form
    _, shown = veiled(whole, records)
    masked = [each.headers for each in shown if isinstance(each, ExchangeRecord)]
    assert masked == [((name, "[identity 1]"),)] * 2


@pytest.mark.parametrize("name", ["Accept", "X-Forwarded-Proto", "X-Forwarded-Host", "User-Agent", "Via"])
def test_what_says_nothing_of_a_person_is_shown(name: str) -> None:
    """Our choice: these are what findings about proxies stand on."""
    assert not is_identity(name)


@pytest.mark.parametrize("form", EVIDENCE)
def test_no_address_is_in_any_form(form: str) -> None:
    """The design: addresses are pseudonyms in every text."""
    evidence = EVIDENCE[form].write(*said("from 203.0.113.7 to 2001:db8::7", ["Host", "Origin", "X-Real-IP"]))
    for address in (b"203.0.113", b"2001:db8", b"db8"):
        assert address not in evidence


def test_what_a_client_writes_cannot_change_the_level_of_a_finding() -> None:
    """Our choice: only sentences are searched for what an identity header says."""
    records = [exchange(headers=(("X-Forwarded-User", "error"),))]
    shown, _ = veiled(report(finding(summary="an error")), records)
    assert (shown.findings[0].level, shown.findings[0].summary) == ("error", "an [identity 1]")


def test_a_sentence_is_bounded() -> None:
    """Our choice: one text must not take the room of all others."""
    shown, _ = veiled(report(finding(summary="word " * 1000)), [])
    assert len(shown.findings[0].summary) < LONGEST_SENTENCE + 50


@pytest.mark.slow
@ONE_AT_A_TIME
@pytest.mark.parametrize("form", EVIDENCE)
@pytest.mark.parametrize(
    "unit", ["1.2.3.", "::", "a:", "`", "[9 characters, ", "'", "\x1b", "{trace}", "word "]
)
def test_the_time_grows_with_the_text(form: str, unit: str) -> None:
    """Our choice: whoever may read a trace may ask for its evidence at any time."""
    write = EVIDENCE[form].write
    check_linear(lambda size: lambda: write(*said(unit * (size // len(unit)))), 64 * 1024)
