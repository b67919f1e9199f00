"""The custom resource definitions, made from the types.

A CRD schema must be structural: no references, no unions but "or null", no constants. The walk
below inlines and folds what can be said, and raises on what cannot, so that a type that the API
server would refuse (or, worse, prune) fails when the CRDs are generated.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel

from refit.api import meta
from refit.api.base import DNS_LABEL, rule
from refit.api.deploymentstatus import ModelDeploymentStatus
from refit.api.modeldeployment import ModelDeploymentSpec
from refit.api.remediationrequest import (
    DECISION_IS_FINAL,
    RemediationRequestSpec,
    RemediationRequestStatus,
)

_DROPPED = ("title", "$defs")
_PLAIN = {
    "type",
    "format",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "maxProperties",
    "required",
    "enum",
    "nullable",
}


class UnsayableError(ValueError):
    """A type holds something that a CRD schema can not say."""


def structural(model: type[BaseModel]) -> dict[str, Any]:
    """The type's schema as a CRD may hold it; raises UnsayableError naming the place."""
    whole = model.model_json_schema(mode="validation")
    return _walk(whole, whole.get("$defs", {}), model.__name__)


def _walk(node: dict[str, Any], definitions: dict[str, Any], place: str) -> dict[str, Any]:
    if "$ref" in node:
        target = definitions[node["$ref"].rsplit("/", 1)[1]]
        return _walk({**target, **_without(node, "$ref")}, definitions, place)
    if "anyOf" in node:
        return _walk(_optional(node, place), definitions, place)
    found: dict[str, Any] = {}
    for key, value in sorted(_without(node, *_DROPPED).items()):
        if key == "properties":
            found[key] = {name: _walk(child, definitions, f"{place}.{name}") for name, child in value.items()}
        elif key == "items":
            found[key] = _walk(value, definitions, f"{place}[]")
        elif key == "additionalProperties":
            if "x-kubernetes-preserve-unknown-fields" not in node:
                found[key] = _walk(value, definitions, f"{place}.*")
        elif key in _PLAIN or key.startswith("x-kubernetes-"):
            found[key] = value
        elif key in _TIDIED:
            found[key] = _TIDIED[key](value)
        else:
            raise UnsayableError(f"{place}: a CRD can not say {key!r}")
    return found


def _optional(node: dict[str, Any], place: str) -> dict[str, Any]:
    """`X or null` as X: in a CRD a field that may be absent is one that is not required."""
    kept = [option for option in node["anyOf"] if option.get("type") != "null"]
    if len(kept) != 1:
        raise UnsayableError(f"{place}: a CRD can not hold a union")
    beside = _without(node, "anyOf")
    if beside.get("default", 0) is None:
        beside = _without(beside, "default")
    return {**kept[0], **beside}


def _without(node: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in node.items() if key not in keys}


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(child) for key, child in value.items() if child is not None}
    return value


_TIDIED: dict[str, Callable[[Any], Any]] = {
    "description": lambda text: " ".join(text.split()),
    "default": _without_nulls,
}


def _column(name: str, path: str, *, kind: str = "string", priority: int = 0, description: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {"name": name, "type": kind, "jsonPath": path}
    if priority:
        found["priority"] = priority
    if description:
        found["description"] = description
    return found


def _condition(kind: str, field: str = "status") -> str:
    return f'.status.conditions[?(@.type=="{kind}")].{field}'


def _definition(
    *,
    kind: str,
    plural: str,
    short: str,
    spec: type[BaseModel],
    status: type[BaseModel],
    columns: list[dict[str, Any]],
    validations: list[dict[str, str]],
    description: str,
) -> dict[str, Any]:
    status_schema = structural(status)
    # observedGeneration -1 tells kstatus that nobody has looked yet.
    status_schema["default"] = {"observedGeneration": -1}
    schema = {
        "type": "object",
        "description": description,
        "required": ["spec"],
        "x-kubernetes-validations": validations,
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            # Of metadata a CRD may say something of the name only; a rule that names its field needs that.
            "metadata": {"type": "object", "properties": {"name": {"type": "string"}}},
            "spec": structural(spec),
            "status": status_schema,
        },
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{plural}.{meta.GROUP}",
            "labels": {"app.kubernetes.io/name": "refit", "app.kubernetes.io/part-of": "refit"},
        },
        "spec": {
            "group": meta.GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
                "shortNames": [short],
                "categories": ["refit"],
            },
            "versions": [
                {
                    "name": meta.VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": columns,
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }


def model_deployment() -> dict[str, Any]:
    """The CRD of ModelDeployment."""
    return _definition(
        kind=meta.DEPLOYMENT_KIND,
        plural=meta.DEPLOYMENTS,
        short="mdep",
        spec=ModelDeploymentSpec,
        status=ModelDeploymentStatus,
        description="ModelDeployment declares one model's whole life: its data, training, serving, watching and repair.",
        columns=[
            _column("Ready", _condition("Ready")),
            _column("Reason", _condition("Ready", "reason")),
            _column("Version", ".status.serving.version", kind="integer"),
            _column("Metric", ".status.metric"),
            _column("Drift", ".status.drift"),
            _column("Requests", ".status.openRequests"),
            _column("Age", ".metadata.creationTimestamp", kind="date"),
            _column("URL", ".status.url", priority=1),
            _column("Message", _condition("Ready", "message"), priority=1),
        ],
        validations=[
            rule(
                f"self.metadata.name.size() <= 40 && self.metadata.name.matches('{DNS_LABEL}')",
                "the name of a ModelDeployment is at most 40 characters of a-z, 0-9 and '-', "
                "and starts with a letter, so that the names of its children fit 63",
                field_path=".metadata.name",
            )
        ],
    )


def remediation_request() -> dict[str, Any]:
    """The CRD of RemediationRequest."""
    return _definition(
        kind=meta.REQUEST_KIND,
        plural=meta.REQUESTS,
        short="rreq",
        spec=RemediationRequestSpec,
        status=RemediationRequestStatus,
        description="RemediationRequest is one proposed repair of a ModelDeployment, a person's decision on it, and its outcome.",
        columns=[
            _column("Target", ".spec.targetRef.name"),
            _column("Action", ".spec.action"),
            _column("Phase", ".status.phase"),
            _column("Severity", ".status.diagnosis.severity"),
            _column("Requested-By", ".spec.requestedBy", priority=1),
            _column("Proposal", ".status.proposal.text", priority=1),
            _column("Age", ".metadata.creationTimestamp", kind="date"),
        ],
        validations=[DECISION_IS_FINAL],
    )


DEFINITIONS = {
    "modeldeployments.yaml": model_deployment,
    "remediationrequests.yaml": remediation_request,
}
"""The files in crds/ and what writes each."""
