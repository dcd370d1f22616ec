"""Certificates of the tests' own, for a server on this machine."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def write_certificates(authority: Path) -> tuple[Path, Path]:
    """Write the certificate of an authority there, and beside it the key and certificate of a server at 127.0.0.1."""
    its_key, its_name = ec.generate_private_key(ec.SECP256R1()), _name("authority of a test")
    certificate = _certificate(its_name, its_key.public_key(), its_name, its_key, x509.BasicConstraints(True, None))
    authority.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    key = ec.generate_private_key(ec.SECP256R1())
    at = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    certificate = _certificate(_name("server of a test"), key.public_key(), its_name, its_key, at)
    paths = authority.with_name("server-key.pem"), authority.with_name("server.pem")
    forms = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    paths[0].write_bytes(key.private_bytes(serialization.Encoding.PEM, *forms))
    paths[1].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return paths


def _certificate(name, key, issuer, signed_with, extension) -> x509.Certificate:
    today = datetime.now(UTC)
    builder = x509.CertificateBuilder(issuer, name, key, x509.random_serial_number())
    builder = builder.not_valid_before(today - timedelta(days=1)).not_valid_after(today + timedelta(days=1))
    return builder.add_extension(extension, critical=True).sign(signed_with, hashes.SHA256())


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
