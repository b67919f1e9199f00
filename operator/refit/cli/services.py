"""Services behind the API server, and by their own address: how the plugin reaches MLflow and the collector.

The API server's proxy takes away the header Authorization, for it was meant for it. The collector therefore also takes
its token from a header of its own; that token is good for the collector alone and for ten minutes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from refit.api.events import PREDICTION_PATH, PROXIED_HEADER
from refit.cli.session import Session
from refit.kube.answers import Answer
from refit.kube.cluster import Kind

if TYPE_CHECKING:
    from refit.kube.person import Person  # it takes seconds to load

CONFIG_MAP = Kind("", "v1", "configmaps", "ConfigMap")
SETTINGS = "refit-settings"
TIMEOUT_SECONDS = 15


class AwayError(Exception):
    """The service did not answer, or not as it should; the message says what is needed."""


@dataclass(frozen=True, kw_only=True)
class Service:
    """One HTTP service: its address inside the cluster, or one that is reached from here (`direct`)."""

    name: str
    url: str
    direct: bool = False

    def proxied(self) -> str | None:
        """Its path behind the API server; None for an address that is no Service of the cluster."""
        parts = urlsplit(self.url)
        labels = (parts.hostname or "").split(".")
        if parts.scheme != "http" or len(labels) < 2 or (len(labels) > 2 and labels[2] != "svc"):  # noqa: PLR2004  # name.namespace
            return None
        return (
            f"/api/v1/namespaces/{labels[1]}/services/http:{labels[0]}:{parts.port or 80}/proxy{parts.path.rstrip('/')}"
        )

    async def get(self, person: Person, path: str, headers: Mapping[str, str] | None = None, **query: str) -> Answer:
        """The answer, whatever its code; raises AwayError, or UnreachableError if it is the API server that is away."""
        if self.direct:
            return await self._directly(path, headers or {}, query)
        base = self.proxied()
        if base is None:
            raise AwayError(f"{self.name} at {self.url} is no Service of this cluster; pass its address")
        # MLflow answers to its own names only.
        sent = {"Host": urlsplit(self.url).netloc, **(headers or {})}
        answer = await person.ask("GET", base + path, headers=sent, query=query)
        if answer.is_status:
            raise AwayError(f"{self.name} was not reached through the API server: {answer.message}")
        return answer

    async def _directly(self, path: str, headers: Mapping[str, str], query: Mapping[str, str]) -> Answer:
        import aiohttp  # noqa: PLC0415  # most commands need none

        address = self.url.rstrip("/") + path + (f"?{urlencode(query)}" if query else "")
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)) as session,
                session.get(address, headers=headers, allow_redirects=False) as response,
            ):
                return Answer(response.status, dict(response.headers), await response.read())
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise AwayError(f"{self.name} at {self.url}: {str(error) or type(error).__name__}") from error


async def settings(session: Session) -> dict[str, str]:
    """The operator's settings as far as they stand in its ConfigMap; raises RefusalError."""
    found = await session.person.get(CONFIG_MAP, session.system, SETTINGS)
    return dict((found or {}).get("data") or {})


async def mlflow_run(session: Session, address: str | None, run_id: str) -> dict[str, Any]:
    """A run as MLflow tells it; raises AwayError."""
    service = await _mlflow(session, address)
    answer = await service.get(session.person, "/api/2.0/mlflow/runs/get", run_id=run_id)
    found = answer.json()
    if not answer.ok or not isinstance(found, dict) or "run" not in found:
        raise AwayError(f"MLflow does not know the run {run_id}: {answer.message}")
    run: dict[str, Any] = found["run"]
    return run


async def mlflow_file(session: Session, address: str | None, uri: str) -> bytes:
    """A file by the address that pods know it by; raises AwayError."""
    service = await _mlflow(session, address)
    base = service.url.rstrip("/")
    if not service.direct and not uri.startswith(f"{base}/"):
        raise AwayError(f"{uri} is not a file of the MLflow at {base}; pass --mlflow-url")
    path = uri.removeprefix(base) if uri.startswith(f"{base}/") else urlsplit(uri).path
    answer = await service.get(session.person, path)
    if not answer.ok:
        raise AwayError(f"MLflow answered {answer.code}: {answer.message[:200]}")
    return answer.body


def parameters(run: Mapping[str, Any]) -> dict[str, str]:
    """The parameters of a run."""
    return {one["key"]: str(one["value"]) for one in (run.get("data") or {}).get("params") or ()}


async def prediction(session: Session, collector: Service, namespace: str, inference: str, token: str) -> Any:
    """Which version answered; None if the collector keeps nothing of it. Raises AwayError."""
    path = PREDICTION_PATH.format(namespace=quote(namespace), id=quote(inference, safe=""))
    header = {"Authorization" if collector.direct else PROXIED_HEADER: f"Bearer {token}"}
    answer = await collector.get(session.person, path, headers=header)
    if answer.code == 404:  # noqa: PLR2004
        return None
    if not answer.ok:
        said = answer.json()
        raise AwayError(
            f"the collector answered {answer.code}: {said.get('error', '') if isinstance(said, dict) else ''}"
        )
    return json.loads(answer.body)


async def _mlflow(session: Session, address: str | None) -> Service:
    if address:
        return Service(name="MLflow", url=address, direct=True)
    told = (await settings(session)).get("REFIT_TRACKING_URI")
    if not told:
        raise AwayError(f"ConfigMap {SETTINGS} in {session.system} names no MLflow; pass --mlflow-url")
    return Service(name="MLflow", url=told)
