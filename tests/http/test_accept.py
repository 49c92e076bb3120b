"""What a client says it reads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_echo.http.accept import Accepted, accepts_gzip, parse_accept, preferred, prefers_openmetrics


@pytest.mark.parametrize(
    ("header", "json", "stream", "names_json", "names_stream"),
    [
        (None, True, True, False, False),
        ("", True, True, False, False),
        (" , ", True, True, False, False),
        ("*/*", True, True, False, False),
        ("application/json, text/event-stream", True, True, True, True),
        ("APPLICATION/JSON;charset=utf-8 , Text/Event-Stream;q=0.5", True, True, True, True),
        ("application/json", True, False, True, False),
        ("text/event-stream", False, True, False, True),
        ("text/*", False, True, False, False),
        ("application/*;q=0.1", True, False, False, False),
        ("text/html", False, False, False, False),
        ("application/jsonp, text/event-streams", False, False, False, False),
        ("*/*, application/json;q=0", False, True, False, False),
        ("*/*;q=0, text/event-stream", False, True, False, True),
        ("application/*, application/json;q=0.0", False, False, False, False),
        ("application/json;q=high", False, False, False, False),
        ("application/json;q=0, application/json", True, False, True, False),
    ],
)
def test_accept_is_read_with_its_qualities(
    header: str | None, json: bool, stream: bool, names_json: bool, names_stream: bool
) -> None:
    """RFC 9110 section 12.5.1: the most specific range counts, q=0 excludes, no header accepts everything."""
    assert parse_accept(header) == Accepted(json, stream, names_json, names_stream)


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        (None, False),
        ("", False),
        ("gzip", True),
        ("deflate, GZIP;q=0.1", True),
        ("gzip;q=0", False),
        ("*", True),
        ("*;q=0", False),
        ("*, gzip;q=0", False),
        ("gzipped, br", False),
        ("identity", False),
    ],
)
def test_gzip_needs_to_be_accepted(header: str | None, accepted: bool) -> None:
    """RFC 9110 section 12.5.3; our choice: a client that says nothing gets no coding."""
    assert accepts_gzip(header) is accepted


@given(st.text(st.sampled_from("applictonj/stev-r*;q=0.15,  \t")) | st.text())
def test_no_header_raises(header: str) -> None:
    """Our choice: a header that makes no sense accepts less, and never fails a request."""
    accepted = parse_accept(header)
    assert accepted.json or not accepted.names_json
    assert accepted.event_stream or not accepted.names_event_stream
    accepts_gzip(header)
    prefers_openmetrics(header)


@pytest.mark.parametrize(
    ("header", "preferred"),
    [
        (None, False),
        ("", False),
        ("*/*", False),
        ("text/plain", False),
        ("application/openmetrics-text", True),
        ("application/openmetrics-text; version=1.0.0, text/plain; version=0.0.4", True),
        ("application/openmetrics-text;q=0.2, text/plain;q=0.3", False),
        ("application/openmetrics-text;q=0, */*", False),
        ("application/openmetrics-text;q=0.5, */*;q=0.1", True),
        # What Prometheus 2.42 and 3 send.
        (
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
            "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            True,
        ),
        (
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
            "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;q=0.4,"
            "text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            True,
        ),
    ],
)
def test_openmetrics_is_for_those_who_ask_for_it(header: str | None, preferred: bool) -> None:
    """RFC 9110 section 12.5.1; our choice: where nothing is asked for, text that browsers show."""
    assert prefers_openmetrics(header) is preferred


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        (None, "text/plain"),
        ("", "text/plain"),
        ("*/*", "text/plain"),
        ("text/*", "text/plain"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html"),
        ("text/html, application/json", "text/html"),
        ("application/json", "application/json"),
        ("application/json, text/html;q=0.5", "application/json"),
        ("text/html;q=0, */*", "text/plain"),
        ("text/event-stream", None),
        ("image/png", None),
        ("text/plain;q=0, image/png", None),
    ],
)
def test_a_type_is_given_to_who_lists_it(header: str | None, wanted: str | None) -> None:
    """RFC 9110 section 12.5.1; curl, which takes anything, gets text."""
    assert preferred(header, ("text/html", "application/json"), "text/plain") == wanted
