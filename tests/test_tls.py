"""An ``ssl:`` endpoint: the same service over TLS."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest_twisted
import treq
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from twisted.internet import reactor
from twisted.internet.ssl import Certificate, trustRootFromCertificates
from twisted.web.client import Agent, BrowserLikePolicyForHTTPS

from mcp_echo.config import load
from mcp_echo.service import build


def _certificate(directory: Path) -> Path:
    """Write a key and a certificate for localhost into one file and return its path."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = directory / "localhost.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
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
