"""What an authorization server refuses, as OAuth has it (RFC 6749 sections 4.1.2.1 and 5.2)."""

from __future__ import annotations

import re

_LONGEST = 400
"""Characters of a description."""

_NOT_ALLOWED = re.compile(r"[^ !#-\[\]-~]")


class OAuthError(Exception):
    """A request that an authorization server refuses.

    Args:
        code: The ``error``.
        description: Why, for the developer of the client; one or two sentences.
        status: The HTTP status, where the client is told without a redirect.
    """

    def __init__(self, code: str, description: str, status: int = 400) -> None:
        self.code = code
        self.description = described(description)
        self.status = status
        super().__init__(f"{code}: {self.description}")


class InvalidClient(OAuthError):
    """Who asks is not known, or does not authenticate as it has registered."""

    def __init__(self, description: str) -> None:
        super().__init__("invalid_client", description, 401)


def described(text: str) -> str:
    """Return a text with the characters alone that ``error_description`` may have."""
    return _NOT_ALLOWED.sub("'", text.replace("…", "...")[:_LONGEST])
