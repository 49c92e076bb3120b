"""The twistd plugin's command line: options to settings to service."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable, Mapping
from functools import partial
from signal import Signals
from typing import TYPE_CHECKING, Any, ClassVar

from twisted.application.service import IService
from twisted.logger import ILogObserver, Logger
from twisted.python import usage

from mcp_echo import __version__
from mcp_echo.check.options import CheckOptions
from mcp_echo.host.application import Application
from mcp_echo.host.command_line import program, refuse, show, shown, slip
from mcp_echo.host.signals import SignalReactions, StopRequests
from mcp_echo.host.start import warn
from mcp_echo.report.options import ReportOptions
from mcp_echo.settings.help import everything, overview
from mcp_echo.settings.load import Effective, load
from mcp_echo.settings.names import did_you_mean, nearest
from mcp_echo.settings.table import DECLARED, ConfigError, Settings
from mcp_echo.workers.assignment import Assignment, assignment_in

if TYPE_CHECKING:
    from mcp_echo.host.logs import LogFile
    from mcp_echo.service import EchoService
    from mcp_echo.workers.parent import Fleet


class Options(usage.Options):
    """The command line of ``twistd mcp-echo``; every setting is an option."""

    synopsis = "[options]"
    subCommands: ClassVar[list[list[Any]]] = [
        ["report", None, ReportOptions, "Print what was seen of a client; exit with 1 if it is wrong."],
        ["check", None, CheckOptions, "Check a server, or the way to it; exit with 1 if something is wrong."],
    ]
    optParameters: ClassVar = [
        [each.option, "p" if each.name == "port" else None, None, each.help]
        for each in DECLARED
        if not each.is_flag
    ]
    optFlags: ClassVar = [
        [name, None, text]
        for each in DECLARED
        if each.is_flag
        for name, text in (
            (each.option, each.help),
            (f"no-{each.option}", f"The opposite of --{each.option}."),
        )
    ]

    effective: Effective
    assignment: Assignment | None = None
    """This process's place among several workers; None for the only one, and for the parent of them."""

    def parseOptions(self, options: list[str] | None = None) -> None:
        """Parse the command line; ``--conformance`` alone means its core set.

        Raises:
            SystemExit: It asks for help alone, or is not possible.
        """
        given = sys.argv[1:] if options is None else options
        words = ["--conformance=core" if each == "--conformance" else each for each in given]
        if "--_shell-completion" not in words:
            problem, rest = slip(words, self.shortOpt, self.longOpt)
            problem = problem or self._unexpected(rest)
            if problem is not None:
                refuse(f"{problem} ({program()} --help lists the options)")
        super().parseOptions(words)

    def _unexpected(self, rest: list[str]) -> str | None:
        """Return what is wrong with words that are no options; None where there are none."""
        if not rest:
            return None
        word = rest[0]
        commands = [each[0] for each in self.subCommands]
        if word in commands:
            return f"{word} is a command of mcp-echo and stands before every option: mcp-echo {word} URL"
        if word.isdigit():
            return f"{shown(word)} is not expected here{did_you_mean(f'--port {shown(word)}')}"
        options = {each.removesuffix("="): f"--{each.removesuffix('=')}" for each in self.longOpt}
        near = nearest(word, [*commands, *options])
        return f"{shown(word)} is no command{did_you_mean(near and options.get(near, near))}"

    def opt_help(self) -> None:
        """Show the options that matter, and the names of all."""
        show(overview(program()))

    opt_h = opt_help

    def opt_help_all(self) -> None:
        """Show every setting."""
        show(everything(program()))

    def opt_version(self) -> None:
        """Show the version."""
        show(f"mcp-echo {__version__}")

    opt_V = opt_version

    def postOptions(self) -> None:
        """Work the settings out.

        Raises:
            SystemExit: A setting is not possible.
        """
        environ = dict(os.environ)
        try:
            self.assignment = assignment_in(environ)
            self.effective = load(self.given(), environ)
            if self.assignment is not None:
                self.effective = self.assignment.settle(self.effective)
        except ConfigError as error:
            refuse(str(error))

    def given(self) -> dict[str, str]:
        """Return the options that were given, by the name of their setting."""
        given: dict[str, str] = {}
        for each in DECLARED:
            if not each.is_flag:
                if self[each.option] is not None:
                    given[each.name] = self[each.option]
            elif self[each.option] or self[f"no-{each.option}"]:
                given[each.name] = "false" if self[f"no-{each.option}"] else "true"
        return given


def makeService(options: Options, reactor: Any = None) -> IService:  # the plugin interface's name
    """Return the service for a parsed command line.

    Args:
        options: The parsed command line.
        reactor: Runs the service; None for the global one.

    Raises:
        SystemExit: A setting is not possible.
    """
    if reactor is None:
        from twisted.internet import reactor
    try:
        return _application(reactor, options)
    except ConfigError as error:
        refuse(options.effective.as_given(str(error)))


