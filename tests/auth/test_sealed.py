"""State that the client carries.

Unless a test says otherwise, its duty is in "Server Requirements" of
https://modelcontextprotocol.io/specification/2026-07-28/basic/patterns/mrtr
"""

from __future__ import annotations

import base64
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_echo.auth.sealed import LIFETIME, Seal, binding
from mcp_echo.protocol.errors import InvalidParams

KEY = base64.urlsafe_b64encode(b"k" * 32).decode()
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
BINDING = binding("alice", "tools/call", {"name": "ask", "arguments": {}})
VALUE = {"answers": {"name": ["Ada", None, 1.5]}}


class Wall:
    """A wall clock that stands still until told otherwise."""

    def __init__(self) -> None:
        self.time = 1_700_000_000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def wall() -> Wall:
    return Wall()


def refused(seal: Seal, text: str, bound: str = BINDING) -> str:
    with pytest.raises(InvalidParams) as refusal:
        seal.open(text, bound)
    return refusal.value.message


@pytest.mark.parametrize("value", [VALUE, None, [], "é🙂"])
def test_what_was_sealed_comes_back(wall: Wall, value: object) -> None:
    """The client MUST send it back as it was, and the server goes on from there."""
    seal = Seal(wall, KEY)
    assert seal.open(seal.seal(value, BINDING), BINDING) == value


def test_the_client_can_not_read_it(wall: Wall) -> None:
    """Our choice: sealed, and never twice the same."""
    seal = Seal(wall, KEY)
    first, second = seal.seal("s3cret", "bound"), seal.seal("s3cret", "bound")
    assert first != second
    for text in (first, second):
        assert b"s3cret" not in base64.urlsafe_b64decode(text)
        assert b"bound" not in base64.urlsafe_b64decode(text)


# Every length of padding: two signs, one, none.
@pytest.mark.parametrize("value", ["", "x" * 16, "x" * 32])
def test_a_change_at_any_position_is_refused(wall: Wall, value: str) -> None:
    """MUST be rejected if its integrity cannot be verified."""
    seal = Seal(wall, KEY)
    text = seal.seal(value, BINDING)
    assert seal.open(text, BINDING) == value
    for place, letter in enumerate(text):
        # The highest of the six bits, which always belongs to a byte; anything at all in place of padding.
        other = "A" if letter == "=" else ALPHABET[ALPHABET.index(letter) ^ 0x20]
        assert "requestState" in refused(seal, text[:place] + other + text[place + 1 :])
        assert "requestState" in refused(seal, text[:place] + text[place + 1 :])


@pytest.mark.parametrize("value", ["", "x" * 16, "x" * 32])
@pytest.mark.parametrize("behind", ["-TAMPERED", "A", "=", "====", "AAAA", "\n", " ", "\x00", "é"])
def test_text_behind_the_padding_is_refused(wall: Wall, value: str, behind: str) -> None:
    """As above; a lenient base64 decoder stops at the padding and sees nothing of it."""
    seal = Seal(wall, KEY)
    refused(seal, seal.seal(value, BINDING) + behind)
    refused(seal, behind + seal.seal(value, BINDING))


@given(st.text())
def test_a_text_that_was_never_sealed_is_refused(text: str) -> None:
    """Attacker-controlled: any text is refused, and none is a fault of ours."""
    refused(Seal(Wall(), KEY), text)


def test_a_client_has_five_minutes_to_answer(wall: Wall) -> None:
    """SHOULD expire soon."""
    seal = Seal(wall, KEY)
    text = seal.seal(VALUE, BINDING)
    wall.time += LIFETIME
    assert LIFETIME == 300
    assert seal.open(text, BINDING) == VALUE
    wall.time += 1
    assert "expired" in refused(seal, text)


def test_state_from_the_future_is_refused(wall: Wall) -> None:
    """As above: a clock that was set back must not make state last."""
    seal = Seal(wall, KEY)
    text = seal.seal(VALUE, BINDING)
    wall.time -= 3600
    refused(seal, text)


CALL = ("alice", "tools/call", {"name": "ask", "arguments": {"a": 1, "b": [1, 2]}})
OTHERS = [
    ("bob", *CALL[1:]),
    (None, *CALL[1:]),
    ("", *CALL[1:]),
    ("alice", "prompts/get", CALL[2]),
    ("alice", "tools/call", {"name": "other", "arguments": {"a": 1, "b": [1, 2]}}),
    ("alice", "tools/call", {"name": "ask", "arguments": {"a": 2, "b": [1, 2]}}),
    ("alice", "tools/call", {"name": "ask", "arguments": {"a": 1, "b": [2, 1]}}),
    ("alice", "tools/call", {"name": "ask", "arguments": {"a": "1", "b": [1, 2]}}),
    ("alice", "tools/call", {"name": "ask", "arguments": {"a": 1}}),
    ("alice", "tools/call", {"name": "ask"}),
]


@pytest.mark.parametrize("other", OTHERS, ids=repr)
def test_state_opens_for_its_own_caller_and_request_alone(wall: Wall, other: tuple) -> None:
    """SHOULD be bound to the principal, the method and the params it was made for."""
    seal = Seal(wall, KEY)
    text = seal.seal(VALUE, binding(*CALL))
    assert seal.open(text, binding(*CALL)) == VALUE
    told = "requestState belongs to another request or another caller"
    assert refused(seal, text, binding(*other)) == told


def test_no_two_requests_have_one_binding() -> None:
    """As above."""
    bindings = [binding(*each) for each in (CALL, *OTHERS)]
    assert all(one != other for one, other in itertools.combinations(bindings, 2))


def test_the_order_of_members_is_no_difference() -> None:
    """RFC 8259 section 4: objects are unordered, and a client may write them anew."""
    turned = {"arguments": {"b": [1, 2], "a": 1}, "name": "ask"}
    assert binding("alice", "tools/call", turned) == binding(*CALL)


def test_servers_with_one_key_open_each_other_s_state(wall: Wall) -> None:
    """Our choice, MCP_ECHO_STATE_KEY: a client's next request may reach another server."""
    assert Seal(wall, KEY).open(Seal(wall, KEY).seal(VALUE, BINDING), BINDING) == VALUE


def test_servers_without_a_key_in_common_do_not(wall: Wall) -> None:
    """Our choice: without a setting each start has a key of its own."""
    text = Seal(wall).seal(VALUE, BINDING)
    for other in (Seal(wall), Seal(wall, KEY)):
        refused(other, text)
