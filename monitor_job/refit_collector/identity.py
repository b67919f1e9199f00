"""Who asks: a bearer token, and the namespaces that it opens."""

from __future__ import annotations

import hashlib
import hmac
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import httpx

from refit.api.events import AUDIENCE
from refit_collector.refusals import Refused, busy

log = logging.getLogger("refit.collector")

EVERYWHERE = "*"
REMEMBERED_SECONDS = 60.0
REFUSED_SECONDS = 5.0
MOST_REMEMBERED = 10_000
LONGEST_TOKEN = 16_384
REVIEW = "/apis/authentication.k8s.io/v1/tokenreviews"
_ACCOUNT = "system:serviceaccount:"


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


class TokenReviews:
    """Tokens of ServiceAccounts, as the API server says; its word is remembered for a minute."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        own_token: Path,
        admins: Sequence[str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._own_token = own_token
        self._admins = frozenset(_ACCOUNT + admin for admin in admins)
        self._clock = clock
        self._remembered: OrderedDict[bytes, tuple[float, Identity | None]] = OrderedDict()

    async def identity(self, token: str) -> Identity | None:
        key = digest(token)
        until, found = self._remembered.get(key, (0.0, None))
        if self._clock() < until:
            return found
        if token.count(".") != 2:  # noqa: PLR2004  # a ServiceAccount's token is a JWT: three parts
            return None
        found = await self._review(token)
        kept = REFUSED_SECONDS if found is None else REMEMBERED_SECONDS
        self._remembered[key] = (self._clock() + kept, found)
        self._remembered.move_to_end(key)
        while len(self._remembered) > MOST_REMEMBERED:
            self._remembered.popitem(last=False)
        return found

    async def _review(self, token: str) -> Identity | None:
        review = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": [AUDIENCE]},
        }
        try:
            own = self._own_token.read_text(encoding="ascii").strip()
            answer = await self._client.post(REVIEW, json=review, headers={"authorization": f"Bearer {own}"})
            answer.raise_for_status()
            status = answer.json()["status"]
        except (OSError, ValueError, KeyError, httpx.HTTPError) as error:
            problem = f"HTTP {error.response.status_code}" if isinstance(error, httpx.HTTPStatusError) else repr(error)
            log.warning("can not review a token", extra={"problem": problem[:200]})
            raise busy(
                "the API server can not say whose token this is; send it again", reason="no_review", retry_after=5
            ) from None
        return self._identity(status)

    def _identity(self, status: dict[str, Any]) -> Identity | None:
        name = str(status.get("user", {}).get("username", ""))
        if not status.get("authenticated") or AUDIENCE not in status.get("audiences", ()):
            return None
        if not name.startswith(_ACCOUNT):
            return None
        return Identity(name, EVERYWHERE if name in self._admins else name.split(":")[2])


def ingest_key(secret: bytes, namespace: str) -> str:
    """What stands in the URL that a namespace's KServe loggers post to; they can send no token."""
    return hmac.new(secret, namespace.encode(), hashlib.sha256).hexdigest()


def key_fits(secret: bytes, namespace: str, key: str) -> bool:
    return hmac.compare_digest(ingest_key(secret, namespace).encode(), key.encode())