def _application(reactor: Any, options: Options) -> IService:
    options.effective, log_file = _with_log_file(options.effective)
    settings, assignment = options.effective.settings, options.assignment
    outer: Mapping[str, Any] = options.parent or {}
    twistd_logs = settings.log_file is None and _logs_itself(outer)
    service = _served_by(reactor, options, outer, twistd_logs)
    log_observer = None if twistd_logs else _observer(settings, log_file, assignment)
    for warning in options.effective.warnings:
        warn(options.effective.as_given(warning), options.effective.settings)
    in_foreground = bool(outer.get("nodaemon"))
    application = Application(log_observer, in_foreground, options.effective.as_given)
    # To the first two the reactor itself reacts too, and has the process die of them once it has stopped.
    stop = StopRequests(reactor.stop, service.hurry, settings.drain_timeout)
    reactions: dict[Signals, Callable[[], None]] = {Signals.SIGTERM: stop, Signals.SIGINT: stop}
    # Under a service manager this is its reload; elsewhere, without a log file, the end of a terminal.
    if log_file is not None or (assignment is None and "NOTIFY_SOCKET" in os.environ):
        reactions[Signals.SIGHUP] = partial(_reload, log_file, service.rotated)
    SignalReactions(reactor, reactions).setServiceParent(application)
    if assignment is not None:
        from mcp_echo.workers.worker import ParentWatch

        ParentWatch(reactor, assignment, stop).setServiceParent(application)
    # The last to start, which tells everybody.
    service.setServiceParent(application)
    return application


def _logs_itself(outer: Mapping[str, Any]) -> bool:
    """Return whether twistd writes a log of its own: told where to, or in the background, where it has to.

    There is no standard output in the background; it writes twistd.log there.
    """
    return not outer.get("nodaemon") or any(outer.get(name) for name in ("logfile", "syslog", "logger"))


def _observer(settings: Settings, log_file: LogFile | None, assignment: Assignment | None) -> ILogObserver:
    from mcp_echo.host.logs import observer, standard_output

    number = None if assignment is None else assignment.number
    return observer(settings, log_file or standard_output(), number)


def _with_log_file(effective: Effective) -> tuple[Effective, LogFile | None]:
    """Return the settings, and the file to log to if there is one that can be written.

    Raises:
        ConfigError: There is one that cannot, and it is certainly meant for this program.
    """
    from mcp_echo.host.logs import LogFile

    if effective.settings.log_file is None:
        return effective, None
    try:
        return effective, LogFile(effective.settings.log_file)
    except ConfigError as error:
        return effective.without("log_file", effective.as_given(str(error))), None


def _served_by(
    reactor: Any, options: Options, outer: Mapping[str, Any], twistd_logs: bool
) -> EchoService | Fleet:
    """Return what serves: the server, in this process, or workers that this process is the parent of."""
    settings = options.effective.settings
    if options.assignment is not None or settings.workers == 1:
        # Klein, which the service needs, imports the reactor: not before twistd has chosen one. A parent of
        # workers has no need of either.
        from mcp_echo.service import build

        return build(reactor, options.effective, options.assignment)
    from mcp_echo.workers.build import build_fleet
    from mcp_echo.workers.launch import Launch, arguments_of

    refuse_a_store_of_one_process(settings)
    launch = Launch(
        os.environ,
        arguments_of(options.given()),
        outer.get("reactor"),
        # Nothing else would show what a worker writes, in the background or while twistd writes the log.
        captures_output=twistd_logs or settings.log_file is not None,
    )
    return build_fleet(reactor, settings, launch, partial(_give_up, reactor), os.environ)


def refuse_a_store_of_one_process(settings: Settings) -> None:
    """See that workers share the sessions.

    Raises:
        ConfigError: They would not.
    """
    if settings.store == "memory:":
        raise ConfigError(
            f"MCP_ECHO_WORKERS cannot be {settings.workers} while MCP_ECHO_STORE is memory:, which no other "
            "process can see; take sqlite:PATH or redis://HOST"
        )


def _give_up(reactor: Any, reason: str) -> None:
    """Stop a parent whose workers cannot start, with an exit status that says so."""
    Logger("mcp_echo").critical("{reason}", reason=reason)
    print(f"mcp-echo: {reason}", file=sys.__stderr__)
    # A reactor that is stopped has no other way to tell; twistd has removed its pidfile by then.
    atexit.register(os._exit, 1)
    reactor.stop()


def _reload(log_file: LogFile | None, rotated: Callable[[], None]) -> None:
    """Go on in a new log file, after the old one was rotated, and have the workers do so."""
    if log_file is None:
        Logger("mcp_echo").info("Nothing to reload: there is no log file, and settings are read at a restart")
        return
    rotated()
    try:
        log_file.reopen()
    except ConfigError as error:
        Logger("mcp_echo").error("Still writing to the log file as it was: {error}", error=error)
    else:
        Logger("mcp_echo").info("The log goes on here: it was reopened on SIGHUP")
