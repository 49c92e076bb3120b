"""Run the daemon in the foreground: ``python -m mcp_echo`` and the ``mcp-echo`` script."""

import sys


def main() -> None:
    """Run ``twistd --nodaemon --pidfile= mcp-echo`` with this command's arguments."""
    from twisted.scripts.twistd import run

    sys.argv = [sys.argv[0], "--nodaemon", "--pidfile=", "mcp-echo", *sys.argv[1:]]
    run()  # type: ignore[no-untyped-call]  # twistd is not annotated


if __name__ == "__main__":
    main()
