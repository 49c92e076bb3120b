"""A real Chromium, as Debian packages it, and what it says of the pages that it shows."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.e2e import environments
from tests.e2e.conftest import absent

PROGRAM = "chromium"

WIDE = {"width": 1280, "height": 860}
NARROW = {"width": 390, "height": 844}

LOOKS = [
    pytest.param("light", WIDE, id="wide-light"),
    pytest.param("dark", NARROW, id="narrow-dark"),
]
"""Each scheme and each width once: colours do not change with the width, nor places with the scheme."""

AXE = "node_modules/axe-core/axe.min.js"

_HARMLESS = ("the server responded with a status of 404",)
"""What the console says of an answer that a test wants."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run the browser."""
    program = shutil.which(PROGRAM)
    if program is None:
        absent(f"{PROGRAM} is not installed")
    # Chromium's sandbox needs what containers do not give; its pages are our own.
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=flags)
        try:
            yield browser
        finally:
            browser.close()


class Tab:
    """A page, with everything that it complains of.

    Args:
        context: Where it is opened.
    """

    def __init__(self, context: BrowserContext) -> None:
        self.page: Page = context.new_page()
        self.complaints: list[str] = []
        """Errors and violations of the policy, as the console has them."""
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _said(self, message: Any) -> None:
        if message.type in ("error", "warning") and not any(each in message.text for each in _HARMLESS):
            self.complaints.append(message.text)

    def violations(self) -> list[str]:
        """Return what axe has to say against the page, as it is now."""
        # The page's policy lets no script of others run, and that of the debugger is none of the page's.
        source = (environments.cache() / environments.NODE / AXE).read_text(encoding="utf-8")
        self.page.evaluate(source)
        found = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{each['id']}: {each['help']}: {node['html'][:200]} {node.get('failureSummary', '')}"
            for each in found["violations"]
            for node in each["nodes"]
        ]


Open = Callable[..., Tab]
"""Opens an address; what else it is given is of the browser's context."""


@contextmanager
def tabs(browser: Browser) -> Iterator[Open]:
    """Open addresses, each in a browser of its own; at the end they must have had nothing to complain of."""
    opened: list[tuple[BrowserContext, Tab]] = []

    def open_tab(url: str, **options: Any) -> Tab:
        context = browser.new_context(**{"viewport": WIDE, **options})
        tab = Tab(context)
        opened.append((context, tab))
        tab.page.goto(url)
        return tab

    yield open_tab
    for context, tab in opened:
        context.close()
        assert tab.complaints == []
