"""The pages in a real Chromium: what people see, and what they do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright", reason="Playwright drives the browser: pip install -e '.[test]'")

from playwright.sync_api import Browser, Page, expect

from tests.e2e import environments, scene
from tests.e2e.browser import LOOKS, Open, chromium, tabs
from tests.e2e.conftest import Needs, Start
from tests.e2e.daemon import MODULE, Daemon, running
from tests.ports import free_port

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


@pytest.fixture(scope="module")
def full(
    daemon: Daemon, client_environment: Needs, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """A trace that a real client and one that errs have sent to."""
    client_environment(environments.SDK_1)
    made = scene.make(f"http://localhost:{daemon.port}", label="full")
    scene.run_python_sdk(made["mcpUrl"], tmp_path_factory.mktemp("home"))
    agent = scene.Agent(made["mcpUrl"])
    agent.begin()
    agent.err()
    return made


@pytest.fixture
def fresh(daemon: Daemon) -> dict[str, Any]:
    """A trace that nothing has come to."""
    return scene.make(f"http://localhost:{daemon.port}", label="fresh")


def row(page: Page, text: str) -> Any:
    return page.get_by_role("row").filter(has_text=text)


# What is seen.


def test_a_client_connects_and_rows_appear(
    open_tab: Open, fresh: dict[str, Any], client_environment: Needs, tmp_path: Path
) -> None:
    """Our choice: what is debugged is looked at while it happens."""
    client_environment(environments.SDK_1)
    page = open_tab(fresh["pageUrl"]).page
    expect(page.get_by_role("heading", level=1)).to_have_text("Waiting for the first request.")
    expect(page.locator("waiting-state copy-field code")).to_have_text(fresh["mcpUrl"])
    expect(page.locator("waiting-state .three section")).to_have_count(3)
    scene.run_python_sdk(fresh["mcpUrl"], tmp_path)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Nothing is wrong in")
    expect(row(page, "tools/call").first).to_be_visible()
    expect(page.locator(".about")).to_contain_text("python-sdk-1 1.30.0")
    expect(page.locator("flow-line h2")).to_contain_text("complete")
    expect(page.locator("stream-bars h2")).to_be_visible()
    expect(page.locator(".live")).to_contain_text("live")


def test_a_row_slides_in_once(open_tab: Open, fresh: dict[str, Any]) -> None:
    """Our choice: what has just come is noticed, and nothing else moves."""
    agent = scene.Agent(fresh["mcpUrl"])
    agent.begin()
    page = open_tab(fresh["pageUrl"]).page
    expect(row(page, "initialize")).to_be_visible()
    # On a busy machine even this may have come after the page.
    page.reload()
    expect(row(page, "initialize")).to_be_visible()
    expect(page.locator(".row.fresh")).to_have_count(0)
    page.wait_for_timeout(1600)
    agent.send("tools/list", MCP_Protocol_Version=scene.REVISION)
    expect(row(page, "tools/list")).to_have_class(re.compile("fresh"))
    expect(row(page, "initialize")).not_to_have_class(re.compile("fresh"))


def test_a_finding_lights_the_line_it_is_about(open_tab: Open, full: dict[str, Any]) -> None:
    """Our choice: what, found and wanted, what to do, and where to read it, at the very line."""
    page = open_tab(full["pageUrl"]).page
    expect(page.get_by_role("heading", level=1)).to_contain_text("application/json")
    page.get_by_role("button", name=re.compile("^accept-incomplete")).click()
    lit = page.locator("exchange-view .line.lit.error")
    expect(lit).to_have_text(re.compile("Accept: text/event-stream$"))
    card = page.locator("exchange-view .line.lit + finding-card")
    expect(card.locator("h3")).to_have_text("accept-incomplete")
    expect(card.locator(".wanted mark")).to_have_text("application/json, ")
    expect(card).to_contain_text("Send Accept:")
    link = card.get_by_role("link")
    expect(link).to_have_attribute("href", re.compile("^https://modelcontextprotocol.io/specification/"))
    expect(link).to_have_attribute("rel", re.compile("noreferrer"))


def test_the_step_that_never_came_is_hollow(open_tab: Open, full: dict[str, Any]) -> None:
    """Our choice: what did not happen is seen where it should have."""
    page = open_tab(full["pageUrl"]).page
    missing = page.locator(".steps > .missing")
    expect(missing).to_contain_text("initialized", timeout=20_000)
    expect(missing).to_contain_text("never came")
    style = missing.locator(".dot").evaluate("dot => getComputedStyle(dot).borderStyle")
    assert style == "dashed"
    page.get_by_role("combobox", name="Flow").select_option("0")
    expect(page.locator("flow-line h2")).to_contain_text("complete")
    expect(page.locator(".steps > .missing")).to_have_count(0)


def test_one_exchange_is_shown_whole(open_tab: Open, full: dict[str, Any]) -> None:
    """Our choice: as it was on the wire, the answer beside it, when it came, and how to send it again."""
    page = open_tab(full["pageUrl"]).page
    row(page, "tools/call ehco").click()
    lines = page.locator("exchange-view .line:not(.known) code")
    assert lines.all_inner_texts()[0].startswith("POST /t/{trace}/mcp HTTP/1.1")
    numbers = page.locator("exchange-view .line:not(.known) .number").all_inner_texts()
    assert numbers == [str(number + 1) for number in range(len(numbers))]
    page.get_by_role("tab", name="Answer").click()
    expect(page.get_by_role("tabpanel", name="Answer")).to_contain_text("-32602")
    page.get_by_role("tab", name="Timing").click()
    expect(page.get_by_role("tabpanel", name="Timing")).to_contain_text("acme-agent 2.1")
    page.get_by_role("tab", name="curl").click()
    command = page.locator("exchange-view .command")
    expect(command).to_contain_text("curl -g -i --path-as-is -X 'POST'")
    expect(command).to_contain_text("'Mcp-Session-Id: '\"$SESSION\"")
    page.get_by_role("button", name="Side by side").click()
    expect(page.locator(".panels > section")).to_have_count(4)
    page.get_by_role("button", name="Back to the list").click()
    expect(page.locator(".exchanges")).to_be_visible()


def test_the_filter_shows_what_fits(open_tab: Open, full: dict[str, Any]) -> None:
    """Our choice: words, and what is meant by them; all of them have to fit."""
    page = open_tab(full["pageUrl"]).page
    expect(row(page, "tools/list").first).to_be_visible()
    for text, shown in (
        ("level:error client:acme", "accept-incomplete"),
        ("method:tools/call tool:ehco", "tools/call ehco"),
        ('status:20x "delete"', "DELETE mcp"),
        ("initialize python", "initialize"),
    ):
        page.get_by_role("searchbox", name="Filter").fill(text)
        expect(page.locator(".count")).to_contain_text(" of ")
        rows = page.locator(".canvas .row")
        expect(rows.filter(has_text=shown).first).to_be_visible()
        assert rows.count() < 12
    page.get_by_role("searchbox", name="Filter").fill("nothing-is-called-so")
    expect(page.locator(".canvas .row")).to_have_count(0)
    expect(page.locator(".count")).to_contain_text("0 of ")


def test_pausing_holds_back_and_going_on_shows_what_has_come(open_tab: Open, fresh: dict[str, Any]) -> None:
    """Our choice: who reads is not disturbed, and misses nothing."""
    agent = scene.Agent(fresh["mcpUrl"])
    agent.begin()
    page = open_tab(fresh["pageUrl"]).page
    expect(row(page, "initialize")).to_be_visible()
    page.get_by_role("button", name="pause").click()
    agent.send("tools/list", MCP_Protocol_Version=scene.REVISION)
    expect(page.locator(".live")).to_contain_text("paused")
    expect(page.locator(".live")).to_contain_text("waiting")
    expect(row(page, "tools/list")).to_have_count(0)
    page.get_by_role("button", name="go on").click()
    expect(row(page, "tools/list")).to_be_visible()
    expect(page.locator(".live")).to_contain_text("live")


def test_a_server_that_was_away_is_found_again(open_tab: Open, tmp_path: Path) -> None:
    """Our choice: it is seen that nothing can come, and then what comes to the server that has begun anew."""
    names = tmp_path / "traces"
    names.write_text("lasting\n")
    port = free_port()
    command = [*MODULE, "--port", str(port), "--trace-file", str(names), "--watch", "on"]
    with running(command, tmp_path, port):
        trace = re.search(r"[\w-]{32}", names.read_text())
        assert trace is not None
        page_url = f"http://localhost:{port}/t/{trace[0]}/"
        scene.Agent(f"{page_url}mcp").begin()
        tab = open_tab(page_url)
        expect(tab.page.locator(".live")).to_contain_text("live")
        expect(row(tab.page, "initialize")).to_be_visible()
    expect(tab.page.locator(".live")).to_contain_text("connection lost, trying again")
    with running(command, tmp_path, port):
        expect(tab.page.locator(".live")).to_contain_text("live", timeout=30_000)
        scene.ask(f"{page_url}mcp", "POST", {"jsonrpc": "2.0", "id": 1, "method": "ping"})
        expect(row(tab.page, "ping")).to_be_visible()
        expect(row(tab.page, "initialize")).to_have_count(0)
        assert [each for each in tab.complaints if "ERR_" not in each] == []
        tab.complaints.clear()


def test_an_ended_trace_says_so(open_tab: Open, fresh: dict[str, Any]) -> None:
    """Our choice: nothing more will come, and what was there can still be read."""
    scene.Agent(fresh["mcpUrl"]).begin()
    page = open_tab(fresh["pageUrl"]).page
    expect(row(page, "initialize")).to_be_visible()
    status, _, _ = scene.ask(fresh["pageUrl"], "DELETE")
    assert status == 204
    expect(page.locator(".live")).to_contain_text("ended")
    expect(page.get_by_text("This trace has ended.")).to_be_visible()
    expect(row(page, "initialize")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("There is nothing at this address.")
    expect(page.locator(".reason")).to_contain_text("this trace has ended (deleted, ")


# What is done.


def test_a_trace_is_made_read_shared_and_deleted(open_tab: Open, daemon: Daemon) -> None:
    """Our choice: the whole way without a terminal."""
    base = f"http://localhost:{daemon.port}"
    tab = open_tab(f"{base}/")
    page = tab.page
    expect(page.locator("copy-field code")).to_have_text(f"{base}/mcp")
    page.get_by_role("tab", name="opencode").click()
    expect(page.get_by_role("tabpanel")).to_contain_text(f'opencode mcp add mcp-echo --url "{base}/mcp"')
    page.get_by_label("Label").fill("<b>my</b> trace")
    page.get_by_label("Strict").check()
    page.get_by_role("button", name="New trace").click()
    page.wait_for_url(re.compile(r"/t/[\w-]{32}/$"))
    status, _, _ = scene.ask(f"{page.url}mcp", "POST", {"jsonrpc": "2.0", "id": 1, "method": "ping"})
    assert status == 406, "the trace is not strict"
    expect(page.locator(".brand")).to_have_text("mcp-echo / <b>my</b> trace")
    # The clipboard cannot be read here: what would be copied is.
    page.evaluate("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
    page.get_by_role("button", name="Share").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    shared = page.evaluate("window.copied")
    assert re.fullmatch(rf"{base}/v/[\w-]{{32}}/", shared)
    page.get_by_text("Evidence").click()
    with page.expect_download() as download:
        page.get_by_role("link", name=".md").click()
    assert download.value.suggested_filename == "evidence.md"
    page.goto(f"{base}/")
    own = page.locator("own-traces")
    expect(own).to_contain_text("1 exchange")
    own.get_by_role("link", name="<b>my</b> trace").click()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    page.wait_for_url(f"{base}/")
    expect(own).to_contain_text("None yet.")
    page.goto(shared)
    expect(page.get_by_role("heading", level=1)).to_have_text("There is nothing at this address.")


def test_a_trace_that_asks_for_a_token_shows_the_flow_and_the_step_that_never_came(
    open_tab: Open, daemon: Daemon
) -> None:
    """docs/oauth.md: the flow on the page; each step with its time, the missing one hollow."""
    page = open_tab(f"http://localhost:{daemon.port}/").page
    page.get_by_label("Asks for an access token").select_option("oauth")
    page.get_by_label("Scopes that the token needs").fill("mcp:read, mcp:write")
    page.get_by_role("button", name="New trace").click()
    page.wait_for_url(re.compile(r"/t/[\w-]{32}/$"))
    status, headers, _ = scene.ask(f"{page.url}mcp", "POST", {"jsonrpc": "2.0", "id": 1, "method": "ping"})
    assert status == 401
    assert 'scope="mcp:read mcp:write"' in headers["www-authenticate"]
    flow = page.locator("flow-line")
    expect(flow).to_contain_text("OAuth flow")
    expect(flow.locator("li").first).to_contain_text(re.compile(r"challenge.*401 · a1"))


def test_who_may_only_read_can_do_nothing_else(open_tab: Open, full: dict[str, Any]) -> None:
    """Our choice: the same to read, and no address to send to."""
    page = open_tab(full["shareUrl"]).page
    expect(row(page, "tools/list").first).to_be_visible()
    expect(page.get_by_text("read only")).to_be_visible()
    for name in ("Delete", "Share", "Copy"):
        expect(page.get_by_role("button", name=name)).to_have_count(0)
    assert full["trace"] not in page.content()
    page.get_by_role("tab", name="curl").click()
    expect(page.locator("exchange-view .command")).to_contain_text("TRACE=…")


def test_what_is_refused_is_said(open_tab: Open, start: Start) -> None:
    """Our choice: the server's own sentence, where the button was pressed."""
    daemon = start("--watch", "on")
    for _ in range(20):
        scene.make(daemon.base)
    tab = open_tab(f"http://localhost:{daemon.port}/")
    tab.page.get_by_role("button", name="New trace").click()
    expect(tab.page.get_by_role("alert")).to_contain_text("as many as one may have")
    assert [each for each in tab.complaints if "status of 429" not in each] == []
    tab.complaints.clear()


