"""The service as twistd runs it: with our log, and a start that fails in one line."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from typing import Any

from twisted.application.service import MultiService
from twisted.logger import ILogObserver

from mcp_echo.host.listening import StartError
from mcp_echo.redaction import mask_tokens


class Application(MultiService):
    """What twistd runs: services with our log observer, and a start that fails in one line.

    Args:
        observer: Writes the log; None to leave that to twistd.
        in_foreground: Whether twistd stays in the terminal it was started from.
        as_given: Returns a message with each setting called as it was given.
    """

    def __init__(
        self,
        observer: ILogObserver | None,
        in_foreground: bool,
        as_given: Callable[[str], str],
    ) -> None:
        super().__init__()
        self._observer = observer
        self._in_foreground = in_foreground
        self._as_given = as_given

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
        try:
            start()
        except StartError as error:
            if not self._in_foreground:
                raise
            # twistd has turned sys.stderr into a log by now.
            print(f"mcp-echo: {mask_tokens(self._as_given(str(error)))}", file=sys.__stderr__)
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
