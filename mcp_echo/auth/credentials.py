"""The value of an ``Authorization`` field: its scheme, what follows it, and what is wrong with it. No I/O.

RFC 9110 section 11.4 (credentials), RFC 6750 section 2.1 (Bearer), RFC 7617 (Basic). Nothing is refused here:
whoever sends a broken value wants to know which character breaks it, and where it stands. No sentence
contains a credential, so that all of them may be shown.
"""

from __future__ import annotations

import binascii
import re
import unicodedata
from base64 import b64decode
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from typing import NamedTuple

from mcp_echo.redaction.placeholders import is_placeholder
from mcp_echo.redaction.schemes import REGISTERED, SCHEMES

MOST_PROBLEMS = 8
"""Problems told of one value; once these are mended, the next ones are told."""

_MOST_SKIPPED = 64
"""Invisible characters taken for one slip; there are more only in an attempt to flood the answer."""

_SCHEMES = {scheme.name.lower(): scheme.name for scheme in SCHEMES}
# The longest first, for a scheme may begin as a longer one does.
_SCHEME = re.compile("|".join(sorted(map(re.escape, _SCHEMES), key=len, reverse=True)), re.IGNORECASE)
# One token68 (RFC 9110 section 11.2) follows these; what follows the others is a list of parameters.
_ONE_TOKEN = frozenset({"apikey", "bearer", "dpop", "jwt", "negotiate", "ntlm", "token"})
_TOKEN68 = re.compile(r"[A-Za-z0-9._~+/-]+=*", re.ASCII)
_PARAMETER = re.compile(r"[A-Za-z_]+ ?=")
_PYTHON_BYTES = re.compile(r"b(?:'.*'|\".*\")", re.DOTALL)
_OWN_NAME = re.compile(r"(?:Proxy-)?Authorization[ \t]*[:=][ \t]*", re.IGNORECASE)
_NO_TOKEN_CHARACTER = re.compile(r"[^A-Za-z0-9]+", re.ASCII)
_QUOTES = {'"': '"', "'": "'", "`": "`", "“": "”", "‘": "’", "„": "“", "«": "»", "”": "”", "’": "’", "″": "″"}
_INVISIBLE = ("Cc", "Cf", "Zl", "Zp", "Zs")
_NAMES = {
    "\t": "a tab",
    "\n": "a line feed",
    "\r": "a carriage return",
    " ": "a space",
    '"': 'a quotation mark (")',
    "'": "an apostrophe (')",
    "`": "a backtick (`)",
    ",": "a comma (,)",
    ":": "a colon (:)",
    ";": "a semicolon (;)",
    "=": "an equals sign (=)",
    "+": "a plus sign (+)",
    "%": "a percent sign (%)",
    "\\": "a backslash (\\)",
    "{": "a brace ({)",
    "}": "a brace (})",
    "<": "an angle bracket (<)",
    ">": "an angle bracket (>)",
}
_HINTS = {
    ",": "two credentials in one value? Some hop or client has joined two of them",
    ";": "two credentials in one value? A token has no parameters",
    "%": "percent-encoding belongs into URLs",
    "\\": "an escape such as \\n that nobody has undone",
    "…": "a shortened copy of a token is not a token",
    "*": "a masked copy of a token is not a token",
    "=": "in a token it stands only at the end",
    **dict.fromkeys("\r\n", "the value was wrapped, or a line end copied along"),
    **dict.fromkeys("${}<>[]", "a variable that was not filled in?"),
    **dict.fromkeys(_QUOTES, "quotes belong to what the value was copied from"),
}
_NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/=]", re.ASCII)


