"""Traces that are named in a file."""

from __future__ import annotations

import stat
from itertools import count
from pathlib import Path

import pytest

from mcp_echo.host.trace_file import Named, read_named
from mcp_echo.settings.table import ConfigError

OTHER = "abcdefghijklmnopqrstuvwxyz-_0123"


def test_a_name_gets_its_id_once_and_keeps_it(tmp_path: Path) -> None:
    """docs: MCP_ECHO_TRACE_FILE."""
    path, numbers = tmp_path / "traces", count()
    path.write_text(f"# ours\n\nmy-client\nother {OTHER}\n")
    path.chmod(0o644)
    first = read_named(str(path), lambda: f"{next(numbers):032}")
    assert first == [Named("my-client", "0" * 32), Named("other", OTHER)]
    assert path.read_text() == f"# ours\n\nmy-client {'0' * 32}\nother {OTHER}\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_named(str(path), lambda: "another") == first


@pytest.mark.parametrize("text", ["two words\n", "a b c\n", "\udcff"])
def test_what_is_no_line_is_refused_and_the_file_stays(tmp_path: Path, text: str) -> None:
    """Our choice: bad input gets a clear error, and nothing is lost."""
    path = tmp_path / "traces"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigError, match="MCP_ECHO_TRACE_FILE"):
        read_named(str(path), lambda: "key")
    assert path.read_bytes() == text.encode("utf-8", "surrogateescape")


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    """Our choice: a setting that does nothing is worse than none."""
    with pytest.raises(ConfigError, match="No such file"):
        read_named(str(tmp_path / "nothing"), lambda: "key")
