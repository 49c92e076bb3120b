"""A file that only the user of the process can read, for as long as the process runs."""

from __future__ import annotations

import atexit
import os
import tempfile
from contextlib import suppress
from pathlib import Path


class PrivateFile:
    """A file with mode 0600 under a name that nobody can foresee, in the directory for temporary files.

    Args:
        prefix: What its name begins with.
        text: What it holds.

    Raises:
        OSError: It cannot be written.
    """

    def __init__(self, prefix: str, text: str) -> None:
        descriptor, name = tempfile.mkstemp(prefix=prefix)
        self.path = Path(name)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        atexit.register(self.remove)

    def remove(self) -> None:
        """Remove it."""
        atexit.unregister(self.remove)
        with suppress(OSError):
            self.path.unlink()
