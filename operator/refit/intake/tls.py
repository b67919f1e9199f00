"""The intake's TLS: its certificate, and the authorities whose client certificates are taken, read again when changed.

A handshake gets what is in the files by then. Each connection shows its certificate anew, since none takes an earlier
session up again, and one that is open when the files change counts no more: who uses it is told to connect again.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable
from pathlib import Path

from refit.intake.credentials import LOOK_SECONDS
from refit.intake.refused import RefusedError
from refit.intake.settings import IntakeSettings, IntakeSettingsError

log = logging.getLogger(__name__)

State = tuple[tuple[int, int, int], ...]


class Tls:
    """`context` is what the server listens with; it stays the same whatever happens to the files."""

    def __init__(self, cert: Path, key: Path, client_ca: Path | None, monotonic: Callable[[], float]) -> None:
        """Raises IntakeSettingsError."""
        self._cert, self._key, self._client_ca, self._monotonic = cert, key, client_ca, monotonic
        self._looked = monotonic()
        self._problem = ""
        try:
            self._state = self._look()
            self.context = self._current = self._read()
        except OSError as error:  # of which those of ssl are
            names = ["CERT", "KEY", *(["CLIENT_CA"] if client_ca else [])]
            raise IntakeSettingsError(f"{', '.join(f'REFIT_INTAKE_TLS_{name}' for name in names)}: {error}") from None
        self.context.sni_callback = self._handshake

    def current(self) -> ssl.SSLContext:
        """What new connections are opened with: as the files are now, or as they were when they could last be read."""
        now = self._monotonic()
        if now < self._looked + LOOK_SECONDS:
            return self._current
        self._looked = now
        try:
            state = self._look()
            if state != self._state:
                self._current, self._state = self._read(), state
                log.info("the intake's certificates were read again")
            self._problem = ""
        except OSError as error:
            if str(error) != self._problem:
                self._problem = str(error)
                log.error("the intake keeps its old certificates: %s", error)  # noqa: TRY400  # the line says it all
        return self._current

    def must_be_current(self, connection: ssl.SSLObject) -> None:
        """Raises RefusedError (503, after which senders try again) if the client's certificate was checked against other files."""
        if connection.context is not self.current():
            raise RefusedError(
                503,
                "the operator's certificates have changed: connect again",
                {"Connection": "close", "Retry-After": "1"},
            )

    def _handshake(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        """OpenSSL asks it in each handshake, whether the client named a server or not."""
        connection.context = self.current()

    def _look(self) -> State:
        files = [path.stat() for path in (self._cert, self._key, self._client_ca) if path is not None]
        return tuple((file.st_mtime_ns, file.st_ino, file.st_size) for file in files)

    def _read(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self._cert, self._key)
        if self._client_ca is not None:
            # Optional in the handshake, as the signed routes have senders without one; the route itself answers 401.
            context.verify_mode = ssl.CERT_OPTIONAL
            context.load_verify_locations(self._client_ca)
            # An earlier version could take a session up again with a certificate that is taken no more.
            context.minimum_version = ssl.TLSVersion.TLSv1_3
            context.num_tickets = 0
        return context


def tls(settings: IntakeSettings, monotonic: Callable[[], float]) -> Tls | None:
    """As the settings say; None without a certificate. Raises IntakeSettingsError."""
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    return Tls(settings.tls_cert, settings.tls_key, settings.tls_client_ca, monotonic)