def test_without_a_record_there_are_no_traces(open_tab: Open, start: Start) -> None:
    """docs: MCP_ECHO_WATCH."""
    daemon = start("--watch", "off")
    page = open_tab(f"http://localhost:{daemon.port}/").page
    expect(page.locator("copy-field code")).to_have_text(f"http://localhost:{daemon.port}/mcp")
    expect(page.get_by_role("tab", name="Claude Code")).to_be_visible()
    expect(page.get_by_role("button", name="New trace")).to_have_count(0)


# With the keyboard alone.


def test_everything_can_be_done_with_the_keyboard(open_tab: Open, full: dict[str, Any]) -> None:
    """WCAG 2.1.1, 2.1.2, 2.4.7."""
    page = open_tab(full["pageUrl"]).page
    expect(row(page, "tools/list").first).to_be_visible()
    selected = page.locator(".row[aria-selected=true]")
    page.keyboard.press("Escape")
    expect(page.get_by_role("grid")).to_be_focused()
    page.keyboard.press("Home")
    newest = int(selected.locator(".c0").inner_text())
    page.keyboard.press("j")
    page.keyboard.press("ArrowDown")
    older = int(selected.locator(".c0").inner_text())
    assert older < newest
    assert page.url.endswith(f"#{older}")
    active = page.get_by_role("grid").get_attribute("aria-activedescendant")
    assert active == f"row-{older}"
    page.keyboard.press("k")
    page.keyboard.press("ArrowUp")
    expect(selected.locator(".c0")).to_have_text(str(newest))
    page.keyboard.press("End")
    expect(selected).to_be_visible()
    page.keyboard.press("Home")
    page.keyboard.press("4")
    expect(page.get_by_role("tab", name="curl")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    expect(page.locator(".panels")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".panels")).to_have_count(0)
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("tool:ehco")
    expect(page.locator(".canvas .row")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.get_by_role("searchbox")).to_have_value("")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("older exchange")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("grid")).to_be_focused()


