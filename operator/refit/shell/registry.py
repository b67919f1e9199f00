"""The model registry's aliases, over MLflow's REST API: `champion` names the version that serves."""

from __future__ import annotations

import aiohttp

from refit.core.plan import Champion

ALIAS = "champion"
TIMEOUT = aiohttp.ClientTimeout(total=10)


class RegistryError(Exception):
    """The registry did not take the alias; the pass is tried again."""


class Registry:
    """Moves aliases in MLflow."""

    def __init__(self, session: aiohttp.ClientSession, tracking_uri: str) -> None:
        self._session = session
        self._url = f"{tracking_uri.rstrip('/')}/api/2.0/mlflow/registered-models/alias"

    async def set_champion(self, champion: Champion) -> None:
        """Points the alias at the version; setting it twice is setting it once."""
        body = {"name": champion.model, "alias": ALIAS, "version": str(champion.version)}
        try:
            async with self._session.post(self._url, json=body, timeout=TIMEOUT) as response:
                if response.status != 200:  # noqa: PLR2004
                    text = (await response.text())[:200]
                    raise RegistryError(f"alias {ALIAS} of {champion.model}: {response.status} {text}")
        except (TimeoutError, aiohttp.ClientError) as error:
            raise RegistryError(f"alias {ALIAS} of {champion.model}: {type(error).__name__} {error}") from error
