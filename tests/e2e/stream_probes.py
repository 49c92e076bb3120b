"""What gateways do to event streams, measured: the table of docs/gateways.md comes from here.

    python -m tests.e2e.stream_probes

Each gateway runs with the configurations below before one daemon, in processes of their own, all at once; a
client with nothing but http.client calls streamProbe through each of them, on a trace of its own. What is
told is what the tool and the trace's report say. Needs the programs, and a minute and a half.
"""

from __future__ import annotations

import http.client
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from tests.e2e import environments, gateways
from tests.e2e.daemon import MODULE, Daemon
from tests.e2e.daemon import running as running_daemon
from tests.e2e.gateways import CERTIFICATE, CERTIFICATE_AND_KEY, DAEMON, FILES, GATEWAY, KEY, NAME, Places
from tests.e2e.trace import Trace
from tests.e2e.wire import Message, Wire
from tests.ports import free_port

SILENCE = 70
"""Seconds of silence that the table is about."""

Prepare = Callable[[str, Places, str], Sequence[str]]


class Setting(NamedTuple):
    """A gateway with one configuration."""

    gateway: str
    name: str
    """What is special about the configuration, for people."""
    prepare: Prepare
    text: str
    """The configuration."""


def _file(name: str) -> str:
    return (FILES / name).read_text(encoding="utf-8")


def _traefik(program: str, places: Places, dynamic: str) -> Sequence[str]:
    """Prepare Traefik with a dynamic configuration."""
    places.write("mcp-echo.yml", places.fill(dynamic))
    static = places.write("traefik.yml", places.filled_in("traefik/traefik.yml"))
    return [program, f"--configFile={static}"]


def _filled(prepare: Prepare) -> Prepare:
    return lambda program, places, text: prepare(program, places, places.fill(text))


_NGINX = _filled(gateways.nginx_with)
_CADDY = _filled(gateways.caddy_with)
_HAPROXY = _filled(gateways.haproxy_with)
_ENVOY = _filled(gateways.envoy_with)


def _plain_nginx(more: str = "") -> str:
    """Return what one writes who knows nothing of event streams."""
    return (
        f"server {{\n    listen {GATEWAY} ssl;\n    server_name {NAME};\n"
        f"    ssl_certificate {CERTIFICATE};\n    ssl_certificate_key {KEY};\n"
        f"    location / {{\n        proxy_pass http://{DAEMON};\n        proxy_set_header Host $host;\n"
        f"        {more}\n    }}\n}}\n"
    )


def _plain_caddy(more: str = "") -> str:
    return (
        f"https://{NAME}:8443 {{\n\tbind 127.0.0.1\n\ttls {CERTIFICATE} {KEY}\n"
        f"\treverse_proxy {DAEMON} {{\n\t\t{more}\n\t}}\n}}\n"
    )


def _plain_haproxy(server: str, more: str = "") -> str:
    """Return Debian's defaults, with another time-out or one more line where that is tried."""
    return (
        f"defaults\n    mode http\n    timeout connect 5s\n    timeout client 50s\n"
        f"    timeout server {server}\n"
        f"frontend mcp\n    bind {GATEWAY} ssl crt {CERTIFICATE_AND_KEY}\n    default_backend daemon\n"
        f"backend daemon\n    {more}\n    server mcp-echo {DAEMON}\n"
    )


def _plain_traefik(middlewares: str = "", definitions: str = "") -> str:
    return (
        "http:\n  routers:\n    mcp-echo:\n"
        f'      rule: "Host(`{NAME}`)"\n      entryPoints: ["websecure"]\n      tls: {{}}\n'
        f"      middlewares: [{middlewares}]\n      service: mcp-echo\n"
        f"{definitions}"
        f'  services:\n    mcp-echo:\n      loadBalancer:\n        servers:\n          - url: "http://{DAEMON}"\n'
        f'tls:\n  certificates:\n    - certFile: "{CERTIFICATE}"\n      keyFile: "{KEY}"\n'
    )


def _documented_traefik() -> str:
    """Return the documented configuration without the service that authenticates, which is not run here."""
    return _file("traefik/mcp-echo.yml").replace(', "mcp-auth"]', "]")


