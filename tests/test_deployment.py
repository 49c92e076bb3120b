"""What is shipped beside the package: the container image, the compose file and the systemd units."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from twisted.scripts.twistd import ServerOptions

import mcp_echo
from mcp_echo import __version__
from mcp_echo.settings.load import load
from mcp_echo.settings.table import DECLARED

ROOT = Path(__file__).parents[1]
SYSTEMD = ROOT / "systemd"
KNOWN_VARIABLES = {variable for setting in DECLARED for variable in setting.variables}


def _read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


# Dockerfile: one instruction a line, after comments are dropped and continued lines joined.


def _instructions() -> list[tuple[str, str]]:
    lines = [line for line in _read("Dockerfile").splitlines() if line and not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in joined.splitlines())]


def _image() -> list[tuple[str, str]]:
    """Return the instructions of the last stage, which is the image."""
    instructions = _instructions()
    start = max(place for place, (name, _) in enumerate(instructions) if name == "FROM")
    return instructions[start:]


def _only(name: str) -> str:
    (value,) = [rest for each, rest in _image() if each == name]
    return value


def _image_environment() -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in shlex.split(_only("ENV")))


def _image_health_check() -> list[str]:
    words: list[str] = json.loads(_only("HEALTHCHECK").partition("CMD ")[2])
    return words


# compose.yaml: read line by line, so that the tests need no YAML parser.


def _compose_block(key: str) -> list[str]:
    """Return the lines under ``key:``, which are those indented deeper."""
    lines = iter(_read("compose.yaml").splitlines())
    opening = next(line for line in lines if line.strip() == f"{key}:")
    indent = len(opening) - len(opening.lstrip())
    block = []
    for line in lines:
        if len(line) - len(line.lstrip()) <= indent:
            break
        if not line.lstrip().startswith("#"):
            block.append(line.strip())
    return block


def _compose_items(key: str) -> list[str]:
    return [line.removeprefix("- ").strip('"') for line in _compose_block(key)]


def _compose_environment() -> dict[str, str]:
    """Return what the service gets when nothing is set where compose is started."""
    items = [re.sub(r"\$\{\w+:-(.*?)\}", r"\1", item) for item in _compose_items("environment")]
    return dict(item.split("=", 1) for item in items)


def _compose_service(name: str) -> str:
    """Return the text of one service."""
    found = re.search(rf"^  {name}:\n((?:    .*\n|\n)+)", _read("compose.yaml"), re.MULTILINE)
    assert found is not None
    return found[1]


def _compose_health_check() -> list[str]:
    (line,) = [line for line in _compose_block("healthcheck") if line.startswith("test: ")]
    words: list[str] = json.loads(line.removeprefix("test: "))
    return words


# The systemd environment file and the units.


def _example_settings() -> list[tuple[str, str]]:
    found = re.findall(r"^#([A-Z_]+)=(.*)$", _read("systemd/mcp-echo.env.example"), re.MULTILINE)
    return [(name, value) for name, value in found]


def _unit_values(name: str, key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", _read(f"systemd/{name}"), re.MULTILINE)


def _unit_command(name: str) -> list[str]:
    return shlex.split(_unit_values(name, "ExecStart")[-1])


COMMANDS = {
    "image": lambda: json.loads(_only("ENTRYPOINT")),
    "service": lambda: _unit_command("mcp-echo.service"),
    "socket drop-in": lambda: _unit_command("mcp-echo.service.d/socket.conf"),
}
ENVIRONMENTS = {
    "Dockerfile": _image_environment,
    "compose.yaml": _compose_environment,
    "mcp-echo.env.example": lambda: dict(_example_settings()),
}


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> ServerOptions:
    """The command named by the test's parameter, as twistd understands it without settings around it."""
    for variable in KNOWN_VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    program, *words = COMMANDS[request.param]()
    assert Path(program).name == "twistd"
    options = ServerOptions()
    options.parseOptions(words)
    return options


# All three.


