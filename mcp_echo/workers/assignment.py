"""What a parent tells each worker that it starts: its place among the others. No Twisted.

Said in one private environment variable, so that the settings of a worker are the operator's own.
"""

from __future__ import annotations

import json
from collections.abc import MutableMapping
from dataclasses import asdict, dataclass, replace

from mcp_echo.settings.load import Effective
from mcp_echo.settings.table import ConfigError

VARIABLE = "MCP_ECHO_WORKER_PLACE"

PARENT_FD = 3
"""The file descriptor of a worker that ends when its parent does."""

PORT_FD = 4
"""The file descriptor of a worker that is the port the parent holds."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """One worker's place."""

    number: int
    """Which worker it is, from 1."""
    directory: str
    """Where parent and workers have their sockets."""
    metrics: str
    """The path of the socket on which the parent asks for figures, if anybody wants any."""
    state_key: str
    """What seals state where the operator has named no key: the same in all workers."""
    reactor: str | None = None
    """The reactor that twistd was told to take; None for Twisted's choice."""

    def written(self) -> str:
        """Return the value of `VARIABLE` that says so."""
        return json.dumps(asdict(self))

    def settle(self, effective: Effective) -> Effective:
        """Return the settings as they are in this place.

        The key is no setting of the operator's and is not shown as one; what there is to warn about, the
        parent has said.
        """
        key = effective.settings.state_key or self.state_key
        return replace(effective, settings=replace(effective.settings, state_key=key), warnings=())


def assignment_in(environ: MutableMapping[str, str]) -> Assignment | None:
    """Return the place that a parent has given this process, None without a parent.

    Args:
        environ: The environment variables, of which the one is taken away.

    Raises:
        ConfigError: The variable was not written by a parent.
    """
    written = environ.pop(VARIABLE, None)
    if written is None:
        return None
    try:
        return Assignment(**json.loads(written))
    except (ValueError, TypeError):
        raise ConfigError(f"{VARIABLE} is not a setting: mcp-echo sets it for its own workers") from None
