"""Nothing is lost on the way through the API server: specs and statuses with every field set are read back equal.

What is sent is made from the types themselves, so a field that is added to a type is covered at once, or a test here
says that nobody gave it a value other than its default.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from pydantic import BaseModel

from refit.api import meta
from refit.api.deploymentstatus import ModelDeploymentStatus
from refit.api.modeldeployment import ModelDeploymentSpec
from refit.api.remediationrequest import RemediationRequestSpec, RemediationRequestStatus
from refit_cluster.client import Client

pytestmark = pytest.mark.contract

Schema = Mapping[str, Any]

TEXTS = (
    "Größe “x” \\ $(HOME) \t<b>é😀</b>",
    "A plain line, 256 at most",
    "Word",
    "a-name",
    "0.125",
    "2026-11-21T13:00:00Z",
    "http://mlflow.refit-system:5000/artifacts/model.onnx?x=1",
    "0123456789abcdef" * 4,
    "sha256:" + "0123456789abcdef" * 4,
    "250m",
    "512Mi",
    "15 3 * * MON-FRI",
    "expect_column_values_to_not_be_null",
    ">= -1.5",
)
"""A string takes the first of these that its schema allows and that is not its default."""

ANYTHING = {"column": "age", "mostly": 0.95, "value_set": [1, 2.5, "three", True, {"deep": ["x", {}]}], "regex": "^a$$"}


@dataclass(frozen=True)
class Complete:
    """A value of a type with every field set; `given` holds, by path, what cross-field rules need otherwise, or None."""

    whole: Schema
    given: Mapping[str, Any] = field(default_factory=dict)

    def value(self, schema: Schema, path: str) -> Any:
        if path in self.given:
            return self.given[path]
        schema = resolved(schema, self.whole)
        match schema:
            case {"enum": [*words]}:
                return next(word for word in reversed(words) if word != schema.get("default"))
            case {"x-kubernetes-preserve-unknown-fields": True}:
                return ANYTHING
            case {"properties": properties}:
                values = {name: self.value(child, f"{path}.{name}".lstrip(".")) for name, child in properties.items()}
                return {name: value for name, value in values.items() if value is not None}
            case {"additionalProperties": child}:
                return {"a_key": self.value(child, f"{path}.*")}
            case {"type": "array", "items": child}:
                return [self.value(child, f"{path}[]")]
            case {"type": "boolean"}:
                return not schema.get("default", False)
            case {"type": "integer"}:
                return a_number(schema)
            case {"type": "string"} | {"x-kubernetes-int-or-string": True}:
                return a_text(schema, path)
        raise NotImplementedError(f"{path}: no value for {schema}")


def resolved(schema: Schema, whole: Schema) -> Schema:
    """Without references and without the null of "or null"."""
    if "$ref" in schema:
        found = whole["$defs"][schema["$ref"].rsplit("/", 1)[1]]
        return resolved({**found, **{name: value for name, value in schema.items() if name != "$ref"}}, whole)
    if "anyOf" in schema:
        (found,) = (option for option in schema["anyOf"] if option.get("type") != "null")
        return resolved({**found, **{name: value for name, value in schema.items() if name != "anyOf"}}, whole)
    return schema


def a_number(schema: Schema) -> int:
    low = schema.get("minimum", 0)
    return int(next(value for value in (low + 1, low) if value != schema.get("default")))


def a_text(schema: Schema, path: str) -> str:
    for text in TEXTS:
        allowed = len(text.encode()) <= schema.get("maxLength", 0) and re.search(schema.get("pattern", ""), text)
        dated = (schema.get("format") == "date-time") == (text == "2026-11-21T13:00:00Z")
        if allowed and dated and text != schema.get("default"):
            return text
    raise NotImplementedError(f"{path}: none of TEXTS fits {schema}")


def leaves(schema: Schema, whole: Schema, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf of a type by its path, with its default."""
    schema = resolved(schema, whole)
    if "properties" in schema:
        for name, child in schema["properties"].items():
            yield from leaves(child, whole, f"{path}.{name}".lstrip("."))
    elif schema.get("type") == "array":
        yield from leaves(schema["items"], whole, f"{path}[]")
    elif isinstance(schema.get("additionalProperties"), dict):
        yield from leaves(schema["additionalProperties"], whole, f"{path}.*")
    else:
        yield path, schema.get("default")


