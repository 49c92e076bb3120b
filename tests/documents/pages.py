"""README.md and the pages under docs/, and the blocks of commands in them. No I/O but reading them.

A block of the language `sh` can be pasted into a shell as it is. A block of the language `text` right after
it is what it prints, with `…` for what differs. A comment in the line before a block says how it is special:

- `<!-- serves -->`: it goes on until it is stopped, in a terminal of its own.
- `<!-- runs the tests of one room -->`: all of them within the tests would take too long.
- `<!-- fails -->`: its last command ends with another status than 0.
- `<!-- not run: REASON -->`: the tests do not run it, for one of `REASONS`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

SERVES = "serves"
ONE_ROOM = "runs the tests of one room"
FAILS = "fails"
NOT_RUN = "not run: "
REASONS = {"needs Docker", "needs an account", "needs Redis", "once published", "measures for minutes"}
"""Why a block is not run."""

_FENCE = re.compile(r"^( *)(`{3,})(\w*)\n(.*?)^\1\2$\n?", re.MULTILINE | re.DOTALL)
_MARK = re.compile(r"<!-- (.*?) -->\n\Z")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: str
    line: int
    """Of its fence, from 1 on."""
    language: str
    text: str
    mark: str = ""
    """What the comment before it says."""
    answer: str | None = None
    """What it prints, if that is told."""

    @property
    def is_run(self) -> bool:
        """Whether the tests paste it into a shell."""
        return self.language == "sh" and not self.mark.startswith(NOT_RUN)

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(path: Path) -> Iterator[Block]:
    """Yield the blocks of a page, in their order."""
    text = path.read_text(encoding="utf-8")
    found = list(_FENCE.finditer(text))
    for index, each in enumerate(found):
        mark = _MARK.search(text[: each.start()])
        yield Block(
            page=str(path.relative_to(ROOT)),
            line=text.count("\n", 0, each.start()) + 1,
            language=each[3],
            text=each[4],
            mark=mark[1] if mark else "",
            answer=_answer(text, each, found[index + 1 : index + 2]),
        )


def _answer(text: str, block: re.Match[str], following: list[re.Match[str]]) -> str | None:
    """Return the text of the block that comes right after, if it is what a command prints."""
    for each in following:
        if block[3] == "sh" and each[3] == "text" and not text[block.end() : each.start()].strip():
            return each[4]
    return None


def matches(expected: str, actual: str) -> bool:
    """Return whether ``actual`` is ``expected`` with something in place of each ``…``."""
    pattern = ".*?".join(re.escape(piece) for piece in expected.strip("\n").split("…"))
    return re.fullmatch(pattern, actual.strip("\n"), re.DOTALL) is not None
