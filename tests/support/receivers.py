"""Receivers of notifications: a real SMTP server with TLS and a password, and an HTTP server that keeps what it gets."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from ipaddress import ip_address
from pathlib import Path

from aiohttp import web
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

LOGIN = (b"refit", b"one-mail-password")


@dataclass
class Post:
    """What an HTTP receiver got."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Hook:
    """An HTTP receiver that answers what it is told to."""

    url: str = ""
    status: int = 200
    answer: bytes = b""
    pause: asyncio.Event | None = None
    """It answers when this is set."""
    got: list[Post] = field(default_factory=list)


@asynccontextmanager
async def hook() -> AsyncIterator[Hook]:
    """On a free port of this machine."""
    found = Hook()

    async def take(request: web.Request) -> web.Response:
        found.got.append(Post(request.path, dict(request.headers), await request.read()))
        if found.pause is not None:
            await found.pause.wait()
        return web.Response(status=found.status, headers={"Location": "/elsewhere"}, body=found.answer)

    application = web.Application()
    application.router.add_route("*", "/{rest:.*}", take)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield found
    finally:
        await runner.cleanup()


@dataclass
class Postbox:
    """What an SMTP server took, and from whom. It refuses recipients at `nowhere.test`."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)

    async def handle_RCPT(  # noqa: N802  # aiosmtpd's name
        self,
        _server: object,
        _session: Session,
        envelope: Envelope,
        address: str,
        _options: list[str],
    ) -> str:
        if address.endswith("@nowhere.test"):
            return "550 5.1.1 no such person, said one-mail-password"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802  # as above
        assert isinstance(envelope.content, bytes)
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        assert server.transport is not None
        self.encrypted.append(server.transport.get_extra_info("ssl_object") is not None)
        return "250 taken"


@contextmanager
def mail_server(folder: Path, *, implicit: bool = False, plain: bool = False) -> Iterator[Postbox]:
    """A mail server on 127.0.0.1: STARTTLS and a login are required, TLS from the first byte, or neither."""
    certificate, key = folder / "mail.pem", folder / "mail.key"
    certify(certificate, key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    box = Postbox(port=_free())
    secured: dict[str, object] = {
        "require_starttls": not implicit,
        "tls_context": None if implicit else context,
        "auth_required": True,
        "auth_require_tls": not implicit,  # the server sees only what came after the handshake
        "authenticator": _knows,
    }
    controller = Controller(
        box,
        hostname="127.0.0.1",
        port=box.port,
        ssl_context=context if implicit else None,
        **({} if plain else secured),  # type: ignore[arg-type]  # aiosmtpd takes the server's options by name
    )
    controller.start()
    try:
        yield box
    finally:
        controller.stop()


def _knows(_server: object, _session: object, _envelope: object, mechanism: str, data: object) -> AuthResult:
    known = mechanism in ("LOGIN", "PLAIN") and isinstance(data, LoginPassword) and (data.login, data.password) == LOGIN
    return AuthResult(success=known, handled=False)


def certify(certificate: Path, key: Path) -> None:
    """A certificate of its own making for 127.0.0.1."""
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "mail")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(private, hashes.SHA256())
    )
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )


def _free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
