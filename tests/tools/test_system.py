"""requestTiming, environmentDump and healthProbe."""

from __future__ import annotations

import time

import psutil
import pytest

from mcp_echo.protocol.texts import exact_moment, milliseconds, moment, size, span
from mcp_echo.settings.table import DECLARED
from mcp_echo.tools.machine import SHORTEST, Machine
from tests.tools.support import UNREADABLE, FakeMachine, Scene, wire

MIB = 1024 * 1024
NOT_READABLE = "not readable on this system"


def busy_scene(machine: FakeMachine | None = None) -> Scene:
    """Return a server with five sessions, one of them 330 seconds old with 42 requests."""
    scene = Scene(machine=machine)
    scene.session.record.requests = 42
    for seconds in (0.0174, 0.02):
        scene.session.answered(seconds)
    for _ in range(4):
        scene.new_session()
    for _ in range(12):
        scene.session.log.queue(b"{}")
    scene.advance(330.123)
    return scene


TIMING = (
    "⏱️ Request Timing Analysis\n"
    "\n"
    "📊 Performance Metrics:\n"
    "- Request Start: 2024-01-01 12:05:30.100 UTC\n"
    "- Processing Time: 23.45ms\n"
    "- Performance: 🟢 Excellent\n"
    "\n"
    "🖥️ System Resources:\n"
    "- CPU Usage: {cpu}\n"
    "- Memory Usage: {memory}\n"
    "- Active Sessions: 5\n"
    "- Message Queue Size: 12\n"
    "\n"
    "📈 Session Statistics:\n"
    "- Session Age: 5m 30s\n"
    "- Requests in Session: 42\n"
    "- Average Response Time: 18.70ms"
)


def test_request_timing_measures_the_request_and_the_machine() -> None:
    """The tool's specified answer; every value is a measurement."""
    scene = busy_scene()
    scene.advance(0.00045)
    answer = scene.call("requestTiming", took=0.02345)
    assert answer.text == TIMING.format(cpu="15.2% of a core, by this process", memory="256MB / 1024MB (25%)")
    structured = wire(answer)
    assert structured["processMemory"] == 256 * MIB
    assert structured["processingTime"] == pytest.approx(0.02345)


@pytest.mark.parametrize(
    ("machine", "cpu", "memory"),
    [
        (UNREADABLE, NOT_READABLE, NOT_READABLE),
        (
            FakeMachine(None, MIB, None),
            "not readable on this system",
            "1MB (of a total not readable on this system)",
        ),
        (FakeMachine(0.0, 512, MIB), "0.0% of a core, by this process", "512B / 1MB (0%)"),
    ],
)
def test_figures_that_cannot_be_read_are_said_to_be(machine: FakeMachine, cpu: str, memory: str) -> None:
    """Our choice: with /proc restricted the tool answers all the same, and makes nothing up."""
    scene = busy_scene(machine)
    scene.advance(0.00045)
    assert scene.text("requestTiming", took=0.02345) == TIMING.format(cpu=cpu, memory=memory)


@pytest.mark.parametrize(
    ("took", "line"),
    [
        (0.0, "🟢 Excellent"),
        (0.0999, "🟢 Excellent"),
        (0.11, "🟡 Acceptable"),
        (0.99, "🟡 Acceptable"),
        (1.01, "🔴 Slow"),
    ],
)
def test_the_grade_follows_the_time(took: float, line: str) -> None:
    """Our choice: the bounds are where people begin to notice."""
    assert f"- Performance: {line}\n" in Scene().text("requestTiming", took=took)


def test_the_first_request_has_no_average_yet() -> None:
    """Our choice: no figure before there is something to measure."""
    assert Scene().text("requestTiming").endswith("- Average Response Time: none yet")


def test_environment_dump_shows_every_setting_and_where_it_came_from() -> None:
    """The tool's specified answer, and our choice: the origin of each value."""
    scene = Scene({"debug": "true", "port": "3001"}, {"MCP_SESSION_TIMEOUT": "60", "LOG_LEVEL": "debug"})
    lines = scene.text("environmentDump").splitlines()
    assert lines[:3] == ["🔧 Environment Configuration", "", "MCP Settings:"]
    assert [line.partition(":")[0] for line in lines[3 : 3 + len(DECLARED)]] == [
        f"- {setting.called}" for setting in DECLARED
    ]
    for line in (
        "- MCP_ECHO_HOST: 127.0.0.1 (default)",
        "- MCP_ECHO_PORT: 3001 (option --port)",
        "- MCP_SESSION_TIMEOUT: 60 (environment MCP_SESSION_TIMEOUT)",
        "- ECHO_LOG_LEVEL: debug (environment LOG_LEVEL)",
        "- LOG_FILE: (not set) (default)",
    ):
        assert line in lines
    assert lines[3 + len(DECLARED) :] == [
        "",
        "Session Store:",
        "- Store: memory of this process",
        f"- Node: {scene.store.node}",
        "",
        "Feature Flags:",
        "- Debug Mode: ✅ Enabled",
        "- Binary Support: ✅ Enabled",
        "- Compression: ❌ Disabled",
        "- Strict Mode: ❌ Disabled",
        "- Secrets Revealed: ❌ Disabled",
    ]


