"""Files that only the user of the process can read."""

from __future__ import annotations

import stat

from mcp_echo.host.private_file import PrivateFile


def test_only_its_user_can_read_it_and_it_goes_with_the_process() -> None:
    """Our choice: what it holds is a right to read."""
    file = PrivateFile("mcp-echo-test-", "address\n")
    assert file.path.read_text() == "address\n"
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    file.remove()
    assert not file.path.exists()
    file.remove()