class Credentials(NamedTuple):
    """What the value of an ``Authorization`` field says. None of it is verified."""

    scheme: str | None
    """As it is written; None where the value begins with no known scheme."""
    token: str
    """What follows the scheme, without what is wrong around it; a secret unless it is a placeholder."""
    is_placeholder: bool
    """Whether the token stands for a value that was never filled in, and so keeps no secret."""
    problems: tuple[str, ...]
    """Each one sentence with the character and its place, counted from 1."""
    plausible: bool
    """Whether some server could take this for credentials."""

    @property
    def bearer(self) -> str | None:
        """The bearer token, or None where these are no plausible bearer credentials."""
        return self.token if self.plausible and (self.scheme or "").lower() == "bearer" else None


class _Part(NamedTuple):
    """A part of the value that is still to be looked at."""

    text: str
    at: int
    """The place of its first character in the value, counted from 1."""

    def after(self, count: int) -> _Part:
        return _Part(self.text[count:], self.at + count)


def read(value: str) -> Credentials:
    """Return what the value of an ``Authorization`` field says, and what is wrong with it."""
    scheme, part, problems = _begun(value.strip(" \t"))
    if scheme is not None:
        return _with_scheme(scheme, part, problems)
    if not part.text:
        problems.append("Authorization is empty: an unset variable in the client?")
        return Credentials(None, "", False, tuple(problems), False)
    if is_placeholder(part.text):
        return _placeholder(None, part, problems)
    return _without_scheme(part, problems)


def read_token(value: str) -> Credentials:
    """Return a token that stands alone or behind a scheme, and what is wrong around it."""
    scheme, part, problems = _begun(value.strip())
    if scheme is not None:
        return _with_scheme(scheme, part, problems)
    if is_placeholder(part.text):
        return _placeholder(None, part, problems)
    return Credentials(None, part.text, False, tuple(problems), bool(part.text) and not problems)


def _begun(value: str) -> tuple[str | None, _Part, list[str]]:
    """Return the scheme that a value begins with, what follows, and what is wrong up to there."""
    problems: list[str] = []
    scheme, part = _split_scheme(_peeled(_Part(value, 1), problems, _BEFORE_SCHEME), problems)
    return scheme, part, problems


def name_of(character: str) -> str:
    """Return what people call a character, with its code where it is not ASCII."""
    if character in _NAMES:
        return _NAMES[character]
    if character.isascii() and character.isprintable():
        return f"the character {character}"
    named = unicodedata.name(character, "a control character").lower()
    return f"{named} (U+{ord(character):04X})"


def is_invisible(character: str) -> bool:
    """Return whether a character leaves no mark where it is shown."""
    return unicodedata.category(character) in _INVISIBLE


def _with_scheme(scheme: str, part: _Part, problems: list[str]) -> Credentials:
    part = _peeled(part, problems, _AFTER_SCHEME)
    if not part.text:
        problems.append(f"Nothing follows {scheme}: an unset variable in the client?")
        return Credentials(scheme, "", False, tuple(problems), False)
    if is_placeholder(part.text):
        return _placeholder(scheme, part, problems)
    noted = len(problems)
    problems.extend(_judged(scheme, part))
    plausible = not problems
    if noted == len(problems) == 0 and scheme.lower() in ("token", "jwt"):
        problems.append(
            f"{scheme} is not a registered scheme: servers that take OAuth tokens expect Bearer (RFC 6750)"
        )
    return Credentials(scheme, part.text, False, tuple(problems[:MOST_PROBLEMS]), plausible)


def _without_scheme(part: _Part, problems: list[str]) -> Credentials:
    word, blank, rest = part.text.partition(" ")
    visible = [*problems, *_odd_characters(part, allowed=" ,=\"'")]
    plausible = not visible and bool(blank) and _TOKEN68.fullmatch(rest) is not None
    if part.text[0] in "{[":
        visible = [f"JSON at character {part.at}, where a scheme and a space belong"]
    elif _looks_like_jwt(part.text):
        visible.append(
            f"No scheme: a JWT begins at character {part.at}, without Bearer and a space before it"
        )
    elif blank and get_close_matches(word.lower()[:20], _SCHEMES, 1, 0.8):
        visible.append("The first word looks like a misspelt scheme")
        plausible = False
    elif blank:
        visible.append(
            "The first word is not a known scheme; it is not shown, because it may be part of a secret"
        )
    else:
        visible.append("No scheme: Authorization is a scheme, a space and the credentials (RFC 9110 11.4)")
    return Credentials(None, part.text, False, tuple(visible[:MOST_PROBLEMS]), plausible)


