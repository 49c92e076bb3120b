"""The pages behind a gateway that puts a prefix before every path."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="Playwright drives the browser: pip install -e '.[test]'")

from playwright.sync_api import expect

from tests.e2e import scene
from tests.e2e.browser import WIDE, Tab, chromium
from tests.e2e.conftest import Needs
from tests.e2e.daemon import START_SECONDS, Daemon, spawn
from tests.ports import free_port

pytestmark = pytest.mark.slow

CONFIGURATION = """
daemon off; worker_processes 1; pid {directory}/pid; error_log stderr; {user}
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {directory}/a; proxy_temp_path {directory}/b; fastcgi_temp_path {directory}/c;
    uwsgi_temp_path {directory}/d; scgi_temp_path {directory}/e;
    server {{
        listen 127.0.0.1:{port};
        location /echo/ {{
            proxy_pass http://127.0.0.1:{behind}/;
            proxy_set_header Host $http_host;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
        }}
    }}
}}
"""


@contextmanager
def gateway(program: str, directory: Path, behind: int) -> Iterator[str]:
    """Run nginx before a daemon; yield where the daemon is found there."""
    port = free_port()
    file = directory / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""
    file.write_text(CONFIGURATION.format(directory=directory, user=user, port=port, behind=behind))
    output = directory / "output.txt"
    with output.open("wb") as sink:
        command = [program, "-p", str(directory), "-e", "stderr", "-c", str(file)]
        process = spawn(command, stdout=sink, stderr=subprocess.STDOUT)
    base = f"http://localhost:{port}/echo"
    try:
        late = time.monotonic() + START_SECONDS
        while not _answers(f"{base}/health"):
            assert process.poll() is None, output.read_text()
            assert time.monotonic() < late
            time.sleep(0.05)
        yield base
    finally:
        process.terminate()
        process.wait()


def _answers(url: str) -> bool:
    try:
        return scene.ask(url, "GET")[0] == 200
    except OSError:
        return False


def test_the_pages_work_below_a_prefix(daemon: Daemon, program: Needs, tmp_path: Path) -> None:
    """Our choice: all addresses on the pages are relative, those that are copied too."""
    with (
        gateway(program("nginx"), tmp_path, daemon.port) as base,
        chromium() as browser,
        closing(browser.new_context(viewport=WIDE)) as context,
    ):
        tab = Tab(context)
        page = tab.page
        page.goto(f"{base}/")
        expect(page.locator("copy-field code")).to_have_text(f"{base}/mcp")
        page.get_by_role("button", name="New trace").click()
        page.wait_for_url(re.compile(rf"{base}/t/[\w-]{{32}}/$"))
        url = page.locator("waiting-state copy-field code").inner_text()
        assert url == f"{page.url}mcp"
        scene.Agent(url).begin()
        expect(page.get_by_role("row").filter(has_text="initialize")).to_be_visible()
        page.get_by_role("button", name="Delete").click()
        page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        page.wait_for_url(f"{base}/")
        assert tab.complaints == []
