"""What secrets looked like before they were masked."""

from __future__ import annotations

import pytest

from mcp_echo.watch.rules.shapes import shape_of_authorization, shape_of_session_id

OURS, OTHERS = "0f3a91c2-aaaa", "7c21b9d0-bbbb"


@pytest.mark.parametrize(
    ("values", "form"),
    [
        ([], "none"),
        (["Bearer eyJhbGciOi.eyJz.c2ln"], "well-formed"),
        (["bearer  abc=="], "well-formed"),
        (["Basic dXNlcjpwYXNz"], "well-formed"),
        (['Digest username="Mufasa", realm="a"'], "well-formed"),
        (["AWS4-HMAC-SHA256 Credential=AKID/2026/eu, SignedHeaders=host, Signature=fe5f"], "well-formed"),
        ([""], "empty"),
        (["  "], "empty"),
        (["Bearer"], "no-credential"),
        (["Bearer "], "no-credential"),
        (["eyJhbGciOi.eyJz.c2ln"], "no-credential"),
        (["Bearer undefined"], "undefined"),
        (["Bearer null"], "undefined"),
        (["Bearer ${TOKEN}"], "undefined"),
        (["Bearer [object Object]"], "undefined"),
        (["Bearer Bearer abc"], "doubled"),
        (["Bearer bearer"], "doubled"),
        (['Bearer "abc"'], "quoted"),
        (['"Bearer abc"'], "quoted"),
        (["Bearer: abc"], "malformed"),
        (["Bearer abc def"], "malformed"),
        (["Bearer a=b"], "malformed"),
        (["Bearer äöü"], "malformed"),
        (["{abc} def"], "malformed"),
        (["Bearer abc", "Bearer"], "no-credential"),
    ],
)
def test_authorization_has_a_form(values: list[str], form: str) -> None:
    """RFC 9110 section 11.6.2: a scheme, and a token68 or parameters; RFC 6750 section 2.1: one b64token."""
    assert shape_of_authorization(values) == form


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (OURS, "ours"),
        (OTHERS, "elsewhere"),
        ("", "undefined"),
        ("undefined", "undefined"),
        ("None", "undefined"),
        ("{{session_id}}", "undefined"),
        ("[object Object]", "undefined"),
        (f"{OURS}, {OURS}", "doubled"),
        (f"{OURS},{OURS},{OURS}", "doubled"),
        (f"{OURS}, {OTHERS}", "characters"),
        (f'"{OURS}"', "quoted"),
        (f"'{OURS}'", "quoted"),
        ("a b", "characters"),
        ("zürich", "characters"),
        ("sess_12345", "foreign"),
        (",", "foreign"),
        ("aba", "foreign"),
        ('"ab', "foreign"),
        ('"', "foreign"),
    ],
)
def test_a_session_id_has_a_form(value: str, form: str) -> None:
    """2025-11-25 basic/transports, Session Management: visible ASCII, as the server assigned it."""
    assert shape_of_session_id(value, OURS.__eq__, OTHERS.__eq__) == form
