"""Klein's routes, with a short way for requests that name one of them exactly.

Klein binds a URL map, looks up host names and wraps each handler in Deferreds for every request, which costs
about as much as answering it. The routes here have no variables, so a dictionary finds them; whatever it does
not find goes the long way, where Klein tells a wrong path from a wrong method.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import cast

from klein import Klein
from klein.resource import KleinResource
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure
from twisted.web.server import NOT_DONE_YET, Request

Handler = Callable[[Request], bytes | Deferred[bytes | None]]
Refuse = Callable[[Request, Failure], bytes]


class DirectResource(KleinResource):
    """The root resource of a Klein app.

    Args:
        app: The app, bound to the object its handlers are methods of.
        failed: Answers a request whose handler failed.
        not_found: Answers a request for a path that cannot be one of the routes.
    """

    def __init__(self, app: Klein, failed: Refuse, not_found: Callable[[Request], bytes]) -> None:
        super().__init__(app)
        self._failed = failed
        self._not_found = not_found
        self._direct: dict[tuple[bytes, bytes], Handler] = {
            (rule.rule.encode(), method.encode()): cast(Handler, partial(app.execute_endpoint, rule.endpoint))
            for rule in app.url_map.iter_rules()
            if not rule.arguments
            for method in rule.methods or ()
        }

    def render(self, request: Request) -> bytes | int:  # type: ignore[override]  # more exact than klein's
        """Answer a request by its route."""
        handler = self._direct.get((request.path, request.method))
        if handler is None:
            # Klein logs a traceback and answers in plain text when a path is not UTF-8.
            if not request.path.isascii() or b"%" in request.path:
                return self._not_found(request)
            return cast(int, super().render(request))
        try:
            outcome = handler(request)
        except Exception:
            return self._failed(request, Failure())
        if isinstance(outcome, bytes):
            return outcome
        request.notifyFinish().addErrback(lambda _: outcome.cancel())
        outcome.addErrback(partial(self._failed_later, request))
        outcome.addCallback(partial(_complete, request))
        return NOT_DONE_YET

    def _failed_later(self, request: Request, failure: Failure) -> bytes | None:
        return None if failure.check(CancelledError) else self._failed(request, failure)


def _complete(request: Request, rest: bytes | None) -> None:
    """Write the rest of an answer, unless the client has left."""
    # twisted.web has no public way to ask whether a request is still connected.
    if request._disconnected or request.finished:
        return
    if rest:
        request.write(rest)
    request.finish()