def _plain_envoy(idle: str = "", whole: str = "") -> str:
    """Return the documented configuration without what it says of time."""
    lines = _file("smallest/envoy.yaml").splitlines(keepends=True)
    kept = "".join(
        line for line in lines if "stream_idle_timeout" not in line and "idle_timeout: 50s" not in line
    )
    kept = kept.replace(", timeout: 0s", whole)
    return kept.replace("stat_prefix: mcp\n", f"stat_prefix: mcp\n{idle}")


_IDLE = " " * 16 + "stream_idle_timeout: 2s\n"

TABLE = (
    Setting("nginx", "its defaults", _NGINX, _plain_nginx()),
    Setting(
        "nginx",
        "`proxy_ignore_headers X-Accel-Buffering`",
        _NGINX,
        _plain_nginx("proxy_buffering on; proxy_ignore_headers X-Accel-Buffering;"),
    ),
    Setting("nginx", "the smallest file", _NGINX, _file("smallest/nginx.conf")),
    Setting("Caddy", "its defaults", _CADDY, _plain_caddy()),
    Setting("Caddy", "`buffer_responses`", _CADDY, _plain_caddy("buffer_responses")),
    Setting("Caddy", "the smallest file", _CADDY, _file("smallest/Caddyfile")),
    Setting("Traefik", "its defaults", _traefik, _plain_traefik()),
    Setting(
        "Traefik",
        "the middleware `buffering`",
        _traefik,
        _plain_traefik(
            '"collect"',
            "  middlewares:\n    collect:\n      buffering:\n        memResponseBodyBytes: 1048576\n",
        ),
    ),
    Setting("Traefik", "the documented files", _traefik, _documented_traefik()),
    Setting("haproxy", "Debian's defaults", _HAPROXY, _plain_haproxy("50s")),
    Setting(
        "haproxy",
        "`http-response wait-for-body`",
        _HAPROXY,
        _plain_haproxy("50s", "http-response wait-for-body time 5s at-least 16000"),
    ),
    Setting("haproxy", "the smallest file", _HAPROXY, _file("smallest/haproxy.cfg")),
    Setting("Envoy", "its defaults", _ENVOY, _plain_envoy()),
    Setting("Envoy", "the smallest file", _ENVOY, _file("smallest/envoy.yaml")),
)
"""What the table has a row for."""

SHORT = (
    Setting("nginx", "proxy_read_timeout 2s", _NGINX, _plain_nginx("proxy_read_timeout 2s;")),
    Setting(
        "Caddy", "read_timeout 2s", _CADDY, _plain_caddy("transport http {\n\t\t\tread_timeout 2s\n\t\t}")
    ),
    Setting("haproxy", "timeout server 2s", _HAPROXY, _plain_haproxy("2s")),
    Setting("Envoy", "stream_idle_timeout 2s", _ENVOY, _plain_envoy(_IDLE, ", timeout: 0s")),
)
"""With the limit on silence that each has, set to two seconds."""


class TraceWire(Wire):
    """A client of one session in a trace, which answers pings.

    Args:
        gateway: What it connects to.
        path: The path of the trace's endpoint.
    """

    def __init__(self, gateway: gateways.Gateway, path: str) -> None:
        self._path = path
        self._gateway = gateway
        super().__init__(self._patient, "2025-11-25", answers={"ping": {}})

    def _patient(self) -> http.client.HTTPConnection:
        """Return a connection that does not give up before any gateway does."""
        connection = self._gateway.connect()
        connection.timeout = 180
        return connection

    def send(self, http_method: str, headers: Any, message: Any = None, path: str = "") -> Any:
        """Send one request to the trace."""
        return super().send(http_method, headers, message, path or self._path)

    def probe(self, **arguments: Any) -> Message | None:
        """Return what streamProbe answers; None where its stream is cut."""
        with suppress(OSError, http.client.HTTPException, ValueError):
            response, _ = self.ask("tools/call", {"name": "streamProbe", "arguments": arguments})
            # One that is cut between two chunks looks as if it had ended.
            answered: Message | None = response.get("result", {}).get("structuredContent")
            return answered
        return None


class Seen(NamedTuple):
    """What was seen through one gateway."""

    verdict: str
    """Of five events, 300 ms apart."""
    notes: tuple[str, ...]
    findings: dict[str, str]
    """Id → summary, of all that is said of streams in the trace's report."""
    cut: float | None
    """Seconds of silence after which the stream was cut; None where it was not."""
    outlived: float
    """Seconds of silence that it has outlived."""


