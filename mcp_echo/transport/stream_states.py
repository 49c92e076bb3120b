"""What a connection does that carries an event stream, and what takes it from one thing to the next.

Theory of operation. A stream belongs to a log and outlives its connections; one connection carries it at a
time, and is what this table is about. It takes messages from the log as they come and writes them at once::

                  ┌── paused ──┐
                  │            v
    attached ──> open        paused
                  │ ^          │ │
                  │ └─ resumed ┘ │
                  ├──── left ────┴──> gone ──done──> over
                  └──── done ──────────────────────> over

It is done when the stream has ended and all of it is written, when another connection carries the stream, or
when the server hangs up or stops. While its client does not read, nothing is taken: messages wait in the log,
which is bounded. Once the client has left, nothing is written any more; what it had not been given goes back
to the log.
"""

from __future__ import annotations

from typing import Literal

State = Literal["open", "paused", "gone", "over"]
"""It writes what comes, waits for its client to read, has lost its client, or has let go of the stream."""

Event = Literal["paused", "resumed", "left", "done"]
"""The client does not keep up, or does again; it has left; or nothing more is to be written."""

NEXT: dict[State, dict[Event, State]] = {
    "open": {"paused": "paused", "left": "gone", "done": "over"},
    "paused": {"resumed": "open", "left": "gone", "done": "over"},
    "gone": {"done": "over"},
    "over": {},
}
"""State → event → the state that follows; what is not here changes nothing."""