def _looks_like_jwt(text: str) -> bool:
    return text.startswith("eyJ") and "." in text


def _placeholder(scheme: str | None, part: _Part, problems: list[str]) -> Credentials:
    problems.append(
        f"{part.text} at character {part.at} is a placeholder: the client has sent it in place of the value"
    )
    return Credentials(scheme, part.text, True, tuple(problems), False)


def _split_scheme(part: _Part, problems: list[str]) -> tuple[str | None, _Part]:
    """Return the scheme that a part begins with, and what follows it and its separator."""
    found = _SCHEME.match(part.text)
    if found is None:
        return None, part
    scheme, rest = found[0], part.after(found.end())
    if not rest.text:
        return scheme, rest
    if rest.text[0] == " ":
        return scheme, rest.after(len(rest.text) - len(rest.text.lstrip(" ")))
    return _oddly_separated(scheme, rest, part, problems)


def _oddly_separated(scheme: str, rest: _Part, whole: _Part, problems: list[str]) -> tuple[str | None, _Part]:
    if rest.text[:3].lower() in ("%20", "%09"):
        problems.append(f"A percent-encoded blank at character {rest.at}, where a space belongs")
        return scheme, rest.after(3)
    separator = _NO_TOKEN_CHARACTER.match(rest.text)
    if separator is not None and (scheme.lower() == "bearer" or separator[0][0] not in "-_./~"):
        problems.append(f"{_capital(name_of(rest.text[0]))} at character {rest.at}, where a space belongs")
        return scheme, rest.after(separator.end())
    if separator is None and (rest.text[:3].lower() == "eyj" or scheme.lower() == "bearer"):
        problems.append(f"No space between {scheme} and what begins at character {rest.at}")
        return scheme, rest
    return None, whole


Peel = Callable[[_Part, list[str]], _Part]


def _peeled(part: _Part, problems: list[str], peels: tuple[Peel, ...]) -> _Part:
    """Return a part without what does not belong around it; each layer is a problem."""
    while len(problems) < MOST_PROBLEMS:
        before = part
        for peel in peels:
            part = peel(part, problems)
        if part == before:
            break
    return part


def _peel_invisible(part: _Part, problems: list[str]) -> _Part:
    beginning = part.text[:_MOST_SKIPPED]
    count = next((place for place, each in enumerate(beginning) if not is_invisible(each)), len(beginning))
    if count == 0:
        return part
    problems.append(f"{_capital(name_of(part.text[0]))} at character {part.at}, before anything else")
    return part.after(count)


def _peel_quotes(part: _Part, problems: list[str]) -> _Part:
    closing = _QUOTES.get(part.text[:1])
    if closing is None:
        return part
    quoted = part.text[1:]
    problems.append(
        f"{_capital(name_of(part.text[0]))} at character {part.at}: {_HINTS[part.text[0]]}, not to the value"
    )
    return _Part(quoted[:-1] if quoted.endswith(closing) else quoted, part.at + 1)


def _peel_own_name(part: _Part, problems: list[str]) -> _Part:
    found = _OWN_NAME.match(part.text)
    if found is None:
        return part
    problems.append(f"The value begins with the header's own name, at character {part.at}")
    return part.after(found.end())


def _peel_scheme(part: _Part, problems: list[str]) -> _Part:
    """Return what follows one more scheme; a client and its library have each put one."""
    found = _SCHEME.match(part.text)
    if found is None or part.text[found.end() : found.end() + 1] not in ("", " "):
        return part
    if not (part.text[found.end() :] or _SCHEMES[found[0].lower()] in REGISTERED):
        return part
    problems.append(f"The scheme is doubled: after the first, {found[0]} stands at character {part.at}")
    return part.after(found.end() + 1)