def told(value: Any, schema: Schema, whole: Schema, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf of a value, by the same paths."""
    schema = resolved(schema, whole)
    if "properties" in schema:
        for name, child in value.items():
            yield from told(child, schema["properties"][name], whole, f"{path}.{name}".lstrip("."))
    elif schema.get("type") == "array":
        for child in value:
            yield from told(child, schema["items"], whole, f"{path}[]")
    elif isinstance(schema.get("additionalProperties"), dict):
        for child in value.values():
            yield from told(child, schema["additionalProperties"], whole, f"{path}.*")
    else:
        yield path, value


COLUMNS = {
    "data.target.column": "Größe (m²)",
    "data.columns": [
        {"name": "Größe (m²)", "type": "Number", "min": "-1e-300", "max": "9e99", "nullable": False},
        {"name": "sex", "type": "Category", "nullable": True, "categories": ["0", "1", ""]},
    ],
    "data.ignore": ["patient id"],
    "data.source.uri": "s3://bucket/Größe/x.csv",
    "data.features[].expression": "log1p(größe) / 2.0",
    "serving.requestLog.mask": ["sex"],
    "serving.minReplicas": 2,
    "serving.maxReplicas": 3,
    "training.candidates[].grid": {"max_depth": ["2", "3"]},
}
SPECS: dict[str, Mapping[str, Any]] = {
    "a classification, bounded below": {
        **COLUMNS,
        "task": "Classification",
        "training.candidates[].algorithm": "XGBoost",
        "training.selection": {"metric": "pr_auc", "minimum": "0.75"},
        "monitoring.quality": [{"metric": "f1", "minimum": "0.6"}, {"metric": "log_loss", "maximum": "0.8"}],
        "monitoring.queries[].min": "0.1",
    },
    "a regression, bounded above": {
        **COLUMNS,
        "task": "Regression",
        "data.target.positiveWhen": None,
        "training.selection": {"metric": "rmse", "maximum": "30000"},
        "monitoring.quality": [{"metric": "mae", "maximum": "3"}],
    },
}
REQUESTS: dict[str, Mapping[str, Any]] = {
    "a rollback": {"action": "Rollback", "parameters": {"toVersion": 3}},
    "a scaling": {"action": "Scale", "parameters": {"replicas": 4}},
    "a change": {"action": "ChangeConfig", "parameters": {"config": {"training.folds": "Größe"}}},
}
APPROVALS = {
    "alice@example.org": {"decision": "Approved", "proposalDigest": "sha256:" + "0" * 64, "groups": ["ml:leads"]},
    "CN=Zoë O'Neil": {"decision": "Rejected", "proposalDigest": "sha256:" + "f" * 64, "reason": "not at night"},
}
ALL: list[tuple[str, type[BaseModel], str, Mapping[str, Mapping[str, Any]]]] = [
    (meta.DEPLOYMENTS, ModelDeploymentSpec, "spec", SPECS),
    (meta.DEPLOYMENTS, ModelDeploymentStatus, "status", {"all of it": {}}),
    (meta.REQUESTS, RemediationRequestSpec, "spec", REQUESTS),
    (meta.REQUESTS, RemediationRequestStatus, "status", {"all of it": {"approvals": APPROVALS}}),
]
VARIANTS = [
    pytest.param(plural, kind, part, given, id=f"{kind.__name__}: {name}")
    for plural, kind, part, variants in ALL
    for name, given in variants.items()
]


def schema_of(kind: type[BaseModel]) -> Schema:
    return kind.model_json_schema(by_alias=True)


def complete(kind: type[BaseModel], given: Mapping[str, Any]) -> dict[str, Any]:
    whole = schema_of(kind)
    return kind.model_validate(Complete(whole, given).value(whole, "")).model_dump(
        mode="json", by_alias=True, exclude_none=True
    )


@pytest.mark.parametrize(("plural", "kind", "part", "given"), VARIANTS)
def test_what_is_sent_is_read_back(
    admin: Client,
    sample: Mapping[str, dict[str, Any]],
    plural: str,
    kind: type[BaseModel],
    part: str,
    given: Mapping[str, Any],
) -> None:
    sent = complete(kind, given)
    base = sample["minimal" if plural == meta.DEPLOYMENTS else "request-minimal"]
    place = f"/apis/{meta.API_VERSION}/namespaces/default/{plural}"
    whole = {**base, "metadata": {"name": "complete"}, **({"spec": sent} if part == "spec" else {})}
    assert admin.create(place, whole).warnings == ()
    try:
        if part == "status":
            address = {name: whole[name] for name in ("apiVersion", "kind")} | {"metadata": {"name": "complete"}}
            applied = admin.apply(f"{place}/complete/status", {**address, "status": sent}, meta.FIELD_MANAGER)
            assert (applied.code, applied.message) == (200, "")
        read = admin.get(f"{place}/complete").accepted()[part]
    finally:
        admin.delete(f"{place}/complete").accepted()
    assert read == sent


@pytest.mark.parametrize(
    ("kind", "variants"), [pytest.param(kind, variants, id=kind.__name__) for _, kind, _, variants in ALL]
)
def test_every_field_is_sent_with_another_value_than_its_default(
    kind: type[BaseModel], variants: Mapping[str, Mapping[str, Any]]
) -> None:
    whole = schema_of(kind)
    expected = dict(leaves(whole, whole))
    sent = [leaf for given in variants.values() for leaf in told(complete(kind, given), whole, whole)]
    assert {path for path, value in sent if value != expected[path]} == set(expected)