def test_the_focus_is_seen_and_goes_everywhere(open_tab: Open, full: dict[str, Any]) -> None:
    """WCAG 2.4.3, 2.4.7."""
    page = open_tab(full["pageUrl"]).page
    expect(row(page, "tools/list").first).to_be_visible()
    seen = []
    for _ in range(60):
        page.keyboard.press("Tab")
        name, outlined = page.evaluate(
            """() => {
              const at = document.activeElement;
              const style = getComputedStyle(at);
              const name = at.getAttribute("aria-label") ?? at.innerText ?? at.id;
              return [name.slice(0, 40), style.outlineStyle !== "none" || style.boxShadow !== "none"];
            }"""
        )
        if name in ("", None) or ("Skip" in name and seen):
            break
        seen.append(name)
        assert outlined, name
    whole = " | ".join(seen)
    for part in ("Skip to", "Copy", "Evidence", "Share", "Delete", "accept-incomplete", "Flow", "initialize"):
        assert part in whole, whole
    for part in ("Filter", "Exchanges, the newest first", "pause", "keys", "Side by side", "Request"):
        assert part in whole, whole


# Whatever clients send.

HOSTILE = "<img src=x onerror=\"document.title='broken'\"><script>document.title='broken'</script>"


def test_what_a_client_sends_stays_text(open_tab: Open, fresh: dict[str, Any]) -> None:
    """Our choice: everything that is shown comes from whoever wishes harm."""
    agent = scene.Agent(fresh["mcpUrl"], name=HOSTILE)
    agent.begin()
    agent.send("tools/call", {"name": HOSTILE}, X_Evil=HOSTILE, Authorization=f"Bearer {HOSTILE}")
    agent.send(HOSTILE, {}, Accept=HOSTILE, User_Agent=HOSTILE)
    scene.ask(f"{fresh['mcpUrl']}?x=%3Cimg%20src=x%20onerror=alert(1)%3E", "POST", {"method": HOSTILE})
    tab = open_tab(fresh["pageUrl"])
    page = tab.page
    expect(page.get_by_role("row")).not_to_have_count(1)
    page.keyboard.press("Home")
    for _ in range(5):
        for key in "1234":
            page.keyboard.press(key)
        page.keyboard.press("1")
        page.keyboard.press("j")
    page.get_by_role("searchbox").fill("<img src=x")
    expect(page.get_by_role("row").filter(has_text="<img src=x").first).to_be_visible()
    assert page.locator("img, script:not([src]), iframe, object").count() == 0
    assert "broken" not in page.title()


