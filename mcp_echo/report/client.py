"""The HTTP client of the command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from treq.client import HTTPClient
from twisted.internet.ssl import Certificate, trustRootFromCertificates
from twisted.web.client import Agent, BrowserLikePolicyForHTTPS

from mcp_echo.report.fetch import CannotFetch


def client_for(reactor: Any, cacert: str | None, timeout: float) -> HTTPClient:
    """Return a client.

    Args:
        reactor: Connects it.
        cacert: The path of a PEM file of the certificates to trust; None for the system's.
        timeout: Seconds that connecting may take.

    Raises:
        CannotFetch: The file cannot be read, or has no certificates.
    """
    return HTTPClient(agent_for(reactor, cacert, timeout))


def agent_for(reactor: Any, cacert: str | None, timeout: float) -> Agent:
    """Return what sends requests; the arguments and errors are those of `client_for`."""
    policy = BrowserLikePolicyForHTTPS(None if cacert is None else _trusted(Path(cacert)))
    return Agent(reactor, policy, connectTimeout=timeout)


def _trusted(path: Path) -> Any:
    try:
        found = x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as error:
        raise CannotFetch(f"--cacert {path} cannot be read: {error.strerror}") from None
    except ValueError:
        raise CannotFetch(f"--cacert {path} has no certificates in PEM in it") from None
    return trustRootFromCertificates([Certificate.loadPEM(each.public_bytes(Encoding.PEM)) for each in found])
