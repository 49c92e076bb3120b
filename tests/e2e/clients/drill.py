"""What each client of a drill does: the call that is hit, a while of nothing, and another call.

The script comes on standard input: ``{"first": {"name": …, "arguments": …}, "then": {…}}``.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any

PATIENCE_SECONDS = 4
"""How long the program has its SDK wait for an answer."""

REST_SECONDS = 2
"""How long it does nothing after the first call, so that what comes is of the SDK's own doing."""

Call = Callable[[str, dict[str, Any]], Awaitable[object]]


async def drill(call: Call) -> None:
    """Make both calls, and print what came of each."""
    script = json.load(sys.stdin)
    await _try(call, script["first"])
    await asyncio.sleep(REST_SECONDS)
    await _try(call, script["then"])


async def _try(call: Call, step: dict[str, Any]) -> None:
    try:
        answer = await asyncio.wait_for(call(step["name"], step["arguments"]), PATIENCE_SECONDS + 2)
    except Exception as error:  # whatever an SDK raises is what came of it
        print(type(error).__name__, str(error)[:300])
    else:
        print("answered", str(answer)[:300])
