"""What docs/gateways.md promises of the files beside it, as far as it shows without running a gateway."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mcp_echo.settings.load import load
from mcp_echo.tools.headers import categorize

ROOT = Path(__file__).parents[1]
GUIDE = ROOT / "docs" / "gateways.md"
FILES = sorted(path for path in (ROOT / "docs" / "proxies").rglob("*") if path.is_file())

IDLE_CONNECTIONS = {
    "nginx.conf": r"^\s*keepalive_timeout (\d+)s;",
    "Caddyfile": r"^\s*keepalive (\d+)s$",
    "mcp-echo.yml": r'^\s*idleConnTimeout: "(\d+)s"$',
}
"""File → how it says, in seconds, how long an idle connection to the daemon is kept."""

BODY_LIMITS = {"nginx.conf": r"client_max_body_size (\d+)m;", "Caddyfile": r"max_size (\d+)MB"}
"""File → how it says how large a body may be, in MB. Traefik has no limit unless told."""

ROUTER = "mcp-echo-stateful"


def text(name: str) -> str:
    (path,) = [path for path in FILES if path.name == name and path.parent.name != "smallest"]
    return path.read_text(encoding="utf-8")


def number(pattern: str, name: str) -> int:
    (found,) = re.findall(pattern, text(name), re.MULTILINE)
    return int(found)


@pytest.mark.parametrize("name", IDLE_CONNECTIONS)
def test_gateways_drop_an_idle_connection_before_the_daemon_does(name: str) -> None:
    """RFC 9112 section 9.5: a request on a connection that is being closed is lost, and POST not repeated."""
    assert number(IDLE_CONNECTIONS[name], name) < load({}, {}).settings.idle_timeout


@pytest.mark.parametrize("name", BODY_LIMITS)
def test_gateways_leave_it_to_the_daemon_to_refuse_a_body(name: str) -> None:
    """Our choice: the daemon's refusal says which setting to change."""
    assert number(BODY_LIMITS[name], name) * 1_000_000 > load({}, {}).settings.max_message_size


def test_nginx_waits_longer_than_the_daemon_is_silent() -> None:
    """nginx, proxy_read_timeout: the longest time between two reads."""
    settings = load({}, {}).settings
    limit = number(r"proxy_read_timeout (\d+)s;", "nginx.conf")

    assert limit > settings.keepalive_interval
    assert limit > settings.client_timeout


def test_traefik_s_file_and_compose_s_labels_make_the_same_router() -> None:
    """Our choice: one deployment, written for two providers."""
    compose = (ROOT / "compose.traefik.yaml").read_text(encoding="utf-8")
    labels = dict(re.findall(r'- "traefik\.http\.([^=]+)=(.*)"', compose))
    router = re.search(rf"^    {ROUTER}:\n((?:      .*\n)+)", text("mcp-echo.yml"), re.MULTILINE)
    assert router is not None
    written = dict(re.findall(r"^      (\w+): (.*)$", router[1], re.MULTILINE))

    assert written["priority"] == labels[f"routers.{ROUTER}.priority"]
    assert labels[f"routers.{ROUTER}.middlewares"] in re.findall('"(.+?)"', written["middlewares"])
    assert written["rule"].startswith('"Host(')
    assert labels[f"routers.{ROUTER}.rule"].startswith("Host(")
    port = labels[f"services.{ROUTER}.loadbalancer.server.port"]
    assert f'url: "http://127.0.0.1:{port}"' in text("mcp-echo.yml")


def test_the_guide_names_every_file() -> None:
    """A file that nobody is pointed to helps nobody."""
    links = set(re.findall(r"\]\((proxies/[^)]+)\)", GUIDE.read_text(encoding="utf-8")))

    assert links == {str(path.relative_to(GUIDE.parent)) for path in FILES}


@pytest.mark.parametrize("name", ["nginx.conf", "Caddyfile", "haproxy.cfg", "envoy.yaml"])
def test_the_guide_begins_with_the_smallest_configurations_as_they_are_run(name: str) -> None:
    """Our choice: a block can be copied, and tests/e2e/test_smallest_gateways.py runs the file."""
    blocks = re.findall(r"^```\w*\n(.*?)^```$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert (ROOT / "docs" / "proxies" / "smallest" / name).read_text(encoding="utf-8") in blocks[:5]


def test_every_mcp_header_of_the_guide_is_one_that_print_header_calls_so() -> None:
    """The guide sends people to printHeader, category mcp."""
    named = set(re.findall(r"`(Mcp-[A-Za-z-]+)\*?`", GUIDE.read_text(encoding="utf-8")))

    assert named >= {"Mcp-Session-Id", "Mcp-Protocol-Version", "Mcp-Method", "Mcp-Name", "Mcp-Param-"}
    assert {categorize(name) for name in named} == {"mcp"}
