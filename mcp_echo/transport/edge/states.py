"""What a connection does, and what takes it from one thing to the next.

Theory of operation. A connection has one state. Bytes that arrive are taken in only in the states of
`RECEIVING`, up to the end of one request; then the request is answered, and only then the next one is looked
at. So there is never more than one request in hand, and answers leave in the order of their requests::

    handshake ──begun──┐
        │              │           ┌────────── answered ───────────┐
      ready            │           │                               │
        └──> awaiting ─┴─begun─> head ──headed──> body ──received──┤
                ^                  └────────────────── received ───┤
                └───────────────────────────────────────────── answering ──answered last──> closing
    any state but answering and closing ──refused──> refused        closing: all is written, then it closes

What arrives ahead of its time waits in the connection, and reading stops: while an answer is worked on as
soon as anything waits, and in every state while more than 64 KiB of answers wait for the client to read. So a
connection holds one request, one read from the socket, and those answers, whatever its client does.

Each state has its deadline, set when it is entered and moved by no byte that arrives: `deadlines`.
A refused client is listened to for a moment, since closing at once could cost it the answer (RFC 9112 section
9.6).
"""

from __future__ import annotations

from typing import Literal

State = Literal["handshake", "awaiting", "head", "body", "answering", "closing", "refused"]
"""What a connection does: it negotiates TLS, awaits a request, takes in its head, then its body, answers it,
writes what is left before it closes, or throws away what a refused client goes on sending."""

Event = Literal["ready", "begun", "headed", "received", "answered", "answered last", "refused", "ended"]
"""TLS is agreed on, the first byte of a request came, its head is complete, the whole request is, its answer
is written, which was the last on this connection, it is refused, or nothing more is wanted of the client."""

_REFUSED: dict[Event, State] = {"refused": "refused", "ended": "closing"}

NEXT: dict[State, dict[Event, State]] = {
    "handshake": {"ready": "awaiting", "begun": "head", **_REFUSED},
    "awaiting": {"begun": "head", **_REFUSED},
    "head": {"headed": "body", "received": "answering", **_REFUSED},
    "body": {"received": "answering", **_REFUSED},
    "answering": {"answered": "awaiting", "answered last": "closing"},
    "closing": {"ended": "closing"},
    "refused": {},
}
"""State → event → the state that follows; what is not here cannot happen."""

AWAITING: frozenset[State] = frozenset({"handshake", "awaiting"})
"""The states in which no request has begun."""

RECEIVING: frozenset[State] = AWAITING | {"head", "body"}
"""The states in which what has arrived is taken in."""
