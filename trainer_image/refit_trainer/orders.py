"""What is to be trained: a ModelDeployment as the operator, or a file, hands it over."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from pydantic import ValidationError

from refit.api import jobs, meta, traces
from refit.api.base import ApiModel
from refit.api.metrics import CLASSIFICATION_METRICS, LOWER_IS_BETTER, REGRESSION_METRICS
from refit.api.modeldeployment import Algorithm, ModelDeploymentSpec, Task
from refit.api.orders import ImpactOrder, RetrainingOrder
from refit_trainer.errors import RefusedError


@dataclass(frozen=True, kw_only=True)
class Order:
    """One training to be done; `key` says what it is the training of."""

    namespace: str
    name: str
    uid: str
    generation: int
    key: str
    spec: ModelDeploymentSpec
    trace: str = ""

    @property
    def experiment(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def model_name(self) -> str:
        """Name in the model registry, which allows no slash; a namespace has no dot, so it is unambiguous."""
        return f"{self.namespace}.{self.name}"


Read = TypeVar("Read", bound=ApiModel)


class NoOrderError(ValueError):
    """The environment does not say what to train: the trainer was started wrongly."""


def from_environment(environment: Mapping[str, str]) -> Order:
    """The order in the variables of `refit.api.jobs`; fields of a newer operator are ignored."""
    if not environment.get(jobs.TRAINING_KEY) and environment.get(jobs.DEPLOYMENT):
        raise NoOrderError(f"environment variable {jobs.TRAINING_KEY} is not set")
    return deployment_from(environment, environment.get(jobs.TRAINING_KEY, ""))


def deployment_from(environment: Mapping[str, str], key: str) -> Order:
    """The ModelDeployment in the environment, for a Job of that key."""
    if not environment.get(jobs.DEPLOYMENT):
        raise NoOrderError(f"environment variable {jobs.DEPLOYMENT} is not set")
    try:
        manifest = json.loads(environment[jobs.DEPLOYMENT])
    except ValueError as error:
        raise NoOrderError(f"environment variable {jobs.DEPLOYMENT} is not JSON: {error}") from error
    return replace(_order(manifest, key=key, strict=False), trace=trace_of(environment))


def trace_of(environment: Mapping[str, str]) -> str:
    """The id of the trace that the Job is part of; empty where it is of none."""
    return traces.of_parent(environment.get(jobs.TRACEPARENT, ""))


def retraining_from(environment: Mapping[str, str]) -> RetrainingOrder | None:
    """What the training follows and must beat; None for a first training and a changed spec."""
    return _read(environment, jobs.RETRAINING, RetrainingOrder) if environment.get(jobs.RETRAINING) else None


def impact_from(environment: Mapping[str, str]) -> ImpactOrder:
    """What is to be estimated."""
    if not environment.get(jobs.IMPACT):
        raise NoOrderError(f"environment variable {jobs.IMPACT} is not set")
    return _read(environment, jobs.IMPACT, ImpactOrder)


def _read(environment: Mapping[str, str], name: str, kind: type[Read]) -> Read:
    try:
        return kind.model_validate_json(environment[name])
    except ValidationError as error:
        raise NoOrderError(f"environment variable {name}: {_told(error)}") from error


def from_manifest(manifest: Any) -> Order:
    """The order in a ModelDeployment as read from YAML; an unknown field is refused by name."""
    if not isinstance(manifest, dict):
        raise RefusedError("SpecInvalid", "the file holds no ModelDeployment: expected a mapping")
    if manifest.get("apiVersion") != meta.API_VERSION or manifest.get("kind") != meta.DEPLOYMENT_KIND:
        raise RefusedError(
            "SpecInvalid",
            f"expected apiVersion {meta.API_VERSION} and kind {meta.DEPLOYMENT_KIND}, "
            f"found {manifest.get('apiVersion')!r} and {manifest.get('kind')!r}",
        )
    unknown = sorted(set(manifest) - {"apiVersion", "kind", "metadata", "spec", "status"})
    if unknown:
        raise RefusedError("SpecInvalid", f"{unknown[0]}: unknown field")
    return _order(manifest, key=meta.short_hash(manifest.get("spec")), strict=True)


def _order(manifest: Mapping[str, Any], *, key: str, strict: bool) -> Order:
    metadata = manifest.get("metadata") or {}
    if not metadata.get("name"):
        raise RefusedError("SpecInvalid", "metadata.name: required")
    if "spec" not in manifest:
        raise RefusedError("SpecInvalid", "spec: required")
    try:
        if strict:
            spec = ModelDeploymentSpec.model_validate(manifest["spec"], extra="forbid", by_alias=True, by_name=False)
        else:
            spec = ModelDeploymentSpec.model_validate(manifest["spec"])
    except ValidationError as error:
        raise RefusedError("SpecInvalid", _told(error)) from error
    for contradiction in CONTRADICTIONS:
        message = contradiction(spec)
        if message is not None:
            raise RefusedError("SpecInvalid", message)
    return Order(
        namespace=str(metadata.get("namespace") or "default"),
        name=str(metadata["name"]),
        uid=str(metadata.get("uid") or ""),
        generation=int(metadata.get("generation") or 0),
        key=key,
        spec=spec,
    )


def _told(error: ValidationError) -> str:
    lines = []
    for found in error.errors(include_url=False, include_context=False)[:5]:
        place = "spec"
        for part in found["loc"]:
            place += f"[{part}]" if isinstance(part, int) else f".{part}"
        said = "unknown field" if found["type"] == "extra_forbidden" else found["msg"]
        lines.append(f"{place}: {said}")
    return "; ".join(lines)


def _metric_of_task(spec: ModelDeploymentSpec) -> str | None:
    known = CLASSIFICATION_METRICS if spec.task is Task.CLASSIFICATION else REGRESSION_METRICS
    if spec.training.selection.metric in known:
        return None
    return (
        f"spec.training.selection.metric: {spec.training.selection.metric} does not belong to {spec.task}; "
        f"one of {', '.join(known)}"
    )


def _algorithm_of_task(spec: ModelDeploymentSpec) -> str | None:
    wrong = Algorithm.LINEAR_REGRESSION if spec.task is Task.CLASSIFICATION else Algorithm.LOGISTIC_REGRESSION
    for place, candidate in enumerate(spec.training.candidates):
        if candidate.algorithm is wrong:
            return f"spec.training.candidates[{place}].algorithm: {wrong} is not for {spec.task}"
    return None


def _bound_on_its_side(spec: ModelDeploymentSpec) -> str | None:
    selection = spec.training.selection
    if selection.minimum is not None and selection.metric in LOWER_IS_BETTER:
        return f"spec.training.selection.minimum: less is better for {selection.metric}; use maximum"
    if selection.maximum is not None and selection.metric not in LOWER_IS_BETTER:
        return f"spec.training.selection.maximum: more is better for {selection.metric}; use minimum"
    return None


def _positive_for_classes(spec: ModelDeploymentSpec) -> str | None:
    if spec.task is Task.REGRESSION and spec.data.target.positive_when is not None:
        return "spec.data.target.positiveWhen: is for Classification"
    return None


def _names_once(spec: ModelDeploymentSpec) -> str | None:
    for field, names in (
        ("columns", [column.name for column in spec.data.columns]),
        ("features", [feature.name for feature in spec.data.features]),
    ):
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            return f"spec.data.{field}: {twice[0]!r} is there twice"
    return None


def _target_in_columns(spec: ModelDeploymentSpec) -> str | None:
    target = spec.data.target.column
    if spec.data.columns and target not in {column.name for column in spec.data.columns}:
        return f"spec.data.target.column: {target!r} must be one of spec.data.columns"
    if target in spec.data.ignore:
        return f"spec.data.ignore: must not hold the target {target!r}"
    return None


def _grid_beside_parameters(spec: ModelDeploymentSpec) -> str | None:
    for place, candidate in enumerate(spec.training.candidates):
        both = sorted(set(candidate.grid) & set(candidate.parameters))
        if both:
            return f"spec.training.candidates[{place}].grid: {both[0]!r} is in parameters too; keep one"
    return None


CONTRADICTIONS: tuple[Callable[[ModelDeploymentSpec], str | None], ...] = (
    _metric_of_task,
    _algorithm_of_task,
    _bound_on_its_side,
    _positive_for_classes,
    _names_once,
    _target_in_columns,
    _grid_beside_parameters,
)
"""The API server's cross-field rules once more: a file, unlike a stored object, has not met them."""
