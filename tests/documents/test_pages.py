"""README.md and docs/, as far as it shows without running anything."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from mcp_echo.settings.load import load
from mcp_echo.tools.catalogue import catalogue
from tests.documents import generated
from tests.documents.pages import FAILS, NOT_RUN, ONE_ROOM, PAGES, REASONS, ROOT, SERVES, Block, blocks

README = ROOT / "README.md"
TOOLS = list(catalogue(load({}, {}).settings))

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)

MARKED = {
    "needs Docker": 3,
    "needs an account": 1,
    "needs Redis": 1,
    "once published": 1,
    "measures for minutes": 7,
}
"""How many blocks the tests do not run, by the reason that the page gives."""


# Pages that nothing pastes: they need root, or work for minutes.
OTHERS = [
    ROOT / name
    for name in ("CONTRIBUTING.md", "benchmarks/README.md", "conformance/README.md", "systemd/README.md")
]


def shell_blocks(*more: Path) -> list[Block]:
    return [block for page in (*PAGES, *more) for block in blocks(page) if block.language == "sh"]


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def test_the_readme_is_short() -> None:
    """Our choice: what is longer stands under docs/."""
    assert len(text(README).splitlines()) <= 150


@pytest.mark.parametrize("block", shell_blocks(*OTHERS), ids=str)
def test_a_block_can_be_pasted_into_any_shell(block: Block) -> None:
    """zsh takes a comment for arguments, and no shell knows a prompt."""
    assert not re.search(r"(^|\s)#(\s|$)", block.text, re.MULTILINE)
    assert not re.search(r"^[$%>] ", block.text, re.MULTILINE)


@pages
def test_no_block_has_prompts_in_it(page: Path) -> None:
    assert "console" not in {block.language for block in blocks(page)}


@pages
def test_a_mark_is_one_that_the_tests_know(page: Path) -> None:
    """A misspelt one would be ignored."""
    known = {"", SERVES, ONE_ROOM, FAILS, *(NOT_RUN + reason for reason in REASONS)}
    assert {block.mark for block in blocks(page)} <= known
    # A comment that is not right before a block marks nothing.
    marks = re.findall(r"^<!-- (.*?) -->$", text(page), re.MULTILINE)
    kinds = (SERVES, ONE_ROOM, FAILS, NOT_RUN)
    assert [mark for mark in marks if mark.startswith(kinds)] == [
        block.mark for block in blocks(page) if block.mark.startswith(kinds)
    ]


def test_only_a_few_blocks_are_not_run() -> None:
    """Whoever adds one says why, and counts it here."""
    reasons = [block.mark.removeprefix(NOT_RUN) for block in shell_blocks() if not block.is_run]
    assert Counter(reasons) == MARKED


@pytest.mark.parametrize(("page", "name"), generated.PARTS)
def test_what_is_written_from_the_code_is_up_to_date(page: str, name: str) -> None:
    """Our interface: every setting with its option, default and unit; every room."""
    written = text(generated.DOCS / page)
    renewed = generated.renewed(written, name, generated.PARTS[page, name]())
    assert written == renewed, "run python -m tests.documents.generated"


def test_the_readme_has_a_line_for_each_tool() -> None:
    """Our interface: people read of a tool before they call it."""
    assert re.findall(r"^\| \[`(\w+)`\]", text(README), re.MULTILINE) == TOOLS


def test_every_tool_has_a_section_and_a_call() -> None:
    page = ROOT / "docs" / "tools.md"
    headings = re.findall(r"^## (.+)$", text(page), re.MULTILINE)
    shown = "\n".join(block.text for block in blocks(page))
    assert [name for heading in headings for name in heading.split(" and ")] == TOOLS
    assert set(re.findall(r"^tool (\w+) ", shown, re.MULTILINE)) == set(TOOLS)


@pages
def test_links_within_the_project_lead_somewhere(page: Path) -> None:
    """A reader follows them; to headings too."""
    for target in re.findall(r"\]\(([^)\s]+)\)", text(page)):
        if target.startswith(("https://", "http://", "<")):
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


def anchors(page: Path) -> set[str]:
    """Return the names of a page's headings in links, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", text(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_is_in_the_list_of_pages() -> None:
    """docs/index.md is where readers of the site begin."""
    linked = set(re.findall(r"\]\((\w+\.md)\)", text(ROOT / "docs" / "index.md")))
    assert linked == {page.name for page in PAGES} - {"README.md", "index.md"}


def test_the_glossary_has_every_term_once_and_in_order() -> None:
    glossary = text(ROOT / "docs" / "design.md").partition("## Glossary")[2]
    terms = re.findall(r"^\| ([a-z][\w -]*) \|", glossary, re.MULTILINE)
    assert len(terms) > 20
    assert terms == sorted(set(terms))
