"""Keeping secrets out of whatever leaves the server: answers, logs, error texts. No I/O.

What a secret is, `names` and `shapes` say; here texts, header values and JSON are gone through for them. No
text is looked at beyond `LONGEST` characters, and each character a fixed number of times.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

from mcp_echo.redaction import shapes
from mcp_echo.redaction.names import is_secret_name, is_secret_parameter
from mcp_echo.redaction.placeholders import is_placeholder
from mcp_echo.redaction.schemes import NAMES as SCHEMES
from mcp_echo.redaction.schemes import split_credentials
from mcp_echo.redaction.text import LONGEST, LONGEST_QUOTE, cut, mask, printable

_SHORTEST_SECRET = 4
"""Characters; what is shorter guards nothing, and to mask it would mask half the text."""

_MOST_LOOKED_AT = 64 * 1024 * 1024
"""Characters that are gone through for the secrets of a request; a text that would take more is not shown."""

_WORD = re.compile(r"[^\s\"'`<>(){}\[\],;|\\]+")
_LONGEST_SCHEME = 24
_LAST_PART = re.compile(r"[A-Za-z0-9-]{1,24}$")
_BLANK = re.compile(r"\s")
_PIECE = re.compile(r"[?&#]|[^?&#]+")
_MASK = re.compile(r"\[[0-9]{1,12} characters, sha256 [0-9a-f]{8}\]")
_USERINFO = re.compile(r"(?<=://)[^/\s]+(?=@)")
_SESSION_ID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_HANDLE = re.compile(r"\bes_[A-Za-z0-9_-]{22,64}")


def mask_tokens(text: str) -> str:
    """Return ``text``, masked: secrets by their shape, by the name before them, and in URLs.

    A text of more than `LONGEST` characters is cut first.
    """
    return _masked(cut(text), 0)


def excerpt(text: str, most: int = LONGEST_QUOTE) -> str:
    """Return the beginning of a client's text, masked, for a sentence that quotes it.

    Args:
        text: What the client sent.
        most: Characters to quote.
    """
    return mask_tokens(cut(text, most))


def quoted(text: str) -> str:
    """Return an excerpt in quotes, with what acts on a terminal escaped."""
    return f"'{printable(excerpt(text))}'"


def _masked(text: str, layer: int) -> str:
    if layer > shapes.MAX_LAYERS:
        return mask(text)
    if _is_json_with_secrets(text, layer):
        return mask(text)
    return "".join(_Scan(_without_private_keys(text), layer).pieces())


def _is_json_with_secrets(text: str, layer: int) -> bool:
    value = shapes.json_of(text.strip())
    try:
        return value is not None and _has_secrets(value, layer)
    except RecursionError:
        return True


def _has_secrets(value: Any, layer: int) -> bool:
    if isinstance(value, dict):
        return any(
            (content is not None and not isinstance(content, bool) and shapes.is_private_member(name, value))
            or _has_secrets(content, layer)
            for name, content in value.items()
        )
    if isinstance(value, list):
        return any(_has_secrets(each, layer) for each in value)
    return isinstance(value, str) and _masked(value, layer + 1) != value


def _without_private_keys(text: str) -> str:
    """Mask what a PEM text has between its first private key's label and its end (RFC 7468)."""
    begin = text.find("PRIVATE KEY-----")
    if begin < 0:
        return text
    begin += len("PRIVATE KEY-----")
    end = text.rfind("-----END")
    stop = end if end > begin else len(text)
    hidden = text[begin:stop].strip()
    return text if _MASK.fullmatch(hidden) else f"{text[:begin]}{mask(hidden)}{text[stop:]}"


