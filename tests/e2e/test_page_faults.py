"""Faults on the page, in a real Chromium: armed, hit, and what a client did then."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("playwright", reason="Playwright drives the browser: pip install -e '.[test]'")

from playwright.sync_api import Browser, Page, expect

from mcp_echo.faults.plans import PLANS
from tests.e2e import environments, scene
from tests.e2e.browser import LOOKS, Open, chromium, tabs
from tests.e2e.conftest import Needs, Start
from tests.e2e.daemon import Daemon

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


CALL = {"name": "echo", "arguments": {"message": "Hello"}}
VERSION = {"MCP_Protocol_Version": scene.REVISION}


@pytest.fixture
def fresh(daemon: Daemon) -> dict[str, Any]:
    """A trace that a client has begun a session in."""
    return scene.make(f"http://localhost:{daemon.port}", label="drilled")


@pytest.fixture
def agent(fresh: dict[str, Any]) -> scene.Agent:
    """A client with a session."""
    agent = scene.Agent(fresh["mcpUrl"])
    agent.begin()
    return agent


def panel(page: Page) -> Any:
    return page.get_by_role("region", name="Faults")


def orders(page: Page) -> Any:
    return panel(page).locator(".order")


def ask(page: Page) -> None:
    """Open the form of one fault."""
    page.get_by_role("button", name="Arm a fault").click()
    page.get_by_role("tab", name="One fault").click()


def test_a_fault_is_armed_hits_and_what_the_client_did_is_told(
    open_tab: Open, fresh: dict[str, Any], agent: scene.Agent
) -> None:
    """docs/page.md: with the keyboard alone, from the button to the verdict."""
    page = open_tab(fresh["pageUrl"]).page
    expect(panel(page)).to_have_count(0)
    page.get_by_role("button", name="Arm a fault").press("Enter")
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("tab", name="Drill").press("ArrowRight")
    dialog.get_by_label("Fault", exact=True).select_option("reject")
    expect(dialog).to_contain_text("Refuses with a status")
    dialog.get_by_label("Status").fill("429")
    dialog.get_by_label("Retry after").fill("60")
    dialog.get_by_label("Method").fill("tools/call")
    dialog.get_by_label("Tool").fill("echo")
    dialog.get_by_label("Seconds armed").press("Enter")
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("button", name="Arm a fault")).to_be_focused()
    expect(orders(page)).to_contain_text("reject status 429, retry after 60")
    expect(orders(page)).to_contain_text("tools/call of echo, once")
    expect(orders(page).locator(".tag")).to_have_text("armed")
    agent.send("tools/list", **VERSION)
    status, headers, _ = agent.send("tools/call", CALL, **VERSION)
    assert (status, headers["retry-after"]) == (429, "60")
    orders(page).get_by_role("link").click()
    view = page.get_by_role("region", name="Exchange", exact=True)
    expect(view.locator(".hit")).to_contain_text("fault reject 429 · order 1")
    agent.send("tools/call", CALL, **VERSION)
    expect(orders(page).locator(".tag").first).to_have_text("over")
    expect(orders(page).locator(".outcome")).to_have_text("did not wait")
    hit = page.get_by_role("row").filter(has_text="reject 429")
    expect(hit).to_have_count(1)
    verdict = orders(page).locator(".verdict-words").inner_text()
    expect(view.locator(".hit")).to_contain_text(verdict)
    page.get_by_role("searchbox", name="Filter").fill("fault:reject")
    expect(page.locator(".canvas .row")).to_have_count(1)


def test_a_drill_runs_with_one_click_and_is_called_off_with_another(
    open_tab: Open, fresh: dict[str, Any], agent: scene.Agent
) -> None:
    """docs/page.md: one order after the other; what is called off hits nothing."""
    page = open_tab(fresh["pageUrl"]).page
    page.get_by_role("button", name="Arm a fault").click()
    page.get_by_role("button", name="Run session-loss").click()
    expect(panel(page).get_by_role("heading", name="Drill session-loss")).to_be_visible()
    more = len(PLANS["session-loss"].orders) - 2
    expect(orders(page).locator(".tag:not(.outcome)")).to_have_text(["armed", "waits", *["waits"] * more])
    assert agent.send("tools/call", CALL, **VERSION)[0] == 404
    scene.Agent(fresh["mcpUrl"]).begin()
    expect(orders(page).first.locator(".outcome")).to_have_text("began anew")
    expect(orders(page).locator(".tag:not(.outcome)")).to_have_text(["over", "armed", *["waits"] * more])
    panel(page).get_by_role("button", name="Disarm all").click()
    expect(orders(page).locator(".tag:not(.outcome)")).to_have_text(
        ["over", "disarmed", *["disarmed"] * more]
    )
    expect(panel(page).get_by_role("button", name="Disarm all")).to_have_count(0)
    expect(panel(page).get_by_role("heading", level=2)).to_be_focused()
    assert agent.send("tools/call", CALL, **VERSION)[0] == 200


def test_an_order_of_somebody_else_is_seen_when_it_has_fired(
    open_tab: Open, fresh: dict[str, Any], agent: scene.Agent
) -> None:
    """Our choice: tools and curl arm faults too."""
    page = open_tab(fresh["pageUrl"]).page
    expect(page.get_by_role("button", name="Arm a fault")).to_be_visible()
    scene.ask(f"{fresh['pageUrl']}faults", "POST", {"fault": "tool-error"})
    agent.send("tools/call", CALL, **VERSION)
    expect(orders(page)).to_contain_text("tool-error")


def test_each_fault_has_the_fields_that_the_server_names(open_tab: Open, fresh: dict[str, Any]) -> None:
    """Our choice: a new fault needs no line on the page; each can be armed as it is offered."""
    page = open_tab(fresh["pageUrl"]).page
    ask(page)
    kinds = page.get_by_label("Fault", exact=True).locator("option").all_inner_texts()
    assert len(kinds) > 20
    for kind in kinds:
        if page.get_by_role("dialog").count() == 0:
            ask(page)
        page.get_by_label("Fault", exact=True).select_option(kind)
        if kind == "headers-required":
            page.get_by_role("button", name="Arm", exact=True).click()
            expect(page.get_by_label("Names")).to_be_focused()
            page.get_by_label("Names").fill("X-Tenant, X-Other")
        page.get_by_role("button", name="Arm", exact=True).click()
        expect(page.get_by_role("dialog")).to_have_count(0)
        expect(orders(page).first).to_contain_text(kind)
    panel(page).get_by_role("button", name=re.compile("older")).click()
    expect(orders(page)).to_have_count(len(kinds))
    expect(panel(page)).to_contain_text("names X-Tenant and X-Other")
    expect(panel(page)).to_contain_text("session-lost status 404")


def test_what_is_refused_is_said_and_what_was_filled_in_stays(open_tab: Open, fresh: dict[str, Any]) -> None:
    """Our choice: the server's own sentence, where the button was pressed."""
    tab = open_tab(fresh["pageUrl"])
    page = tab.page
    ask(page)
    page.get_by_label("Tool").fill("x" * 101)
    page.get_by_role("button", name="Arm", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("length <= 100")
    expect(page.get_by_label("Tool")).to_have_value("x" * 101)
    page.get_by_role("button", name="Cancel").click()
    expect(panel(page)).to_have_count(0)
    assert [each for each in tab.complaints if "status of 400" not in each] == []
    tab.complaints.clear()


def test_who_may_only_read_sees_orders_and_arms_none(
    open_tab: Open, fresh: dict[str, Any], agent: scene.Agent
) -> None:
    """docs/page.md: the same to read, and no form."""
    scene.ask(f"{fresh['pageUrl']}faults", "POST", {"fault": "reject", "times": 2})
    agent.send("tools/call", CALL, **VERSION)
    page = open_tab(fresh["shareUrl"]).page
    expect(orders(page)).to_contain_text("fired 1 of 2")
    expect(orders(page).locator(".outcome")).to_have_count(1)
    for name in ("Arm a fault", "Disarm all"):
        expect(page.get_by_role("button", name=name)).to_have_count(0)


def test_without_faults_there_is_no_button(open_tab: Open, start: Start) -> None:
    """docs: MCP_ECHO_FAULTS."""
    daemon = start("--watch", "on", "--faults", "off")
    made = scene.make(daemon.base)
    page = open_tab(made["pageUrl"]).page
    scene.Agent(made["mcpUrl"]).begin()
    expect(page.get_by_role("row").filter(has_text="initialize")).to_be_visible()
    expect(page.get_by_role("link", name="Compare")).to_be_visible()
    expect(page.get_by_role("button", name="Arm a fault")).to_have_count(0)
    page.goto(f"{daemon.base}/")
    expect(page.get_by_role("button", name="New trace")).to_be_visible()
    expect(page.get_by_label("Drill")).to_have_count(0)


def test_the_address_can_be_read_beside_all_buttons(open_tab: Open, fresh: dict[str, Any]) -> None:
    """Our choice: on whatever screen, what is copied is seen."""
    scene.Agent(fresh["mcpUrl"]).begin()
    page = open_tab(fresh["pageUrl"]).page
    expect(page.get_by_role("button", name="Arm a fault")).to_be_visible()
    for width in (360, 720, 820, 960, 1100, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        box = page.locator("page-head copy-field code").bounding_box()
        assert box is not None
        assert box["width"] > 200, width


def test_a_trace_is_made_with_a_drill(open_tab: Open, daemon: Daemon) -> None:
    """docs/page.md: its first clients meet the drill."""
    page = open_tab(f"http://localhost:{daemon.port}/").page
    page.get_by_label("Drill").select_option("session-loss")
    expect(page.get_by_text(PLANS["session-loss"].summary)).to_be_visible()
    page.get_by_role("button", name="New trace").click()
    page.wait_for_url(re.compile(r"/t/[\w-]{32}/$"))
    expect(panel(page).get_by_role("heading", name="Drill session-loss")).to_be_visible()


@pytest.mark.parametrize(("scheme", "viewport"), LOOKS)
def test_axe_finds_nothing(
    open_tab: Open,
    client_environment: Needs,
    fresh: dict[str, Any],
    agent: scene.Agent,
    viewport: dict[str, int],
    scheme: str,
) -> None:
    """WCAG 2.2 AA, in each scheme and each width; nothing scrolls sideways."""
    client_environment(environments.NODE)
    for wish in ({"plan": "session-loss"}, {"fault": "reject", "match": {"method": "tools/list"}}):
        scene.ask(f"{fresh['pageUrl']}faults", "POST", wish)
    agent.send("tools/call", CALL, **VERSION)
    scene.Agent(fresh["mcpUrl"]).begin()
    tab = open_tab(fresh["pageUrl"], viewport=viewport, color_scheme=scheme, reduced_motion="reduce")
    page = tab.page
    expect(orders(page)).to_have_count(1 + len(PLANS["session-loss"].orders))
    page.get_by_role("row").filter(has_text="session-lost").click()
    assert tab.violations() == []
    overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(overflow) <= 0
    page.get_by_role("button", name="Arm a fault").click()
    assert tab.violations() == [], "the drills"
    page.get_by_role("tab", name="One fault").click()
    page.get_by_label("Fault", exact=True).select_option("cut")
    assert tab.violations() == [], "numbers and a tick"
    inner = page.get_by_role("dialog").evaluate("each => each.scrollWidth - each.clientWidth")
    assert inner <= 0
