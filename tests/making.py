"""Sessions and handles as a test needs them."""

from __future__ import annotations

from typing import Any

from mcp_echo.protocol.revisions import Revision
from mcp_echo.protocol.session_ids import node_tag
from mcp_echo.sessions.key import handle_key, session_key
from mcp_echo.sessions.session import Client, Terms


def session_in(
    store: Any, principal: str | None, revision: Revision, client: Client, address: str | None = None
) -> Any:
    """Make a session in a store."""
    return store.create(
        session_key(principal, node_tag(store.node)), Terms(revision, client, store.timeout), address
    )


def handle_in(
    store: Any,
    principal: str | None,
    revision: Revision,
    client: Client,
    *,
    timeout: float | None = None,
    label: str | None = None,
    address: str | None = None,
) -> Any:
    """Make state in a store that is named by a handle."""
    terms = Terms(revision, client, store.timeout if timeout is None else timeout, label)
    return store.create(handle_key(principal), terms, address)
