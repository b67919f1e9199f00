"""Tokens of ServiceAccounts, as the API server says whose they are."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx

from refit.api.events import AUDIENCE
from refit_collector.identity import EVERYWHERE, Identity, digest
from refit_collector.refusals import busy

log = logging.getLogger("refit.collector")

REMEMBERED_SECONDS = 60.0
REFUSED_SECONDS = 5.0
MOST_REMEMBERED = 10_000
REVIEW = "/apis/authentication.k8s.io/v1/tokenreviews"
_ACCOUNT = "system:serviceaccount:"


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
