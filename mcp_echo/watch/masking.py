"""Hides in records what nobody may read there, so that equal secrets still look equal. No I/O."""

from __future__ import annotations

import hashlib
import hmac
import re
from urllib.parse import parse_qsl

from mcp_echo.http.paths import without_traces
from mcp_echo.redaction import (
    cut,
    fingerprint,
    mask,
    mask_header,
    mask_session_ids,
    mask_tokens,
    mask_userinfo,
    one_line,
    short_id,
)
from mcp_echo.redaction.names import is_secret_parameter

_FINGERPRINT = re.compile(r"sha256 ([0-9a-f]{8})")
"""What `mcp_echo.redaction` puts in the place of a secret: a guess could be compared with it."""

_SESSION = "mcp-session-id"

_OWN, _ANOTHER = "{trace}", "{another trace}"
"""What stands for the id of the trace that something came to, and for that of another one."""

LONGEST_VALUE = 512
"""Characters of one header or parameter that are kept."""

LONGEST_NAME = 128
"""Characters of a name that are kept."""

MOST_SHOWN = 1000
"""Header fields whose shape is remembered."""

MOST_LINES = 100
"""Header lines and parameters of one request that are kept."""


class Masker:
    """Masks what is kept.

    Args:
        key: What fingerprints are made with; whoever does not have it cannot try out guesses.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._shown: dict[bytes, str] = {}
        """Digest of a header field → how it is shown. Most come again and again; no secret is kept for it."""

    def use(self, key: bytes) -> None:
        """Make fingerprints with another key from now on."""
        self._key = key
        self._shown.clear()

    def fingerprint(self, text: str | bytes) -> str:
        """Return 8 hexadecimal digits that are equal for equal texts."""
        data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
        return hmac.new(self._key, data, hashlib.sha256).hexdigest()[:8]

    def secret(self, text: str) -> str:
        """Return the fingerprint that a secret is shown with, in whichever place it comes."""
        return self.fingerprint(fingerprint(text))

    def public(self, text: str) -> str:
        """Return what OAuth tells everybody, such as a client id, as it came, cut and on one line.

        Args:
            text: The value, with ``{trace}`` in the place of the id of its own trace.
        """
        parts = (without_traces(part).replace(_OWN, _ANOTHER) for part in text.split(_OWN))
        shown = mask_userinfo(_OWN.join(parts))
        # A redirect URI may have a query, and that a secret.
        if "?" in shown:
            shown = self._rekeyed(mask_tokens(shown))
        return one_line(cut(shown, LONGEST_VALUE))

    def session(self, session_id: str) -> str:
        """Return the beginning of a session id or a handle, and its fingerprint."""
        return f"{one_line(short_id(session_id[:64]))}… #{self.fingerprint(session_id)}"

    def text(self, text: str) -> str:
        """Return a client's text on one line, without the secrets and ids of sessions and traces in it."""
        named = without_traces(cut(text, LONGEST_VALUE))
        shown = mask_session_ids(mask_tokens(named), lambda _: True)
        return self._rekeyed(one_line(shown))

    def name(self, text: str) -> str:
        """Return the name that a client gives to something, as `text` does, and cut."""
        return self.text(cut(text, LONGEST_NAME))

    def header(self, name: str, value: str) -> str:
        """Return the value of a header field."""
        digest = hashlib.blake2b(f"{name}\n{value}".encode("utf-8", "surrogatepass"), digest_size=16).digest()
        shown = self._shown.get(digest)
        if shown is None:
            shown = self._shown[digest] = self._header(name, value)
            if len(self._shown) > MOST_SHOWN:
                del self._shown[next(iter(self._shown))]
        return shown

    def _header(self, name: str, value: str) -> str:
        if name.lower() == _SESSION:
            return ", ".join(self.session(each) for each in value[:LONGEST_VALUE].split(", "))
        if name.lower() == "last-event-id":
            return one_line(cut(value, LONGEST_VALUE))
        shown = mask_header(name, without_traces(value))
        return self._rekeyed(one_line(mask_session_ids(shown, lambda _: True)))

    def headers(self, fields: list[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
        """Return header fields in their order; a value that is too long is cut."""
        return tuple(
            (one_line(name), cut(self.header(name, value), LONGEST_VALUE))
            for name, value in fields[:MOST_LINES]
        )

    def query(self, query: bytes) -> tuple[tuple[str, str], ...]:
        """Return the parameters of a query in their order."""
        text = query[: LONGEST_VALUE * 16].decode("latin-1")
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=None)[:MOST_LINES]
        return tuple((self.text(name), self._parameter(name, value)) for name, value in pairs)

    def _parameter(self, name: str, value: str) -> str:
        if name.lower() == "session_id":
            return self.session(value)
        if is_secret_parameter(name):
            return self._rekeyed(mask(value))
        return self.text(value)

    def _rekeyed(self, text: str) -> str:
        return _FINGERPRINT.sub(lambda found: f"#{self.fingerprint(found[1])}", text)
