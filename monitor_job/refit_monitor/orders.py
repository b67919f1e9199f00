"""What a Job is to measure, from its environment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from refit.api import jobs
from refit.api.modeldeployment import ModelDeploymentSpec
from refit.api.orders import MeasurementOrder
from refit_monitor.errors import BadInputError


@dataclass(frozen=True, kw_only=True)
class Job:
    """One measurement to be made, and where everything is."""

    namespace: str
    model: str
    spec: ModelDeploymentSpec
    order: MeasurementOrder
    collector_url: str
    token_file: Path | None
    tracking_uri: str
    prometheus_url: str


def from_environment(environment: Mapping[str, str]) -> Job:
    """The Job; raises BadInputError naming the variable. Fields of a newer operator are ignored."""
    manifest = _json(environment, jobs.DEPLOYMENT)
    metadata = manifest.get("metadata") or {}
    try:
        spec = ModelDeploymentSpec.model_validate(manifest.get("spec") or {})
        order = MeasurementOrder.model_validate(_json(environment, jobs.MEASUREMENT))
    except ValidationError as error:
        raise BadInputError(f"{jobs.DEPLOYMENT} or {jobs.MEASUREMENT}: {told(error)}") from error
    if not metadata.get("name"):
        raise BadInputError(f"{jobs.DEPLOYMENT}: metadata.name is missing")
    token_file = environment.get(jobs.COLLECTOR_TOKEN_FILE)
    return Job(
        namespace=str(metadata.get("namespace") or "default"),
        model=str(metadata["name"]),
        spec=spec,
        order=order,
        collector_url=_set(environment, jobs.COLLECTOR_URL),
        token_file=Path(token_file) if token_file else None,
        tracking_uri=environment.get(jobs.TRACKING_URI, ""),
        prometheus_url=environment.get(jobs.PROMETHEUS_URL, ""),
    )


def told(error: ValidationError) -> str:
    """The first problems, each with its field."""
    return "; ".join(
        f"{'.'.join(str(part) for part in found['loc'])}: {found['msg']}"
        for found in error.errors(include_url=False, include_context=False)[:3]
    )


def _set(environment: Mapping[str, str], name: str) -> str:
    if not environment.get(name):
        raise BadInputError(f"environment variable {name} is not set")
    return environment[name]


def _json(environment: Mapping[str, str], name: str) -> dict[str, Any]:
    try:
        found = json.loads(_set(environment, name))
    except ValueError as error:
        raise BadInputError(f"environment variable {name} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise BadInputError(f"environment variable {name} is not an object")
    return found
