"""The ``mcp-echo`` script and ``python -m mcp_echo``: the daemon in the foreground, or another command."""

import os
import sys


def main() -> None:
    """Run ``twistd --nodaemon --pidfile= mcp-echo`` with this command's arguments, or another command."""
    if "--_shell-completion" in sys.argv:
        # twistd would complete options of its own.
        from mcp_echo.tap import Options

        Options().parseOptions(sys.argv[1:])  # type: ignore[no-untyped-call]  # nor is usage
    if sys.argv[1:2] == ["report"]:
        from mcp_echo.report.command import main as report

        report(sys.argv[2:])
    if sys.argv[1:2] == ["check"]:
        from mcp_echo.check.command import main as check

        check(sys.argv[2:])
    from twisted.scripts.twistd import run

    outer = ["--nodaemon", "--pidfile=", *_as_worker()]
    sys.argv = [sys.argv[0], *outer, "mcp-echo", *sys.argv[1:]]
    run()  # type: ignore[no-untyped-call]  # twistd is not annotated


def _as_worker() -> list[str]:
    """Take the place that a parent has given this process, if any; return what twistd is to know of it."""
    from mcp_echo.host.command_line import refuse
    from mcp_echo.settings.table import ConfigError
    from mcp_echo.workers.assignment import assignment_in

    try:
        place = assignment_in(dict(os.environ))
    except ConfigError as error:
        refuse(str(error))
    if place is None:
        return []
    # Ctrl-C in a terminal goes to every process of the group that the parent is in. The parent passes it on,
    # and a worker that heard it twice would not finish its requests.
    os.setsid()
    return [] if place.reactor is None else [f"--reactor={place.reactor}"]


if __name__ == "__main__":
    main()
