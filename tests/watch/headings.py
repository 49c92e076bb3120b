"""The headings of the specification, as anchors of its site: reads a checkout and writes what tests hold to.

    git clone https://github.com/modelcontextprotocol/modelcontextprotocol
    python -m tests.watch.headings modelcontextprotocol > tests/watch/specification_headings.json

Revision → page → the anchors of its headings, in their order. Made from commit b0f60ba5 of 2026-08-22, and
made anew when a revision is added. The anchors are as the site makes them (Mintlify): in lower case, without
the signs of Markdown and without brackets, dots and quotation marks, with hyphens for blanks, and everything
else that a URL has no room for in per cent. ``--links`` lists the links of the specification into itself that
lead to no such anchor, which shows whether they are: of 217, two are mistakes of its own, and ten lead to
``basic/security_best_practices``, which has moved elsewhere.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

REVISION = re.compile(r"20\d\d-\d\d-\d\d")
HEADING = re.compile(r"#{1,6} +(.+?)[ #]*")
SIGNS = re.compile(r"[`*()\[\]{}.,;?!'\"$]")
LINK = re.compile(r"\]\((/specification/(20[0-9-]{8})/?([a-z0-9_/-]*))?#([^)\s]+)\)")


def anchor(heading: str) -> str:
    """Return the anchor of a heading."""
    plain = SIGNS.sub("", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)).lower()
    return quote("-".join(plain.split()).strip("-_"), safe="_-")


def headings(text: str) -> Iterator[str]:
    """Yield the headings of a page, those in its code left out."""
    fenced = False
    for line in text.splitlines():
        if line.lstrip().startswith(("```", "~~~")):
            fenced = not fenced
        found = None if fenced else HEADING.fullmatch(line)
        if found is not None:
            yield found[1]


def pages(checkout: Path) -> Iterator[tuple[str, str, str]]:
    """Yield each page of each revision: revision, page, text."""
    root = checkout / "docs" / "specification"
    for path in sorted(root.rglob("*.mdx")):
        revision, *parts = path.relative_to(root).with_suffix("").parts
        if REVISION.fullmatch(revision):
            yield revision, "/".join(parts).removesuffix("index").strip("/"), path.read_text()


def table(checkout: Path) -> dict[str, dict[str, list[str]]]:
    """Return revision → page → anchors."""
    found: dict[str, dict[str, list[str]]] = {}
    for revision, page, text in pages(checkout):
        found.setdefault(revision, {})[page] = list(map(anchor, headings(text)))
    return found


def strange_links(checkout: Path) -> Iterator[str]:
    """Yield the links of the specification into itself that lead to no heading."""
    known = table(checkout)
    for revision, page, text in pages(checkout):
        for link in LINK.finditer(text):
            there = link[3].removesuffix("index").strip("/") if link[1] else page
            # The schema's anchors are of names, not of headings.
            if there != "schema" and link[4] not in known.get(link[2] or revision, {}).get(there, ()):
                yield f"{revision}/{page}: {link[0]}"


def as_json(found: dict[str, dict[str, list[str]]]) -> str:
    """Return the table with a line for each page."""
    revisions = (
        f"{json.dumps(revision)}: {{\n"
        + ",\n".join(f"  {json.dumps(page)}: {json.dumps(anchors)}" for page, anchors in each.items())
        + "\n}"
        for revision, each in found.items()
    )
    return "{" + ",\n".join(revisions) + "}"


if __name__ == "__main__":
    if sys.argv[1] == "--links":
        print(*strange_links(Path(sys.argv[2])), sep="\n")
    else:
        print(as_json(table(Path(sys.argv[1]))))
