"""The page shows what was looked at of an access token, in a real Chromium."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("playwright", reason="Playwright drives the browser: pip install -e '.[test]'")

from playwright.sync_api import Browser, Page, expect

from tests.e2e import environments, scene, way_in
from tests.e2e.browser import LOOKS, WIDE, Tab, chromium
from tests.e2e.conftest import Needs
from tests.e2e.daemon import Daemon

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def made(own_daemon: Daemon) -> dict[str, Any]:
    """A trace whose client was let in, has come again, and was then refused with another token."""
    made = scene.make(f"http://localhost:{own_daemon.port}", label="tokens", challenge="oauth")
    token = way_in.let_in(made)
    assert [way_in.call(made["mcpUrl"], token) for _ in range(2)] == [200, 200]
    assert way_in.call(made["mcpUrl"], changed(token, aud=f"{made['mcpUrl']}/", iss="<b>x</b>")) == 401
    told = way_in.send(f"{made['pageUrl']}exchanges", "GET")[2]["exchanges"]
    numbers = [each["number"] for each in told if "token" in each]
    return {**made, **dict(zip(("judged", "again", "refused"), numbers, strict=True))}


def changed(token: str, **claims: str) -> str:
    """Return a token that says something else, and whose signature is worth nothing any more."""
    head, payload, signature = token.split(".")
    said = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    other = base64.urlsafe_b64encode(json.dumps({**said, **claims}).encode()).rstrip(b"=").decode()
    return f"{head}.{other}.{signature}"


Open = Callable[..., Tab]


@pytest.fixture
def tab_of(browser: Browser, made: dict[str, Any]) -> Iterator[Open]:
    """Open the page at an exchange, in a browser of its own; nothing may be complained of."""
    tabs: list[Tab] = []

    def tab_of(exchange: int, **options: Any) -> Tab:
        tab = Tab(browser.new_context(**{"viewport": WIDE, **options}))
        tabs.append(tab)
        tab.page.goto(made["pageUrl"])
        tab.page.locator(".canvas .row").first.wait_for()
        tab.page.evaluate(f"location.hash = '#{exchange}'")
        expect(tab.page.locator(".exchange-head")).to_contain_text(f"#{exchange} ")
        tab.page.get_by_role("tab", name="Request").focus()
        return tab

    yield tab_of
    for tab in tabs:
        tab.page.context.close()
        assert tab.complaints == []


def at_token(tab: Tab) -> Tab:
    """Go to the token, by the keyboard alone."""
    tab.page.keyboard.press("End")
    expect(tab.page.get_by_role("tab", name="Token")).to_be_focused()
    return tab


def pick_the_way_in(page: Page, made: dict[str, Any]) -> None:
    """Have the flow of OAuth shown that was gone to its end."""
    flows = way_in.send(f"{made['pageUrl']}report", "GET")[2]["flows"]
    (index,) = [at for at, each in enumerate(flows) if (each["kind"], each["state"]) == ("oauth", "complete")]
    page.locator("flow-line select").select_option(value=str(index))
    expect(page.locator("flow-line h2")).to_contain_text("OAuth flow · complete")


def check(page: Page, name: str) -> Any:
    """Return the line of one check in the view of the exchange."""
    named = page.locator("strong").get_by_text(name, exact=True)
    return page.locator("exchange-view .token-checks li").filter(has=named)


def test_each_check_of_a_refused_token_is_shown(tab_of: Open, made: dict[str, Any]) -> None:
    """Our choice: held or not, found and wanted, and in what they differ; text is only ever text."""
    tab = at_token(tab_of(made["refused"]))
    panel = tab.page.locator("exchange-view .token-checks")
    expect(panel).to_contain_text("The token was not taken")
    audience = check(tab.page, "audience")
    expect(audience).to_contain_text("not held")
    expect(audience.locator("dd")).to_have_text(
        [
            f"{made['mcpUrl']}/".replace(made["trace"], "{trace}"),
            made["mcpUrl"].replace(made["trace"], "{trace}"),
        ]
    )
    expect(audience.locator("mark")).to_have_text(["/"])
    expect(audience).to_contain_text("They differ in slash.")
    expect(check(tab.page, "issuer").locator("dd.found")).to_have_text("<b>x</b>")
    expect(check(tab.page, "signature")).to_contain_text("not known")
    expect(check(tab.page, "expiry")).to_contain_text("held")


def test_a_token_that_is_known_already_names_where_it_was_judged(tab_of: Open, made: dict[str, Any]) -> None:
    """Our choice: nothing is said to have been looked at that was not."""
    tab = at_token(tab_of(made["again"]))
    panel = tab.page.locator("exchange-view .token-checks")
    expect(panel).to_contain_text("The token was taken")
    expect(panel).to_contain_text(f"it was judged with exchange #{made['judged']}.")
    expect(check(tab.page, "signature")).to_contain_text("held")
    first = at_token(tab_of(made["judged"]))
    expect(first.page.locator("exchange-view .token-checks")).not_to_contain_text("known to be good already")


def test_an_exchange_without_a_token_has_no_such_view(tab_of: Open) -> None:
    """Our choice: no empty views."""
    tab = tab_of(1)
    expect(tab.page.get_by_role("tab", name="Token")).to_have_count(0)


def test_the_flow_has_its_token(tab_of: Open, made: dict[str, Any]) -> None:
    """Our choice: the flow says whether the token that came of it is good."""
    tab = tab_of(1)
    pick_the_way_in(tab.page, made)
    summary = tab.page.locator("flow-line .token-of-flow summary")
    expect(summary).to_contain_text("Its token, exchange #")
    summary.focus()
    tab.page.keyboard.press("Enter")
    expect(tab.page.locator("flow-line .token-checks li").first).to_be_visible()


@pytest.mark.parametrize(("scheme", "viewport"), LOOKS)
def test_axe_finds_nothing(
    tab_of: Open, made: dict[str, Any], client_environment: Needs, scheme: Any, viewport: Any
) -> None:
    """WCAG 2.2 A and AA, and what axe calls good practice."""
    client_environment(environments.NODE)
    options = {"viewport": viewport, "color_scheme": scheme, "reduced_motion": "reduce"}
    for exchange in (made["again"], made["refused"]):
        tab = at_token(tab_of(exchange, **options))
        pick_the_way_in(tab.page, made)
        tab.page.locator("flow-line .token-of-flow summary").click()
        assert tab.violations() == []
        overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert tab.page.evaluate(overflow) <= 0
