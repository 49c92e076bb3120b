"""whoIStheGOAT."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_echo.tools.base import ArgumentError
from tests.tools.support import Scene, jwt, wire


def test_the_judgement_has_its_form() -> None:
    """The tool's specified answer."""
    text = Scene().text("whoIStheGOAT", {"subject": "MCP Protocol"})
    assert re.fullmatch(
        "🐐 GOAT Analysis Complete\n"
        "\n"
        "Subject: MCP Protocol\n"
        "Excellence Score: (9[0-9]|100)/100\n"
        "Greatness Factor: (Promising|Remarkable|Outstanding|Legendary|Mythical)\n"
        "\n"
        "Top Qualities:\n"
        "(- [A-Z].+\n){3}"
        "\n"
        "Verdict: Certified GOAT 🏆",
        text,
    )
    assert Scene().text("whoIStheGOAT") == text


@given(st.text(max_size=1000).filter(lambda text: not re.search("[\ud800-\udfff]", text)))
def test_the_same_subject_always_gets_the_same_judgement(subject: str) -> None:
    """Our choice: deterministic, and three qualities that differ."""
    first, second = (wire(Scene().call("whoIStheGOAT", {"subject": subject})) for _ in range(2))
    assert first == second
    assert first["subject"] == subject or subject == ""
    assert 90 <= first["score"] <= 100
    assert len(set(first["topQualities"])) == 3


@pytest.mark.parametrize(
    ("headers", "subject"),
    [
        ([], "MCP Protocol"),
        ([("X-User-Name", "johndoe"), ("X-User-Id", "1")], "johndoe"),
        ([("X-User-Name", ""), ("X-User-Id", "1")], "1"),
        ([("Authorization", f"Bearer {jwt({'name': 'Jane', 'sub': 'x'})}")], "Jane"),
        ([("Authorization", f"Bearer {jwt({'name': 5, 'sub': 'x'})}")], "x"),
        ([("Authorization", f"Bearer {jwt({'name': 'J' * 2000})}")], "J" * 1000),
        ([("Authorization", "Bearer nonsense")], "MCP Protocol"),
        ([("Authorization", "Basic eDp5")], "MCP Protocol"),
    ],
)
def test_without_a_subject_the_caller_is_judged(headers: list[tuple[str, str]], subject: str) -> None:
    """Our choice: as the request names its user, by header before token."""
    assert wire(Scene().call("whoIStheGOAT", headers=headers))["subject"] == subject


def test_a_lone_surrogate_in_the_caller_s_token_harms_nothing() -> None:
    """RFC 8259 section 8.2: an escape may name half a character; the answer must still be encodable."""
    token = jwt(b'{"name":"\\ud800"}')
    assert "🐐" in Scene().text("whoIStheGOAT", headers=[("Authorization", f"Bearer {token}")])


def test_a_subject_has_a_longest_length() -> None:
    """Our choice: an answer repeats it, so it is bounded."""
    with pytest.raises(ArgumentError, match=r"<= 1000 - at `\$\.subject`"):
        Scene().call("whoIStheGOAT", {"subject": "x" * 1001})
