"""Comparing two traces on the page, in a real Chromium, with a gateway that does something."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("playwright", reason="Playwright drives the browser: pip install -e '.[test]'")

from playwright.sync_api import Browser, Page, expect

from tests.e2e import environments, scene
from tests.e2e.browser import LOOKS, NARROW, Open, chromium, tabs
from tests.e2e.conftest import Needs
from tests.e2e.daemon import Daemon
from tests.e2e.relay import relaying

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def daemon(own_daemon: Daemon) -> Daemon:
    """The daemon of this module alone."""
    return own_daemon


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def open_tab(browser: Browser) -> Iterator[Open]:
    """Open an address in a browser of its own; at the end it must have had nothing to complain of."""
    with tabs(browser) as open_tab:
        yield open_tab


def _ask(url: str, label: int, method: str, **headers: str) -> None:
    message = {"jsonrpc": "2.0", "id": label, "method": method}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    scene.ask(url, "POST", message, {"Accept": scene.BOTH, "X-MCP-Echo-Probe": str(label), **named})


def _share(made: dict[str, Any]) -> str:
    return str(made["shareUrl"].rsplit("/", 2)[1])


def _through(made: dict[str, Any], port: int) -> str:
    """Return the endpoint of a trace as it is reached through a gateway."""
    return re.sub(r":\d+/", f":{port}/", made["mcpUrl"])


def _send_both(direct: dict[str, Any], via: dict[str, Any], daemon: Daemon) -> None:
    """Send the same two requests both ways."""
    adds = (("X-Forwarded-For", "192.0.2.1"),)
    with relaying(daemon.port, doubles={"x-tenant"}, adds=adds) as port:
        for url, accept in ((direct["mcpUrl"], scene.BOTH), (_through(via, port), "application/json")):
            _ask(url, 1, "ping", X_Tenant="acme")
            _ask(url, 2, "tools/list", Accept=accept)


@pytest.fixture(scope="module")
def pair(daemon: Daemon) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two traces that the same requests came to, directly and through a gateway."""
    base = f"http://localhost:{daemon.port}"
    direct, via = scene.make(base, label="direct"), scene.make(base, label="behind the gateway")
    _send_both(direct, via, daemon)
    return direct, via


def row(page: Page, text: str) -> Any:
    return page.locator("pair-view").get_by_role("row").filter(has_text=text)


def test_what_the_way_did_stands_line_by_line(
    open_tab: Open, pair: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    """docs/page.md: both header lists in wire order, and a word for each line that differs."""
    direct, via = pair
    page = open_tab(f"{direct['pageUrl']}#compare={_share(via)}").page
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile(r"^The way changes \d things in 2"))
    expect(page.locator(".differences > li").first).to_contain_text("Accept changes on the way")
    expect(page.locator(".pairs a[aria-current]")).to_contain_text("tools/list")
    accept = row(page, "Accept: ")
    expect(accept).to_contain_text(re.compile("Accept: application/json, text/event-stream.*changed.*Accept"))
    expect(accept.locator("mark")).to_have_text(", text/event-stream")
    expect(accept).to_have_class(re.compile("lit error"))
    expect(row(page, "X-Forwarded-For")).to_contain_text("added")
    page.locator(".pairs a").filter(has_text="ping").click()
    expect(row(page, "X-Tenant").filter(has_text="doubled")).to_have_count(1)
    expect(page.locator("pair-view .exchange-head")).to_contain_text("label 1")
    numbers = page.locator("pair-view .side:last-child .number").all_inner_texts()
    counted = [int(each) for each in numbers if each]
    assert counted == sorted(counted)
    assert len(counted) > 5
    before = page.url
    page.reload()
    expect(page.locator("pair-view .exchange-head")).to_contain_text("label 1")
    assert page.url == before


def test_a_trace_is_made_and_requests_are_shown_as_they_come(open_tab: Open, daemon: Daemon) -> None:
    """docs/page.md: from one trace to what the gateway does, with what to do next at each step."""
    direct = scene.make(f"http://localhost:{daemon.port}", label="alone")
    page = open_tab(direct["pageUrl"]).page
    page.get_by_role("link", name="Compare").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Compare with another trace")
    expect(page.get_by_text("Your traces")).to_have_count(0)
    page.get_by_role("button", name="New trace").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Nothing can be compared yet.")
    commands = page.locator("compare-empty pre").all_inner_texts()
    assert direct["mcpUrl"] in commands[0]
    other = re.search(r"/t/([\w-]{32})/mcp", commands[1])
    assert other is not None
    assert other[1] != direct["trace"]
    assert all("X-MCP-Echo-Probe: 1" in each for each in commands)
    # The address names the other trace by the key that only reads.
    assert other[1] not in page.url
    _ask(direct["mcpUrl"], 1, "ping")
    expect(page.get_by_text("Directly: 1 request has come. Through the gateway: none.")).to_be_visible()
    _ask(f"http://localhost:{daemon.port}/t/{other[1]}/mcp", 1, "ping")
    expect(page.get_by_role("heading", level=1)).to_have_text(
        "The way changes nothing in 1 request.", timeout=15_000
    )
    expect(page.locator(".pairs")).to_contain_text("arrived as it was sent")
    page.keyboard.press("Escape")
    expect(page.get_by_role("row").filter(has_text="ping")).to_be_visible()
    page.get_by_role("link", name="Compare").click()
    page.get_by_role("link", name="alone, through the gateway").click()
    expect(page.locator("pair-view .sides")).to_be_visible()


