"""Evidence to paste into an issue."""

from __future__ import annotations

import re
import shlex
import subprocess
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mcp_echo import __version__
from mcp_echo.watch.evidence.markdown import markdown
from mcp_echo.watch.evidence.markup import code, fence, prose
from mcp_echo.watch.evidence.wire import curl
from mcp_echo.watch.findings import ClientName, Flow, Step
from tests.watch.evidence.support import ACCEPT, SPECIFICATION, exchange, finding, report, said
from tests.watch.rules.oauth_story import story

HOSTILE = [
    "# heading",
    "\n# heading\n",
    "[link](https://evil.example)",
    "<img src=x onerror=alert(1)>",
    "```\n```\n# out",
    "`` ` ```",
    "`",
    " ` ",
    "~~~",
    "| a | b |\n| - | - |",
    "<!-- ",
    "&lt;script&gt;",
    "@somebody #1 https://evil.example www.evil.example",
    "\x00\x1b[2J\x9b\u2028\u202e\r\n",
    "1. one\n2. two",
    "---\n***\n> quote",
    "\\",
    "\ud800",
    "x" * 400,
    "`" * 400,
]
MARKS = st.text(st.sampled_from(list("`#*_[]()<>|~!&\\\n\r\t \"'$@-=+{}:;a1")), min_size=1)
TEXTS = st.one_of(st.text(min_size=1), MARKS).filter(str.strip)

_SPAN = re.compile(r"(?<!`)(`+)(?!`).+?(?<!`)\1(?!`)")


def skeleton(text: str) -> list[str]:
    """Return the lines outside of code, ``C`` for code within a line (CommonMark 0.31.2, 4.5 and 6.1)."""
    lines: list[str] = []
    closing = ""
    for line in text.split("\n"):
        if closing:
            bare = line.strip(" ")
            if bare == "`" * len(bare) and len(bare) >= len(closing):
                closing = ""
                lines.append("fence")
        elif opened := re.match(r"`{3,}(?=[^`]*$)", line):
            closing = opened[0]
        else:
            lines.append(_SPAN.sub("C", line))
    assert not closing
    return lines


def shown(text: str) -> str:
    return markdown(*said(text)).decode()


def test_the_verdict_comes_first_and_each_finding_with_its_link_and_its_line() -> None:
    """The design: verdict first, then the finding, its rule, its advice and the very line."""
    step = Step(step="token", state="missing")
    flow = Flow(
        kind="oauth", state="stopped", verdict="No token.", steps=(step,), begun="2026-09-21T14:13:20.000Z"
    )
    client = ClientName("probe", "1.2")
    text = markdown(report(finding(), client=client, flows=(flow,)), [exchange()]).decode()
    assert text.startswith("**Verdict:** `One rule is broken.`\n")
    wanted = [
        "- Client: `probe` `1.2`",
        "### Error: `accept-incomplete`",
        f"- Rule: [A POST accepts both](<{SPECIFICATION}#sending>) (MUST)",
        "- What to do: Send Accept: application/json, text/event-stream.",
        f"- Exchange 1, `header:1`; found `{ACCEPT}`; wanted `application/json, {ACCEPT}`",
        f"```text\nAccept: {ACCEPT}\n```",
        "1. `token` missing",
        f"```http\nPOST /t/{{trace}}/mcp HTTP/1.1\nHost: echo.example:3000\nAccept: {ACCEPT}\n",
        "```http\nHTTP/1.1 200 OK\nContent-Type: application/json\n",
        "```sh\ncurl ",
    ]
    places = [text.index(each) for each in wanted]
    assert places == sorted(places)


def test_a_line_is_not_shown_for_an_occurrence_that_it_may_not_be_of() -> None:
    """Our choice: the subject is that of the last occurrence, and evidence is of the first ones."""
    many = finding(count=9, subject="header:0")
    assert "```text" not in markdown(report(many), [exchange()]).decode()


@given(TEXTS)
def test_no_text_of_a_client_becomes_structure(text: str) -> None:
    """Our choice: evidence is pasted where others read it, and must look the same whatever a client wrote."""
    assert skeleton(shown(text)) == skeleton(shown("C"))


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:12]))
def test_what_is_hostile_stays_code(text: str) -> None:
    """Our choice, as above."""
    assert skeleton(shown(text)) == skeleton(shown("C"))


@given(TEXTS)
@example("\x1b]0;title\x07\x9b")
def test_nothing_acts_on_a_terminal(text: str) -> None:
    """Our choice: the command prints it."""
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", shown(text))


def test_code_and_fences_have_more_backticks_than_what_is_in_them() -> None:
    """CommonMark 0.31.2, 4.5 and 6.1."""
    assert code("a``b`") == "``` a``b` ```"
    assert code(" a ") == "`  a  `"
    assert code(" ") == "(empty)"
    assert fence(["a", "````"], "sh") == "`````sh\na\n````\n`````"


def test_a_line_is_one_line() -> None:
    """Our choice: nobody can write a line that looks as if it had been sent."""
    assert fence(["X-A: 1\nX-B: 2"], "http") == "```http\nX-A: 1\\nX-B: 2\n```"


