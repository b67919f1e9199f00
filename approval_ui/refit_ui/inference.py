"""One prediction, asked of the model's own address as any client would, and the seconds that its clients wait."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from refit.api.objects import Model

TIMEOUT = httpx.Timeout(10.0, connect=3.0)
LARGEST = 256 * 1024
CLUSTER_SUFFIXES = ("svc", "svc.cluster.local")


class PredictError(Exception):
    """No prediction; the message is the model's own or says what to look at."""


def predict(model: Model, body: dict[str, Any]) -> Any:
    """The V2 answer of the version that serves; raises PredictError."""
    url = model.status.url
    if not url:
        raise PredictError("the model has no address yet: no version serves")
    if not _is_its_own(url, model.namespace):
        raise PredictError("the model's address is in another namespace; this page asks only models in their own")
    address = f"{url.rstrip('/')}/v2/models/{quote(model.name)}/infer"
    try:
        with (
            httpx.Client(timeout=TIMEOUT, trust_env=False, follow_redirects=False) as client,
            client.stream("POST", address, json=body) as answer,
        ):
            content = b""
            for chunk in answer.iter_bytes():
                content += chunk
                if len(content) > LARGEST:
                    raise PredictError("the answer is too long to be one")
        status = answer.status_code
    except httpx.HTTPError as error:
        raise PredictError(f"the model does not answer at its address ({type(error).__name__})") from error
    try:
        found = httpx.Response(status, content=content).json()
    except ValueError:
        raise PredictError(f"the model's address answered {status}, and not as a model does") from None
    if status >= 400:  # noqa: PLR2004  # every refusal of this protocol
        said = found.get("error") or found.get("detail") if isinstance(found, dict) else None
        raise PredictError(f"the model refused this ({status}): {str(said)[:500]}")
    return found


def median_seconds(prometheus: str, model: Model, version: int) -> float | None:
    """The median over a day of what a version's requests take, where a Prometheus knows it."""
    if not prometheus:
        return None
    labels = f'namespace="{model.namespace}",model="{model.name}",version="{version}"'
    expression = f"histogram_quantile(0.5, sum by (le) (rate(refit_predictor_request_seconds_bucket{{{labels}}}[1d])))"
    try:
        with httpx.Client(timeout=TIMEOUT, trust_env=False) as client:
            answer = client.get(f"{prometheus}/api/v1/query", params={"query": expression})
        value = float(answer.json()["data"]["result"][0]["value"][1])
    except (httpx.HTTPError, ValueError, KeyError, IndexError, TypeError):
        return None
    return value if value == value else None  # noqa: PLR0124  # a quantile of no requests is no number


def _is_its_own(url: str, namespace: str) -> bool:
    """A Service's name holds its namespace; a name from outside the cluster is the operator's word."""
    host = (urlsplit(url).hostname or "").removesuffix(".")
    for suffix in CLUSTER_SUFFIXES:
        if host.endswith(f".{suffix}"):
            return host.removesuffix(f".{suffix}").rpartition(".")[2] == namespace
    return True
