"""The diagnostic tools. A new one is one entry in a family's module and one line in `catalogue`."""

from __future__ import annotations

from typing import Any

from mcp_echo.settings.table import Settings
from mcp_echo.tools.auth import AUTH_CONTEXT, BEARER_DECODE
from mcp_echo.tools.base import Catalogue, Tool
from mcp_echo.tools.compare import COMPARE_TRACES
from mcp_echo.tools.echo import REPLAY_LAST_ECHO, echo_tool
from mcp_echo.tools.faults import ARM_FAULT, DRILL_PLAN
from mcp_echo.tools.goat import WHO_IS_THE_GOAT
from mcp_echo.tools.handles import CLOSE_ECHO_SESSION, create_tool
from mcp_echo.tools.headers import CORS_ANALYSIS, PRINT_HEADER
from mcp_echo.tools.probe import CLIENT_PROBE
from mcp_echo.tools.session import SESSION_INFO
from mcp_echo.tools.stream_probe import STREAM_PROBE
from mcp_echo.tools.system import ENVIRONMENT_DUMP, HEALTH_PROBE, REQUEST_TIMING
from mcp_echo.tools.token import TOKEN_EXPLAIN
from mcp_echo.tools.traces import CLIENT_REPORT, CREATE_TRACE, FLOW_TIMELINE
from mcp_echo.watch.insight import has_traces


def catalogue(settings: Settings) -> Catalogue:
    """Return the tools by name, in the order ``tools/list`` has them."""
    tools: tuple[Tool[Any], ...] = (
        echo_tool(binary=settings.enable_binary),
        REPLAY_LAST_ECHO,
        PRINT_HEADER,
        BEARER_DECODE,
        AUTH_CONTEXT,
        REQUEST_TIMING,
        CORS_ANALYSIS,
        ENVIRONMENT_DUMP,
        HEALTH_PROBE,
        SESSION_INFO,
        WHO_IS_THE_GOAT,
        create_tool(settings.session_timeout, settings.store),
        CLOSE_ECHO_SESSION,
        CLIENT_PROBE,
        STREAM_PROBE,
        TOKEN_EXPLAIN,
        *((CREATE_TRACE, CLIENT_REPORT, FLOW_TIMELINE, COMPARE_TRACES) if has_traces(settings) else ()),
        *((ARM_FAULT, DRILL_PLAN) if has_traces(settings) and settings.faults != "off" else ()),
    )
    return {tool.name: tool for tool in tools}
