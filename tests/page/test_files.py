"""The files of the page, and what they may not do."""

from __future__ import annotations

import re

import pytest

from mcp_echo.page.files import missing_page, page_files

FILES = page_files()
MODULES = sorted(name for name in FILES if name.endswith(".js"))
PAGES = sorted(name for name in FILES if name.endswith(".html"))

# What makes HTML or code of text; and what loads from elsewhere.
FORBIDDEN = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment|setHTML|srcdoc"
    r"|\beval\b|new Function|javascript:|style=|https?://(?!modelcontextprotocol)"
)
IMPORT = re.compile(r'from "([^"]+)"|^import "([^"]+)"', re.MULTILINE)


@pytest.mark.parametrize("name", MODULES)
def test_what_clients_have_sent_can_only_be_text(name: str) -> None:
    """Our choice: there is no way from a header to HTML; tests in a browser try it as well."""
    assert FORBIDDEN.findall(FILES[name].body.decode()) == []


def test_the_search_for_what_is_forbidden_finds_it() -> None:
    """The test above must be able to fail."""
    assert FORBIDDEN.search("element.innerHTML = text")
    assert FORBIDDEN.search('import "https://cdn.example/x.js"')


@pytest.mark.parametrize("name", MODULES)
def test_modules_are_small_and_import_what_is_there(name: str) -> None:
    """Our choice: no build step and no library, so that what is read is what runs."""
    body = FILES[name].body.decode()
    assert len(body.splitlines()) <= 330
    imported = [one or other for one, other in IMPORT.findall(body)]
    assert {path.removeprefix("./") for path in imported} <= set(FILES)
    assert all(path.startswith("./") for path in imported)


@pytest.mark.parametrize("name", PAGES)
def test_pages_load_only_what_is_there(name: str) -> None:
    """Our choice: relative addresses, so that a prefix of a gateway does not matter."""
    body = FILES[name].body.decode()
    loaded = re.findall(r'(?:href|src)="([^"]+)"', body)
    assert loaded
    for path in loaded:
        assert path == "../" or path.rpartition("page/")[2] in FILES
    assert "<script>" not in body
    assert "style=" not in body
    assert " onload" not in body


def test_every_module_is_used() -> None:
    """Our choice: no file without a purpose."""
    everything = b"".join(file.body for file in FILES.values()).decode()
    for name in FILES:
        if not name.endswith(".html"):
            assert f"/{name}" in everything, name


def test_the_reason_is_text() -> None:
    """Our choice: whatever the reason quotes cannot become HTML."""
    page = missing_page("<img src=x onerror=alert(1)>").decode()
    assert "<img" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
