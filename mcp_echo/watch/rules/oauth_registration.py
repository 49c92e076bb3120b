"""How clients are registered, and whether they keep to it. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from urllib.parse import SplitResult, urlsplit

from mcp_echo.http.differences import differs_in
from mcp_echo.watch.oauth_records import OauthRecord
from mcp_echo.watch.records import ExchangeRecord
from mcp_echo.watch.rules.facts import was_told
from mcp_echo.watch.rules.memory import Remembered
from mcp_echo.watch.rules.oauth_legs import OverLegs
from mcp_echo.watch.rules.oauth_memory import Registrations, Requests
from mcp_echo.watch.rules.over_time import seconds
from mcp_echo.watch.rules.pages import (
    R2025_11_25,
    R2026_07_28,
    REDIRECTION,
    authorization,
    authorization_2026,
    rfc,
)
from mcp_echo.watch.rules.rule import Outcome, Rule

ANEW_WITHIN = 600.0
"""Seconds in which a program needs one registration."""

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_UNKNOWN = frozenset({"invalid_client", "unauthorized_client"})


class RegistrationKind(OverLegs):
    """How a client came by its id: it has registered itself, has a document, or was registered before."""

    def __init__(self) -> None:
        super().__init__()
        self._registrations = Registrations()
        self._documents = False
        self._told: Remembered[str, bool] = Remembered()

    def leg(self, record: ExchangeRecord, oauth: OauthRecord) -> Iterator[Outcome]:
        """Tell of a client when it asks for authorization."""
        self._registrations.note(record, oauth)
        self._documents = self._documents or oauth.answered.takes_documents
        client_id = oauth.asked.client_id
        if oauth.leg != "authorize" or client_id is None or client_id in self._told:
            return
        self._told.put(client_id, True)
        registration = self._registrations.of(client_id)
        if registration is None:
            yield self.held(record, oauth)
            return
        instead = ", and the server takes client id metadata documents" if self._documents else ""
        yield self.broken(
            record,
            oauth,
            f"The client {client_id} has registered itself{instead}",
            "query:client_id",
            found="dynamic registration",
            wanted="a client that is registered before, or has a client id metadata document",
            key=client_id,
        )


class RegistrationRepeated(OverLegs):
    """One program registers again and again."""

    def __init__(self) -> None:
        super().__init__()
        self._times: Remembered[str, list[float]] = Remembered()
        self._owners: Remembered[str, str] = Remembered()
        """Client id → whose registration it is."""

    def leg(self, record: ExchangeRecord, oauth: OauthRecord) -> Iterator[Outcome]:
        """Count registrations that have worked."""
        owner = self._owners.get(oauth.asked.client_id or "") or ""
        if oauth.answered.error in _UNKNOWN:
            self._times.take(owner)
        elif oauth.leg == "authorize" and len(self._times.get(owner) or ()) == 1:
            yield self.held(record, oauth)
        elif oauth.leg == "register" and oauth.answered.client_id is not None and was_told(record):
            yield from self._registered(record, oauth, oauth.answered.client_id)

    def _registered(self, record: ExchangeRecord, oauth: OauthRecord, client_id: str) -> Iterator[Outcome]:
        # With another authorization server it has to register as well.
        program = f"{record.address} {record.path} {oauth.asked.software or ''}"
        owner = self._owners.put(client_id, program)
        times = [at for at in self._times.get(owner) or () if 0 <= record.at - at <= ANEW_WITHIN]
        self._times.put(owner, [*times[-20:], record.at])
        if times:
            yield self.broken(
                record,
                oauth,
                f"{oauth.asked.software or 'A client without a name'} has registered {len(times) + 1} times"
                f" in {seconds(record.at - times[0])}",
                "body:/client_name",
                found=client_id,
                wanted="the client id of the registration before",
            )


class ApplicationTypeMissing(OverLegs):
    """A registration says whether the program is native or of the web."""

    def leg(self, record: ExchangeRecord, oauth: OauthRecord) -> Iterator[Outcome]:
        """Look at a registration."""
        if oauth.leg != "register":
            return
        if oauth.asked.application_type is not None:
            yield self.held(record, oauth)
            return
        yield self.broken(
            record,
            oauth,
            "The registration has no application_type: servers with OpenID Connect take it for web, and may"
            " refuse its redirect URIs",
            "body:/application_type",
            wanted="native or web",
        )


class RedirectUriDiffers(OverLegs):
    """A redirect URI is one of those registered, and the same with the code as it was before."""

    def __init__(self) -> None:
        super().__init__()
        self._registrations = Registrations()
        self._requests = Requests()

    def leg(self, record: ExchangeRecord, oauth: OauthRecord) -> Iterator[Outcome]:
        """Compare the redirect URI of a request."""
        self._registrations.note(record, oauth)
        self._requests.note(record, oauth)
        uri = next(iter(oauth.asked.redirect_uris), None)
        if oauth.leg not in ("authorize", "token") or uri is None:
            return
        wanted, before = self._wanted(oauth)
        if not wanted:
            return
        if uri in wanted or (before == "registered" and any(_same_loopback(uri, each) for each in wanted)):
            yield self.held(record, oauth)
            return
        yield self.broken(
            record,
            oauth,
            f"redirect_uri is {uri} at {oauth.leg}, and {wanted[0]} was {before}",
            "query:redirect_uri" if oauth.leg == "authorize" else "body:redirect_uri",
            found=uri,
            wanted=" or ".join(wanted),
            differs_in=differs_in(uri, wanted[0]),
        )

    def _wanted(self, oauth: OauthRecord) -> tuple[tuple[str, ...], str]:
        """Return what a redirect URI may be, and why."""
        request = self._requests.of(oauth.asked.code) if oauth.leg == "token" else None
        if request is not None and request.redirect_uri is not None:
            return (request.redirect_uri,), "asked for before"
        registration = self._registrations.of(oauth.asked.client_id)
        return () if registration is None else registration.redirect_uris, "registered"


def _same_loopback(one: str, other: str) -> bool:
    """Return whether two URIs are the same but for the port, which is free on loopback (RFC 8252 7.3)."""
    try:
        first, second = urlsplit(one), urlsplit(other)
    except ValueError:
        return False
    return first.hostname in _LOOPBACK and _without_port(first) == _without_port(second)


def _without_port(uri: SplitResult) -> tuple[str | None, ...]:
    return uri.scheme, uri.hostname, uri.path, uri.query


class ClientAuthenticationDiffers(OverLegs):
    """A client authenticates at the token endpoint as it has registered to."""

    def __init__(self) -> None:
        super().__init__()
        self._registrations = Registrations()

    def leg(self, record: ExchangeRecord, oauth: OauthRecord) -> Iterable[Outcome]:
        """Compare how a client authenticates."""
        self._registrations.note(record, oauth)
        registration = self._registrations.of(oauth.asked.client_id)
        used = oauth.asked.authentication
        if oauth.leg != "token" or registration is None or registration.authentication in (None, "other"):
            return ()
        if used == registration.authentication:
            return (self.held(record, oauth),)
        return (
            self.broken(
                record,
                oauth,
                f"The client registered {registration.authentication} and authenticates with {used}",
                record.line_of("Authorization")
                if used == "client_secret_basic"
                else "body:token_endpoint_auth_method",
                found=used,
                wanted=registration.authentication,
                key=oauth.asked.client_id or "",
            ),
        )


ROWS = (
    Rule(
        id="registration-kind",
        level="info",
        keyword="SHOULD",
        title="A client is registered before, or has a client id metadata document.",
        advice="Nothing is wrong with dynamic registration where the server knows nothing else. Give the"
        " client a client id metadata document for servers that take them.",
        pages=authorization("client-registration-approaches", R2025_11_25)
        | authorization("client-registration", R2026_07_28),
        conformance="client-registration",
        begin=RegistrationKind,
    ),
    Rule(
        id="registration-repeated",
        level="warning",
        title="A program registers once, and keeps its client id.",
        advice="Store the client id with the issuer that it is of, and use it again. Servers limit"
        " registrations, and forget the oldest.",
        url=rfc(7591, "3.2.1"),
        begin=RegistrationRepeated,
    ),
    Rule(
        id="application-type-missing",
        level="error",
        keyword="MUST",
        title="A registration has an application_type.",
        advice="Register with application_type native for a program on the user's machine, with web for one"
        " on a host of the web.",
        pages=authorization_2026("client-registration", "application-type-and-redirect-uri-constraints"),
        conformance="sep-837-application-type-present",
        begin=ApplicationTypeMissing,
    ),
    Rule(
        id="redirect-uri-differs",
        level="error",
        keyword="MUST",
        title="A redirect URI is one of those that are registered, and stays the same with the code.",
        advice="Send the registered redirect URI byte for byte; on loopback the port alone may differ."
        " Register again where it has changed.",
        pages=REDIRECTION,
        begin=RedirectUriDiffers,
    ),
    Rule(
        id="client-authentication-differs",
        level="error",
        keyword="MUST",
        title="A client authenticates as it is registered.",
        advice="Use the token_endpoint_auth_method that the registration was answered with: none sends the"
        " client_id alone, client_secret_basic sends Authorization, client_secret_post the form.",
        url=rfc(7591, "2"),
        conformance="token-endpoint-auth-method",
        begin=ClientAuthenticationDiffers,
    ),
)
