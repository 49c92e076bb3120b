"""What is shipped beside the package: the container image and the systemd units."""

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
from mcp_echo.host.command_line import SLIP
from mcp_echo.settings.load import load
from mcp_echo.settings.table import DECLARED
from tests.deployed import image, image_environment, instructions, only, read
from tests.settings import env_example

ROOT = Path(__file__).parents[1]
SYSTEMD = ROOT / "systemd"
KNOWN_VARIABLES = {variable for setting in DECLARED for variable in setting.variables}


def _image_health_check() -> list[str]:
    words: list[str] = json.loads(only("HEALTHCHECK").partition("CMD ")[2])
    return words


# The systemd environment file and the units.


def _example_settings() -> list[tuple[str, str]]:
    found = re.findall(r"^#([A-Z_]+)=(.*)$", read("systemd/mcp-echo.env.example"), re.MULTILINE)
    return [(name, value) for name, value in found]


def _unit_values(name: str, key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", read(f"systemd/{name}"), re.MULTILINE)


def _unit_command(name: str) -> list[str]:
    return shlex.split(_unit_values(name, "ExecStart")[-1])


COMMANDS = {
    "image": lambda: json.loads(only("ENTRYPOINT")),
    "service": lambda: _unit_command("mcp-echo.service"),
    "socket drop-in": lambda: _unit_command("mcp-echo.service.d/socket.conf"),
}
ENVIRONMENTS = {
    "Dockerfile": image_environment,
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
    """Our choice: a daemon that is deployed as the files say must start."""
    assert load({}, ENVIRONMENTS[where]()).warnings == ()


@pytest.mark.parametrize("parsed", COMMANDS, indirect=True)
def test_the_command_runs_the_plugin_in_the_foreground_without_a_pid_file(parsed: ServerOptions) -> None:
    """A supervisor wants the process it started; twistd's pid file would need a writable directory."""
    assert parsed.subCommand == "mcp-echo"
    assert parsed["nodaemon"]
    assert parsed["pidfile"] == ""


# The image.


def test_the_image_is_built_in_two_stages_on_the_slim_python() -> None:
    """Our choice: no source and no build tools in what is deployed."""
    bases = [rest.split()[0] for name, rest in instructions() if name == "FROM"]

    assert bases == ["python:3.13-slim", "python:3.13-slim"]
    assert all(name != "COPY" for name, _ in image())


def test_everything_the_image_is_built_from_reaches_the_builder() -> None:
    """A file that .dockerignore holds back fails the build, which nothing else here runs."""
    let_through = set(re.findall(r"^!(.+)$", read(".dockerignore"), re.MULTILINE))
    copied = {word for name, rest in instructions() if name == "COPY" for word in rest.split()[:-1]}

    assert copied == let_through
    # The wheel is tested with the sources away: then the packages are where it has put them.
    places = (ROOT, Path(mcp_echo.__file__).parents[1])
    assert {name for name in copied if not any((place / name).exists() for place in places)} == set()


def test_the_image_runs_as_a_numeric_user_that_is_not_root() -> None:
    """Kubernetes' runAsNonRoot can check a numeric user only."""
    assert [int(part) for part in only("USER").split(":")] == [65532, 65532]


def test_the_image_stops_on_the_signal_that_drains() -> None:
    """twistd shuts down in order on SIGTERM."""
    assert only("STOPSIGNAL") == "SIGTERM"


def test_the_image_listens_where_its_exposed_port_leads() -> None:
    """A server on the loopback interface of a container answers nobody."""
    assert image_environment()["MCP_ECHO_HOST"] == "0.0.0.0"
    assert only("EXPOSE") == image_environment()["MCP_ECHO_PORT"]


def test_the_plugin_list_is_made_after_the_last_install() -> None:
    """A list that is missing or older than a plugin is written at each start; a read-only image cannot."""
    runs = [rest for name, rest in image() if name == "RUN"]

    assert "pip install" in "".join(runs[:-1])
    assert "getPlugins" in runs[-1]


def test_the_image_is_labelled_with_the_version_of_the_package() -> None:
    """OCI image specification, annotations: org.opencontainers.image.version."""
    arguments = dict(rest.split("=", 1) for name, rest in image() if name == "ARG")
    labels = dict(pair.split("=", 1) for pair in shlex.split(only("LABEL")))

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
    assert not {"curl", "wget"} & set(re.findall(r"\w+", only("HEALTHCHECK")))


# Stores.


@pytest.mark.parametrize("start", re.findall(r"MCP_ECHO_STORE=(\S+)", read("Dockerfile")))
def test_every_store_that_the_image_suggests_is_possible(start: str) -> None:
    """Our choice: a line that is copied from a file works."""
    effective = load({}, {"MCP_ECHO_STORE": start})

    assert effective.settings.store == start
    assert effective.warnings == ()


def test_the_image_has_what_its_stores_need() -> None:
    """Redis needs the extra, and a file needs a directory that the user may write."""
    builds = "\n".join(rest for name, rest in instructions() if name == "RUN")
    installs = "\n".join(rest for name, rest in image() if name == "RUN")

    assert re.search(r"pip wheel .*\.\[redis\]", builds)
    assert re.search(r"pip install .*mcp-echo-daemon\[redis\]", installs)
    assert "=sqlite:/data/" in read("Dockerfile")
    assert re.search(r"install -d -o 65532 -g 65532 -m 0750 .*/data\b", installs)


# systemd.


def test_the_example_file_has_every_setting_with_its_default() -> None:
    """Our choice: the file is the operator's reference, so it is made of the table of settings."""
    made = env_example.example()
    assert read("systemd/mcp-echo.env.example") == made, (
        "run python -m tests.settings.env_example > systemd/mcp-echo.env.example"
    )
    assert sorted(_example_settings()) == sorted((each.variable, each.default) for each in DECLARED)


def test_the_example_file_changes_nothing_until_a_line_is_uncommented() -> None:
    """systemd.exec(5), EnvironmentFile=: lines that begin with # are ignored."""
    lines = read("systemd/mcp-echo.env.example").splitlines()

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


def test_a_reload_is_the_signal_that_reopens_the_log() -> None:
    """systemd.service(5), ExecReload=; tests/e2e/test_daemon.py sends it."""
    assert _unit_values("mcp-echo.service", "ExecReload") == ["kill -HUP $MAINPID"]
    assert "systemctl reload mcp-echo.service" in read("systemd/README.md")


def test_a_setting_that_is_not_possible_is_not_tried_again_and_again() -> None:
    """systemd.service(5), RestartPreventExitStatus=: the next start would end as this one did."""
    assert _unit_values("mcp-echo.service", "RestartPreventExitStatus") == [str(SLIP)]


def test_the_socket_is_where_the_server_listens_by_default() -> None:
    """Our choice: whoever adds the socket unit changes no client."""
    settings = load({}, {}).settings
    assert _unit_values("mcp-echo.socket", "ListenStream") == [f"{settings.host}:{settings.port}"]


@pytest.mark.parametrize(
    "path", [path for path in sorted(SYSTEMD.rglob("*")) if path.is_file()], ids=lambda path: path.name
)
def test_every_setting_that_is_named_beside_the_units_exists(path: Path) -> None:
    """Our choice: a name in a comment or the guide is copied into the environment file."""
    named = set(re.findall(r"\b(?:MCP_ECHO|MCP|ECHO|LOG)_[A-Z_]+\b", path.read_text()))
    assert named <= KNOWN_VARIABLES


def test_the_log_file_that_the_example_suggests_is_writable_under_the_unit() -> None:
    """ProtectSystem=strict leaves the unit's own directories writable, and LogsDirectory= names this one."""
    (directory,) = _unit_values("mcp-echo.service", "LogsDirectory")

    assert f"/var/log/{directory}" in read("systemd/mcp-echo.env.example")


def test_the_store_that_the_example_suggests_is_writable_under_the_unit() -> None:
    """As for the log file, with StateDirectory=."""
    (directory,) = _unit_values("mcp-echo.service", "StateDirectory")

    assert f"sqlite:/var/lib/{directory}/" in read("systemd/mcp-echo.env.example")


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
