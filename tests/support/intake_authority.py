"""An authority made here, whose certificates the intake and its senders show."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from intake_server import Running, Setup, started

TODAY = datetime.now(UTC)
"""TLS reads the machine's own clock."""


class Authority:
    """Signs certificates; each file is a certificate and its key."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder, self._key = folder, ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.file = self.issue(name, ca=True)

    def issue(self, name: str, *, days: int = 1, ca: bool = False) -> Path:
        key = self._key if ca else ec.generate_private_key(ec.SECP256R1())
        names = [x509.DNSName(name), x509.IPAddress(IPv4Address("127.0.0.1"))]
        found = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(TODAY - timedelta(days=3))
            .not_valid_after(TODAY + timedelta(days=days))
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        path = self._folder / f"{name}.pem"
        encoding = serialization.Encoding.PEM
        form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        path.write_bytes(found.public_bytes(encoding) + key.private_bytes(encoding, form, plain))
        return path


@asynccontextmanager
async def encrypted(folder: Path, **settings: str) -> AsyncIterator[tuple[Running, Authority]]:
    """An intake that takes tokens and client certificates, and the authority of both sides' certificates."""
    authority = Authority(folder)
    server = str(authority.issue("localhost"))
    files = {"TLS_CERT": server, "TLS_KEY": server, "TLS_CLIENT_CA": str(authority.file)} | settings
    setup = Setup(settings={f"REFIT_INTAKE_{name}": value for name, value in files.items()}, scheme="https")
    async with started(folder, setup) as intake:
        intake.now = TODAY
        yield intake, authority
