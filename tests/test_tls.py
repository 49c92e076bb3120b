"""An ``ssl:`` endpoint: the same service over TLS."""

from __future__ import annotations

from pathlib import Path

import pytest_twisted
import treq
from twisted.internet import reactor
from twisted.internet.ssl import Certificate, trustRootFromCertificates
from twisted.web.client import Agent, BrowserLikePolicyForHTTPS

from mcp_echo.service import build
from mcp_echo.settings.load import load
from tests.certificates import make_certificate


def _certificate(directory: Path) -> Path:
    """Write a key and a certificate for localhost into one file and return its path."""
    certificate, key = make_certificate(directory, "localhost")
    path = directory / "localhost.pem"
    path.write_bytes(key.read_bytes() + certificate.read_bytes())
    return path


@pytest_twisted.ensureDeferred
async def test_an_ssl_endpoint_serves_over_tls(tmp_path: Path) -> None:
    """--port takes any Twisted endpoint description."""
    path = _certificate(tmp_path)
    port = f"ssl:0:interface=127.0.0.1:privateKey={path}:certKey={path}"
    service = build(reactor, load({}, {"MCP_ECHO_PORT": port}))
    service.privilegedStartService()
    service.startService()
    try:
        listening = await service.listener.port
        trusted = trustRootFromCertificates([Certificate.loadPEM(path.read_bytes())])
        client = treq.client.HTTPClient(Agent(reactor, BrowserLikePolicyForHTTPS(trusted)))
        response = await client.get(f"https://localhost:{listening.getHost().port}/health")
        assert (await response.json())["status"] == "healthy"
    finally:
        await service.stopService()
