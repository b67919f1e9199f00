"""Secrets in mounted files: up to two in each, so that one can be changed after the other; re-read when changed.

A file that becomes unreadable lets nobody in, and is our fault and not the sender's: 503, so that nothing is lost.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import logging
import re
from collections.abc import Callable
from pathlib import Path

from refit.intake.refused import RefusedError

log = logging.getLogger(__name__)

MOST = 2
LEAST_BYTES, MOST_BYTES = 24, 64
"""Of a signing secret, as Standard Webhooks says."""
LOOK_SECONDS = 1.0
"""How long a file is not looked at again."""
WHSEC = "whsec_"
_TOKEN = re.compile(r"[\x21-\x7e]{16,512}")


class CredentialsError(ValueError):
    """A file of secrets is missing or wrong; the message is one line and holds none of it."""


def token(text: str) -> bytes:
    """A bearer token."""
    if _TOKEN.fullmatch(text) is None:
        raise ValueError("a token must be 16 to 512 visible ASCII characters")
    return text.encode()


def signing_secret(text: str) -> bytes:
    """A secret as Standard Webhooks writes it (whsec_ and base64), or as text, which MLflow and GitHub take."""
    found = text.encode()
    if text.startswith(WHSEC):
        try:
            found = base64.b64decode(text.removeprefix(WHSEC), validate=True)
        except (binascii.Error, ValueError):
            raise ValueError("after whsec_ there must be base64") from None
    if not LEAST_BYTES <= len(found) <= MOST_BYTES:
        raise ValueError(f"a secret must be {LEAST_BYTES} to {MOST_BYTES} bytes, not {len(found)}")
    return found


class SecretFile:
    """The secrets of one file, one a line."""

    def __init__(self, path: Path, parse: Callable[[str], bytes], monotonic: Callable[[], float]) -> None:
        """Raises CredentialsError."""
        self._path, self._parse, self._monotonic = path, parse, monotonic
        self._looked = monotonic()
        self._state = self._look()
        self._secrets = self._read()
        self._problem = ""

    def current(self) -> tuple[bytes, ...]:
        """The secrets as they are now. Raises RefusedError (503) while they can not be read."""
        now = self._monotonic()
        if now < self._looked + LOOK_SECONDS and not self._problem:
            return self._secrets
        self._looked = now
        try:
            state = self._look()
            if state != self._state or self._problem:
                self._secrets, self._state = self._read(), state
                log.info("secrets were read again", extra={"path": str(self._path), "number": len(self._secrets)})
                self._problem = ""
        except CredentialsError as error:
            if str(error) != self._problem:
                self._problem = str(error)
                log.error("requests are refused with 503: %s", error)  # noqa: TRY400  # the line says it all
            raise RefusedError(503, "the operator can not read its secrets", {"Retry-After": "30"}) from None
        return self._secrets

    def _look(self) -> tuple[int, int, int]:
        try:
            found = self._path.stat()
        except OSError as error:
            raise CredentialsError(f"{self._path}: {error.strerror}") from None
        return found.st_mtime_ns, found.st_ino, found.st_size

    def _read(self) -> tuple[bytes, ...]:
        try:
            text = self._path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "is not UTF-8"
            raise CredentialsError(f"{self._path}: {reason}") from None
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        if not 1 <= len(lines) <= MOST:
            raise CredentialsError(f"{self._path}: must hold one secret a line, 1 or {MOST}, not {len(lines)}")
        try:
            return tuple(map(self._parse, lines))
        except ValueError as error:
            raise CredentialsError(f"{self._path}: {error}") from None


def bearer(header: str, tokens: tuple[bytes, ...]) -> int:
    """Which of the tokens an Authorization header holds, from 1; 0 for none. As quick for a wrong one as for a right one."""
    scheme, _, given = header.partition(" ")
    digest = hashlib.sha256(given.strip().encode("utf-8", "surrogateescape")).digest()
    found = 0
    for index, one in enumerate(tokens, 1):
        if hmac.compare_digest(digest, hashlib.sha256(one).digest()):
            found = found or index
    return found if scheme.lower() == "bearer" else 0
