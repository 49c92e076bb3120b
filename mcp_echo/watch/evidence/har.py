"""Evidence for browsers and HTTP tools: HAR 1.2 (http://www.softwareishard.com/blog/har-12-spec/). No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec.json import encode

from mcp_echo import __version__
from mcp_echo.protocol.texts import timestamp
from mcp_echo.watch.evidence.room import MOST, last_that_fit
from mcp_echo.watch.evidence.veil import veiled
from mcp_echo.watch.evidence.wire import encoded_target, phrase, version
from mcp_echo.watch.findings import Report
from mcp_echo.watch.records import ExchangeRecord, Record

_FOR_NOTES = 16 * 1024
"""Bytes of what stands around the entries."""


def har(report: Report, records: Sequence[Record]) -> bytes:
    """Return the exchanges as an HTTP archive; streams and sessions have no place in one.

    Args:
        report: The report.
        records: What it is about, the oldest first.
    """
    report, records = veiled(report, records)
    broken = _broken(report)
    exchanges = [each for each in records if isinstance(each, ExchangeRecord)]
    entries = last_that_fit(
        exchanges, lambda each: encode(_entry(each, broken.get(each.number, ()))), MOST - _FOR_NOTES
    )
    cut = len(exchanges) - len(entries)
    comment = "Secrets are masked. The server does not know which scheme the client used: http stands for it."
    if cut:
        comment += f" Left out to save room: the oldest {cut} of {len(exchanges)} exchanges."
    log = {
        "version": "1.2",
        "creator": {"name": "mcp-echo", "version": __version__},
        "entries": [msgspec.Raw(entry) for entry in entries],
        "comment": f"{comment} {report.verdict}",
    }
    return encode({"log": log})


def _broken(report: Report) -> Mapping[int, Sequence[str]]:
    """Return which rules an exchange is evidence against: number → ids."""
    broken: dict[int, list[str]] = {}
    for finding in report.findings:
        for each in finding.evidence:
            broken.setdefault(each.exchange, []).append(finding.id)
    return broken


def _entry(exchange: ExchangeRecord, broken: Sequence[str]) -> dict[str, Any]:
    first, last = exchange.first or 0.0, exchange.last or exchange.first or 0.0
    wait, receive = _milliseconds(first), _milliseconds(max(0.0, last - first))
    return {
        "startedDateTime": timestamp(exchange.at),
        "time": wait + receive,
        "request": _request(exchange),
        "response": _response(exchange),
        "cache": {},
        "timings": {"send": 0, "wait": wait, "receive": receive},
        "connection": str(exchange.connection),
        "comment": f"Exchange {exchange.number}",
        # The specification leaves names that begin so to those who write archives.
        "_number": exchange.number,
        "_findings": list(broken),
        **({} if exchange.fault is None else {"_fault": exchange.fault, "_order": exchange.order}),
    }


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 3)


def _request(exchange: ExchangeRecord) -> dict[str, Any]:
    request = {
        "method": exchange.http_method,
        "url": _url(exchange),
        "httpVersion": version(exchange),
        "cookies": [],
        "headers": _pairs(exchange.headers),
        "queryString": _pairs(exchange.query),
        "headersSize": -1,
        "bodySize": exchange.body_bytes,
    }
    if exchange.body is not None:
        kind = next(iter(exchange.values("Content-Type")), "")
        request["postData"] = {"mimeType": kind, "text": exchange.body}
    return request


def _url(exchange: ExchangeRecord) -> str:
    # A pseudonym in brackets is no host.
    host = next(iter(exchange.values("Host")), "").strip("[]").replace("]:", ":")
    path = encoded_target(exchange)
    return f"http://{quote(host, safe=':') or 'localhost'}{path if path.startswith('/') else '/' + path}"


def _response(exchange: ExchangeRecord) -> dict[str, Any]:
    """Return the answer; browsers write the status 0 where there is none."""
    status = exchange.status or 0
    return {
        "status": status,
        "statusText": phrase(status),
        "httpVersion": version(exchange),
        "cookies": [],
        "headers": _pairs(exchange.answer_headers),
        "content": {"size": exchange.sent, "mimeType": exchange.answered("Content-Type") or ""},
        "redirectURL": exchange.answered("Location") or "",
        "headersSize": -1,
        "bodySize": exchange.sent if exchange.status is not None else -1,
    }


def _pairs(pairs: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in pairs]
