"""Who asks: a bearer token, and the namespaces that it opens."""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from refit_collector.refusals import Refused

log = logging.getLogger("refit.collector")

EVERYWHERE = "*"
LONGEST_TOKEN = 16_384


class Identity(NamedTuple):
    """Whose token it is; `namespace` may be * for all."""

    name: str
    namespace: str

    def may_use(self, namespace: str) -> bool:
        return self.namespace in {EVERYWHERE, namespace}


class Authenticator(Protocol):
    """Knows some tokens."""

    async def identity(self, token: str) -> Identity | None:
        """Whose token it is; None if it is nobody's. Raises Refused if that can not be known now."""


async def identify(header: str, authenticators: Sequence[Authenticator]) -> Identity:
    """Who sent this Authorization header; raises Refused 401, which says no more than that."""
    scheme, _, token = header.partition(" ")
    token = token.strip()
    if scheme.lower() == "bearer" and token.isascii() and token.isprintable() and 0 < len(token) <= LONGEST_TOKEN:
        for authenticator in authenticators:
            if found := await authenticator.identity(token):
                return found
    raise Refused(401, "", "a valid bearer token is needed", reason="unauthorized")


def digest(token: str) -> bytes:
    """What is remembered of a token. Looking it up by this takes no time that tells anything of the token."""
    return hashlib.sha256(token.encode()).digest()


class TokenFile:
    """Tokens out of a file: a line each, the token and its namespace or *. Read again when the file is another."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._known: dict[bytes, Identity] = {}

    async def identity(self, token: str) -> Identity | None:
        self._refresh()
        return self._known.get(digest(token))

    def _refresh(self) -> None:
        try:
            status = self._path.stat()
            seen = (status.st_ino, status.st_mtime_ns, status.st_size)
            if seen == self._seen:
                return
            lines = self._path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            if self._seen is not None or not self._known:
                log.warning("can not read the tokens", extra={"file": str(self._path), "problem": str(error)})
            self._seen = None
            return
        parts = [line.split() for line in lines if line.strip() and not line.startswith("#")]
        wrong = [at for at, line in enumerate(parts, 1) if len(line) != 2]  # noqa: PLR2004  # token, namespace
        if wrong:
            log.error(
                "a line of the tokens is not a token and a namespace", extra={"file": str(self._path), "at": wrong}
            )
        good = [line for line in parts if len(line) == 2]  # noqa: PLR2004  # token, namespace
        self._known = {digest(token): Identity(f"token of {namespace}", namespace) for token, namespace in good}
        self._seen = seen
        log.info("tokens read", extra={"file": str(self._path), "tokens": len(self._known)})


def ingest_key(secret: bytes, namespace: str) -> str:
    """What stands in the URL that a namespace's KServe loggers post to; they can send no token."""
    return hmac.new(secret, namespace.encode(), hashlib.sha256).hexdigest()


def key_fits(secret: bytes, namespace: str, key: str) -> bool:
    return hmac.compare_digest(ingest_key(secret, namespace).encode(), key.encode())