class _Scan:
    """One way through a text, from word to word.

    Args:
        text: The text.
        layer: How many encodings it came out of.
    """

    def __init__(self, text: str, layer: int) -> None:
        self._text = text
        self._layer = layer
        self._has_key = '"kty"' in text
        """Whether there is a JSON Web Key in it, whose private members have names of a letter or two."""
        self._name = ""
        """The word before, when no sign came behind it yet."""
        self._named = False
        """Whether what comes is the value of a secret: its name came, and a colon or an equals sign."""
        self._inside = False
        """Whether that value is a list or an object."""
        self._scheme = False
        """Whether the word before is a scheme of HTTP authentication."""

    def pieces(self) -> Iterator[str]:
        """Yield the text, masked, piece by piece."""
        text, end = self._text, 0
        while found := _WORD.search(text, end):
            start, stop = found.span()
            gap = text[end:start]
            yield gap
            self._pass(gap)
            quote = gap[-1:] if gap[-1:] in "\"'`" else ""
            if quote and self._named:
                stop = _closing(text, quote, start)
                yield mask(text[start:stop])
                self._named = self._inside
            else:
                yield self._word(found[0])
            end = stop
        yield text[end:]

    def _pass(self, gap: str) -> None:
        """Take note of what stands between two words: more than blanks and quotes parts them."""
        between = gap.strip(" \t\n\"'`")
        if not between:
            return
        if self._named and between[0] in "[{" and gap[-1] in "\"'`":
            self._inside = True
        elif not self._inside or "]" in between or "}" in between:
            self._named = self._inside = False
        self._scheme, self._name = False, ""

    def _word(self, word: str) -> str:
        name, value = self._value_in(word)
        if value is not None and self._is_secret(name):
            self._named, self._name = not value, ""
            self._scheme = value.lower() in SCHEMES
            if not value or self._scheme:
                return _masked_word(word, self._layer)
            return word[: len(word) - len(value)] + mask(value)
        named, scheme = self._named, self._scheme
        self._named, self._name = self._inside or (named and word in ":="), word
        self._scheme = _last_part(word) in SCHEMES
        if (named or scheme) and _is_credential(word, scheme):
            return mask(word)
        return _masked_word(word, self._layer)

    def _is_secret(self, name: str) -> bool:
        return is_secret_name(name) or (self._has_key and name in shapes.PRIVATE_MEMBERS)

    def _value_in(self, word: str) -> tuple[str, str | None]:
        """Return the name and the value of ``name:value``, the value empty when it is still to come, or None.

        The name may be the word before, as in ``"name": value`` and ``name = value``.
        """
        if word[0] in ":=" and self._name:
            return self._name, word.lstrip(":=>")
        for sign in ":=":
            name, found, value = word.partition(sign)
            if found and not value.startswith("//") and (sign == ":" or not value.strip("=")):
                return name, value.strip("=") if sign == "=" else value
        return "", None


def _closing(text: str, quote: str, start: int) -> int:
    """Return where a quoted value ends: at a quote that is not escaped, or at the end of the text."""
    found = text.find(quote, start)
    while found > start and text[found - 1] == "\\":
        found = text.find(quote, found + 1)
    return found if found >= 0 else len(text)


def _last_part(word: str) -> str:
    """Return what a word ends with, in lower case: a scheme may stand behind a sign."""
    found = _LAST_PART.search(word[-_LONGEST_SCHEME:])
    return found[0].lower() if found else ""


def _is_credential(word: str, scheme: bool) -> bool:
    """Return whether a word of running text looks like a credential and not like a word of a language."""
    bare = word.strip(".,:;!?")
    if len(bare) < (8 if scheme else _SHORTEST_SECRET) or is_placeholder(bare):
        return False
    return not (bare.isalpha() and (bare.islower() or bare.istitle()) and len(bare) <= 24)


def _masked_word(word: str, layer: int) -> str:
    if len(word) < 8:
        return word if "=" not in word else _masked_parameters(word, layer)
    if "@" in word:
        word = mask_userinfo(word)
    return _masked_parameters(word, layer)


def _masked_parameters(word: str, layer: int) -> str:
    """Mask the values of parameters that carry secrets, and secrets anywhere else in the word."""
    judge = _judge(layer)
    if shapes.begins_secret(word, judge) == 0:
        return mask(word)
    if not any(sign in word for sign in "=?&#%"):
        return shapes.in_runs(word, lambda run: _masked_run(run, judge))
    first, parts = True, []
    for found in _PIECE.finditer(word):
        parts.append(_masked_piece(found[0], judge, bare=first))
        first = False
    return "".join(parts)


def _masked_piece(piece: str, judge: shapes.Judge, *, bare: bool) -> str:
    name, value = _named_value(piece, is_secret_name if bare else is_secret_parameter)
    if value and not is_placeholder(value):
        return name + mask(value)
    decoded = shapes.unescaped(piece)
    if decoded is not None and judge(decoded):
        name, sign, value = piece.partition("=")
        return f"{name}={mask(value)}" if sign else mask(piece)
    return shapes.in_runs(piece, lambda run: _masked_run(run, judge))


