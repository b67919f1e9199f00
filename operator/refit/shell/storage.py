"""Stored reports, as MLflow's artifact proxy gives them."""

from __future__ import annotations

from urllib.parse import urlsplit

import aiohttp

from refit.notify.senders import DeliveryError

ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
MOST_BYTES = 4 * 2**20
TIMEOUT = aiohttp.ClientTimeout(total=10)


class Storage:
    """Fetches what is stored."""

    def __init__(self, session: aiohttp.ClientSession, tracking_uri: str) -> None:
        self._session, self._base = session, f"{tracking_uri.rstrip('/')}{ARTIFACTS}"

    async def fetch(self, uri: str) -> bytes:
        """The artifact's bytes; raises DeliveryError. No other address is asked than MLflow's."""
        if not uri.startswith(f"{self._base}/") or ".." in urlsplit(uri).path.split("/"):
            raise DeliveryError("is no artifact of MLflow")
        try:
            async with self._session.get(uri, timeout=TIMEOUT, allow_redirects=False) as answer:
                if answer.status != 200:  # noqa: PLR2004
                    raise DeliveryError(f"MLflow answered {answer.status}")
                content = await answer.content.read(MOST_BYTES + 1)
        except (TimeoutError, aiohttp.ClientError) as error:
            raise DeliveryError(f"MLflow: {type(error).__name__}") from None
        if len(content) > MOST_BYTES:
            raise DeliveryError("is too large to attach")
        return content