def probe(setting: Setting, path: str, daemon: Daemon, directory: Path, silence: float) -> Seen:
    """Return what streamProbe says through a gateway.

    Args:
        setting: The gateway.
        path: The path of its program.
        daemon: The daemon behind it.
        directory: Takes its files.
        silence: Seconds.
    """
    trace = Trace(daemon, f"{setting.gateway}: {setting.name}")
    with behind(setting, path, daemon, directory) as gateway:
        with TraceWire(gateway, path_of(trace)) as wire:
            told = wire.probe(events=5, every=0.3)
        with TraceWire(gateway, path_of(trace)) as wire:
            wire.probe(events=2, silence=silence)
    probes = _probes(trace, 2)
    report = trace.report()
    cuts = [each["cut"] for each in probes if "cut" in each]
    return Seen(
        verdict="cut" if told is None else told["verdict"],
        notes=() if told is None else tuple(told.get("notes", ())),
        findings={each.id: each.summary for each in report.findings if each.id.startswith("stream-")},
        cut=cuts[0] if cuts else None,
        outlived=max((each.get("silence", 0.0) for each in probes), default=0.0),
    )


@contextmanager
def behind(setting: Setting, path: str, daemon: Daemon, directory: Path) -> Iterator[gateways.Gateway]:
    """Run a gateway before a daemon; see `probe`."""
    directory.mkdir()
    assert isinstance(daemon.port, int)
    places = Places(directory, daemon.port, 0)
    with gateways.started(setting.prepare(path, places, setting.text), places) as gateway:
        yield gateway


def _probes(trace: Trace, many: int) -> list[Any]:
    """Return what is recorded of so many probes, once it is: what is answered late is recorded late."""
    deadline = time.monotonic() + 20
    while True:
        probes: list[Any] = json.loads(trace.evidence())["probes"]
        if len(probes) >= many:
            return probes
        assert time.monotonic() < deadline, probes
        time.sleep(0.2)


def path_of(trace: Trace) -> str:
    """Return the path of a trace's endpoint."""
    return trace.url[trace.url.index("/t/") :]


def program_of(gateway: str) -> str | None:
    """Return the path of a gateway's program; None where it is not here."""
    name = gateway.lower()
    if name in environments.GATEWAYS:
        return environments.script(name, name) if environments.is_made(name) else None
    return shutil.which(name)


def measure(settings: Sequence[Setting], silence: float, directory: Path) -> list[Seen]:
    """Return what is seen through gateways, all at once.

    Args:
        settings: The gateways.
        silence: Seconds.
        directory: Takes everything that is written.

    Raises:
        FileNotFoundError: A program is not here.
    """
    directory.mkdir()
    programs = [program_of(each.gateway) for each in settings]
    for each, path in zip(settings, programs, strict=True):
        if path is None:
            raise FileNotFoundError(
                f"{each.gateway} is not here: install it, or run tests/e2e/setup_clients.py"
            )
    port = free_port()
    command = [*MODULE, "--port", str(port), "--allowed-hosts", f"127.0.0.1,{NAME}"]
    with (
        running_daemon(command, directory, port) as daemon,
        ThreadPoolExecutor(len(settings)) as threads,
    ):
        begun = [
            threads.submit(probe, each, str(path), daemon, directory / str(number), silence)
            for number, (each, path) in enumerate(zip(settings, programs, strict=True))
        ]
        return [each.result() for each in begun]


def rows(settings: Sequence[Setting], seen: Sequence[Seen]) -> list[str]:
    """Return the table of docs/gateways.md, line by line."""
    lines = [
        "| gateway | configuration | five events, 300 ms apart | in the trace's report |"
        f" {SILENCE} s of silence |",
        "|---|---|---|---|---|",
    ]
    for setting, each in zip(settings, seen, strict=True):
        silence = "outlived" if each.cut is None else f"cut after {each.cut:.0f} s"
        told = ", ".join(f"`{name}`" for name in sorted(each.findings)) or "nothing"
        lines.append(f"| {setting.gateway} | {setting.name} | `{each.verdict}` | {told} | {silence} |")
    return lines


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as directory:
        seen = measure(TABLE, SILENCE, Path(directory) / "all")
    print(*rows(TABLE, seen), sep="\n")
    for setting, each in zip(TABLE, seen, strict=True):
        print(f"{setting.gateway}, {setting.name}: {each}", file=sys.stderr)


if __name__ == "__main__":
    main()
