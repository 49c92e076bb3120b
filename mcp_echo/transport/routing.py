"""From a request to the function that answers it: Klein's routes, and what is said where there is none.

Klein's own resource wraps each handler in Deferreds and binds its URL map for every request, which costs
about as much as answering it. So its map is read once, and a dictionary finds the registered functions.
A path is a route exactly or it is none: nothing is unquoted, merged or completed.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, cast

from klein import Klein

from mcp_echo.http.paths import shown_path
from mcp_echo.protocol.errors import RouteNotFound, WrongHttpMethod
from mcp_echo.redaction import quoted
from mcp_echo.transport.edge.exchange import HttpExchange

_LONGEST_MEANT = 200
"""Bytes of a path that is looked at for what is meant."""

Handler = Callable[[HttpExchange], Coroutine[Any, Any, None] | None]
"""Answers a request, at once or when what it returns has been awaited."""


class Routes:
    """The routes of a Klein app, none of which has variables.

    Args:
        app: The app.
        owner: The object that its functions are methods of.
        meant: Path in lower case, without slashes at its ends → what to tell whoever asks for it.
        otherwise: What to tell everybody else.
        instead: Path → what to tell whoever comes with a method that it does not take.
    """

    def __init__(
        self, app: Klein, owner: object, meant: dict[str, str], otherwise: str, instead: dict[bytes, str]
    ) -> None:
        self.handlers: dict[tuple[bytes, bytes], Handler] = {}
        """Path, method → what answers; where there is none, `refusal` says why."""
        self._methods: dict[bytes, list[str]] = {}
        self._meant = meant
        self._otherwise = otherwise
        self._instead = instead
        for rule in app.url_map.iter_rules():
            path, methods = rule.rule.encode(), sorted(rule.methods or ())
            # Klein's wrapper makes a Deferred of what a coroutine returns, and no function here is one.
            function = inspect.unwrap(app.endpoints[rule.endpoint])
            handler = cast(Handler, partial(function, owner))
            self.handlers.update({(path, method.encode()): handler for method in methods})
            self._methods.setdefault(path, []).extend(method for method in methods if method != "HEAD")

    def refusal(self, path: bytes) -> RouteNotFound | WrongHttpMethod:
        """Return what is wrong with a request that nothing answers."""
        allowed = self._methods.get(path)
        if allowed is not None:
            return wrong_method(sorted(allowed), self._instead.get(path))
        came = path[:_LONGEST_MEANT].decode("latin-1")
        plain = "/".join(filter(None, came.lower().split("/")))
        advice = self._meant.get(plain, self._otherwise)
        return RouteNotFound(f"Not found: there is no {quoted(shown_path(path))} here; {advice}")


def wrong_method(allowed: list[str], instead: str | None = None) -> WrongHttpMethod:
    """Return the refusal of a method that a path does not take, and what else there is."""
    more = "" if instead is None else f"; {instead}"
    return WrongHttpMethod(f"Method not allowed; this path takes {', '.join(allowed)}{more}", allowed)
