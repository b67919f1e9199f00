"""Who is let in on /v1/alertmanager: tokens as they change, and client certificates of an authority made here."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from intake_server import BEARER, Running, Setup, alert, delivery, started

STORED, NOBODY = (202, {"stored": 1}), (401, {"error": "unauthorized"})
TODAY = datetime.now(UTC)
"""TLS reads the machine's own clock."""


async def tell(intake: Running, headers: dict[str, str], **more: Any) -> tuple[int, dict[str, Any]]:
    return await intake.post("/v1/alertmanager", delivery(alert(**more)), headers)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_a_token_is_changed_without_a_moment_in_which_none_is_taken(tmp_path: Path) -> None:
    first, second = bearer("the-first-of-tokens"), bearer("the-second-of-tokens")
    file = tmp_path / "token_file"
    file.write_text("the-first-of-tokens\n")
    async with started(tmp_path) as intake:
        assert [(await tell(intake, one))[0] for one in (first, second)] == [202, 401]
        for text, expected in (
            ("the-first-of-tokens\nthe-second-of-tokens\n", [202, 202]),
            ("the-second-of-tokens\n", [401, 202]),
        ):
            file.write_text(text)
            intake.later(seconds=2)
            assert [(await tell(intake, one))[0] for one in (first, second)] == expected


async def test_a_token_file_that_is_gone_lets_nobody_in_and_loses_nothing(tmp_path: Path) -> None:
    async with started(tmp_path) as intake:
        text = (tmp_path / "token_file").read_text()
        (tmp_path / "token_file").unlink()
        intake.later(seconds=2)
        assert await tell(intake, BEARER) == (503, {"error": "the operator can not read its secrets"})
        (tmp_path / "token_file").write_text(text)
        assert await tell(intake, BEARER) == STORED


class Authority:
    """Signs certificates; each file is a certificate and its key."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder, self._key = folder, ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.file = self.issue(name, ca=True)

    def issue(self, name: str, *, days: int = 1, ca: bool = False) -> Path:
        key = self._key if ca else ec.generate_private_key(ec.SECP256R1())
        found = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(TODAY - timedelta(days=3))
            .not_valid_after(TODAY + timedelta(days=days))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        path = self._folder / f"{name}.pem"
        encoding = serialization.Encoding.PEM
        form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        path.write_bytes(found.public_bytes(encoding) + key.private_bytes(encoding, form, plain))
        return path


@asynccontextmanager
async def tls(folder: Path, **settings: str) -> AsyncIterator[tuple[Running, Authority]]:
    authority = Authority(folder)
    server = str(authority.issue("localhost"))
    files = {"TLS_CERT": server, "TLS_KEY": server, "TLS_CLIENT_CA": str(authority.file)} | settings
    setup = Setup(settings={f"REFIT_INTAKE_{name}": value for name, value in files.items()}, scheme="https")
    async with started(folder, setup) as intake:
        intake.now = TODAY
        yield intake, authority


async def ask(
    intake: Running, trusted: Path, certificate: Path | None, headers: dict[str, str]
) -> tuple[int, dict[str, Any]]:
    """The answer on a connection of its own, with a client certificate or without."""
    context = ssl.create_default_context(cafile=str(trusted))
    context.check_hostname = False
    if certificate is not None:
        context.load_cert_chain(certificate)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session:
        intake.session = session
        return await tell(intake, headers, startsAt=(TODAY - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ"))


async def test_a_token_or_a_certificate_is_enough(tmp_path: Path) -> None:
    async with tls(tmp_path) as (intake, authority):
        client = authority.issue("alertmanager")
        assert await ask(intake, authority.file, client, {}) == STORED
        assert (await ask(intake, authority.file, None, BEARER))[0] == 202
        assert await ask(intake, authority.file, None, {}) == NOBODY


async def test_strict_asks_for_both(tmp_path: Path) -> None:
    async with tls(tmp_path, STRICT="true") as (intake, authority):
        client = authority.issue("alertmanager")
        assert await ask(intake, authority.file, client, {}) == NOBODY
        assert await ask(intake, authority.file, None, BEARER) == NOBODY
        assert await ask(intake, authority.file, client, BEARER) == STORED


async def test_only_certificates_of_given_names_are_taken(tmp_path: Path) -> None:
    async with tls(tmp_path, TLS_CLIENT_NAMES="alertmanager") as (intake, authority):
        assert await ask(intake, authority.file, authority.issue("another"), {}) == NOBODY
        assert await ask(intake, authority.file, authority.issue("alertmanager"), {}) == STORED


async def test_47_an_expired_certificate_is_refused_before_http(tmp_path: Path) -> None:
    async with tls(tmp_path) as (intake, authority):
        with pytest.raises(aiohttp.ClientError):
            await ask(intake, authority.file, authority.issue("old", days=-1), BEARER)


async def test_47_a_certificate_of_another_authority_is_refused_before_http(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    async with tls(tmp_path) as (intake, authority):
        stranger = Authority(tmp_path / "other", "stranger").issue("alertmanager")
        with pytest.raises(aiohttp.ClientError):
            await ask(intake, authority.file, stranger, {})


async def test_47_a_certificate_that_expires_on_an_open_connection_is_refused(tmp_path: Path) -> None:
    async with tls(tmp_path) as (intake, authority):
        client = authority.issue("alertmanager")
        intake.now = TODAY + timedelta(days=2)
        assert await ask(intake, authority.file, client, {}) == NOBODY
