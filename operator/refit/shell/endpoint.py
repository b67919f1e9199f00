"""The endpoint's own word: which digest it serves, and whether it answers the golden request right.

A roll-out is believed only when the service itself proves it; a Deployment that is complete proves
that pods are ready, not which model they hold.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from itertools import pairwise
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families
from pydantic import ValidationError

from refit.api.deploymentstatus import VersionRecord
from refit.api.events import PROBE_HEADER
from refit.api.signature import PREDICTION_OUTPUT, PROBABILITIES_OUTPUT, Golden
from refit.core.observed import Counted, Proof, Traffic

TIMEOUT = aiohttp.ClientTimeout(total=5)
MODEL_PATH = "/refit/v1/model"
PROBE = {PROBE_HEADER: "golden"}
METRICS_PATH = "/metrics"
ANSWERS = "refit_predictor_requests_total"
LATENCIES = "refit_predictor_request_seconds"
BUSY = "process_cpu_seconds_total"
BODY_LIMIT = 1 << 20
"""Bytes that are read of a file or of metrics; a golden file has eight rows at most."""


class EndpointError(Exception):
    """The endpoint or the store did not answer as it should; time may mend it."""


class Endpoint:
    """Asks inference endpoints and the artifact store over HTTP."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def prove(self, url: str, model: str, record: VersionRecord) -> Proof:
        """What the service at `url` serves, held against what the version should be."""
        try:
            served = await self._json("GET", url + MODEL_PATH)
            sha256 = str(served.get("sha256", ""))
            if sha256 != record.artifact.sha256:
                return Proof(sha256=sha256)
            golden = await self._golden(record)
            answer = await self._json("POST", f"{url}/v2/models/{model}/infer", request_of(golden))
            _is_of(record, answer)
        except EndpointError as error:
            return Proof(problem=str(error)[:512])
        return Proof(sha256=sha256, golden=agrees(golden, answer))

    async def traffic(self, addresses: tuple[str, ...]) -> Traffic:
        """What the pods at these addresses have answered, all together, as they count it for Prometheus."""
        if not addresses:
            return Traffic(problem="none of its pods has an address")
        try:
            texts = [await self._bytes("GET", address + METRICS_PATH) for address in addresses]
            answers = [answer for text in texts for answer in answers_of(text.decode())]
        except (EndpointError, ValueError) as error:
            return Traffic(problem=str(error)[:512])
        return Traffic(
            requests=sum(count for _, count in answers),
            errors=sum(count for code, count in answers if not code.startswith("2")),
        )

    async def counts(self, address: str) -> Counted | str:
        """What the pod at this address has counted since it started, or why nobody knows."""
        try:
            return counts_of((await self._bytes("GET", address + METRICS_PATH)).decode())
        except (EndpointError, ValueError) as error:
            return str(error)[:512]

    async def _golden(self, record: VersionRecord) -> Golden:
        body = await self._bytes("GET", record.golden.uri)
        if hashlib.sha256(body).hexdigest() != record.golden.sha256:
            raise EndpointError(f"the golden request at {record.golden.uri} is not the one of the training")
        try:
            return Golden.model_validate_json(body)
        except ValidationError as error:
            raise EndpointError(f"the golden request at {record.golden.uri} cannot be read") from error

    async def _json(self, method: str, url: str, body: object = None) -> dict[str, Any]:
        try:
            async with self._session.request(method, url, json=body, headers=PROBE, timeout=TIMEOUT) as response:
                if response.status != 200:  # noqa: PLR2004
                    raise EndpointError(f"{method} {url}: {response.status} {(await response.text())[:200]}")
                found = await response.json(content_type=None)
        except (TimeoutError, aiohttp.ClientError, ValueError) as error:
            raise EndpointError(f"{method} {url}: {type(error).__name__} {error}") from error
        if not isinstance(found, dict):
            raise EndpointError(f"{method} {url}: the answer is no object")
        return found

    async def _bytes(self, method: str, url: str) -> bytes:
        try:
            async with self._session.request(method, url, timeout=TIMEOUT) as response:
                if response.status != 200:  # noqa: PLR2004
                    raise EndpointError(f"{method} {url}: {response.status}")
                return await _whole(response.content)
        except (TimeoutError, aiohttp.ClientError) as error:
            raise EndpointError(f"{method} {url}: {type(error).__name__} {error}") from error


def _is_of(record: VersionRecord, answer: dict[str, Any]) -> None:
    """While pods are replaced, a second connection may lead to another pod than the first."""
    version = answer.get("model_version")
    if version is not None and str(version) != str(record.version):
        raise EndpointError(f"version {version} answered the golden request, not {record.version}")


async def _whole(content: aiohttp.StreamReader) -> bytes:
    """All of a body, up to the limit; one read gives no more than has arrived."""
    parts, size = [], 0
    async for part in content.iter_any():
        parts.append(part)
        size += len(part)
        if size > BODY_LIMIT:
            raise EndpointError(f"the answer has more than {BODY_LIMIT} bytes")
    return b"".join(parts)


def answers_of(metrics: str) -> list[tuple[str, int]]:
    """HTTP codes of a predictor's answers, each with how many there were."""
    return [
        (sample.labels["code"], int(sample.value))
        for family in text_string_to_metric_families(metrics)
        for sample in family.samples
        if sample.name == ANSWERS
    ]


def counts_of(metrics: str) -> Counted:
    """What a predictor counts of its work; raises ValueError if that is not all there."""
    samples = [sample for family in text_string_to_metric_families(metrics) for sample in family.samples]
    busy = sum(sample.value for sample in samples if sample.name == BUSY)
    total = sum(sample.value for sample in samples if sample.name == f"{LATENCIES}_sum")
    up_to: Counter[float] = Counter()
    for sample in samples:
        if sample.name == f"{LATENCIES}_bucket":
            up_to[float(sample.labels["le"])] += int(sample.value)
    if not busy or len(up_to) < 2:  # noqa: PLR2004  # one bound tells nothing apart
        raise ValueError(f"{BUSY} or {LATENCIES} is not among what it counts")
    bounds = sorted(up_to)
    numbers = [high - low for low, high in pairwise([0, *(up_to[bound] for bound in bounds)])]
    latencies = tuple(zip(bounds, numbers, strict=True))
    return Counted(busy_seconds=busy, latency_seconds=total, latencies=latencies)


def request_of(golden: Golden) -> dict[str, Any]:
    """The golden rows as a V2 request: one tensor for each column."""
    inputs = []
    for name in golden.rows[0]:
        values = [row[name] for row in golden.rows]
        textual = any(isinstance(value, str) for value in values)
        inputs.append(
            {"name": name, "shape": [len(values)], "datatype": "BYTES" if textual else "FP64", "data": values}
        )
    return {"id": "golden", "inputs": inputs}


def agrees(golden: Golden, answer: dict[str, Any]) -> bool:
    """True if every number of the answer is within the golden tolerance (relative, and absolute near zero)."""
    outputs = {output.get("name"): output.get("data", []) for output in answer.get("outputs", [])}
    numbers = outputs.get(PROBABILITIES_OUTPUT, outputs.get(PREDICTION_OUTPUT, []))
    expected = [value for row in golden.answers for value in row]
    return len(numbers) == len(expected) and all(
        math.isclose(float(got), want, rel_tol=golden.tolerance, abs_tol=golden.tolerance)
        for got, want in zip(numbers, expected, strict=True)
    )