@pytest.mark.parametrize("where", ENVIRONMENTS)
def test_every_variable_that_is_set_is_a_setting(where: str) -> None:
    """Our choice: a variable that the daemon does not read promises something that does not happen."""
    variables = ENVIRONMENTS[where]()

    assert variables
    assert set(variables) - KNOWN_VARIABLES == set()


@pytest.mark.parametrize("where", ENVIRONMENTS)
def test_every_value_that_is_set_is_possible(where: str) -> None:
    """Our choice: a daemon that is deployed as the files say must start.

    The image has to listen on all addresses and cannot know under which names; it says so when it starts.
    """
    values = {name: re.sub(r"\$\{.*?\}", "example.com", text) for name, text in ENVIRONMENTS[where]().items()}
    if where == "Dockerfile":
        values["MCP_ECHO_ALLOWED_HOSTS"] = "example.com"

    assert load({}, values).warnings == ()


@pytest.mark.parametrize("parsed", COMMANDS, indirect=True)
def test_the_command_runs_the_plugin_in_the_foreground_without_a_pid_file(parsed: ServerOptions) -> None:
    """A supervisor wants the process it started; twistd's pid file would need a writable directory."""
    assert parsed.subCommand == "mcp-echo"
    assert parsed["nodaemon"]
    assert parsed["pidfile"] == ""


# The image.


def test_the_image_is_built_in_two_stages_on_the_slim_python() -> None:
    """Our choice: no source and no build tools in what is deployed."""
    bases = [rest.split()[0] for name, rest in _instructions() if name == "FROM"]

    assert bases == ["python:3.13-slim", "python:3.13-slim"]
    assert all(name != "COPY" for name, _ in _image())


def test_everything_the_image_is_built_from_reaches_the_builder() -> None:
    """A file that .dockerignore holds back fails the build, which nothing else here runs."""
    let_through = set(re.findall(r"^!(.+)$", _read(".dockerignore"), re.MULTILINE))
    copied = {word for name, rest in _instructions() if name == "COPY" for word in rest.split()[:-1]}

    assert copied == let_through
    # The wheel is tested with the sources away: then the packages are where it has put them.
    places = (ROOT, Path(mcp_echo.__file__).parents[1])
    assert {name for name in copied if not any((place / name).exists() for place in places)} == set()


def test_the_image_runs_as_a_numeric_user_that_is_not_root() -> None:
    """Kubernetes' runAsNonRoot can check a numeric user only."""
    assert [int(part) for part in _only("USER").split(":")] == [65532, 65532]


def test_the_image_stops_on_the_signal_that_drains() -> None:
    """twistd shuts down in order on SIGTERM."""
    assert _only("STOPSIGNAL") == "SIGTERM"


def test_the_image_listens_where_its_exposed_port_leads() -> None:
    """A server on the loopback interface of a container answers nobody."""
    assert _image_environment()["MCP_ECHO_HOST"] == "0.0.0.0"
    assert _only("EXPOSE") == _image_environment()["MCP_ECHO_PORT"]


def test_the_plugin_list_is_made_after_the_last_install() -> None:
    """A list that is missing or older than a plugin is written at each start; a read-only image cannot."""
    runs = [rest for name, rest in _image() if name == "RUN"]

    assert "pip install" in "".join(runs[:-1])
    assert "getPlugins" in runs[-1]


def test_the_image_is_labelled_with_the_version_of_the_package() -> None:
    """OCI image specification, annotations: org.opencontainers.image.version."""
    arguments = dict(rest.split("=", 1) for name, rest in _image() if name == "ARG")
    labels = dict(pair.split("=", 1) for pair in shlex.split(_only("LABEL")))

    assert arguments["VERSION"] == __version__
    assert labels["org.opencontainers.image.version"] == "${VERSION}"


# Health checks.


class _Health(BaseHTTPRequestHandler):
    """Answers /health with the status its server was made for."""

    def do_GET(self) -> None:
        status = self.server.status if self.path == "/health" else 404
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
        pass