_BEFORE_SCHEME: tuple[Peel, ...] = (_peel_invisible, _peel_quotes, _peel_own_name)
_AFTER_SCHEME: tuple[Peel, ...] = (*_BEFORE_SCHEME, _peel_scheme)


def _judged(scheme: str, part: _Part) -> Iterator[str]:
    """Yield what is wrong with the credentials after a scheme."""
    if scheme.lower() == "basic":
        yield from _judged_basic(part)
    elif scheme.lower() in _ONE_TOKEN and not (scheme.lower() == "token" and _PARAMETER.match(part.text)):
        yield from _judged_token(part)


def _judged_token(part: _Part) -> Iterator[str]:
    """Yield what keeps a text from being one token."""
    if part.text[0] in "{[":
        yield f"JSON at character {part.at}: send the access_token of the token response, not all of it"
        return
    if _PYTHON_BYTES.match(part.text):
        yield f"Bytes as Python shows them at character {part.at}: the client has not decoded the token"
    if "..." in part.text:
        place = part.at + part.text.index("...")
        yield f"Three dots at character {place}: a shortened copy of a token is not a token"
    yield from _odd_characters(part)


def _odd_characters(part: _Part, allowed: str = "") -> Iterator[str]:
    """Yield each kind of character that no token has, at its first place."""
    seen, place = allowed, 0
    while len(seen) < MOST_PROBLEMS + len(allowed):
        found = _odd_beside(seen).search(part.text, place)
        if found is None:
            return
        yield f"{_capital(name_of(found[0]))} at character {part.at + found.start()}{hint_at(found[0])}"
        seen, place = seen + found[0], found.end()


def _odd_beside(seen: str) -> re.Pattern[str]:
    """Return what finds the characters that no token has, beside those seen already."""
    # Some issuers pad the parts of a JWT, which some servers take.
    inner_equals = "" if "=" in seen else "|=(?=[^=.])"
    return re.compile(rf"[^A-Za-z0-9._~+/=\-{re.escape(seen)}]{inner_equals}", re.ASCII)


def hint_at(character: str) -> str:
    """Return what a character that no token has may mean there, behind a colon."""
    if character in _HINTS:
        return f": {_HINTS[character]}"
    if character in " \t":
        return ": a token has no blanks"
    return ": it cannot be seen, and was copied along" if is_invisible(character) else ": no token has it"


def _judged_basic(part: _Part) -> Iterator[str]:
    """Yield what is wrong with Basic credentials: base64 of user name, colon and password (RFC 7617)."""
    odd = _NOT_BASE64.search(part.text)
    if odd is not None:
        where = f"{name_of(odd[0])} at character {part.at + odd.start()}"
        yield f"Basic credentials are base64, which {where} is not{_basic_hint(part.text)}"
        return
    try:
        decoded = b64decode(part.text, validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        yield f"Basic credentials are base64, which {len(part.text)} of its characters cannot be: cut short?"
        return
    yield from _judged_pair(*decoded.partition(":"))


def _judged_pair(user: str, colon: str, password: str) -> Iterator[str]:
    if not colon:
        yield "Basic credentials without a colon between user name and password (RFC 7617 section 2)"
    elif not (user or password):
        yield "Basic credentials of an empty user name and an empty password: unset variables in the client?"
    elif any(map(is_placeholder, (user, password))):
        yield "Basic credentials whose user name or password is a placeholder that was not filled in"
    elif password.endswith("\n"):
        yield "Basic credentials whose password ends with a line feed, as echo writes one for base64 to read"


def _basic_hint(text: str) -> str:
    return ": user name and password were not encoded" if ":" in text else ""


def _capital(sentence: str) -> str:
    return sentence[0].upper() + sentence[1:]
