"""Where clients reach the server. Pure."""

from __future__ import annotations


def server_url(public_url: str | None, host: str | None, *, secure: bool) -> str:
    """Return the address of the server, without a slash at its end.

    Args:
        public_url: What the operator says it is; None for what the request says.
        host: The request's ``Host``, which has been checked.
        secure: Whether the request came by TLS.
    """
    return public_url or f"{'https' if secure else 'http'}://{host or 'localhost'}"