def _named_value(piece: str, is_secret: Callable[[str], bool]) -> tuple[str, str]:
    """Return a piece up to the name of a secret and its equals sign, and the value after it, or nothing."""
    end = 0
    for name in piece.split("=")[:-1]:
        end += len(name) + 1
        if is_secret(name) and piece[end:].strip("="):
            return piece[:end], piece[end:]
    return piece, ""


def _masked_run(run: str, judge: shapes.Judge) -> str:
    start = shapes.begins_secret(run, judge)
    return run if start < 0 else run[:start] + mask(run[start:])


def _judge(layer: int) -> shapes.Judge:
    return lambda text: _masked(text, layer + 1) != text


def mask_userinfo(text: str) -> str:
    """Return ``text`` with the user and password of any URL in it masked."""
    return _USERINFO.sub("***", text)


def mask_credentials(value: str) -> str:
    """Return an ``Authorization`` style value with its scheme kept and the rest masked.

    A placeholder that nobody has filled in is no secret, and is shown.
    """
    scheme, rest = split_credentials(value)
    shown = rest if not rest or is_placeholder(rest) else mask(rest)
    return shown if scheme is None else f"{scheme} {shown}".rstrip()


def mask_cookies(value: str) -> str:
    """Return a ``Cookie`` value with the names kept and the values masked."""
    pairs = (pair.strip().partition("=") for pair in cut(value).split(";"))
    return "; ".join(f"{name}={mask(content)}" if equals else mask(name) for name, equals, content in pairs)


def mask_header(name: str, value: str) -> str:
    """Return a header's value as it may be shown."""
    if not is_secret_name(name):
        return _mask_unnamed(value)
    if not value or is_placeholder(value):
        return value
    lower = name.lower()
    if lower.endswith("authorization"):
        return mask_credentials(value)
    if lower in ("cookie", "set-cookie"):
        return mask_cookies(value)
    return mask(value)


_ALONE = frozenset({"bearer", "dpop", "negotiate", "apikey", "privatetoken", "ssws"})
"""Schemes whose name in front of one more word leaves no doubt that the word is a credential."""


def _mask_unnamed(value: str) -> str:
    """Return the value of a header whose name tells nothing."""
    scheme, rest = split_credentials(value)
    alone = scheme is not None and scheme.lower() in _ALONE and not _BLANK.search(rest)
    return mask_credentials(value) if alone else mask_tokens(value)


_LEAST_SHOWN = 8
"""Characters that a value counts for at least: many small ones take as long as one that is long."""


class _JsonMask:
    """Masks one JSON value, and shows no more than so many characters of it.

    Args:
        room: Characters that may still be shown.
    """

    def __init__(self, room: int) -> None:
        self._room = room

    def masked(self, value: Any) -> Any:
        """Return a value: members that sound secret masked, and secrets in the other texts."""
        if isinstance(value, dict):
            return self._object(value, self._member)
        if isinstance(value, list):
            return self._list(value, self.masked)
        return self._text(value) if isinstance(value, str) else self._plain(value)

    def _object(
        self, value: dict[str, Any], shown: Callable[[str, Any, dict[str, Any]], Any]
    ) -> dict[str, Any]:
        members: dict[str, Any] = {}
        for place, (name, content) in enumerate(value.items()):
            if self._room <= 0:
                members[f"[{len(value) - place} more members]"] = None
                break
            members[self._text(name)] = shown(name, content, value)
        return members

    def _list(self, value: list[Any], shown: Callable[[Any], Any]) -> list[Any]:
        elements: list[Any] = []
        for place, element in enumerate(value):
            if self._room <= 0:
                elements.append(f"[{len(value) - place} more elements]")
                break
            elements.append(shown(element))
        return elements

    def _member(self, name: str, content: Any, whole: dict[str, Any]) -> Any:
        if shapes.is_private_member(name[-LONGEST:], whole):
            return self._hidden(content)
        return self.masked(content)

    def _hidden(self, value: Any) -> Any:
        """Return a value with everything in it masked that can keep a secret; a number may be a PIN."""
        if isinstance(value, dict):
            return self._object(value, lambda _name, content, _whole: self._hidden(content))
        if isinstance(value, list):
            return self._list(value, self._hidden)
        if value is None or isinstance(value, bool) or (isinstance(value, str) and is_placeholder(value)):
            return self._plain(value)
        return self._plain(mask(str(value)))

    def _plain(self, value: Any) -> Any:
        self._room -= _LEAST_SHOWN
        return value

    def _text(self, text: str) -> str:
        shown = mask_tokens(cut(text, max(self._room, 0)))
        self._room -= max(_LEAST_SHOWN, min(len(text), self._room))
        return shown


