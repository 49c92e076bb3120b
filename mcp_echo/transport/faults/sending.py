"""What faulty answers look like, and in which pieces they are written. No I/O."""

from __future__ import annotations

from collections.abc import Sequence

from mcp_echo.faults.answer import Answer, Piece
from mcp_echo.faults.orders import Claim

TICK = 0.25
"""Seconds between two pieces of what is sent slowly."""


def marked(answer: Answer, claim: Claim) -> Answer:
    """Return an answer that says it was made with a fault, and that no browser takes for a page of ours."""
    answer = answer.with_header("X-MCP-Echo-Fault", claim.mark)
    return answer.with_header("Content-Security-Policy", "sandbox; default-src 'none'")


def paced(pieces: Sequence[Piece], rate: int | None) -> Sequence[Piece]:
    """Return what is written at a rate: a piece each `TICK`.

    Args:
        pieces: What is to be written.
        rate: Bytes a second; None for at once.
    """
    if rate is None:
        return pieces
    size = max(1, int(rate * TICK))
    found: list[Piece] = []
    for piece in pieces:
        parts = [piece.data[at : at + size] for at in range(0, len(piece.data), size)]
        found += [Piece(part, len(part) / rate) for part in parts]
    return found
