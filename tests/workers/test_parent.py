"""The parent of several workers: starting, starting again, reporting, stopping. MCP_ECHO_WORKERS."""

from __future__ import annotations

import json
import signal
import sys
from unittest import mock

from mcp_echo.host.listening import STOP_MARGIN
from mcp_echo.host.notify import STATUS_INTERVAL
from mcp_echo.settings.load import load
from mcp_echo.workers.assignment import PARENT_FD, PORT_FD, VARIABLE
from mcp_echo.workers.child import GRACE, START_SECONDS
from mcp_echo.workers.parent import DELAYS, STEADY, Fleet
from tests.workers.support import FleetTestCase

TERM, KILL, HUP = int(signal.SIGTERM), int(signal.SIGKILL), int(signal.SIGHUP)


class StartTests(FleetTestCase):
    def test_the_parent_holds_the_port_and_never_reads_it(self) -> None:
        assert self.port.listening
        assert not self.port.reading

    def test_the_port_is_announced_once_and_only_when_all_workers_serve_on_it(self) -> None:
        """Our choice: whoever clicks the address that the start shows is served."""
        self.workers[0].report("READY=1")
        self.reactor.advance(0)
        assert self.announced == []
        self.ready()
        self.workers[0].end(None, 9)
        self.reactor.advance(1)
        self.ready()
        assert self.announced == [self.port]

    def test_each_worker_is_given_the_port_and_a_pipe_and_its_place(self) -> None:
        assert len(self.workers) == 2
        for number, process in enumerate(self.workers, 1):
            assert process.words == [sys.executable, "-m", "mcp_echo", "--strict"]
            assert (process.fds[PARENT_FD], process.fds[PORT_FD]) == ("w", 77)
            assignment = json.loads(process.environ[VARIABLE])
            assert (assignment["number"], assignment["reactor"]) == (number, "asyncio")

    def test_all_workers_seal_state_with_one_key_that_no_command_line_shows(self) -> None:
        """MCP_ECHO_STATE_KEY: what one worker has sealed, any other opens."""
        keys = {json.loads(process.environ[VARIABLE])["state_key"] for process in self.workers}
        (key,) = keys
        assert len(key) == 44
        assert not any(key in word for process in self.workers for word in process.words)

    def test_workers_hear_nothing_of_what_is_the_parents(self) -> None:
        """sd_notify(3), sd_listen_fds(3): it is the parent that systemd has started."""
        for process in self.workers:
            assert {"WATCHDOG_PID", "LISTEN_FDS"}.isdisjoint(process.environ)
            assert process.environ["NOTIFY_SOCKET"].startswith(str(self.directories()[0]))
            assert process.environ["WATCHDOG_USEC"] == "20000000"
            assert process.environ["HOME"] == "/"

    def test_nobody_else_can_reach_the_sockets_of_the_workers(self) -> None:
        (directory,) = self.directories()
        assert directory.stat().st_mode & 0o777 == 0o700

    def test_a_directory_of_the_service_manager_is_taken_for_them(self) -> None:
        """systemd.exec(5), RuntimeDirectory=: removed when the service stops, however it stops."""
        runtime = self.temporary / "run"
        runtime.mkdir()
        self.variables = {"RUNTIME_DIRECTORY": f"{runtime}:/run/other"}
        self.begin()
        assert len(list(runtime.glob("mcp-echo-*"))) == 1

    def test_a_directory_that_cannot_be_made_ends_the_start(self) -> None:
        self.variables = {"RUNTIME_DIRECTORY": "/nowhere"}
        self.begin()
        (reason,) = self.reasons
        assert reason.startswith("no directory can be made for the workers: ")

    def test_the_service_manager_is_told_once_all_workers_are_ready(self) -> None:
        first, second = self.workers
        first.report("READY=1", "STATUS=Serving: 3 sessions, 2 streams")
        assert self.told() == []
        second.report("READY=1", "STATUS=Serving: 3 sessions, 1 streams")
        assert self.told() == [
            "READY=1",
            "STATUS=Serving: 2 of 2 workers, 3 sessions, 3 streams",
            "WATCHDOG=1",
        ]

    def test_a_worker_that_cannot_start_ends_the_start_with_its_reason(self) -> None:
        """A setting that is refused is refused again and again: whoever starts the server waits for word."""
        first, second = self.workers
        first.complain("some noise\nmcp-echo: MCP_ECHO_STORE sqlite:x cannot be opened\n")
        first.end(1)
        second.end(1)
        assert self.reasons == ["worker 1 cannot start: MCP_ECHO_STORE sqlite:x cannot be opened"]
        self.reactor.advance(100)
        assert len(self.reactor.spawned) == 2

    def test_a_worker_that_dies_without_a_word_is_told_by_its_end(self) -> None:
        self.workers[1].end(None, KILL)
        assert self.reasons == ["worker 2 cannot start: signal 9 (SIGKILL)"]

    def test_a_worker_that_never_becomes_ready_is_killed(self) -> None:
        self.reactor.pump([START_SECONDS, GRACE])
        assert self.signals() == [[KILL], [KILL]]


