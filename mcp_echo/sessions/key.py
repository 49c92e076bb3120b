"""What a session is found by: its id, which the server makes, and whose it is. No I/O."""

from __future__ import annotations

import re
import secrets
import uuid
from typing import NamedTuple

_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_HANDLE = re.compile(r"es_[A-Za-z0-9_-]{32}", re.ASCII)


class SessionKey(NamedTuple):
    """What a session is found by."""

    id: str
    owner: str | None
    """Who made it, or None when nobody vouches for the caller."""
    handle: bool
    """Whether it is state that modern requests name by a handle, and no protocol session."""

    @property
    def is_possible(self) -> bool:
        """Whether there may be such a session at all."""
        return (_HANDLE if self.handle else _ID).fullmatch(self.id) is not None


def session_key(owner: str | None, tag: str) -> SessionKey:
    """Return the key of a session that is to be made: a UUID of version 8 (RFC 9562 section 5.8).

    Args:
        owner: Who makes it, or None.
        tag: Four hex digits that name the node; see `mcp_echo.protocol.session_ids`.
    """
    # Version 4 has 122 random bits and the variant in place; the tag takes 16 of them.
    random = str(uuid.uuid4())
    return SessionKey(f"{random[:9]}{tag}-8{random[15:]}", owner, False)


def handle_key(owner: str | None) -> SessionKey:
    """Return the key of state that is to be named by a handle."""
    return SessionKey(f"es_{secrets.token_urlsafe(24)}", owner, True)