@pytest.fixture
def health_port(request: pytest.FixtureRequest) -> Iterator[int]:
    """The port of a server whose /health answers with the status that is the test's parameter."""
    server = HTTPServer(("127.0.0.1", 0), _Health)
    server.status = request.param
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(("health_port", "healthy"), [(200, True), (503, False)], indirect=["health_port"])
def test_the_health_check_believes_the_status_of_health(health_port: int, healthy: bool) -> None:
    """Exit status 0 is healthy, 1 is not (Dockerfile reference); a proxy in the environment is no detour."""
    program, *arguments = _image_health_check()
    environment = {"MCP_ECHO_PORT": str(health_port), "http_proxy": "http://127.0.0.1:1"}

    ran = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, check=False)

    assert program == "python"
    assert ran.returncode == (0 if healthy else 1)


def test_the_health_check_needs_no_program_that_the_slim_image_lacks() -> None:
    """python:slim has neither curl nor wget."""
    assert not {"curl", "wget"} & set(re.findall(r"\w+", _only("HEALTHCHECK")))


def test_compose_checks_health_as_the_image_does_and_makes_no_session() -> None:
    """Our choice: an initialize every 30 s would leave as many sessions behind."""
    assert _compose_health_check() == ["CMD", *_image_health_check()]


# compose.yaml.


def test_compose_sets_what_a_deployment_behind_traefik_had_before() -> None:
    """The environment that existing compose files of the echo server have, with the same values."""
    expected = {
        "MCP_ECHO_HOST": "0.0.0.0",
        "MCP_ECHO_PORT": "3000",
        "MCP_ECHO_DEBUG": "true",
        "MCP_SESSION_TIMEOUT": "3600",
        "MCP_PROTOCOL_VERSION": "2025-06-18",
        "ECHO_ENABLE_BINARY": "true",
        "ECHO_LOG_LEVEL": "INFO",
    }

    assert expected.items() <= _compose_environment().items()


def test_compose_routes_through_traefik_and_its_authentication() -> None:
    """The daemon authenticates nobody: without the middleware everyone is let in."""
    router = "traefik.http.routers.mcp-echo-stateful"

    assert set(_compose_items("labels")) == {
        "traefik.enable=true",
        f"{router}.rule=Host(`mcp-echo-stateful.${{BASE_DOMAIN}}`)",
        f"{router}.priority=2",
        f"{router}.middlewares=mcp-auth",
        "traefik.http.services.mcp-echo-stateful.loadbalancer.server.port=3000",
    }


def test_compose_publishes_no_port_past_traefik() -> None:
    """A published port would be a way around the authentication."""
    assert not re.search(r"^\s*(ports|network_mode):", _read("compose.yaml"), re.MULTILINE)


def test_compose_allows_the_host_name_that_traefik_routes() -> None:
    """Traefik passes Host on; the daemon answers 421 for a name that is not listed."""
    allowed = re.sub(r":\?[^}]*", "", _compose_environment()["MCP_ECHO_ALLOWED_HOSTS"]).split(",")
    (rule,) = [item for item in _compose_items("labels") if ".rule=" in item]

    assert re.findall("`(.+?)`", rule) == [name for name in allowed if "BASE_DOMAIN" in name]


def test_compose_keeps_the_log_file_on_a_volume_that_the_user_may_write() -> None:
    """The root file system is read-only; a new named volume takes the owner of the image's directory over."""
    (volume,) = _compose_items("volumes")
    name, directory = volume.split(":")

    assert str(Path(_compose_environment()["LOG_FILE"]).parent) == directory
    assert re.search(rf"^  {name}:$", _read("compose.yaml"), re.MULTILINE)
    assert any(
        f"install -d -o 65532 -g 65532 -m 0750 {directory}" in rest
        for name, rest in _image()
        if name == "RUN"
    )