def test_environment_dump_shows_declared_settings_only() -> None:
    """Our choice: an allow-list, so that nothing else in the environment can leak."""
    environ = {"AWS_SECRET_ACCESS_KEY": "hunter2", "MCP_ECHO_UNKNOWN": "hunter2", "PATH": "hunter2"}
    for options in ({}, {"reveal_secrets": "true"}):
        answer = Scene(options, environ).call("environmentDump")
        assert "hunter2" not in answer.text + repr(wire(answer))


def test_environment_dump_masks_passwords_in_urls() -> None:
    """Our choice: no setting shows a password, whichever it is written into."""
    answer = Scene({"log_file": "redis://user:hunter2@db/0"}).call("environmentDump")
    assert "hunter2" not in answer.text + repr(wire(answer))
    assert "- LOG_FILE: redis://***@db/0 (option --log-file)" in answer.text


def test_environment_dump_never_shows_the_state_key() -> None:
    """Our choice: the key makes believe; even a lab that reveals secrets needs no more than its mark."""
    key = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
    scene = Scene({"reveal_secrets": "true"}, {"MCP_ECHO_STATE_KEY": key})
    answer = scene.call("environmentDump")
    assert key[:8] not in answer.text + repr(wire(answer))
    assert "- MCP_ECHO_STATE_KEY: [44 characters, sha256 " in answer.text
    assert "- MCP_ECHO_STATE_KEY: (not set) (default)" in Scene().text("environmentDump")


def probed_scene(machine: FakeMachine | None = None) -> Scene:
    """Return a server of ten minutes with 3 sessions living, 2 closed, 1 expired, and a sweep 45 s ago."""
    scene = Scene({"session_timeout": "600"}, machine=machine)
    for lifetime in (60.0, 120.0):
        closed = scene.new_session()
        scene.advance(lifetime)
        scene.store.close(closed.id, None)
    kept = [scene.session, scene.new_session(), scene.new_session()]
    scene.advance(375)
    for session in kept:
        scene.store.use(session.id, None)
    for _ in range(3):
        kept[1].log.queue(b"x" * 1024)
    scene.store.expire()
    scene.advance(45)
    return scene


HEALTH_TAIL = (
    "- Process Memory: {memory}\n"
    "- Session Storage: {storage}\n"
    "- Message Queues: 3KB\n"
    "\n"
    "⚡ Performance:\n"
    "- Average Session Lifetime: 1m 30s\n"
    "- Session Creation Rate: 0.5/min\n"
    "- Message Queue Depth: 1.0 avg"
)


@pytest.mark.parametrize(
    ("machine", "memory"),
    [(None, "256MB"), (UNREADABLE, "not readable on this system")],
    ids=["readable", "not"],
)
def test_health_probe_measures_the_server(machine: FakeMachine | None, memory: str) -> None:
    """The tool's specified answer; every value is a measurement."""
    scene = probed_scene(machine)
    answer = scene.call("healthProbe")
    structured = wire(answer)
    assert answer.text == (
        "🏥 System Health Report\n"
        "\n"
        "✅ Overall Status: HEALTHY\n"
        "\n"
        "📊 Session Statistics:\n"
        "- Active Sessions: 3\n"
        "- Total Sessions Created: 5\n"
        "- Sessions Expired: 0\n"
        "- Cleanup Run Count: 1\n"
        "- Last Cleanup: 45s ago\n"
        "\n"
        "🗄️ Session Store:\n"
        "- Store: memory of this process\n"
        f"- Node: {scene.store.node}\n"
        "\n"
        "💾 Memory Status:\n" + HEALTH_TAIL.format(memory=memory, storage=size(structured["sessionStorage"]))
    )
    assert (structured["sessionsClosed"], structured["sessionsRefused"]) == (2, 0)
    assert structured["messageQueues"] == 3072