def mask_json(value: Any, most: int = LONGEST) -> Any:
    """Return decoded JSON, masked: members that sound secret, and secrets in all other texts.

    Args:
        value: Decoded JSON.
        most: Characters of all its texts together that are shown.
    """
    return _JsonMask(most).masked(value)


def mask_body(body: bytes, size: int) -> str:
    """Return the beginning of a body that is too long to be read for being shown, masked.

    Args:
        body: Its beginning.
        size: How long the whole is, in bytes.
    """
    shown = body[:LONGEST].decode("utf-8", "replace")
    # What a name says is not told while it is spelled in escapes; and the last text may be half a secret.
    if "\\u" in shown:
        return f"({size} bytes)"
    shown = shown[: shown.rfind('"') + 1]
    return f"{mask_tokens(shown)} [{size} bytes in all]"


def secrets_in(fields: Iterable[tuple[str, str]], body: bytes) -> frozenset[str]:
    """Return the secrets of a request, whole and in the pieces that code works with and may quote.

    Args:
        fields: The header fields.
        body: What should be JSON.
    """
    found = {part for name, value in fields if is_secret_name(name) for part in _parts(value)}
    # What cannot be read, no code has taken a secret from.
    with suppress(ValueError, RecursionError):
        found.update(_telling_values(json.loads(body), telling=False))
    return frozenset(secret for secret in found if len(secret) >= _SHORTEST_SECRET)


def _parts(value: str) -> Iterator[str]:
    """Yield a header's value, its credentials, and the cookies in it."""
    yield value
    yield split_credentials(value)[1]
    for pair in value.split(";"):
        yield pair.strip().partition("=")[2] or pair.strip()


def _telling_values(value: Any, *, telling: bool) -> Iterator[str]:
    if isinstance(value, dict):
        for name, content in value.items():
            yield from _telling_values(content, telling=telling or is_secret_name(name))
    elif isinstance(value, list):
        for element in value:
            yield from _telling_values(element, telling=telling)
    elif telling and isinstance(value, (str, int, float)) and not isinstance(value, bool):
        yield str(value)


def mask_known(text: str, secrets: Iterable[str]) -> str:
    """Return ``text`` with each of ``secrets`` masked, as it is and as ``repr`` writes it.

    A long text is cut. One that would have to be gone through too often is left out.
    """
    known = sorted(secrets, key=len, reverse=True)
    if not known:
        return cut(text)
    # Longer than what is shown, so that no half of a secret is left at the cut.
    shown = text[: LONGEST + 2 * len(known[0])]
    if len(known) * len(shown) > _MOST_LOOKED_AT:
        return f"[{len(text)} characters left out: the request has {len(known)} secrets to look for]"
    for secret in known:
        for written in {secret, repr(secret)[1:-1]}:
            if written in shown:
                shown = shown.replace(written, mask(secret))
    return cut(shown)


def short_id(session_id: str) -> str:
    """Return as much of a session id or handle as lets its owner find it, and nobody take it over."""
    return session_id[:11] if session_id.startswith("es_") else session_id[:8]


def mask_session_ids(text: str, is_session: Callable[[str], bool]) -> str:
    """Return ``text`` with every handle, and every UUID that is a session's id, cut to its beginning.

    Args:
        text: What may have such ids in it.
        is_session: Tells whether a UUID is the id of a session.
    """
    shown = _HANDLE.sub(lambda found: f"{short_id(found[0])}…", text)
    return _SESSION_ID.sub(
        lambda found: f"{short_id(found[0])}…" if is_session(found[0]) else found[0], shown
    )
