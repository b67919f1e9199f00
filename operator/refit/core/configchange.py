"""ChangeConfig: single fields of a spec changed by a request, with the difference shown before anybody is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from refit.api.modeldeployment import ModelDeploymentSpec
from refit.api.proposal import Change
from refit.api.reasons import Reason
from refit.core.observed import Deployment, Manifest, RequestSeen

CHANGEABLE = ("serving", "monitoring", "training")
"""Parts that a request may change. What the data is, and who must agree, is changed by who may edit the spec."""


@dataclass(frozen=True, kw_only=True)
class Applied:
    """The spec with the fields changed: what differs, the merge patch that does it, and what is wrong with it."""

    changes: tuple[Change, ...] = ()
    patch: Manifest | None = None
    problem: str = ""


def applied(spec: ModelDeploymentSpec, fields: dict[str, str]) -> Applied:
    """What these fields, each a path as in `serving.maxReplicas`, would change; values are read as the field's type."""
    before = spec.wire()
    wanted = spec.wire()
    for path in sorted(fields):
        problem = _put(wanted, path, fields[path])
        if problem:
            return Applied(problem=f"spec.parameters.config {path}: {problem}")
    try:
        after = ModelDeploymentSpec.model_validate(wanted).wire()
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        return Applied(problem=f"spec.parameters.config {place}: {first['msg']}")
    patch: Manifest = {}
    changes = []
    for path in sorted(fields):
        old, new = _at(before, path), _at(after, path)
        if new is None:
            return Applied(problem=f"spec.parameters.config {path}: there is no such field")
        if old == new:
            continue
        _set(patch, path, new)
        changes.append(Change(what=f"spec.{path}"[:256], before=_shown(old), after=_shown(new)))
    return Applied(changes=tuple(changes), patch=patch or None)


def config_problem(deployment: Deployment, request: RequestSeen) -> tuple[Reason, str] | None:
    """Why the change cannot be made; a change that is there already is none."""
    found = applied(deployment.spec, request.spec.parameters.config or {})
    if found.problem:
        return Reason.OUT_OF_BOUNDS, found.problem
    if not found.changes and request.status.execution is None:
        return Reason.OUT_OF_BOUNDS, "spec.parameters.config: the spec says all of this already"
    return None


def _put(spec: dict[str, Any], path: str, value: str) -> str:
    """Sets the field; what is wrong with the path, or nothing."""
    names = path.split(".")
    if names[0] not in CHANGEABLE or names[1:] == []:
        return f"only fields of {', '.join(CHANGEABLE)} can be changed by a request; name one as in serving.maxReplicas"
    if "[" in path:
        return "an item of a list is changed by editing the spec"
    inner = spec
    for name in names[:-1]:
        found = inner.setdefault(name, {})
        if not isinstance(found, dict):
            return f"{name} has no fields"
        inner = found
    if isinstance(inner.get(names[-1]), dict | list):
        return "is no single value; name a field in it"
    inner[names[-1]] = value
    return ""


def _set(patch: dict[str, Any], path: str, value: Any) -> None:
    *outer, last = path.split(".")
    for name in outer:
        patch = patch.setdefault(name, {})
    patch[last] = value


def _at(spec: Any, path: str) -> Any:
    for name in path.split("."):
        spec = spec.get(name) if isinstance(spec, dict) else None
    return spec


def _shown(value: Any) -> str:
    return "" if value is None else str(value)[:256]