def test_session_storage_grows_with_what_is_stored() -> None:
    """Our choice: measured, not made up."""
    scene = Scene()
    before = wire(scene.call("healthProbe"))["sessionStorage"]
    scene.call("echo", {"message": "x" * 10_000})
    grown = wire(scene.call("healthProbe"))["sessionStorage"] - before
    assert 10_000 <= grown < 10_500


def test_a_fresh_server_has_nothing_to_average() -> None:
    """Our choice: no figure before there is something to measure."""
    text = Scene().text("healthProbe")
    assert "- Last Cleanup: none yet\n" in text
    assert "- Average Session Lifetime: no session has ended yet\n" in text


def test_a_full_store_is_a_problem() -> None:
    """Our choice: the next initialize will be refused, and that is worth knowing before."""
    answer = Scene(limit=1).call("healthProbe")
    assert (
        "⚠️ Overall Status: DEGRADED\n- Problem: All 1 sessions that MCP_ECHO_MAX_SESSIONS allows are in use\n"
        in answer.text
    )
    assert wire(answer)["status"] == "degraded"


@pytest.mark.parametrize("swept", [False, True])
@pytest.mark.parametrize(("seconds", "healthy"), [(121, True), (121.5, False)])
def test_a_sweep_that_does_not_come_is_a_problem(swept: bool, seconds: float, healthy: bool) -> None:
    """Our choice: two intervals without a sweep mean that it has stopped."""
    scene = Scene()
    if swept:
        scene.advance(1000)
        scene.store.expire()
        scene.new_session()
    scene.advance(seconds)
    text = scene.text("healthProbe")
    assert ("HEALTHY" in text) is healthy
    assert ("The session cleanup is overdue: it should run every 60 s" in text) is not healthy


@pytest.mark.parametrize("error", [psutil.AccessDenied(), OSError(), RuntimeError(), ValueError()])
def test_a_figure_that_psutil_cannot_read_is_none(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """psutil raises these where /proc is restricted (ProcSubset=pid, some containers)."""

    def fail(*_: object, **__: object) -> object:
        raise error

    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    machine = Machine()
    clock[0] += 2 * SHORTEST
    for name in ("cpu_percent", "memory_info"):
        monkeypatch.setattr(psutil.Process, name, fail)
    monkeypatch.setattr(psutil, "virtual_memory", fail)
    assert (machine.cpu_percent(), machine.process_bytes(), machine.memory_bytes()) == (None, None, None)


def test_a_machine_can_be_made_where_nothing_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our choice: the daemon starts under a hardened unit too."""

    def fail(*_: object, **__: object) -> object:
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil.Process, "cpu_percent", fail)
    assert Machine().cpu_percent() is None


def test_the_share_of_a_core_is_measured_over_a_time_that_says_something(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """psutil: over less than 0.1 s it is an accident; whoever asks again soon gets the same figure."""
    clock, shares = [100.0], iter([0.0, 40.0, 60.0])
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(psutil.Process, "cpu_percent", lambda _: next(shares))
    machine = Machine()
    assert machine.cpu_percent() is None
    clock[0] += 2 * SHORTEST
    assert [machine.cpu_percent(), machine.cpu_percent()] == [40.0, 40.0]
    clock[0] += 2 * SHORTEST
    assert machine.cpu_percent() == 60.0


def test_this_machine_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The figures are those of the process that runs this test."""
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    machine = Machine()
    clock[0] += 2 * SHORTEST
    process, memory, cpu = machine.process_bytes(), machine.memory_bytes(), machine.cpu_percent()
    assert process is not None
    assert memory is not None
    assert cpu is not None
    assert 1024 * 1024 < process < memory


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0s"),
        (45.9, "45s"),
        (60, "1m 0s"),
        (330, "5m 30s"),
        (3600, "1h 0m"),
        (7500, "2h 5m"),
        (273_600, "3d 4h"),
    ],
)
def test_spans_are_told_in_two_units(seconds: float, words: str) -> None:
    """The form of the specified answers."""
    assert span(seconds) == words


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0B"), (1023, "1023B"), (1024, "1KB"), (12 * 1024, "12KB"), (256 * MIB, "256MB")]
)
def test_sizes_are_told_in_one_unit(count: int, words: str) -> None:
    """The form of the specified answers."""
    assert size(count) == words


def test_times_are_told_in_utc() -> None:
    """The form of the specified answers."""
    assert moment(1704110400.999) == "2024-01-01 12:00:00 UTC"
    assert exact_moment(1704110400.125) == "2024-01-01 12:00:00.125 UTC"
    assert milliseconds(0.02345) == "23.45ms"