@pytest.mark.parametrize("start", re.findall(r"MCP_ECHO_STORE=(\S+)", _read("Dockerfile")))
def test_every_store_that_the_image_suggests_is_possible(start: str) -> None:
    """Our choice: a line that is copied from a file works."""
    effective = load({}, {"MCP_ECHO_STORE": start})

    assert effective.settings.store == start
    assert effective.warnings == ()


def test_the_image_has_what_its_stores_need() -> None:
    """Redis needs the extra, and a file needs a directory that the user may write."""
    builds = "\n".join(rest for name, rest in _instructions() if name == "RUN")
    installs = "\n".join(rest for name, rest in _image() if name == "RUN")

    assert re.search(r"pip wheel .*\.\[redis\]", builds)
    assert re.search(r"pip install .*mcp-echo-daemon\[redis\]", installs)
    assert "=sqlite:/data/" in _read("Dockerfile")
    assert re.search(r"install -d -o 65532 -g 65532 -m 0750 .*/data\b", installs)


def test_compose_starts_two_nodes_on_redis_as_its_head_says() -> None:
    """The commands name what is there: the services, the profile, and a store that the settings take."""
    head = re.findall(r"^#   (.*)$", _read("compose.yaml"), re.MULTILINE)
    (store,) = [word.removeprefix("MCP_ECHO_STORE=") for word in head[1].split() if "STORE" in word]
    words = shlex.split(head[2])
    (profile,) = re.findall(r"profiles:\n      - (\w+)", _compose_service("redis"))

    assert _compose_environment()["MCP_ECHO_STORE"] == "memory:"
    assert store == "redis://:$REDIS_PASSWORD@redis:6379"
    assert load({}, {"MCP_ECHO_STORE": store}).warnings == ()
    assert words[words.index("--profile") + 1] == profile
    assert words[words.index("--scale") + 1] == "mcp-echo-stateful=2"
    assert "container_name" not in _compose_service("mcp-echo-stateful")


def test_redis_in_compose_keeps_every_session_and_lets_only_those_in_who_know_the_password() -> None:
    """docs/scaling.md: one that evicts ends sessions; and others are on the network of Traefik."""
    redis = _compose_service("redis")

    assert "--maxmemory-policy noeviction" in redis
    assert '--requirepass "$${REDIS_PASSWORD:?' in redis
    assert "      - REDIS_PASSWORD\n" in redis


# systemd.


def test_the_example_file_has_every_setting_with_its_default() -> None:
    """Our choice: the file is the operator's reference, so it says what the code does, in its order."""
    assert _example_settings() == [(setting.variables[0], setting.default) for setting in DECLARED]


def test_the_example_file_changes_nothing_until_a_line_is_uncommented() -> None:
    """systemd.exec(5), EnvironmentFile=: lines that begin with # are ignored."""
    lines = _read("systemd/mcp-echo.env.example").splitlines()

    assert [line for line in lines if line and not line.startswith("#")] == []


def test_the_service_may_take_longer_to_stop_than_the_server_drains() -> None:
    """A SIGKILL before MCP_ECHO_DRAIN_TIMEOUT would cut the requests the drain is for."""
    (limit,) = _unit_values("mcp-echo.service", "TimeoutStopSec")

    assert float(limit) > load({}, {}).settings.drain_timeout


def test_the_service_is_ready_when_the_server_says_so() -> None:
    """systemd.service(5): with Type=notify, what is ordered after the service finds the port open."""
    assert _unit_values("mcp-echo.service", "Type") == ["notify"]
    assert _unit_values("mcp-echo.service", "NotifyAccess") == ["main"]


def test_the_service_is_watched_more_slowly_than_the_server_beats() -> None:
    """A request that is slow to answer must not look like a server that hangs."""
    (seconds,) = _unit_values("mcp-echo.service", "WatchdogSec")

    assert float(seconds) >= 10


def test_the_service_may_reach_the_notify_socket() -> None:
    """systemd.exec(5), RestrictAddressFamilies=: the notify socket is an AF_UNIX one."""
    (families,) = _unit_values("mcp-echo.service", "RestrictAddressFamilies")

    assert "AF_UNIX" in families.split()