class NoProcessTests(FleetTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.ready()
        self.reactor.full = True

    def test_a_machine_that_takes_no_more_processes_is_asked_again(self) -> None:
        """fork(2), EAGAIN; TasksMax= in the unit, for one."""
        self.workers[0].end(None, KILL)
        self.reactor.advance(0)
        assert "no process: [Errno 11]" in self.lines()[-1]
        self.reactor.full = False
        self.reactor.advance(DELAYS[1])
        assert len(self.workers) == 2
        assert self.reasons == []

    def test_a_parent_without_a_file_descriptor_for_a_worker_tries_again(self) -> None:
        """socket(2), EMFILE: a worker that is not there now must not be missing for ever."""
        self.reactor.full = False
        with mock.patch("socket.socket", side_effect=OSError(24, "Too many open files")):
            self.workers[0].end(None, KILL)
            self.reactor.advance(0)
        assert "no process: [Errno 24]" in self.lines()[-1]
        self.reactor.advance(DELAYS[1])
        assert len(self.workers) == 2


class RestartTests(FleetTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.ready()
        self.told()

    def test_a_worker_that_dies_is_replaced_at_once_and_the_others_are_left_alone(self) -> None:
        first, second = self.workers
        self.reactor.advance(STEADY)
        first.end(None, KILL)
        assert self.lines()[-1] == (
            f"Worker 1 (process {first.pid}) has ended: signal 9 (SIGKILL); starting it again"
        )
        self.reactor.advance(0)
        assert second.signals == []
        replacement = self.workers[-1]
        assert json.loads(replacement.environ[VARIABLE])["number"] == 1
        assert replacement.environ["NOTIFY_SOCKET"] != first.environ["NOTIFY_SOCKET"]
        assert self.fleet.restarts == 1

    def test_the_status_tells_how_many_workers_serve(self) -> None:
        self.workers[0].end(None, KILL)
        self.reactor.advance(STATUS_INTERVAL)
        assert self.told() == ["STATUS=Serving: 1 of 2 workers, 3 sessions, 2 streams"]
        self.workers[-1].report("READY=1")
        self.reactor.advance(STATUS_INTERVAL)
        assert "READY=1" not in self.told(), "the whole has been ready all the time"

    def test_one_that_keeps_dying_is_started_less_and_less_often_and_for_ever(self) -> None:
        waits = []
        for _ in range(10):
            last = self.workers[-1]
            last.complain("mcp-echo: no store\n")
            last.end(1)
            waited, count = 0.0, len(self.reactor.spawned)
            self.reactor.advance(0)
            while len(self.reactor.spawned) == count:
                self.reactor.advance(0.25)
                waited += 0.25
            waits.append(waited)
        assert waits == [*DELAYS, DELAYS[-1], DELAYS[-1], DELAYS[-1]]
        assert "exit status 1 (no store); starting it again in 10 s" in self.lines()[-1]
        assert self.reasons == []

    def test_one_that_has_lived_for_a_while_is_started_at_once_again(self) -> None:
        for _ in range(3):
            self.reactor.advance(STEADY)
            count = len(self.reactor.spawned)
            self.workers[-1].end(None, KILL)
            self.reactor.advance(0)
            assert len(self.reactor.spawned) == count + 1

    def test_one_that_is_silent_for_its_watchdog_time_is_killed(self) -> None:
        """notify.py says WATCHDOG=1 twice in that time, from the loop that answers requests."""
        silent, other = self.workers
        for _ in range(4):
            self.reactor.advance(10)
            other.report("WATCHDOG=1")
        assert silent.signals == [KILL]
        assert other.signals == []

    def test_reports_that_came_while_the_parent_stood_still_count(self) -> None:
        """After a SIGSTOP, say: the parent must not kill workers for what it did not read."""
        first, second = self.workers
        self.reactor.advance(20)
        first.report("WATCHDOG=1")
        self.reactor.advance(GRACE)
        assert first.signals == []
        assert second.signals == [KILL]

    def test_a_worker_that_stops_by_itself_is_no_worker_that_serves(self) -> None:
        """Somebody has sent it SIGTERM: it is replaced once it has drained."""
        self.workers[0].report("STOPPING=1", "EXTEND_TIMEOUT_USEC=15000000")
        assert len(self.fleet.serving) == 1
        self.workers[0].end(0)
        self.reactor.advance(0)
        assert len(self.workers) == 2

    def test_a_rotated_log_is_told_to_all(self) -> None:
        """LOG_FILE, SIGHUP."""
        self.fleet.rotated()
        assert self.signals() == [[HUP], [HUP]]


class StopTests(FleetTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.ready()
        self.told()

    def test_all_workers_stop_at_once_and_are_waited_for(self) -> None:
        first, second = self.workers
        stopped = self.stop()
        assert not self.port.listening
        assert self.signals() == [[TERM], [TERM]]
        assert self.told() == ["STOPPING=1", "EXTEND_TIMEOUT_USEC=20000000"]
        first.end(0)
        self.assertNoResult(stopped)
        assert self.fleet.status() == "Draining: 1 of 2 workers, 3 sessions, 2 streams"
        second.end(0)
        self.successResultOf(stopped)
        assert self.directories() == []
        assert self.reactor.getDelayedCalls() == []
        assert len(self.reactor.spawned) == 2

    def test_the_watchdog_is_fed_while_workers_drain(self) -> None:
        self.stop()
        self.told()
        self.reactor.advance(10)
        assert "WATCHDOG=1" in self.told()

    def test_a_second_request_hurries_the_workers(self) -> None:
        self.stop()
        self.fleet.hurry()
        assert self.signals() == [[TERM, TERM], [TERM, TERM]]

    def test_what_is_left_after_the_drain_is_killed(self) -> None:
        """MCP_ECHO_DRAIN_TIMEOUT, 10 s: a worker that hangs must not keep the parent."""
        stopped = self.stop()
        self.workers[0].end(0)
        self.reactor.advance(10 + STOP_MARGIN)
        assert self.signals() == [[TERM, KILL]]
        self.workers[0].end(None, KILL)
        self.successResultOf(stopped)

    def test_a_worker_that_waits_to_be_started_again_is_not(self) -> None:
        self.workers[0].end(None, KILL)
        stopped = self.stop()
        self.workers[0].end(0)
        self.successResultOf(stopped)
        assert self.reactor.getDelayedCalls() == []

    def test_a_parent_that_was_never_started_stops(self) -> None:
        """twistd stops what it has, wherever the start has failed."""
        settings = load({}, self.settings).settings
        fleet = Fleet(self.reactor, settings, self.launch, self.reasons.append, {})
        self.successResultOf(fleet.stopService())


class OutputTests(FleetTestCase):
    def test_what_a_worker_writes_before_it_is_ready_is_kept_until_it_is(self) -> None:
        first, _ = self.workers
        first.complain("mcp-echo: half a reason")
        assert first.protocol.complaint == "half a reason"
        first.report("READY=1")
        assert first.protocol.complaint == ""

    def test_lines_go_to_the_log_of_the_parent_whole(self) -> None:
        """Where twistd writes the log, which several processes cannot."""
        first, _ = self.workers
        for data in (b"one\ntw", b"o\nthree"):
            first.protocol.childDataReceived(1, data)
        assert [line for line in self.lines() if line in ("one", "two", "three")] == ["one", "two"]
        first.end(1)
        assert "three" in self.lines()
