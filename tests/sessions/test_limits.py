"""Rates, and work at the same time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_echo.auth.networks import network_of
from mcp_echo.protocol.errors import CallsTooFast, SessionsTooFast, TooManyStreams, TooMuchInFlight
from mcp_echo.protocol.revisions import Supported
from mcp_echo.sessions.key import SessionKey
from mcp_echo.sessions.limits import CLIENTS_AT_AN_ADDRESS, AddressRates, Limits, Rate
from mcp_echo.sessions.session import UNKNOWN_CLIENT, Session, Terms
from mcp_echo.settings.load import load
from tests.sessions.test_event_log import Connection

BURST = 10


def limits(**settings: str) -> Limits:
    return Limits(load(settings, {}).settings)


def session() -> Session:
    return Session(SessionKey("id", None, False), Terms(Supported().offered, UNKNOWN_CLIENT, 60), 0.0)


class Calls:
    """Calls of one session, each admitted or not."""

    def __init__(self, per_second: int) -> None:
        self.limits = limits(call_rate=str(per_second))
        self.session = session()

    def admitted(self, now: float) -> bool:
        try:
            self.limits.admit_call(self.session, now)
        except CallsTooFast:
            return False
        return True


moments = st.lists(st.integers(0, 400), max_size=200).map(
    lambda steps: [sum(steps[:n]) / 64 for n in range(len(steps))]
)


@given(st.sampled_from([1, 2, 4, 8]), moments)
def test_a_bucket_and_a_number_admit_the_same(per_second: int, times: list[float]) -> None:
    """The one number of a session stands for a token bucket; with times that are exact in binary the two
    agree on every call."""
    calls = Calls(per_second)
    tokens, last = float(per_second * BURST), 0.0
    for now in times:
        tokens, last = min(per_second * BURST, tokens + (now - last) * per_second), now
        admitted = tokens >= 1
        tokens -= admitted
        assert calls.admitted(1000.0 + now) is admitted


@given(st.integers(1, 5000), st.lists(st.floats(0, 0.5), max_size=300))
def test_no_span_of_time_has_more_calls_than_the_rate_and_a_burst(
    per_second: int, steps: list[float]
) -> None:
    """server/tools, Security Considerations: MUST rate limit."""
    calls, now, admitted = Calls(per_second), 1000.0, []
    for step in steps:
        now += step
        if calls.admitted(now):
            admitted.append(now)
    for place, start in enumerate(admitted):
        for later, end in enumerate(admitted[place:], 1):
            assert later <= per_second * (BURST + end - start) + 1e-6


@given(st.integers(11, 5000), st.integers(0, 100))
def test_a_client_that_keeps_to_the_rate_is_never_refused(per_second: int, at_once: int) -> None:
    """The load benchmark makes 400 calls a second in a session, and must pass always."""
    calls = Calls(per_second)
    assert all(calls.admitted(1000.0) for _ in range(at_once))
    assert all(calls.admitted(1000.0 + number / per_second) for number in range(1, 500))


def test_the_next_call_after_the_wait_that_was_named_is_admitted() -> None:
    """RFC 9110 section 10.2.3: Retry-After is how long to wait."""
    calls = Calls(2)
    assert [calls.admitted(1000.0) for _ in range(21)] == [True] * 20 + [False]
    with pytest.raises(CallsTooFast) as refusal:
        calls.limits.admit_call(calls.session, 1000.0)
    assert refusal.value.retry_after == 1
    assert calls.admitted(1001.0)
    assert calls.limits.refused.calls_too_fast == 2


def test_each_session_has_a_rate_of_its_own() -> None:
    """Our choice: a client's calls cost nobody else's."""
    calls = Calls(1)
    assert [calls.admitted(1000.0) for _ in range(11)][-1] is False
    calls.session = session()
    assert calls.admitted(1000.0)


def admitted_after(rates: AddressRates, address: str, now: float) -> int:
    """Call at once, if that is admitted; return the seconds to wait otherwise."""
    seconds = rates.seconds_until(address, now)
    if not seconds:
        rates.count(address, now)
    return seconds


def test_a_rate_of_nothing_is_no_limit() -> None:
    """0 = no limit."""
    free = limits(initialize_rate="0", call_rate="0")
    for _ in range(100_000):
        free.admit_session("10.0.0.1", 1000.0)
    assert not free.limits_calls


def test_sessions_are_made_in_bursts_of_twenty_seconds() -> None:
    """Our choice: a test run may begin a thousand at once; a flood is slowed down to 50 a second."""
    bounded = limits()
    for _ in range(50 * 20):
        bounded.admit_session("10.0.0.1", 1000.0)
    with pytest.raises(SessionsTooFast) as refusal:
        bounded.admit_session("10.0.0.1", 1000.0)
    assert refusal.value.headers == {"Retry-After": "1"}
    bounded.admit_session("10.0.0.2", 1000.0)
    bounded.admit_session("10.0.0.1", 1001.0)
    assert bounded.refused.sessions_too_fast == 1


def test_calls_without_a_session_are_counted_by_address() -> None:
    """Our choice: where no session is, the address is all there is, and several clients may share it."""
    bounded = limits(call_rate="1")
    for _ in range(10 * CLIENTS_AT_AN_ADDRESS):
        bounded.admit_call_from("10.0.0.1", 1000.0)
    with pytest.raises(CallsTooFast):
        bounded.admit_call_from("10.0.0.1", 1000.0)
    bounded.admit_call_from("10.0.0.2", 1000.0)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("unix", "unix"),
        ("no:address", "no:address"),
    ],
)
def test_an_ipv6_subscriber_is_one_client(address: str, network: str) -> None:
    """RFC 6177: a subscriber has a /64 at least, and could take a new address for each request."""
    assert network_of(address) == network


def test_the_table_of_addresses_is_bounded() -> None:
    """Our choice: the one that was quiet for longest is forgotten, and the busy one is not."""
    rates = AddressRates(Rate(1, BURST), most=100)
    busy = [admitted_after(rates, "busy", 1000.0) for _ in range(11)]
    assert busy == [0] * 10 + [1]
    for number in range(1000):
        admitted_after(rates, f"10.0.{number // 256}.{number % 256}", 1000.0)
        if number % 50 == 0:
            admitted_after(rates, "busy", 1000.0)
        assert len(rates) <= 100
    assert admitted_after(rates, "busy", 1000.5) == 0, (
        "it was refused all the while, and so the longest quiet"
    )


def test_the_address_that_calls_is_not_the_one_that_is_forgotten() -> None:
    """Our choice: whoever spends its calls cannot have them back by the arrival of others."""
    rates = AddressRates(Rate(1, BURST), most=3)
    for _ in range(9):
        admitted_after(rates, "busy", 1000.0)
    for other in ("a", "b", "busy", "c", "d"):
        assert admitted_after(rates, other, 1000.0) == 0
    assert admitted_after(rates, "busy", 1000.0) == 1


def test_addresses_are_forgotten_once_their_bucket_is_full_again() -> None:
    """Our choice: what is remembered of a quiet address would change nothing."""
    rates = AddressRates(Rate(1, BURST))
    for number in range(1000):
        admitted_after(rates, f"address {number}", 1000.0)
    assert len(rates) == 1000
    for number in range(1000):
        admitted_after(rates, "10.0.0.1", 2000.0 + 10 * number)
    assert len(rates) == 1


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 64)), max_size=120))
def test_forgetting_changes_no_verdict(calls: list[tuple[str, int]]) -> None:
    """An address that is forgotten and one that was never seen are told the same."""
    rates, each, now = AddressRates(Rate(1, BURST)), {name: Calls(1) for name in "abc"}, 1000.0
    for name, step in calls:
        now += step / 16
        assert (admitted_after(rates, name, now) == 0) is each[name].admitted(now)


def test_work_at_the_same_time_is_bounded_for_a_principal_and_for_an_address() -> None:
    """Our choice: several clients may share an address, so that it may have more."""
    bounded = limits(max_requests_in_flight="2")
    address = "2001:db8::1"
    owners = []
    for principal, most in (("alice", 2), (None, 2 * CLIENTS_AT_AN_ADDRESS)):
        for _ in range(most):
            bounded.check_in_flight_of(principal, address)
            owners.append(bounded.begin(principal, address))
        with pytest.raises(TooMuchInFlight):
            bounded.check_in_flight_of(principal, "2001:db8::2")
    bounded.check_in_flight_of("bob", address)
    assert bounded.refused.in_flight == 2
    for owner in owners:
        bounded.finish(owner)
    assert bounded._in_flight == {}


def test_work_in_a_session_is_bounded_however_its_requests_are_numbered() -> None:
    """JSON-RPC section 4.2: ids in use must differ; a client that does not care gains nothing."""
    bounded, busy = limits(max_requests_in_flight="2"), session()
    for _ in range(2):
        bounded.check_in_flight(busy)
        busy.begin(1)
    with pytest.raises(TooMuchInFlight):
        bounded.check_in_flight(busy)
    busy.finish(1)
    bounded.check_in_flight(busy)
    busy.finish(1)
    assert (busy.in_flight, bounded.refused.in_flight) == (0, 1)


def test_listening_streams_are_bounded_and_answers_are_not_counted() -> None:
    """Our choice: answers are bounded by the requests in flight."""
    bounded, listening = limits(max_streams_per_session="2"), session()
    Connection(listening.log, listening.log.answer())
    streams = []
    for _ in range(2):
        bounded.check_streams(listening)
        streams.append(Connection(listening.log, listening.log.listen()))
    with pytest.raises(TooManyStreams):
        bounded.check_streams(listening)
    streams[0].leave()
    bounded.check_streams(listening)
    assert bounded.refused.streams == 1


def test_who_is_pushed_out_of_the_table_of_rates_is_let_in_sooner_and_never_later() -> None:
    """Our choice: a subscriber with a /48 has 65,536 networks, and can have any address forgotten.

    That address gets a new burst, which is less than those networks have of their own. Shares are no part of
    this, for they are of what lives.
    """
    rates = AddressRates(Rate(1, 2), most=100)
    assert [admitted_after(rates, "10.0.0.1", 1000.0) for _ in range(3)] == [0, 0, 1]
    for number in range(200):
        assert admitted_after(rates, f"2001:db8:0:{number:x}::1", 1000.0) == 0
    assert len(rates) == 100
    assert [admitted_after(rates, "10.0.0.1", 1000.0) for _ in range(3)] == [0, 0, 1]