def test_the_other_trace_is_named_by_its_address(
    open_tab: Open, pair: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    """docs/page.md: whoever knows an address pastes it; what is in the page's own address only reads."""
    direct, via = pair
    for address in (via["pageUrl"], via["shareUrl"], via["trace"]):
        page = open_tab(f"{direct['pageUrl']}#compare").page
        field = page.get_by_label("Paste its address")
        field.fill("https://nothing.example/")
        page.get_by_role("button", name="Compare", exact=True).click()
        expect(page.get_by_role("alert")).to_contain_text("names no trace")
        field.fill(address)
        field.press("Enter")
        expect(page.locator("pair-view .sides")).to_be_visible()
        assert page.url.endswith(f"#compare={_share(via)}")
    page.goto(f"{direct['pageUrl']}#compare={'a' * 32}")
    expect(page.get_by_role("alert")).to_contain_text("there is no such trace")
    page.goto("about:blank")
    page.goto(f"{direct['pageUrl']}#compare={via['trace']}")
    expect(page.locator("pair-view .sides")).to_be_visible()
    assert via["trace"] not in page.url


def test_a_comparison_is_passed_on_without_any_id(
    open_tab: Open, pair: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    """Our choice: what is shared can be read, and nothing more."""
    direct, via = pair
    page = open_tab(f"{direct['pageUrl']}#compare={_share(via)}").page
    page.locator(".pairs a").filter(has_text="ping").click()
    page.evaluate("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
    page.get_by_role("button", name="Share").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    shared = page.evaluate("window.copied")
    assert shared.startswith(f"{direct['shareUrl']}#compare={_share(via)},")
    page.get_by_role("button", name="Copy as text").click()
    expect(page.locator(".ways").get_by_role("button", name="Copied")).to_be_visible()
    assert "Accept changes on the way" in page.evaluate("window.copied")
    reader = open_tab(shared).page
    expect(reader.locator("pair-view .exchange-head")).to_contain_text("label 1")
    assert direct["trace"] not in reader.content()
    assert via["trace"] not in reader.content()
    reader.get_by_role("link", name="Swap").click()
    expect(reader.locator(".differences")).to_contain_text("X-Forwarded-For is lost on the way")
    assert reader.url.startswith(via["shareUrl"])


def test_the_lines_of_a_request_come_into_sight_on_a_narrow_screen(
    open_tab: Open, pair: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    """Our choice: who chooses a request, or what differs, sees its lines."""
    direct, via = pair
    page = open_tab(f"{direct['pageUrl']}#compare={_share(via)}", viewport=NARROW).page
    lines = page.locator("pair-view .exchange-head")
    expect(lines).to_contain_text("tools/list")
    expect(lines).not_to_be_in_viewport()
    page.locator(".pairs a").filter(has_text="ping").click()
    expect(lines).to_contain_text("ping")
    expect(lines).to_be_in_viewport()


def test_requests_are_walked_through_with_the_keyboard(
    open_tab: Open, pair: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    """WCAG 2.1.1, 2.4.3."""
    direct, via = pair
    page = open_tab(direct["pageUrl"]).page
    page.get_by_role("link", name="Compare").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    page.get_by_label("Paste its address").fill(via["shareUrl"])
    page.keyboard.press("Enter")
    current = page.locator(".pairs a[aria-current]")
    expect(current).to_contain_text("tools/list")
    page.locator("h1").last.focus()
    page.keyboard.press("k")
    expect(current).to_contain_text("ping")
    page.keyboard.press("j")
    expect(current).to_contain_text("tools/list")
    page.locator(".pairs a").first.press("Enter")
    expect(current).to_contain_text("ping")
    expect(current).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("grid")).to_be_focused()


@pytest.mark.parametrize(("scheme", "viewport"), LOOKS)
def test_axe_finds_nothing(
    open_tab: Open,
    daemon: Daemon,
    client_environment: Needs,
    pair: tuple[dict[str, Any], dict[str, Any]],
    viewport: dict[str, int],
    scheme: str,
) -> None:
    """WCAG 2.2 AA, in each scheme and each width; nothing scrolls sideways."""
    client_environment(environments.NODE)
    direct, via = pair
    empty = scene.make(f"http://localhost:{daemon.port}", label="empty")
    options = {"viewport": viewport, "color_scheme": scheme, "reduced_motion": "reduce"}
    for url, there in {
        f"{direct['pageUrl']}#compare": "compare-choice .card",
        f"{direct['pageUrl']}#compare={_share(via)}": "pair-view .sides",
        f"{empty['pageUrl']}#compare={_share(via)}": "compare-empty .card",
    }.items():
        tab = open_tab(url, **options)
        tab.page.locator(there).first.wait_for()
        assert tab.violations() == [], url
        overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert tab.page.evaluate(overflow) <= 0, f"{url} scrolls sideways"
