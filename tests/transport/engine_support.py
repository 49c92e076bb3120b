"""A server whose sessions an engine in plain dicts keeps, on the clock of the test."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mcp_echo.sessions.limits import share_of
from mcp_echo.settings.table import Settings
from tests.engines import DictEngine, DictRecords
from tests.transport.support import WALL
from tests.twice import TwiceStore, guarded


class ClockedRecords(DictRecords):
    """Records whose clock is that of a test."""

    clock: Clock

    @property
    def time(self) -> int:  # type: ignore[override]
        """Milliseconds since the epoch."""
        return round((WALL + self.clock.seconds()) * 1000) if hasattr(self, "clock") else 0

    @time.setter
    def time(self, time: int) -> None:
        """Leave the time to the clock."""


class OnATraceEngine:
    """Has the traces of a `ServerTestCase` kept by an engine that another node uses as well."""

    clock: Clock

    def trace_engine(self, settings: Settings) -> DictEngine:
        """Return an engine of its own."""
        self.kept = ClockedRecords()
        self.kept.clock = self.clock
        return DictEngine(self.kept, limit=settings.traces)

    def serve(self, environ: dict[str, str]) -> None:
        """Start over with a server that has these settings."""
        super().serve(environ)  # type: ignore[misc]
        service = self.service  # type: ignore[attr-defined]
        if service.trace_service is not None:
            service.trace_service.startService()

    def begin(self, *arguments: Any, **named: Any) -> Any:
        """Begin a request, and have all kept that was recorded by then."""
        response = super().begin(*arguments, **named)  # type: ignore[misc]
        insight = self.service.insight  # type: ignore[attr-defined]
        if insight is not None:
            Deferred.fromCoroutine(insight.store.flush())
        return response


class OnAnEngine:
    """Has the sessions of a `ServerTestCase` kept by an engine."""

    clock: Clock

    def engine(self, settings: Settings) -> DictEngine:
        """Return an engine of its own."""
        records = ClockedRecords()
        records.clock = self.clock
        return DictEngine(
            records,
            limit=settings.max_sessions,
            limit_per_principal=settings.max_sessions_per_principal,
            limit_per_address=share_of(settings.max_sessions_per_address, settings.max_sessions),
        )

    def serve(self, environ: dict[str, str]) -> None:
        """Start over with a server that has these settings."""
        guard = guarded()
        guard.__enter__()
        self.addCleanup(guard.__exit__, None, None, None)  # type: ignore[attr-defined]
        with patch("mcp_echo.service.SharedStore", TwiceStore):
            super().serve(environ)  # type: ignore[misc]
        self.service.engine.start(self.service.store)