def test_our_own_sentences_are_read_as_they_stand() -> None:
    """CommonMark 0.31.2, 2.4: any punctuation may have a backslash before it."""
    assert prose("<a> *b* [c](d) `e`") == r"\<a\> \*b\* \[c\]\(d\) \`e\`"


def sent(line: str) -> list[str]:
    """Return the words that a real shell makes of a command, with the variables set."""
    program = f"curl() {{ printf '%s\\0' \"$@\"; }}; {line}"
    environ = {"SERVER": "http://h", "TRACE": "T", "SESSION": "S", "TOKEN": "K E Y"}
    ran = subprocess.run(["sh", "-c", program], capture_output=True, env=environ, check=True)
    return ran.stdout.decode().split("\0")[:-1]


def headers_of(words: list[str]) -> list[str]:
    return [value for word, value in pairwise(words) if word == "-H"]


def test_a_shell_sends_the_request_again() -> None:
    """The design: secrets are variables, everything else is as it came."""
    mask = "[9 characters, sha256 0a43e0ba]"
    record = exchange(
        query=(("token", mask), ("q", "a&b c")),
        headers=(
            ("Host", "h"),
            ("authorization", f"Bearer {mask}"),
            ("Mcp-Session-Id", "2195e51e…"),
            ("X-It's", 'it\'s $HOME `id` "!!"'),
            ("X-Empty", ""),
            ("Content-Length", "2"),
            ("X-Api-Key", "masked-in-another-way"),
        ),
        session_form="ours",
        body="{}",
        body_bytes=2,
    )
    words = sent(curl(record))
    assert "http://h/t/T/mcp?token=K E Y&q=a%26b%20c" in words
    assert headers_of(words) == [
        "Host: h",
        "authorization: Bearer K E Y",
        "Mcp-Session-Id: S",
        "X-It's: it's $HOME `id` \"!!\"",
        "X-Empty;",
        "X-Api-Key: K E Y",
        "Accept:",
        "User-Agent:",
        "Content-Type:",
    ]
    assert words[-2:] == ["--data-binary", "{}"]


@given(TEXTS)
@example("'; touch /tmp/x; '")
def test_nothing_that_a_client_wrote_is_run_by_a_shell(text: str) -> None:
    """POSIX 2.2.2: nothing has a meaning within single quotes."""
    line = curl(exchange(http_method=text, path=f"/{text}", query=((text, text),), headers=((text, text),)))
    assert "\n" not in line
    outside = re.sub(r"'[^']*'", "", line.replace("'\\''", ""))
    assert re.fullmatch(r'[-a-z A-Z@0-9]*(?:"\$(?:SERVER|TRACE|TOKEN|SESSION)"[-a-z A-Z@0-9]*)+', outside)
    shlex.split(line)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"http_method": "HEAD", "body_bytes": 0}, ["--head"]),
        ({"path": "*", "http_method": "OPTIONS"}, ["--request-target", "*", "http://h"]),
        ({}, ["--data-binary", "@body-1"]),
        ({"body": "{", "body_bytes": 9}, ["--data-binary", "@body-1"]),
    ],
)
def test_what_a_command_cannot_say_otherwise(fields: dict[str, object], words: list[str]) -> None:
    """curl's manual: -I for HEAD, a request target of its own; a body that is not known whole is a file."""
    made = sent(curl(exchange(**fields)))
    assert any(made[place : place + len(words)] == words for place in range(len(made)))


def test_a_placeholder_is_sent_as_it_came() -> None:
    """Our choice: that nothing was filled in is what is wrong."""
    words = sent(curl(exchange(headers=(("Authorization", "Bearer undefined"),))))
    assert headers_of(words)[0] == "Authorization: Bearer undefined"


def test_what_stands_for_an_address_is_not_sent() -> None:
    """Our choice: a pseudonym as Host would only be refused."""
    host = partial(exchange, headers=(("Host", "a1:3000"), ("Origin", "http://a2"), ("X-Real-IP", "a1")))
    assert headers_of(sent(curl(host()))) == ["Accept:", "User-Agent:", "Content-Type:"]


def test_the_example_of_the_documentation_is_real() -> None:
    """Our choice: what is documented is what is written."""
    text = (Path(__file__).parents[3] / "docs/evidence.md").read_text(encoding="utf-8")
    documented = text.partition("````markdown\n")[2].partition("````\n")[0]
    client = ClientName("probe", "1.2")
    made = markdown(report(finding(), client=client, revision="2025-11-25", exchanges=1), [exchange()])
    assert documented == made.decode().replace(__version__, "…")


def test_a_leg_of_oauth_is_shown_with_what_its_bodies_say() -> None:
    """Our choice: bodies are not kept, and what the client asked for is in them."""
    (record,) = story().token(None, facts={"number": 1}).records
    text = markdown(report(), [record]).decode()
    assert 'OAuth `token`; asked `{"clientId":"c-1","redirectUris":["http://a2:9/cb"],' in text
    assert 'answered `{"error":"invalid_grant"' in text
