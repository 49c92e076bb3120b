"""What is said of a text that is given as a handle and is none.

Our choice: a model or a person corrects the call by what is told, so each kind is told for what it is.
"""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_echo.tools.misnamed import fault_in

HANDLE = "es_AbCdEfGhIjKlMnOpQrStUvWxYz01_-34"
UUID = "631fc62c-8f5e-4f0e-9d3a-0123456789ab"

FORMS = {
    "is empty": ["", '""', "''"],
    "is blank": [" ", "\t\n", " " * 500],
    "is the word": [
        "null",
        "None",
        "undefined",
        "NaN",
        '"null"',
        "`nil`",
        "[object Object]",
        "session",
        "true",
    ],
    "is the placeholder": [
        "{{session}}",
        "={{ $json.session }}",
        "{session}",
        "${SESSION}",
        "$HANDLE",
        "$(cat handle)",
        "%SESSION%",
        "<session>",
        "<handle from createEchoSession>",
        "[session id]",
        ":session",
        "__SESSION__",
        "YOUR_SESSION",
        "your handle here",
        "es_...",
        "es_…",
        "es_xxxx",
        "es_<32 characters>",
        '"{{session}}"',
    ],
    "has more in it than a handle": [
        f'"{HANDLE}"',
        f"'{HANDLE}'",
        f" {HANDLE}",
        f"{HANDLE}\n",
        f"{HANDLE}.",
        f"Session: {HANDLE}",
        f"echo://session/{HANDLE}",
        f"echo://session/{HANDLE}/messages",
        f'{{"session":"{HANDLE}"}}',
        f"{HANDLE},{HANDLE}",
        f"Bearer {HANDLE}",
    ],
    "has the form of a protocol session's id": [UUID, UUID.upper(), f"urn:uuid:{UUID}", f'"{UUID}"'],
    "has the form of an event's id": ["g1-0", "r123456-17", "p1-2"],
    "a URI is not a handle": ["echo://server", "echo://session", "https://example.com/mcp"],
    "is a credential": ["Bearer abc", "bearer eyJhbGciOiJub25lIn0.e30.", "eyJhbGciOiJub25lIn0.e30."],
    "lacks the es_": [HANDLE[3:], "x" * 32],
    "has 13 characters": ["es_unheard-of"],
    "has 34 characters": [HANDLE[:-1]],
    "has 36 characters": [f"{HANDLE}a"],
    "not a handle: a handle is": [
        "mine",
        "0",
        "1",
        "demo session",
        "\x1b[2J",
        "es_é" + "a" * 31,
        "x" * 5000,
    ],
}


@pytest.mark.parametrize(("told", "given"), [(told, each) for told, many in FORMS.items() for each in many])
def test_each_form_is_told_for_what_it_is(told: str, given: str) -> None:
    fault = fault_in(given)
    assert fault is not None
    assert fault.startswith("`session` ")
    assert told in fault


@pytest.mark.parametrize("handle", [HANDLE, "es_" + "-" * 32])
def test_a_handle_of_the_right_form_has_no_fault(handle: str) -> None:
    assert fault_in(handle) is None


def test_a_credential_is_not_shown() -> None:
    """It may have been meant for the header: it must not come back in a chat."""
    assert "correct-horse" not in str(fault_in("Bearer correct-horse"))


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=300))
def test_whatever_is_given_is_told_in_one_short_line(given: str) -> None:
    """What a client invents is cut, and drives no terminal."""
    fault = fault_in(given)
    assert fault is not None
    assert not any(unicodedata.category(character) == "Cc" for character in fault)
    assert len(fault) < 800
    assert fault.endswith(".")
