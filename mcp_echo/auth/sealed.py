"""State that the client carries: sealed, so that it can neither be read nor changed. No I/O.

The modern era's ``requestState`` is attacker-controlled: it is authenticated, expires, and is bound to the
request and the principal it was made for.
https://modelcontextprotocol.io/specification/2026-07-28/basic/patterns/mrtr#server-requirements
"""

from __future__ import annotations

import hashlib
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from typing import Any, cast

import msgspec
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from mcp_echo.protocol.errors import InvalidParams

LIFETIME = 300
"""Seconds a client has for its answer."""


_SEALED = re.compile(r"(?:[A-Za-z0-9_-]{4})*+(?:[A-Za-z0-9_-]{2}==|[A-Za-z0-9_-]{3}=)?", re.ASCII)


class _Content(msgspec.Struct, array_like=True):
    binding: str
    value: Any


_decode = msgspec.json.Decoder(_Content).decode


class Seal:
    """Seals and opens state.

    Args:
        now: Seconds of a clock that all who have the key agree on.
        key: 32 bytes in URL-safe base64, the same on every server that must open it; None for a new one.
    """

    def __init__(self, now: Callable[[], float], key: str | None = None) -> None:
        self._now = now
        self._fernet: Fernet | MultiFernet = Fernet(key or self.new_key())

    @staticmethod
    def new_key() -> bytes:
        """Return a new key."""
        return Fernet.generate_key()

    def use(self, key: bytes) -> None:
        """Seal with another key from now on; what was sealed so far can still be opened here."""
        self._fernet = MultiFernet([Fernet(key), cast(Fernet, self._fernet)])

    def seal(self, value: Any, binding: str) -> str:
        """Return ``value``, JSON-encodable, as a text that only `open` with the same binding turns back."""
        content = msgspec.json.encode(_Content(binding, value))
        return self._fernet.encrypt_at_time(content, int(self._now())).decode()

    def keep(self, data: bytes) -> str:
        """Return bytes as a text that is kept for as long as need be, and that `kept` alone turns back."""
        return self._fernet.encrypt_at_time(data, int(self._now())).decode()

    def kept(self, text: str) -> bytes | None:
        """Return what was sealed to be kept; None where it was sealed with another key."""
        try:
            return self._fernet.decrypt(text.encode())
        except InvalidToken:
            return None

    def open(self, text: str, binding: str) -> Any:
        """Return what was sealed.

        Raises:
            InvalidParams: The text was changed, is too old, or belongs to another request or caller.
        """
        # Fernet's decoder stops at the padding, so that text behind it would go unnoticed.
        # The unused bits of a last letter would, too.
        if not _SEALED.fullmatch(text) or urlsafe_b64encode(urlsafe_b64decode(text)).decode() != text:
            raise InvalidParams("requestState is not one of this server's")
        try:
            content = _decode(self._fernet.decrypt_at_time(text.encode(), LIFETIME, int(self._now())))
        except (InvalidToken, msgspec.DecodeError):
            raise InvalidParams("requestState is not one of this server's, or has expired") from None
        if content.binding != binding:
            raise InvalidParams("requestState belongs to another request or another caller")
        return content.value


def binding(principal: str | None, method: str, params: dict[str, Any]) -> str:
    """Return what ties sealed state to one caller and one request; the order of members does not matter."""
    canonical = msgspec.json.encode([principal, method, params], order="sorted")
    return hashlib.sha256(canonical).hexdigest()
