"""Takes out of a report and its records who it was: addresses, and what gateways say of people. No I/O.

Equal addresses have equal pseudonyms, so that what belongs together can still be seen, and so have equal
identities. Secrets are masked already, when records are made. What acts on a terminal becomes an escape.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, TypeVar, cast

import msgspec

from mcp_echo.auth.identity_headers import row_of
from mcp_echo.redaction import cut, printable
from mcp_echo.watch.findings import Report
from mcp_echo.watch.records import ExchangeRecord, Record

LONGEST_SENTENCE = 1000
"""Characters of any one text of a report that are shown."""

ADDRESS_HEADERS = frozenset(
    """cf-connecting-ip cf-connecting-ipv6 cf-pseudo-ipv4 client-ip do-connecting-ip fastly-client-ip
    fly-client-ip forwarded forwarded-for from true-client-ip x-appengine-user-ip x-azure-clientip
    x-azure-socketip x-client-ip x-cluster-client-ip x-envoy-external-address x-forwarded
    x-forwarded-client-cert x-forwarded-for x-nf-client-connection-ip x-original-forwarded-for x-real-ip
    x-remote-addr x-remote-ip x-vercel-forwarded-for x-vercel-proxied-for""".split()
)
"""Headers that say whose request a hop passes on, beside those by which gateways name people."""

_IDENTITY_ENDS = ("-ip", "-user", "-email")
_SENTENCES = frozenset(
    {"summary", "found", "wanted", "verdict", "reason", "message", "description", "principal"}
)
"""Fields whose text may quote a header."""

_MOST_QUOTED = 64
"""Values of identity headers that are looked for in sentences."""

_SHORTEST_QUOTED = 4

_V4 = re.compile(r"(?<![0-9.])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![0-9]|\.[0-9])")
_ADDRESS = re.compile(rf"(?<![0-9A-Za-z])[0-9A-Fa-f:.]{{2,45}}(?![0-9A-Za-z:.])|{_V4.pattern}")

_Shown = TypeVar("_Shown")


def veiled(report: Report, records: Iterable[Record]) -> tuple[Report, Sequence[Record]]:
    """Return a report and its records as they may be shown to strangers."""
    kept = list(records)
    veil = Veil(kept)
    return veil.report(report), [veil.record(record) for record in kept]


def is_identity(name: str) -> bool:
    """Return whether a header of this name says who a person is, or where."""
    lower = name.lower()
    return lower in ADDRESS_HEADERS or lower.endswith(_IDENTITY_ENDS) or row_of(name) is not None


class Veil:
    """Gives pseudonyms, in order of appearance.

    Args:
        records: Those that will be shown; what their identity headers say is looked for in sentences.
    """

    def __init__(self, records: Iterable[Record]) -> None:
        self._addresses: dict[IPv4Address | IPv6Address, str] = {}
        self._identities: dict[str, str] = {}
        self._quoted = _identities(records)

    def report(self, report: Report) -> Report:
        """Return a report without addresses and identities, its texts not longer than `LONGEST_SENTENCE`."""
        return self._shown(report, "", LONGEST_SENTENCE)

    def record(self, record: Record) -> Record:
        """Return a record without addresses and identities."""
        return self.exchange(record) if isinstance(record, ExchangeRecord) else self._shown(record)

    def exchange(self, record: ExchangeRecord) -> ExchangeRecord:
        """Return an exchange without addresses and identities."""
        return self._shown(msgspec.structs.replace(record, headers=self._headers(record.headers)))

    def text(self, text: str) -> str:
        """Return a text with pseudonyms for addresses, and escapes for what acts on a terminal."""
        shown = printable(text)
        # Most texts are names and numbers.
        return _ADDRESS.sub(self._named, shown) if "." in shown or ":" in shown else shown

    def _headers(self, headers: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
        return tuple((name, self._identity(value) if is_identity(name) else value) for name, value in headers)

    def _identity(self, value: str) -> str:
        return (
            self._identities.setdefault(value, f"[identity {len(self._identities) + 1}]") if value else value
        )

    def _shown(self, value: _Shown, name: str = "", most: int | None = None) -> _Shown:
        """Return a value with every text in it shown as it may be.

        Args:
            value: A text, a struct, a tuple, or what has no text in it.
            name: The field that it is the value of.
            most: Characters of a text that are shown; None for all.
        """
        return cast(_Shown, self._any(value, name, most))

    def _any(self, value: Any, name: str, most: int | None) -> Any:
        if isinstance(value, str):
            sentence = self._without_quotes(value) if name in _SENTENCES else value
            return self.text(sentence if most is None else cut(sentence, most))
        if isinstance(value, tuple):
            return tuple(self._any(each, name, most) for each in value)
        if isinstance(value, msgspec.Struct):
            fields = {each: self._any(getattr(value, each), each, most) for each in value.__struct_fields__}
            return msgspec.structs.replace(value, **fields)
        return value

    def _without_quotes(self, sentence: str) -> str:
        for value in self._quoted:
            if value in sentence:
                sentence = sentence.replace(value, self._identity(value))
        return sentence

    def _named(self, found: re.Match[str]) -> str:
        """Return a run of characters that may be an address, or may have one in it."""
        run = found[0]
        bare = run.rstrip(".") if run.endswith("::") or not run.endswith((":", ".")) else run.rstrip(".:")
        name = self._pseudonym(bare) if bare.count(":") >= 2 else None
        if name is not None:
            return name + run[len(bare) :]
        return _V4.sub(lambda each: self._pseudonym(each[0]) or each[0], run)

    def _pseudonym(self, text: str) -> str | None:
        """Return the name of an address; None where it is none, or is nobody's."""
        try:
            address = ip_address(text)
        except ValueError:
            return None
        address = getattr(address, "ipv4_mapped", None) or address
        # Browsers call themselves Chrome/140.0.0.0, and no machine has such an address.
        if text.endswith(".0.0.0") or text == "::":
            return None
        return self._addresses.setdefault(address, f"a{len(self._addresses) + 1}")


def _identities(records: Iterable[Record]) -> list[str]:
    """Return what identity headers say, the longest first, so that no part of one is replaced before it."""
    found: dict[str, None] = {}
    for record in records:
        if isinstance(record, ExchangeRecord):
            for name, value in record.headers:
                if len(found) < _MOST_QUOTED and len(value) >= _SHORTEST_QUOTED and is_identity(name):
                    found[value] = None
    return sorted(found, key=len, reverse=True)
