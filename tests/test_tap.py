"""The twistd command line."""

from __future__ import annotations

import gc
import io
import os
import subprocess
import sys
from typing import Any, cast
from unittest import mock

from twisted.application.service import Application, IService, ServiceMaker
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import ILogObserver, globalLogPublisher
from twisted.plugin import IPlugin, getPlugins
from twisted.trial.unittest import SynchronousTestCase

from mcp_echo import __version__, tap
from mcp_echo.host.listening import StartError
from mcp_echo.settings.table import DECLARED
from mcp_echo.tap import Options, makeService
from mcp_echo.workers.assignment import VARIABLE, Assignment
from tests.settings.test_settings import SAMPLES


class OptionTests(SynchronousTestCase):
    def parse(self, *arguments: str, **environ: str) -> Options:
        with mock.patch.dict(os.environ, environ, clear=True):
            options = Options()
            options.parseOptions(list(arguments))
        return options

    def refused(self, *arguments: str, called: str = "mcp-echo", **environ: str) -> str:
        """Return the line that a command line is refused with."""
        errors, output = io.StringIO(), io.StringIO()
        with (
            mock.patch("sys.argv", [f"/usr/bin/{called}"]),
            mock.patch("sys.stderr", errors),
            mock.patch("sys.stdout", output),
        ):
            end = self.assertRaises(SystemExit, self.parse, *arguments, **environ)
        assert (end.code, output.getvalue()) == (2, "")
        (line,) = errors.getvalue().splitlines()
        return line

    def test_every_setting_is_an_option(self) -> None:
        """The README: each setting is an environment variable and an option."""
        for each in DECLARED:
            value, meant = SAMPLES[each.name][0]
            arguments = [f"--{each.option}={value}"]
            if each.is_flag:
                arguments = [f"--{each.option}" if meant else f"--no-{each.option}"]
            effective = self.parse(*arguments).effective
            assert getattr(effective.settings, each.name) == meant, each.option
            assert effective.origins[each.name] == f"option --{each.option}"

    def test_an_option_wins_over_the_environment_over_the_default(self) -> None:
        """Our precedence."""
        variable = {"MCP_MAX_SESSIONS": "7"}
        assert self.parse("--max-sessions", "9", **variable).effective.settings.max_sessions == 9
        assert self.parse(**variable).effective.settings.max_sessions == 7
        assert self.parse().effective.settings.max_sessions == 1000

    def test_a_flag_can_be_taken_back(self) -> None:
        assert self.parse("--no-strict", MCP_ECHO_STRICT="true").effective.settings.strict is False

    def test_conformance_alone_means_the_core_set(self) -> None:
        """The option's help says so."""
        for argument, sets in (
            ("--conformance", ("core",)),
            ("--conformance=tasks,skills", ("tasks", "skills")),
        ):
            assert self.parse(argument, "--strict").effective.settings.conformance == sets

    def test_a_bad_key_is_refused_and_not_repeated(self) -> None:
        """Our choice: what may be a secret is not written to a terminal or a log."""
        line = self.refused("--state-key", "hunter2")
        assert "--state-key" in line
        assert "hunter2" not in line

    def test_a_bad_value_ends_the_start_in_one_line(self) -> None:
        for arguments, named in (
            (["--max-sessions", "0"], "--max-sessions"),
            (["--log-level", "LOUD"], "--log-level"),
            (["--port", "65536"], "--port"),
        ):
            assert self.refused(*arguments).startswith(f"mcp-echo: {named} must be")
        line = self.refused(MCP_ECHO_WORKER_PLACE="x")
        assert line.startswith("mcp-echo: MCP_ECHO_WORKER_PLACE is not a setting")

    def test_a_slip_names_the_argument_and_the_nearest_name(self) -> None:
        """Our choice: the reader sees what to change without reading a list of options."""
        for arguments, said in (
            (["--strct"], "--strct is no option; did you mean --strict?"),
            (["--prot", "1"], "--prot is no option; did you mean --port, --protocol-version or "
             "--protocol-versions-supported?"),
            (["--max", "1"], "--max is no option; did you mean --max-batch, --max-connections, "
             "--max-connections-per-address, --max-header-bytes or one of 15 more?"),
            (["--xyzzy"], "--xyzzy is no option"),
            (["-x"], "-x is no option"),
            (["--x"], "--x is no option"),
            (["--port"], "--port needs a value"),
            (["-p"], "-p needs a value"),
            (["--strict=yes"], "--strict takes no value"),
            (["8080"], "8080 is not expected here; did you mean --port 8080?"),
            (["reprot", "http://x/t/y/"], "reprot is no command; did you mean report?"),
            (["help"], "help is no command; did you mean --help?"),
            (["port", "8080"], "port is no command; did you mean --port?"),
            (["serve"], "serve is no command"),
        ):  # fmt: skip
            assert self.refused(*arguments) == f"mcp-echo: {said} (mcp-echo --help lists the options)"

    def test_a_word_of_any_length_and_any_characters_makes_one_line(self) -> None:
        """Our choice: what was pasted by mistake floods no terminal."""
        for word in ("x" * 100_000, "--" + "y" * 100_000, "two\nlines\x1b[31m"):
            assert len(self.refused(word)) < 400

    def test_the_program_is_named_as_it_was_called(self) -> None:
        """Our choice: the hint can be pasted."""
        for called, named in (
            ("mcp-echo-daemon", "mcp-echo-daemon"),
            ("twistd", "twistd mcp-echo"),
            ("twist", "twist mcp-echo"),
            ("mcp_echo/__main__.py", "python -m mcp_echo"),
        ):
            line = self.refused("--strct", called=called)
            assert line.startswith(f"{named}: --strct is no option")
            assert line.endswith(f"({named} --help lists the options)")

    def shown(self, *arguments: str) -> str:
        output = io.StringIO()
        with mock.patch("sys.stdout", output), mock.patch("sys.argv", ["mcp-echo"]):
            error = self.assertRaises(SystemExit, self.parse, *arguments)
        assert error.code == 0
        return output.getvalue()

    def test_help_is_shown_however_it_is_asked_for(self) -> None:
        for argument in ("-h", "--help", "--help-all"):
            assert self.shown(argument).startswith("Usage: mcp-echo [options]\n")
        assert self.shown("-h") == self.shown("--help") != self.shown("--help-all")

    def test_the_version_is_shown(self) -> None:
        for argument in ("-V", "--version"):
            assert self.shown(argument) == f"mcp-echo {__version__}\n"


