"""What stands in the place of a value and is none."""

from __future__ import annotations

import pytest

from mcp_echo.redaction.placeholders import is_placeholder, is_unfilled
from mcp_echo.redaction.prefixes import PREFIXES

VARIABLES = (
    "${UNSET_VAR}",
    "${token}",
    "${env:API_TOKEN}",
    "${input:api-key}",
    "${{ secrets.TOKEN }}",
    "$TOKEN",
    "$(TOKEN)",
    "$env:token",
    "%TOKEN%",
    "%env(TOKEN)%",
    "%{REMOTE_USER}e",
    "{{token}}",
    "{{ token }}",
    "{http.auth.user.id}",
    "#{token}",
    "@TOKEN@",
    "__TOKEN__",
    "process.env.TOKEN",
    "(null)",
    "[object Object]",
    "[object Promise]",
)
WORDS = (
    "YOUR_TOKEN_HERE",
    "your-api-key",
    "<token>",
    "<your token>",
    "<YOUR_GITHUB_PAT>",
    "[TOKEN]",
    "{token}",
    "$token",
    "%token%",
    "undefined",
    "null",
    "None",
    "nil",
    "NaN",
    "TOKEN",
    "ACCESS_TOKEN",
    "changeme",
    "replace-me",
    "paste your token here",
    "[REDACTED]",
    "<hidden>",
    "xxxx",
    "***",
    "...",
    "••••••",
    "ghp_xxxxxxxx",
    "sk-...",
)
SECRETS = (
    "",
    "token",
    "my-secret-token",
    "s3cr3t",
    "$ecretPass1",
    "$p4ss",
    "%41%42",
    "hunter2",
    "<hunter2>",
    "{hunter2}",
    "[hunter2]",
    "{6F9619FF-8B86-D011-B42D-00C04FC964FF}",
    "${TOKEN:-hunter2}",
    "${TOKEN}hunter2",
    "$(cat secret)",
    "correct horse battery staple",
    "your-hunter2",
    "xx",
    "xxxhunter2",
    "${" + "A" * 200 + "}",
    "your_" * 30,
)


@pytest.mark.parametrize("text", VARIABLES)
def test_a_variable_that_was_not_filled_in_is_a_placeholder(text: str) -> None:
    """Our choice: the notations of shells, templates, proxies and CI systems."""
    assert is_unfilled(text)
    assert is_placeholder(text)


@pytest.mark.parametrize("text", WORDS)
def test_words_that_ask_for_a_value_are_a_placeholder(text: str) -> None:
    """Our choice: what documentation has in the place of a token; such a word may be somebody's name."""
    assert is_placeholder(text)
    assert not is_unfilled(text)


@pytest.mark.parametrize("text", SECRETS)
def test_what_may_be_a_secret_is_no_placeholder(text: str) -> None:
    """Our choice: a placeholder is shown, so that in doubt a text is none."""
    assert not is_placeholder(text)


@pytest.mark.parametrize("form", ["{}", "<{}>", "[{}]", "{{{}}}", "${{{}}}"])
def test_a_token_in_brackets_is_none(form: str) -> None:
    """Our choice, as above: somebody has replaced the words and left the brackets."""
    for row in PREFIXES:
        token = form.format(row.prefix + "9fQ2" * 16)
        assert not is_placeholder(token), token
