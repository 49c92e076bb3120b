"""What a gateway does to requests: compareTraces."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from mcp_echo.tools.base import Answer, Call, Tool, ToolError
from mcp_echo.tools.traces import named_trace
from mcp_echo.watch.compare import compare
from mcp_echo.watch.comparison import as_text


class CompareArguments(msgspec.Struct, forbid_unknown_fields=True, frozen=True, rename={"other": "with"}):
    """What compareTraces takes."""

    trace: Annotated[str, Meta(description="Trace of the client that came directly.")]
    other: Annotated[str, Meta(description="Trace of the client that came through the gateway.")]


class CompareResult(msgspec.Struct, rename="camel"):
    """What compareTraces answers: a `Comparison`, which is documented in docs/check.md."""

    verdict: str
    compared: int
    differences: list[dict[str, Any]]
    cut: int
    pairs: list[dict[str, Any]]
    only_direct: list[int]
    only_via: list[int]


async def compare_traces(call: Call, arguments: CompareArguments) -> Answer:
    """Compare what arrived directly with what arrived through a gateway.

    Raises:
        ToolError: There is no such trace, both are the same, or nothing is recorded.
    """
    if arguments.trace == arguments.other:
        raise ToolError("trace and with are the same. Make one trace for each way with createTrace.")
    direct = await named_trace(call, arguments.trace)
    via = await named_trace(call, arguments.other)
    comparison = compare(list(direct.records), list(via.records))
    result = msgspec.convert(msgspec.to_builtins(comparison), CompareResult)
    return Answer(f"🔀 Trace Comparison\n\n{as_text(comparison)}", result)


COMPARE_TRACES = Tool(
    name="compareTraces",
    title="Compare traces",
    description="Return what a gateway changes. Call it after the same requests came to two traces.",
    arguments=CompareArguments,
    result=CompareResult,
    run=compare_traces,
)
