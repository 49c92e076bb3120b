"""The authorization endpoint over HTTP: a code at once, or a page that asks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from mcp_echo.oauth.authorize import (
    Asker,
    CodeRequest,
    ForTheClient,
    Parameters,
    answer_uri,
    error_answer,
    find_asker,
    is_trusted,
    issue_code,
    read_request,
    single,
)
from mcp_echo.oauth.errors import OAuthError
from mcp_echo.oauth.registration import ClientMetadata, add_document
from mcp_echo.oauth.state import AuthorizationState
from mcp_echo.transport.oauth.consent import Consents
from mcp_echo.transport.oauth.consent_page import consent_page, error_page
from mcp_echo.transport.oauth.documents import Documents
from mcp_echo.transport.oauth.forms import read_form, read_query
from mcp_echo.transport.oauth.legs import LegAnswer, LegRequest, page_answer, redirect
from mcp_echo.watch.parts import Parts

DOCUMENT_SECONDS = 300
"""How long what a client's document says is believed before it is fetched again."""


class _Outcome(NamedTuple):
    """What a request comes to: a code, or the question whether there may be one."""

    wanted: CodeRequest
    code: str | None


class AuthorizationLegs:
    """Answers the authorization endpoint, and the form of its page.

    Args:
        parts: Keeps codes.
        consents: Seals what a page asks.
        documents: Fetches what clients say of themselves.
        hosts: Where browsers are sent without asking (``MCP_ECHO_REDIRECT_HOSTS``).
        wall: The wall clock.
        new_secret: Makes codes.
    """

    def __init__(
        self,
        *,
        parts: Parts,
        consents: Consents,
        documents: Documents,
        hosts: Sequence[str],
        wall: Callable[[], float],
        new_secret: Callable[[], str],
    ) -> None:
        self._parts = parts
        self._consents = consents
        self._documents = documents
        self._hosts = frozenset(hosts)
        self._wall = wall
        self._new_secret = new_secret

    async def authorize(self, asked: LegRequest) -> LegAnswer:
        """Answer a browser that a client sends."""
        parameters = read_query(asked.http)
        await self._learn(asked, single(parameters, "client_id") or "")
        try:
            outcome = await self._parts.change(
                asked.trace, asked.part, lambda state: self._decide(state, asked, parameters)
            )
        except ForTheClient as refused:
            return self._tell_client(asked, refused)
        asker = outcome.wanted.asker
        if outcome.code is not None:
            return redirect(answer_uri(asker, asked.names, {"code": outcome.code}), 302)
        granted = " ".join(asked.protection.grantable[place] for place in outcome.wanted.scopes)
        sealed = self._consents.ask(asked.http, asked.trace, outcome.wanted)
        return page_answer(consent_page(asker.redirect_uri, asker.client.name, granted, sealed))

    def _decide(self, state: AuthorizationState, asked: LegRequest, parameters: Parameters) -> _Outcome:
        asker = find_asker(state, parameters)
        wanted = read_request(asker, parameters, asked.names, asked.protection)
        if not is_trusted(asker.redirect_uri, asked.protection, self._hosts):
            return _Outcome(wanted, None)
        return _Outcome(wanted, issue_code(state, wanted, self._wall(), self._new_secret))

    def _tell_client(self, asked: LegRequest, refused: ForTheClient) -> LegAnswer:
        """Tell a client what is wrong: unasked only where its URI is one to send people to."""
        asker, error = refused.asker, refused.error
        uri = answer_uri(asker, asked.names, error_answer(error))
        if is_trusted(asker.redirect_uri, asked.protection, self._hosts):
            return redirect(uri, 302)
        return page_answer(error_page(error.description, (asker.redirect_uri, uri)), 400)

    async def consent(self, asked: LegRequest) -> LegAnswer:
        """Answer the form of the page."""
        form = read_form(asked.http)
        brought = self._consents.read(asked.http, asked.trace, single(form, "request") or "")
        allowed = single(form, "answer") == "allow"

        def decide(state: AuthorizationState) -> tuple[Asker, dict[str, str]]:
            client = state.client(brought.client_id)
            if client is None:
                raise OAuthError(
                    "invalid_request", "The client is not known here any more: let it register again"
                )
            asker = Asker(client, brought.redirect_uri, brought.state)
            if not allowed:
                return asker, error_answer(OAuthError("access_denied", "The person who was asked refused"))
            wanted = CodeRequest(asker, brought.scopes, brought.challenge)
            return asker, {"code": issue_code(state, wanted, self._wall(), self._new_secret)}

        asker, answer = await self._parts.change(asked.trace, asked.part, decide)
        return redirect(answer_uri(asker, asked.names, answer), 303)

    async def _learn(self, asked: LegRequest, client_id: str) -> None:
        """Know a client by its document, where its id is the address of one."""
        if not (self._documents and self._documents.is_address(client_id)):
            return
        known = asked.part.read(asked.trace).client(client_id)
        if known is not None and (known.kind != "document" or self._wall() - known.at < DOCUMENT_SECONDS):
            return
        metadata: ClientMetadata = await self._documents.fetch(client_id)
        await self._parts.change(
            asked.trace, asked.part, lambda state: add_document(state, client_id, metadata, self._wall())
        )