WRITE_HTML = """() => {
  try {
    document.body.innerHTML = "<b>x</b>";
    return "done";
  } catch (error) {
    return error.name;
  }
}"""

LOAD_FROM_ELSEWHERE = """() => new Promise((told) => {
  const tell = (event) => told(event.effectiveDirective);
  document.addEventListener("securitypolicyviolation", tell, {once: true});
  const image = new Image();
  image.src = "https://evil.example/x.png";
  document.body.append(image);
})"""


def test_the_browser_refuses_html_and_other_sites(open_tab: Open, full: dict[str, Any]) -> None:
    """CSP, Trusted Types: what the tests of the files look for, the browser would not do."""
    tab = open_tab(full["pageUrl"])
    assert tab.page.evaluate(WRITE_HTML) == "TypeError"
    assert tab.page.evaluate(LOAD_FROM_ELSEWHERE) == "img-src"
    assert len(tab.complaints) == 2, "the tab does not say what it refuses"
    tab.complaints.clear()


def test_other_sites_other_traces_and_no_trace_show_nothing(
    open_tab: Open, daemon: Daemon, start: Start, full: dict[str, Any], fresh: dict[str, Any]
) -> None:
    """Our choice: the address is the only right there is, and it is one's own."""
    elsewhere = start("--watch", "on")
    foreign = open_tab(f"http://localhost:{elsewhere.port}/")
    for below in ("report", "exchanges", "evidence.json", "events", ""):
        read = foreign.page.evaluate(
            "url => fetch(url).then(answer => answer.text(), error => error.name)", full["pageUrl"] + below
        )
        assert read == "TypeError", below
    foreign.complaints.clear()
    headers = {"Origin": f"http://localhost:{elsewhere.port}"}
    status, _, body = scene.ask(f"{full['pageUrl']}report", "GET", None, headers)
    assert status == 403
    assert b"acme" not in body
    other = open_tab(fresh["pageUrl"]).page
    expect(other.get_by_role("heading", level=1)).to_have_text("Waiting for the first request.")
    assert "acme" not in other.content()
    unknown = open_tab(f"http://localhost:{daemon.port}/t/{'a' * 32}/").page
    expect(unknown.get_by_role("heading", level=1)).to_have_text("There is nothing at this address.")
    expect(unknown.locator(".reason")).to_contain_text("there is no such trace")


