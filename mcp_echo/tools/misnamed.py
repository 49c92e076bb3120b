"""What is wrong with a text that was given as a handle, by its form alone.

The form is all that is looked at: whether a handle of the right form ever existed is told to nobody.
"""

from __future__ import annotations

import re

from mcp_echo.redaction import one_line

_LOOKED_AT = 200
"""Characters of a text that are looked at; a handle has 35."""
_SHOWN = 64
"""Characters of it that are shown."""

_HANDLE = r"es_[A-Za-z0-9_-]{32}"
_AMONG_OTHERS = re.compile(rf"(?<![A-Za-z0-9_-]){_HANDLE}(?![A-Za-z0-9_-])", re.ASCII)
_WELL_FORMED = re.compile(_HANDLE, re.ASCII)

_QUOTES = "\"'`"
_AROUND = f" \t\r\n{_QUOTES}"
"""What may stand around a text without making it another."""

_MORE = (
    "is {shown}, which has more in it than a handle. Pass the handle alone, without quotes, space and other "
    "text around it."
)
_FORMS = tuple(
    (re.compile(form, re.ASCII | re.DOTALL | re.IGNORECASE), fault)
    for form, fault in (
        (
            r"null|none|nil|undefined|nan|n/a|true|false|string|session|handle|\[object object\]",
            "is the word {shown}, which clients fill in when they have no handle.",
        ),
        (
            r"=?\{.*\}|\$\{?\w+\}?|\$\(.*\)|%\w+%|<.*>|\[.*\]|:\w+|__\w+__|(?:my|your|the|some)[ _-].*"
            r"|es_(?:\.+|…|[x*]+|<.*>|\{.*\})",
            "is the placeholder {shown}, which the client has not filled in.",
        ),
        (
            r"(?:urn:uuid:)?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
            "is {shown}, which has the form of a protocol session's id. That is not a handle: send it in the "
            "Mcp-Session-Id header alone.",
        ),
        (
            r"[a-z]+[0-9]+-[0-9]+",
            "is {shown}, which has the form of an event's id (Last-Event-ID), not a handle.",
        ),
        (r"[a-z][a-z0-9+.-]*://.*", "is {shown}: a URI is not a handle."),
        (
            r"(?:bearer|basic) .*|eyJ[\w-]*\..*",
            "is a credential, not a handle. Credentials belong into the Authorization header alone.",
        ),
        (
            r"[\w-]{32}",
            "is {shown}, which lacks the es_ that a handle begins with. The id of a task looks like this.",
        ),
        (
            r"es_[\w-]*",
            "is {shown}, which has {length} characters. A handle has 35, es_ the first of them: this one was "
            "cut, changed or made up.",
        ),
    )
)
_OTHER = (
    "is {shown}, which is not a handle: a handle is es_ and 32 letters, digits, _ or -. A label given to "
    "createEchoSession does not name a session."
)


def fault_in(handle: str) -> str | None:
    """Return what is wrong with the form of a handle, as a sentence, or None if that is right."""
    seen = handle[:_LOOKED_AT]
    if _WELL_FORMED.fullmatch(handle):
        return None
    return f"`session` {_fault(seen).format(shown=one_line(seen[:_SHOWN]), length=len(handle))}"


def _fault(seen: str) -> str:
    if _AMONG_OTHERS.search(seen):
        return _MORE
    bare = seen.strip(_AROUND)
    if not bare:
        return (
            f"is {'blank' if seen.strip(_QUOTES) else 'empty'}, as a variable that was never set leaves it."
        )
    return next((fault for form, fault in _FORMS if form.fullmatch(bare)), _OTHER)
