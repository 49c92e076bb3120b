"""What a client will read, from its ``Accept`` and ``Accept-Encoding`` headers. No I/O.

RFC 9110 sections 12.5.1 and 12.5.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

JSON = "application/json"
EVENT_STREAM = "text/event-stream"
OPENMETRICS = "application/openmetrics-text"
PLAIN_TEXT = "text/plain"
HTML = "text/html"

_LONGEST_KEPT = 256
"""Characters of the longest header whose meaning is kept."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """Which of the two media types of MCP a client reads.

    ``names_event_stream`` is true only when the client lists ``text/event-stream`` itself: a wildcard
    promises nothing about streams, and clients that send ``*/*`` parse what comes as one JSON text.
    """

    json: bool
    event_stream: bool
    names_json: bool
    names_event_stream: bool

    @property
    def event_stream_alone(self) -> bool:
        """Whether the client asks for event streams and takes no JSON: a reader of events, no MCP client."""
        return self.names_event_stream and not self.json


def _qualities(header: str) -> dict[str, float]:
    qualities: dict[str, float] = {}
    for item in header.lower().split(","):
        media_range, *parameters = (part.strip() for part in item.split(";"))
        quality = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    quality = float(parameter[2:])
                except ValueError:
                    quality = 0.0
        if media_range:
            qualities[media_range] = max(quality, qualities.get(media_range, 0.0))
    return qualities


def _quality(qualities: dict[str, float], media_type: str) -> float:
    main_type = media_type.partition("/")[0]
    for media_range in (media_type, f"{main_type}/*", "*/*", "*"):
        if media_range in qualities:
            return qualities[media_range]
    return 0.0


def parse_accept(header: str | None) -> Accepted:
    """Return what ``header`` accepts; a missing or empty header accepts everything."""
    # Clients send the same few over and over; what is kept of them is bounded.
    return _kept(header) if header is None or len(header) <= _LONGEST_KEPT else _parsed(header)


def _parsed(header: str | None) -> Accepted:
    qualities = _qualities(header or "*/*") or {"*/*": 1.0}
    return Accepted(
        json=_quality(qualities, JSON) > 0,
        event_stream=_quality(qualities, EVENT_STREAM) > 0,
        names_json=qualities.get(JSON, 0.0) > 0,
        names_event_stream=qualities.get(EVENT_STREAM, 0.0) > 0,
    )


_kept = lru_cache(maxsize=256)(_parsed)


def accepts_gzip(header: str | None) -> bool:
    """Return whether ``Accept-Encoding`` lets a response be gzip-coded; a missing header does not."""
    qualities = _qualities(header or "")
    return qualities.get("gzip", qualities.get("*", 0.0)) > 0


def prefers_openmetrics(header: str | None) -> bool:
    """Return whether ``Accept`` lists OpenMetrics, and nothing says that plain text is liked better.

    A wildcard does not list it: people with a browser or curl want the format that is meant for reading.
    """
    qualities = _qualities(header or "")
    openmetrics = qualities.get(OPENMETRICS, 0.0)
    return openmetrics > 0 and openmetrics >= _quality(qualities, PLAIN_TEXT)


def preferred(header: str | None, named: Sequence[str], otherwise: str) -> str | None:
    """Return the media type that an answer is best given in; None where ``Accept`` takes none of them.

    Args:
        header: ``Accept``.
        named: Types that are given only to who lists them, the one that wins a tie first.
        otherwise: What everybody else gets.
    """
    qualities = _qualities(header or "*/*") or {"*/*": 1.0}
    best = max(named, key=lambda each: qualities.get(each, 0.0))
    if qualities.get(best, 0.0) > 0:
        return best
    return otherwise if _quality(qualities, otherwise) > 0 else None
