"""All rules."""

from __future__ import annotations

from mcp_echo.watch.rules.rule import Rule

RULES: dict[str, Rule] = {}
"""Id → rule."""
