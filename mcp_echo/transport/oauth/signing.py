"""The signing keys of traces: made in a thread when they are first needed, and kept sealed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from mcp_echo.auth.sealed import Seal
from mcp_echo.oauth.keys import SIGNING_KEY, SealedKey, SigningKey, new_key
from mcp_echo.oauth.protection import Algorithm
from mcp_echo.watch.parts import Parts
from mcp_echo.watch.traces import Trace

MOST_OPENED = 64
"""Keys that are kept ready to sign with."""


class InThread(Protocol):
    """Does something that takes a while elsewhere."""

    def __call__(self, work: Callable[[Algorithm], bytes], algorithm: Algorithm, /) -> Awaitable[bytes]:
        """Return what the work returns."""


class TraceKeys:
    """The signing keys of all traces.

    Args:
        parts: Keeps them.
        seal: Seals them: whoever reads the store must not be able to sign.
        in_thread: Makes new ones.
    """

    def __init__(self, parts: Parts, seal: Seal, in_thread: InThread) -> None:
        self._parts = parts
        self._seal = seal
        self._in_thread = in_thread
        self._opened: dict[str, SigningKey] = {}
        """Sealed → opened."""

    def known(self, trace: Trace) -> SigningKey | None:
        """Return the key of a trace; None where it has none yet, or one that nobody here can open."""
        return self._open(SIGNING_KEY.read(trace).sealed)

    async def key(self, trace: Trace, algorithm: Algorithm) -> SigningKey:
        """Return the key of a trace, made now where there is none.

        Args:
            trace: The trace.
            algorithm: What a new one signs with.

        Raises:
            TracesUnavailable: It cannot be kept.
            TraceGone: The trace has ended.
        """
        known = self.known(trace)
        if known is not None:
            return known
        data = await self._in_thread(new_key, algorithm)
        sealed = self._seal.keep(data)

        def keep(kept: SealedKey) -> SigningKey:
            opened = self._open(kept.sealed)
            if opened is None:
                kept.sealed, opened = sealed, SigningKey(data)
            return opened

        return await self._parts.change(trace, SIGNING_KEY, keep)

    def _open(self, sealed: str) -> SigningKey | None:
        opened = self._opened.get(sealed)
        if opened is not None or not sealed:
            return opened
        data = self._seal.kept(sealed)
        if data is None:
            return None
        opened = self._opened[sealed] = SigningKey(data)
        if len(self._opened) > MOST_OPENED:
            del self._opened[next(iter(self._opened))]
        return opened
