"""Signed events: a small closed set. Each type is honoured, kept to be seen, or refused by its name.

| type | what comes of it |
|---|---|
| refit.measure | the model is measured now |
| refit.drift, refit.performance | an alert of that model, from a monitor that is not ours |
| mlflow.<entity>.<action> | kept; nothing is done |
| github.push, github.workflow_run | kept; nothing is done |
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints
from pydantic.alias_generators import to_camel

from refit.intake.body import line
from refit.intake.records import Given, Status
from refit.intake.refused import RefusedError
from refit.intake.times import parse

ASK = "refit.measure"
REPORTS = {"refit.drift": "ExternalDrift", "refit.performance": "ExternalPerformance"}
"""Reports of other monitors, and the names of the alerts that they are kept as."""
MLFLOW_ENTITIES = ("registered_model", "model_version", "model_version_tag", "model_version_alias")
MLFLOW_ACTIONS = ("created", "updated", "deleted", "set")
GITHUB = ("push", "workflow_run")

Short = Annotated[str, StringConstraints(max_length=256)]
Line = Annotated[str, StringConstraints(max_length=1024)]


@dataclass(frozen=True, kw_only=True)
class StoredEvent:
    """A signed event as kept; namespace and model are empty where it is about none of ours."""

    type: str
    namespace: str
    model: str
    summary: str
    received_at: datetime


@dataclass(frozen=True, kw_only=True)
class Told:
    """What an event says: whom it is about, and the alert it makes. `must_be_known`: without its model it says nothing."""

    type: str
    namespace: str = ""
    model: str = ""
    summary: str = ""
    must_be_known: bool = False
    alert: Given | None = None


class _Ours(BaseModel):
    """Our own events are ours to define: a field that is not defined is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, strict=True)

    type: Literal["refit.measure", "refit.drift", "refit.performance"]
    namespace: Annotated[str, StringConstraints(min_length=1, max_length=63)]
    model: Annotated[str, StringConstraints(min_length=1, max_length=40)]
    summary: Line = ""


class Ask(_Ours):
    """Measure now."""


class Report(_Ours):
    """What another monitor found. Without `startsAt` it speaks of the report that is open, or opens one."""

    status: Literal["firing", "resolved"] = "firing"
    severity: Annotated[str, StringConstraints(max_length=64)] = ""
    starts_at: Annotated[int | None, BeforeValidator(parse)] = None
    ends_at: Annotated[int | None, BeforeValidator(parse)] = None


class _Theirs(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class _MlflowData(_Theirs):
    name: Short
    version: Short = ""
    alias: Short = ""
    key: Short = ""


class Mlflow(_Theirs):
    """MLflow's webhook body."""

    entity: Annotated[str, StringConstraints(max_length=64)]
    action: Annotated[str, StringConstraints(max_length=64)]
    data: _MlflowData


class _Named(_Theirs):
    full_name: Short = ""


class _Workflow(_Theirs):
    name: Short | None = None
    status: Short | None = None
    conclusion: Short | None = None
    head_branch: Short | None = None


class Github(_Theirs):
    """What is kept of GitHub's bodies."""

    repository: _Named = _Named()
    ref: Short = ""
    action: Short = ""
    workflow_run: _Workflow | None = None


def told(document: dict[str, Any]) -> Told:
    """What a signed event says. Raises RefusedError for a type that is not known, ValidationError for its fields."""
    if "type" not in document and "entity" in document:
        return _mlflow(Mlflow.model_validate(document))
    reader = _READERS.get(document.get("type")) if isinstance(document.get("type"), str) else None
    if reader is None:
        raise _unknown("type", document.get("type"), _READERS)
    return reader(document)


def told_by_github(kind: str, document: dict[str, Any]) -> Told:
    """As `told`; the kind is that of the header X-GitHub-Event."""
    if kind not in GITHUB:
        raise _unknown("X-GitHub-Event", kind, (*GITHUB, "ping"))
    found = Github.model_validate(document)
    run = found.workflow_run
    parts = (found.repository.full_name, found.ref, found.action)
    more = (run.name, run.head_branch, run.status, run.conclusion) if run else ()
    return Told(type=f"github.{kind}", summary=line(" ".join(part for part in (*parts, *more) if part)))


def _ask(document: dict[str, Any]) -> Told:
    found = Ask.model_validate(document)
    return Told(
        type=found.type, namespace=found.namespace, model=found.model, summary=line(found.summary), must_be_known=True
    )


def _report(document: dict[str, Any]) -> Told:
    found = Report.model_validate(document)
    # One alert for each type and model: a report that comes every hour is one that goes on.
    whom = f"{found.type}/{found.namespace}/{found.model}"
    summary = line(found.summary)
    alert = Given(
        group=found.type,
        fingerprint=hashlib.sha256(whom.encode()).hexdigest()[:16],
        status=Status(found.status),
        namespace=found.namespace,
        model=found.model,
        starts_at=found.starts_at,
        ends_at=found.ends_at,
        name=REPORTS[found.type],
        severity=line(found.severity, 64),
        summary=summary,
    )
    return Told(
        type=found.type,
        namespace=found.namespace,
        model=found.model,
        summary=summary,
        must_be_known=True,
        alert=alert,
    )


def _mlflow(found: Mlflow) -> Told:
    if found.entity not in MLFLOW_ENTITIES:
        raise _unknown("entity", found.entity, MLFLOW_ENTITIES)
    if found.action not in MLFLOW_ACTIONS:
        raise _unknown("action", found.action, MLFLOW_ACTIONS)
    # Our registered models are named <namespace>.<model>.
    namespace, _, model = found.data.name.partition(".")
    parts = (found.data.name, found.data.version and f"version {found.data.version}", found.data.alias, found.data.key)
    return Told(
        type=f"mlflow.{found.entity}.{found.action}",
        namespace=namespace,
        model=model,
        summary=line(" ".join(part for part in parts if part)),
    )


_READERS: dict[Any, Callable[[dict[str, Any]], Told]] = {
    ASK: _ask,
    "refit.drift": _report,
    "refit.performance": _report,
}


def _unknown(field: str, given: object, known: Any) -> RefusedError:
    shown = line(given, 64) if isinstance(given, str) else type(given).__name__
    return RefusedError(422, f"{field}: {shown!r} is not known; known are {', '.join(known)}")