def test_the_service_is_started_again_after_a_crash_and_after_silence() -> None:
    """systemd.service(5), Restart=: on-failure covers an unclean exit, a timeout and the watchdog."""
    assert _unit_values("mcp-echo.service", "Restart") == ["on-failure"]


def test_the_log_file_that_the_example_suggests_is_writable_under_the_unit() -> None:
    """ProtectSystem=strict leaves the unit's own directories writable, and LogsDirectory= names this one."""
    (directory,) = _unit_values("mcp-echo.service", "LogsDirectory")

    assert f"/var/log/{directory}" in _read("systemd/mcp-echo.env.example")


def test_the_store_that_the_example_suggests_is_writable_under_the_unit() -> None:
    """As for the log file, with StateDirectory=."""
    (directory,) = _unit_values("mcp-echo.service", "StateDirectory")

    assert f"sqlite:/var/lib/{directory}/" in _read("systemd/mcp-echo.env.example")


def test_the_workers_have_a_place_for_their_sockets_under_the_unit() -> None:
    """RUNTIME_DIRECTORY, which systemd sets, is where the parent makes a directory for them."""
    assert _unit_values("mcp-echo.service", "RuntimeDirectory") == ["mcp-echo"]


def test_the_machine_can_be_measured_under_the_unit() -> None:
    """ProcSubset=pid hides /proc/stat and /proc/meminfo, which healthProbe and requestTiming read."""
    assert _unit_values("mcp-echo.service", "ProcSubset") == ["all"]


@pytest.mark.parametrize("parsed", ["socket drop-in"], indirect=True)
def test_the_drop_in_serves_on_the_socket_that_the_socket_unit_passes(parsed: ServerOptions) -> None:
    """systemd.socket(5), FileDescriptorName=: how the service tells its sockets apart."""
    (name,) = _unit_values("mcp-echo.socket", "FileDescriptorName")

    assert parsed.subOptions.effective.settings.port == f"systemd:domain=INET:name={name}"


def test_the_drop_in_runs_the_service_command_with_the_port_alone_added() -> None:
    """The command is written twice; a change to one must reach the other."""
    service, drop_in = _unit_command("mcp-echo.service"), _unit_command("mcp-echo.service.d/socket.conf")

    assert drop_in[:-2] == service
    assert drop_in[-2] == "--port"


@pytest.fixture
def analyze() -> str:
    """The path of systemd-analyze."""
    found = shutil.which("systemd-analyze")
    if found is None:
        reason = "systemd-analyze is not installed (Debian package: systemd)"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """A copy of the units whose command exists on this machine, since systemd-analyze looks for it."""
    shutil.copytree(SYSTEMD, tmp_path / "units")
    for name in ("mcp-echo.service", "mcp-echo.service.d/socket.conf"):
        unit = tmp_path / "units" / name
        unit.write_text(unit.read_text().replace(_unit_command(name)[0], sys.executable))
    return tmp_path / "units"


def _run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("with_socket", [False, True])
def test_systemd_finds_nothing_wrong_with_the_units(analyze: str, units: Path, with_socket: bool) -> None:
    """systemd ignores a key it does not know with a line in the journal; here that line is a failure."""
    if not with_socket:
        shutil.rmtree(units / "mcp-echo.service.d")

    ran = _run(analyze, "verify", "--recursive-errors=no", "--man=no",
               units / "mcp-echo.service", units / "mcp-echo.socket")  # fmt: skip

    assert (ran.returncode, ran.stderr) == (0, "")


def test_the_service_is_confined_to_what_it_needs(analyze: str, units: Path) -> None:
    """Our choice: an exposure level of 1.5 at most, of 10; --threshold takes it times ten."""
    ran = _run(analyze, "security", "--offline=true", "--no-pager", "--threshold=15",
               units / "mcp-echo.service")  # fmt: skip

    assert ran.returncode == 0, ran.stdout + ran.stderr
