"""Turning times, spans and sizes into the words the tools answer with."""

from __future__ import annotations

from datetime import UTC, datetime


def moment(seconds: float) -> str:
    """Return a time since the epoch as ``2024-01-01 12:00:00 UTC``."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def timestamp(seconds: float) -> str:
    """Return a time since the epoch for programs: ``2024-01-01T12:00:00.123Z`` (RFC 3339)."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def exact_moment(seconds: float) -> str:
    """Return a time since the epoch as ``2024-01-01 12:00:00.123 UTC``."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + " UTC"


def span(seconds: float) -> str:
    """Return a span of time as ``45s``, ``5m 30s``, ``2h 5m`` or ``3d 4h``."""
    whole = int(seconds)
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days}d {hour}h"
    if hours:
        return f"{hours}h {minute}m"
    if minutes:
        return f"{minutes}m {second}s"
    return f"{second}s"


def milliseconds(seconds: float) -> str:
    """Return a span of time as ``23.45ms``."""
    return f"{seconds * 1000:.2f}ms"


def size(count: int) -> str:
    """Return a number of bytes as ``0B``, ``12KB`` or ``256MB``."""
    if count < 1024:
        return f"{count}B"
    if count < 1024 * 1024:
        return f"{count / 1024:.0f}KB"
    return f"{count / (1024 * 1024):.0f}MB"


def often(count: int) -> str:
    """Return a number of times as ``once`` or ``3 times``."""
    return "once" if count == 1 else f"{count} times"


def yes(value: bool) -> str:
    """Return the sign for true or false."""
    return "✅" if value else "❌"
