"""What stands for a person and a browser: opens an authorization address, and takes where that leads."""

import time
import urllib.error
import urllib.request
from urllib.parse import parse_qs, urlsplit

REDIRECT_URI = "http://127.0.0.1:9/callback"
"""Where nobody listens: the answer is read from the redirect."""


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_args: object, **_more: object) -> None:
        """Follow nothing."""


def location_of(url: str) -> str:
    """Return where an authorization address sends a browser."""
    opener = urllib.request.build_opener(_Stay)
    try:
        opener.open(url, timeout=10)
    except urllib.error.HTTPError as response:
        return response.headers["Location"]
    raise AssertionError("it was not sent back")


def answer_of(url: str) -> dict[str, str]:
    """Return the parameters that an authorization address sends a browser back with."""
    return {name: values[0] for name, values in parse_qs(urlsplit(location_of(url)).query).items()}


def go_to(url: str) -> None:
    """Open an address as soon as somebody listens there."""
    for _ in range(100):
        try:
            with urllib.request.urlopen(url, timeout=10) as response:
                response.read()
                return
        except urllib.error.URLError:
            time.sleep(0.1)
    raise AssertionError("nobody listens")


class Browser:
    """Remembers the answer that the last address led to."""

    def __init__(self) -> None:
        self.answer: dict[str, str] = {}

    async def open(self, url: str) -> None:
        """Open an address."""
        self.answer = answer_of(url)


class Memory:
    """Keeps what an SDK wants kept."""

    def __init__(self) -> None:
        self.tokens = None
        self.client = None

    async def get_tokens(self):
        """Return the tokens."""
        return self.tokens

    async def set_tokens(self, tokens) -> None:
        """Keep them."""
        self.tokens = tokens

    async def get_client_info(self):
        """Return the client."""
        return self.client

    async def set_client_info(self, client) -> None:
        """Keep it."""
        self.client = client
