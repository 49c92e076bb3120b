"""The severities of log messages to clients. No I/O."""

from __future__ import annotations

from typing import Any

LOG_LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")
"""Least to most severe (RFC 5424, as MCP has them)."""


def reaches(level: str, wanted: str | None) -> bool:
    """Return whether a message of ``level`` is severe enough for who wants ``wanted``; None wants none."""
    return wanted is not None and LOG_LEVELS.index(level) >= LOG_LEVELS.index(wanted)


def log_params(level: str, data: Any) -> dict[str, Any]:
    """Return the params of ``notifications/message``."""
    return {"level": level, "logger": "mcp-echo", "data": data}
