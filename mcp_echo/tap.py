"""The twistd plugin's command line: options to settings to service."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from collections.abc import Callable, Mapping
from functools import partial
from signal import Signals
from typing import TYPE_CHECKING, Any, ClassVar

from twisted.application.service import IService, MultiService
from twisted.logger import ILogObserver, Logger
from twisted.python import usage

from mcp_echo import __version__
from mcp_echo.host.signals import SignalReactions, StopRequests
from mcp_echo.redaction import mask_tokens
from mcp_echo.report.options import ReportOptions
from mcp_echo.settings.load import Effective, load
from mcp_echo.settings.table import DECLARED, ConfigError, Settings
from mcp_echo.workers.assignment import Assignment, assignment_in

if TYPE_CHECKING:
    from mcp_echo.host.logs import LogFile
    from mcp_echo.service import EchoService
    from mcp_echo.workers.parent import Fleet


def _describe(help_text: str, variables: tuple[str, ...], default: str) -> str:
    return f"{help_text} [{', '.join(variables)}; default: {default or 'none'}]"


class Options(usage.Options):
    """The command line of ``twistd mcp-echo``; every setting is an option."""

    synopsis = "[options]"
    subCommands: ClassVar = [
        ["report", None, ReportOptions, "Print what was seen of a client; exit with 1 if it is wrong."]
    ]
    longdesc = (
        "A stateful diagnostic MCP server. Every option has an environment variable, named in brackets; "
        "the option wins. Flags have a --no- form."
    )
    optParameters: ClassVar = [
        [each.option, "p" if each.name == "port" else None, None,
         _describe(each.help, each.variables, each.default)]
        for each in DECLARED
        if not each.is_flag
    ]  # fmt: skip
    optFlags: ClassVar = [
        [name, None, text]
        for each in DECLARED
        if each.is_flag
        for name, text in (
            (each.option, _describe(each.help, each.variables, each.default)),
            (f"no-{each.option}", f"The opposite of --{each.option}."),
        )
    ]

    effective: Effective
    assignment: Assignment | None = None
    """This process's place among several workers; None for the only one, and for the parent of them."""

    def parseOptions(self, options: list[str] | None = None) -> None:
        """Parse the command line; ``--conformance`` alone means its core set."""
        given = sys.argv[1:] if options is None else options
        super().parseOptions(["--conformance=core" if each == "--conformance" else each for each in given])

    def opt_version(self) -> None:
        """Print the version and exit."""
        print(f"mcp-echo {__version__}")
        raise SystemExit(0)

    def postOptions(self) -> None:
        """Work the settings out.

        Raises:
            SystemExit: A setting is not possible; the message is one line.
            UsageError: There is a command that twistd does not run.
        """
        if self.subCommand is not None:
            raise usage.UsageError(f"This is run as mcp-echo {self.subCommand}, without options before it.")
        environ = dict(os.environ)
        try:
            self.assignment = assignment_in(environ)
            self.effective = load(self.given(), environ)
            if self.assignment is not None:
                self.effective = self.assignment.settle(self.effective)
        except ConfigError as error:
            raise SystemExit(f"mcp-echo: {mask_tokens(str(error))}") from None

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


class _Application(MultiService):
    """The service as twistd runs it: with our log observer, and a start that fails in one line.

    Args:
        service: The service proper.
        observer: Writes the log; None to leave that to twistd.
        in_foreground: Whether twistd stays in the terminal it was started from.
    """

    def __init__(self, service: IService, observer: ILogObserver | None, in_foreground: bool) -> None:
        super().__init__()
        self._observer = observer
        self._in_foreground = in_foreground
        service.setServiceParent(self)

    def setServiceParent(self, parent: Any) -> None:
        """Become part of the application, and have twistd log through our observer."""
        super().setServiceParent(parent)
        if self._observer is not None:
            parent.setComponent(ILogObserver, self._observer)

    def privilegedStartService(self) -> None:
        """Start.

        Raises:
            SystemExit: It cannot start; the reason is on standard error.
            StartError: Likewise, in the background, where twistd carries exceptions alone to its parent.
        """
        self._start(super().privilegedStartService)

    def _start(self, start: Callable[[], None]) -> None:
        from mcp_echo.host.listening import StartError

        try:
            start()
        except StartError as error:
            if not self._in_foreground:
                raise
            # twistd has turned sys.stderr into a log by now.
            print(f"mcp-echo: {mask_tokens(str(error))}", file=sys.__stderr__)
            raise SystemExit(1) from None

    def startService(self) -> None:
        """Start, and have the garbage collector leave alone what is there by now.

        Modules, tools and schemas stay for good. A full collection that walked over them as well would hold
        up every stream for tens of milliseconds (https://docs.python.org/3/library/gc.html#gc.freeze).

        Raises:
            SystemExit: As for the above.
            StartError: Likewise.
        """
        self._start(super().startService)
        gc.freeze()


def makeService(options: Options, reactor: Any = None) -> IService:  # the plugin interface's name
    """Return the service for a parsed command line.

    Args:
        options: The parsed command line.
        reactor: Runs the service; None for the global one.

    Raises:
        SystemExit: A setting is not possible; the message is one line.
    """
    if reactor is None:
        from twisted.internet import reactor
    try:
        return _application(reactor, options)
    except ConfigError as error:
        raise SystemExit(f"mcp-echo: {mask_tokens(str(error))}") from None


def _application(reactor: Any, options: Options) -> IService:
    options.effective, log_file = _with_log_file(options.effective)
    settings, assignment = options.effective.settings, options.assignment
    outer: Mapping[str, Any] = options.parent or {}
    twistd_logs = settings.log_file is None and _logs_itself(outer)
    service = _served_by(reactor, options, outer, twistd_logs)
    log_observer = None if twistd_logs else _observer(settings, log_file, assignment)
    for warning in options.effective.warnings:
        Logger("mcp_echo").warn("{text}", text=warning)
    application = _Application(service, log_observer, bool(outer.get("nodaemon")))
    # To the first two the reactor itself reacts too, and has the process die of them once it has stopped.
    stop = StopRequests(reactor.stop, service.hurry, settings.drain_timeout)
    reactions: dict[Signals, Callable[[], None]] = {Signals.SIGTERM: stop, Signals.SIGINT: stop}
    if log_file is not None:
        reactions[Signals.SIGHUP] = partial(_reopen, log_file, service.rotated)
    SignalReactions(reactor, reactions).setServiceParent(application)
    if assignment is not None:
        from mcp_echo.workers.worker import ParentWatch

        ParentWatch(reactor, assignment, stop).setServiceParent(application)
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
        return effective.without("log_file", str(error)), None


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


def _reopen(log_file: LogFile, rotated: Callable[[], None]) -> None:
    """Go on in a new log file, after the old one was rotated, and have the workers do so."""
    rotated()
    try:
        log_file.reopen()
    except ConfigError as error:
        Logger("mcp_echo").error("Still writing to the log file as it was: {error}", error=error)
    else:
        Logger("mcp_echo").info("The log goes on here: it was reopened on SIGHUP")
