"""What load balancers and service managers ask: is it alive, does it take requests."""

from __future__ import annotations

from typing import Any

from mcp_echo import __version__
from mcp_echo.protocol.session_ids import node_tag
from mcp_echo.redaction import mask_tokens
from mcp_echo.tools.base import ServerContext


class Health:
    """The answers to ``/health`` and ``/ready``.

    Args:
        context: What is known of the server.
    """

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self.draining = False
        """True once the server has begun to stop."""

    def health(self) -> dict[str, Any]:
        """Return the counts of the server, which is alive since it answers.

        The counts of ``sessions`` have the scope that stands beside them: ``store``, all processes that share
        the store, since it was made; or ``process``, where there is no other. Everything else is of the
        process that answers, which is one of several workers where there are such: ``this_node`` has what it
        has done since it started, where that is another question, and ``node_tag`` is the second group of the
        ids of the sessions that it makes.
        """
        store = self._context.store
        own, counts = store.statistics, store.counts
        everywhere = own if counts is None else counts
        this_node = {"created": own.created, "expired": own.expired, "closed": own.closed}
        return {
            "status": "healthy",
            "sessions": {
                "scope": "process" if counts is None else "store",
                "active": len(store),
                "total_created": everywhere.created,
                "expired": everywhere.expired,
            },
            **({} if counts is None else {"this_node": this_node}),
            "store": self._store(),
            "node": store.node,
            "node_tag": node_tag(store.node),
            "uptime_seconds": int(self._context.uptime),
            "version": __version__,
        }

    def ready(self) -> tuple[int, dict[str, Any]]:
        """Return whether new requests should come here: HTTP status and body.

        Not while sessions cannot be had: then another server may be better off. The process is alive, though,
        so that `health` stays as it is: a restart would mend nothing.
        """
        store = self._store()
        if self.draining:
            return 503, {"status": "draining", "store": store}
        if not store["available"]:
            return 503, {"status": "store unavailable", "store": store}
        return 200, {"status": "ready", "store": store}

    def _store(self) -> dict[str, Any]:
        health = self._context.store.health()
        return {
            "kind": health.kind,
            "available": health.available,
            "breaker": health.breaker,
            "latency_seconds": health.latency,
            **({} if health.reason is None else {"reason": mask_tokens(health.reason)}),
        }