class MakeServiceTests(SynchronousTestCase):
    def options(self, outer: dict[str, Any], **environ: str) -> Options:
        with mock.patch.dict(os.environ, environ, clear=True):
            options = Options()
            options.parent = cast(Any, outer)
            options.parseOptions([])
        return options

    def refused(self, options: Options) -> str:
        """Return the line that the start is refused with."""
        errors = io.StringIO()
        with mock.patch("sys.argv", ["mcp-echo"]), mock.patch("sys.stderr", errors):
            end = self.assertRaises(SystemExit, makeService, options, MemoryReactorClock())
        assert end.code == 2
        (line,) = errors.getvalue().splitlines()
        return line

    def application(self, outer: dict[str, Any], **environ: str) -> Any:
        service = makeService(self.options(outer, **environ), MemoryReactorClock())
        application = Application("mcp-echo")
        service.setServiceParent(application)
        return application

    def test_the_plugin_is_found(self) -> None:
        """twistd looks for plugins in twisted/plugins on the path."""
        found = [plugin for plugin in getPlugins(IPlugin) if getattr(plugin, "tapname", None) == "mcp-echo"]
        assert [type(plugin) for plugin in found] == [ServiceMaker]

    def test_our_observer_writes_the_log_in_the_foreground(self) -> None:
        assert self.application({"nodaemon": True}).getComponent(ILogObserver) is not None

    def test_twistd_writes_the_log_where_it_was_told_to(self) -> None:
        """Who gives twistd --logfile means it; who gives LOG_FILE means that."""
        for outer in ({"nodaemon": True, "logfile": "x"}, {"nodaemon": True, "syslog": True}, {}):
            assert self.application(outer).getComponent(ILogObserver) is None
        with mock.patch("mcp_echo.host.logs.LogFile"):
            application = self.application({"logfile": "x"}, LOG_FILE="some/file")
        assert application.getComponent(ILogObserver) is not None

    def test_a_log_file_that_cannot_be_written_ends_the_start(self) -> None:
        options = self.options({"nodaemon": True})
        options["log-file"] = "/proc/nope/x.log"
        options.postOptions()
        assert self.refused(options).startswith("mcp-echo: --log-file /proc/nope/x.log cannot be written: ")

    def test_a_log_file_of_the_environment_that_cannot_be_written_is_done_without(self) -> None:
        """Our choice: LOG_FILE may be set for another program, and the log goes where it goes without it."""
        for outer in ({"nodaemon": True}, {}):
            events: list[Any] = []
            globalLogPublisher.addObserver(events.append)
            self.addCleanup(globalLogPublisher.removeObserver, events.append)
            options = self.options(outer, LOG_FILE="/proc/nope/x.log")
            makeService(options, MemoryReactorClock())
            assert options.effective.settings.log_file is None
            assert events[-1]["text"].startswith("LOG_FILE /proc/nope/x.log cannot be written: ")
            assert "--log-file" in events[-1]["text"]

    def test_a_taken_port_is_told_on_standard_error_in_the_foreground(self) -> None:
        for outer, expected in (({"nodaemon": True}, SystemExit), ({}, StartError)):
            service = makeService(self.options(outer), RefusingReactor())
            errors = io.StringIO()
            with mock.patch("sys.__stderr__", errors):
                self.assertRaises(expected, IService(service).privilegedStartService)
            line = errors.getvalue()
            assert line.startswith("mcp-echo: cannot listen on tcp:3000") == (expected is SystemExit)

    def test_several_workers_are_refused_a_store_that_they_cannot_share(self) -> None:
        """Our choice: a session would be there in one request and gone in the next."""
        options = self.options({"nodaemon": True}, MCP_ECHO_WORKERS="4")
        assert self.refused(options) == (
            "mcp-echo: MCP_ECHO_WORKERS cannot be 4 while MCP_ECHO_STORE is memory:, which no other process "
            "can see; take sqlite:PATH or redis://HOST"
        )

    def test_with_several_workers_this_process_only_holds_the_port(self) -> None:
        """Our choice: with workers the process that twistd started is no server itself."""
        variables = {"MCP_ECHO_WORKERS": "2", "MCP_ECHO_STORE": "sqlite:x", "MCP_ECHO_METRICS_PORT": "9464"}
        application = makeService(self.options({"nodaemon": True}, **variables), MemoryReactorClock())
        services = {type(each).__name__ for each in cast(Any, application)}
        assert services == {"Fleet", "SignalReactions"}
        fleet = next(each for each in cast(Any, application) if type(each).__name__ == "Fleet")
        assert {type(each).__name__ for each in fleet} == {"HeldPort", "MetricsPort"}

    def test_a_parent_needs_no_server(self) -> None:
        """Our choice: it is as small as it can be, and whatever a worker may choke on is not in it."""
        program = (
            "import sys; from mcp_echo import tap; from twisted.internet.testing import MemoryReactorClock; "
            "options = tap.Options(); options.parseOptions(['--workers=2', '--store=sqlite:x']); "
            "tap.makeService(options, MemoryReactorClock()); "
            "print([name for name in ('klein', 'mcp_echo.service', 'mcp_echo.eras', 'twisted.web.server')"
            " if name in sys.modules])"
        )
        ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        assert (ran.returncode, ran.stdout.strip()) == (0, "[]"), ran.stderr

    def test_a_worker_serves_whatever_the_number_of_workers(self) -> None:
        """Its settings are those of its parent."""
        assignment = Assignment(2, "/run/x", "/run/x/2.metrics", "k" * 43 + "=")
        variables = {"MCP_ECHO_WORKERS": "2", VARIABLE: assignment.written()}
        application = makeService(self.options({"nodaemon": True}, **variables), MemoryReactorClock())
        services = {type(each).__name__ for each in cast(Any, application)}
        assert services == {"EchoService", "SignalReactions", "ParentWatch"}

    def test_a_parent_whose_workers_cannot_start_ends_with_a_status_that_says_so(self) -> None:
        """A reactor that is stopped has no exit status."""
        reactor, errors = mock.Mock(), io.StringIO()
        with mock.patch("sys.__stderr__", errors), mock.patch("atexit.register") as register:
            tap._give_up(reactor, "worker 1 cannot start: no store")
        assert errors.getvalue() == "mcp-echo: worker 1 cannot start: no store\n"
        register.assert_called_once_with(os._exit, 1)
        reactor.stop.assert_called_once_with()

    def test_what_is_there_at_the_start_is_no_business_of_the_garbage_collector(self) -> None:
        """Our choice: a full collection holds up every stream for as long as it takes."""
        self.addCleanup(gc.unfreeze)
        service = IService(makeService(self.options({"nodaemon": True}), MemoryReactorClock()))
        before = gc.get_freeze_count()
        service.privilegedStartService()
        service.startService()
        self.addCleanup(service.stopService)
        assert gc.get_freeze_count() > before

    def test_unknown_variables_are_warned_about(self) -> None:
        """A misspelt setting must not pass for a setting."""
        events: list[Any] = []
        globalLogPublisher.addObserver(events.append)
        self.addCleanup(globalLogPublisher.removeObserver, events.append)
        makeService(self.options({}, MCP_ECHO_STRCT="true"), MemoryReactorClock())
        assert "MCP_ECHO_STRCT" in events[-1]["text"]


class RefusingReactor(MemoryReactorClock):
    """A reactor on a machine whose ports are all taken."""

    def listenTCP(self, *_: Any, **__: Any) -> Any:
        raise OSError(98, "Address already in use")
