"""Telling a secret from a placeholder that was not filled in. No I/O.

What is called a placeholder is shown in answers, so that nothing that could be a secret may pass for one: the
name of a variable in the notation of a shell or a template, or a few words that are all on a short list.
"""

from __future__ import annotations

import re

from mcp_echo.redaction.prefixes import TOKEN

_LONGEST = 100
"""Characters; templates are short, and what is shown is bounded."""

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_VARIABLE = r"[A-Za-z_][A-Za-z0-9_-]*(?:[.:][A-Za-z_][A-Za-z0-9_-]*){0,4}"
# Shells, Windows, PowerShell, Mustache and Jinja, Caddy, Apache, Symfony, Ruby, sed, Node.js.
_UNFILLED = re.compile(
    rf"\$\{{{_VARIABLE}\}}|\$\{{\{{ ?{_VARIABLE} ?\}}\}}|\$\({_VARIABLE}\)|\$[A-Z_][A-Z0-9_]*|\$env:{_NAME}"
    rf"|%[A-Z_][A-Z0-9_]*%|%env\({_NAME}\)%|%\{{{_VARIABLE}\}}[es]?|\{{\{{ ?{_VARIABLE} ?\}}\}}"
    rf"|\{{http\.[A-Za-z0-9_.-]+\}}|#\{{{_VARIABLE}\}}|@[A-Z_]+@|__[A-Z][A-Z_]*__"
    rf"|process\.env\.{_NAME}|\(null\)|\[object [A-Z][A-Za-z]*\]"
)
_BRACKETED = re.compile(r"<([^<>]*)>|\[([^\[\]]*)\]|\{([^{}]*)\}|\$([a-z_]+)|%([a-z_]+)%")
# What such words are about, and what they ask for. Nouns alone may be a password in a lab.
_NOUNS = frozenset(
    """a access actual api app auth authorization bearer client copied copy credential credentials from github
    gitlab id in jwt key mcp me my oauth openai or pat personal real refresh secret server service some string
    the this to token user valid value with""".split()
)
_REQUESTS = frozenset(
    """add change changeme enter example fill generated goes here hidden insert mask masked nan nil none null
    omitted paste placeholder put redacted removed replace replaceme todo undefined your yours xxx xxxx xxxxx
    xxxxxx xxxxxxxx""".split()
)
_BETWEEN_WORDS = re.compile(r"[-_ .]+")
# A masked copy: one sign again and again, after a prefix perhaps.
_MASKED = re.compile(r"(?:[a-z0-9]{1,8}[-_]){0,3}(?:x{3,}|X{3,}|\*{3,}|\.{3,}|•{3,}|#{3,})")


def is_unfilled(text: str) -> bool:
    """Return whether ``text`` names a variable that a shell, a template or a proxy left as it was."""
    # Somebody may have put the token itself into the brackets.
    return len(text) <= _LONGEST and bool(_UNFILLED.fullmatch(text)) and not TOKEN.search(text)


def is_placeholder(text: str) -> bool:
    """Return whether ``text`` stands for a value and is none: a variable, ``<your token>``, ``undefined``."""
    if len(text) > _LONGEST:
        return False
    if is_unfilled(text) or _MASKED.fullmatch(text):
        return True
    inner = _BRACKETED.fullmatch(text)
    if inner is None:
        return _only_words(text, may_be_nouns=text.isupper())
    return _only_words(next(group for group in inner.groups() if group is not None), may_be_nouns=True)


def _only_words(text: str, *, may_be_nouns: bool) -> bool:
    words = {word for word in _BETWEEN_WORDS.split(text.lower()) if word}
    return words <= _NOUNS | _REQUESTS and (bool(words & _REQUESTS) or (may_be_nouns and bool(words)))