# For everybody.


@pytest.mark.parametrize(("scheme", "viewport"), LOOKS)
def test_axe_finds_nothing(
    open_tab: Open,
    daemon: Daemon,
    client_environment: Needs,
    full: dict[str, Any],
    scheme: str,
    viewport: dict[str, int],
) -> None:
    """WCAG 2.2 A and AA, and what axe calls good practice."""
    client_environment(environments.NODE)
    base = f"http://localhost:{daemon.port}"
    options = {"viewport": viewport, "color_scheme": scheme, "reduced_motion": "reduce"}
    empty = scene.make(base, label="empty")
    ending = scene.make(base, label="ending")
    scene.Agent(ending["mcpUrl"]).begin()
    wait_for = {
        f"{base}/": "snippet-tabs [role=tab]",
        empty["pageUrl"]: "waiting-state .three",
        full["pageUrl"]: "finding-card",
        full["shareUrl"]: "finding-card",
        ending["pageUrl"]: ".canvas .row",
        f"{base}/t/{'a' * 32}/": "h1",
    }
    for url, there in wait_for.items():
        tab = open_tab(url, **options)
        tab.page.locator(there).first.wait_for()
        if url == ending["pageUrl"]:
            scene.ask(url, "DELETE")
            tab.page.get_by_text("This trace has ended.").wait_for()
        assert tab.violations() == [], url
        background = tab.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert background == {"light": "rgb(250, 249, 247)", "dark": "rgb(18, 19, 21)"}[scheme]
        overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert tab.page.evaluate(overflow) <= 0, f"{url} scrolls sideways"
    tab = open_tab(full["pageUrl"], **options)
    tab.page.locator("finding-card").first.wait_for()
    for key in ("2", "3", "4"):
        tab.page.keyboard.press(key)
        assert tab.violations() == [], key
    tab.page.keyboard.press("Escape")
    tab.page.keyboard.press("Enter")
    tab.page.locator(".panels").wait_for()
    assert tab.violations() == [], "side by side"
    tab.page.keyboard.press("?")
    assert tab.violations() == [], "keys"


def test_nothing_moves_where_that_is_not_wanted(open_tab: Open, fresh: dict[str, Any]) -> None:
    """WCAG 2.3.3, prefers-reduced-motion."""
    agent = scene.Agent(fresh["mcpUrl"])
    agent.begin()
    page = open_tab(fresh["pageUrl"], reduced_motion="reduce").page
    expect(row(page, "initialize")).to_be_visible()
    page.wait_for_timeout(1600)
    agent.send("tools/list", MCP_Protocol_Version=scene.REVISION)
    expect(row(page, "tools/list")).to_be_visible()
    assert page.evaluate("document.getAnimations().length") == 0
