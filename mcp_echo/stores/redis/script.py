"""The script in script.lua, which carries out a batch of operations."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from mcp_echo.stores.redis.wire import RedisWire

_SOURCE = Path(__file__).with_name("script.lua").read_bytes()
# No secret: it is how Redis names scripts.
_NAME = hashlib.sha1(_SOURCE, usedforsecurity=False).hexdigest()


def run_script(wire: RedisWire, keys: list[bytes], argument: bytes) -> Deferred[Any]:
    """Run the script on a connection; return its reply."""

    def send_it(failure: Failure) -> Deferred[Any] | Failure:
        # After a restart or a failover Redis knows no scripts. https://redis.io/docs/latest/commands/evalsha/
        if not failure.getErrorMessage().startswith("NOSCRIPT"):
            return failure
        return wire.call("EVAL", _SOURCE, len(keys), *keys, argument)

    return wire.call("EVALSHA", _NAME, len(keys), *keys, argument).addErrback(send_it)
