"""Make the pictures of the pages again, with a real client's trace in them.

    python docs/images/make.py

Needs Debian's chromium, Playwright (`pip install -e '.[test]'`) and the clients that
`python tests/e2e/setup_clients.py` makes. Look at what has changed before it is committed.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[2]))

from playwright.sync_api import Browser

from mcp_echo.faults.plans import PLANS
from tests.e2e import scene
from tests.e2e.browser import chromium
from tests.e2e.daemon import MODULE, running
from tests.e2e.relay import relaying

HERE = Path(__file__).parent
PORT = 3000
"""As everywhere in the documentation; nothing else may listen there meanwhile."""

DEADLINE_SECONDS = 11
"""After so long the step that never came is missing."""


class Picture(NamedTuple):
    """One picture."""

    name: str
    scheme: str
    width: int
    height: int
    page: str
    """``page``, ``exchange``, ``landing``, ``empty``, ``faults`` or ``compare``."""


PICTURES = (
    Picture("page-light", "light", 1280, 900, "page"),
    Picture("page-dark", "dark", 1280, 900, "page"),
    Picture("page-light-narrow", "light", 390, 1700, "page"),
    Picture("page-dark-narrow", "dark", 390, 1700, "page"),
    Picture("exchange", "light", 1280, 1100, "exchange"),
    Picture("landing", "light", 1280, 1200, "landing"),
    Picture("landing-dark", "dark", 1280, 1200, "landing"),
    Picture("empty", "light", 1280, 820, "empty"),
    Picture("faults", "light", 1280, 900, "faults"),
    Picture("compare", "light", 1280, 960, "compare"),
)

THERE = {
    "page": "finding-card",
    "exchange": "finding-card",
    "landing": "snippet-tabs [role=tab]",
    "empty": "waiting-state .three",
    "faults": "faults-panel .outcome",
    "compare": "pair-view .sides",
}
"""Page → what it has once it is whole."""


def take(browser: Browser, picture: Picture, url: str) -> None:
    """Take one picture."""
    context = browser.new_context(
        viewport={"width": picture.width, "height": picture.height},
        color_scheme=picture.scheme,
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.goto(url)
    page.locator(THERE[picture.page]).first.wait_for()
    page.wait_for_timeout(1000)
    if picture.page == "exchange":
        page.keyboard.press("Enter")
        page.locator(".panels .command").filter(has_text="curl").wait_for()
        page.mouse.click(2, 2)
        page.evaluate("document.activeElement.blur()")
    page.screenshot(path=HERE / f"{picture.name}.png")
    context.close()


def drilled(base: str) -> str:
    """Return the page of a trace whose client has gone through a drill."""
    made = scene.make(base, label="drill of acme-agent")
    faults = f"{made['pageUrl']}faults"
    refusal = {
        "fault": "reject",
        "options": {"status": 429, "retryAfter": 1},
        "match": {"method": "tools/list"},
        "times": 2,
    }
    for wish in ({"plan": "session-loss"}, refusal):
        scene.ask(faults, "POST", wish)
    call = {"name": "echo", "arguments": {"message": "Hello"}}
    for calls in (1, len(PLANS["session-loss"].orders)):
        # A session for the one that is told to be gone, and another one for all that comes then.
        agent = scene.Agent(made["mcpUrl"])
        agent.begin()
        agent.go_on()
        for _ in range(calls):
            agent.send("tools/call", call, MCP_Protocol_Version=scene.REVISION)
            time.sleep(0.3)
    for wait in (1.2, 0.2, 0):
        agent.send("tools/list", MCP_Protocol_Version=scene.REVISION)
        time.sleep(wait)
    return str(made["pageUrl"])


def compared(base: str) -> str:
    """Return the page of a trace that is compared with one behind a gateway."""
    direct, via = scene.make(base, label="staging"), scene.make(base, label="staging through the gateway")
    adds = (("X-Forwarded-For", "192.0.2.17"), ("X-Request-Id", "5f1c8c70"))
    with relaying(PORT, loses=frozenset({"mcp-protocol-version"}), doubles={"x-tenant"}, adds=adds) as port:
        for url in (direct["mcpUrl"], via["mcpUrl"].replace(f":{PORT}/", f":{port}/")):
            agent = scene.Agent(url)
            agent.begin()
            asked = ("tools/list", None), ("tools/call", {"name": "echo", "arguments": {"message": "Hello"}})
            for label, (method, params) in enumerate(asked, 1):
                headers = {"X_MCP_Echo_Probe": str(label), "X_Tenant": "acme"}
                agent.send(method, params, MCP_Protocol_Version=scene.REVISION, **headers)
    return f"{direct['pageUrl']}#compare={via['shareUrl'].rsplit('/', 2)[1]}"


def main() -> None:
    """Take all pictures."""
    base = f"http://localhost:{PORT}"
    with TemporaryDirectory() as directory:
        home = Path(directory)
        with running([*MODULE, "--port", str(PORT)], home, PORT) as _, chromium() as browser:
            made = scene.make(base, label="staging login")
            scene.run_python_sdk(made["mcpUrl"], home)
            agent = scene.Agent(made["mcpUrl"])
            agent.begin()
            time.sleep(0.4)
            agent.err()
            time.sleep(DEADLINE_SECONDS)
            empty = scene.make(base, label="my client")
            urls = {
                "page": made["pageUrl"],
                "exchange": made["pageUrl"],
                "landing": f"{base}/",
                "empty": empty["pageUrl"],
                "faults": drilled(base),
                "compare": compared(base),
            }
            for picture in PICTURES:
                take(browser, picture, urls[picture.page])
                size = (HERE / f"{picture.name}.png").stat().st_size
                print(f"{picture.name}.png: {size / 1024:.0f} KB")


if __name__ == "__main__":
    main()
