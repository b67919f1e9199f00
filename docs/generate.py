"""Writes docs/api.md from the types in refit.api and the sentences in fields.yaml; `make generate` calls it."""  # a script beside what it writes

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, TypeAdapter

from refit.api import base, crd, meta
from refit.api.deploymentstatus import ModelDeploymentStatus
from refit.api.modeldeployment import ModelDeploymentSpec
from refit.api.remediationrequest import RemediationRequestSpec, RemediationRequestStatus

DOCS = Path(__file__).parent
Schema = dict[str, Any]

INTRODUCTION = """\
<!-- Generated from refit.api and docs/fields.yaml by `make generate`; do not edit. -->

# API reference

Generated from the types in `operator/refit/api` by `make generate`. Group `{group}`, version `{version}`, both kinds namespaced.

Decimal numbers are strings, so that what was written is what is read and hashed: `minimum: "0.75"`. Durations end in
`Seconds`, times are RFC 3339 in UTC. An unknown field is dropped by the API server with a warning; `kubectl apply
--validate=strict`, which is kubectl's default, refuses it. Everything in `spec` is either carried out or refused by name.
"""

KINDS: tuple[tuple[str, str, type[BaseModel], type[BaseModel]], ...] = (
    (meta.DEPLOYMENT_KIND, "modeldeployments.yaml", ModelDeploymentSpec, ModelDeploymentStatus),
    (meta.REQUEST_KIND, "remediationrequests.yaml", RemediationRequestSpec, RemediationRequestStatus),
)

NOT_YET = {
    meta.REQUEST_KIND: "This version defines the kind, and does not act on its objects yet.\n\n",
}

ALIASES: dict[str, Any] = {
    "object name": base.ObjectName,
    "name": base.DeploymentName,
    "column name": base.ColumnName,
    "word": base.Word,
    "line": base.Line,
    "text": base.Text,
    "URI": base.Uri,
    "time": base.Time,
    "SHA-256": base.Sha256,
    "digest": base.Digest,
    "number": base.Number,
    "share": base.Share,
    "CPU": base.Cpu,
    "memory": base.Memory,
}
MEANINGS = {
    "object name": "name of a Kubernetes object",
    "name": "name of a ModelDeployment; short, so that the names of its children fit 63 characters",
    "column name": "name of a column, without control characters",
    "word": "short text",
    "line": "text of a line",
    "text": "text of a paragraph",
    "URI": "address, without spaces",
    "time": "moment, such as `2026-11-21T13:00:00Z`",
    "SHA-256": "64 hexadecimal digits",
    "digest": "`sha256:` and 64 hexadecimal digits",
    "number": "decimal number as a string",
    "share": "number from 0 to 1 as a string",
    "CPU": "processors as a Kubernetes quantity",
    "memory": "bytes as a Kubernetes quantity",
}
BOUNDS = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "maxProperties": "at most {} keys",
}


def render() -> dict[str, str]:
    """File name -> text of each generated page."""
    return {"api.md": "".join(_page(sentences()))}


def sentences() -> dict[str, dict[str, str]]:
    """Type -> field -> what it means."""
    found: dict[str, dict[str, str]] = yaml.safe_load((DOCS / "fields.yaml").read_text(encoding="utf-8"))
    return found


def types() -> dict[str, Schema]:
    """Name -> JSON schema of every type of both kinds, spec before status, in the order in which they are met."""
    found: dict[str, Schema] = {}
    for _, _, *models in KINDS:
        for model in models:
            found.update(_types_of(model))
    return found


def _page(words: dict[str, dict[str, str]]) -> Iterator[str]:
    yield INTRODUCTION.format(group=meta.GROUP, version=meta.VERSION)
    yield _bounded_strings()
    told: set[str] = set()
    for kind, file, spec, status in KINDS:
        definition = crd.DEFINITIONS[file]()
        version = definition["spec"]["versions"][0]
        names = definition["spec"]["names"]
        schema = version["schema"]["openAPIV3Schema"]
        yield f"\n## {kind}\n\n{schema['description']}\n\n"
        yield NOT_YET.get(kind, "")
        yield f"`kubectl get {names['plural']}`, in short `{names['shortNames'][0]}`. Columns: {_columns(version)}.\n"
        yield _listed(_rules(schema))
        for part, model in (("spec", spec), ("status", status)):
            yield f"\n### {kind} {part}\n"
            for name, each in _types_of(model).items():
                if name not in told:
                    told.add(name)
                    yield _section(name, each, words.get(name, {}), top=name == model.__name__)


def _columns(version: Schema) -> str:
    return ", ".join(
        column["name"] + (" (with `-o wide`)" if column.get("priority") else "")
        for column in version["additionalPrinterColumns"]
    )


def _types_of(model: type[BaseModel]) -> dict[str, Schema]:
    whole = model.model_json_schema(mode="validation")
    definitions = whole.get("$defs", {})
    found: dict[str, Schema] = {model.__name__: whole}
    waiting = [whole]
    while waiting:
        for each in waiting.pop(0).get("properties", {}).values():
            for name in _named_in(each):
                if "properties" in definitions[name] and name not in found:
                    found[name] = definitions[name]
                    waiting.append(definitions[name])
    for schema in found.values():
        schema["$defs"] = definitions
    return found


def _named_in(schema: Schema) -> Iterator[str]:
    """The types that a field's schema refers to."""
    if "$ref" in schema:
        yield schema["$ref"].rsplit("/", 1)[1]
    for part in (*schema.get("anyOf", ()), schema.get("items"), schema.get("additionalProperties")):
        if isinstance(part, dict):
            yield from _named_in(part)


def _section(name: str, schema: Schema, words: dict[str, str], *, top: bool) -> str:
    heading = "" if top else f"\n#### {name}\n"
    description = schema.get("description", "")
    lines = [heading, f"\n{_joined(description)}\n" if description else "", "\n"]
    lines.append("| field | type | default | bounds | what it is |\n|---|---|---|---|---|\n")
    required = schema.get("required", ())
    for field, each in schema["properties"].items():
        plain = _folded(each)
        default = "required" if field in required else _default(each, schema["$defs"])
        meaning = f"{words.get(field, '')} {_of_words(plain, schema['$defs'])}".strip()
        cells = (f"`{field}`", _type(plain, schema["$defs"]), default, _bounds(plain), meaning)
        lines.append("| " + " | ".join(_cell(cell) for cell in cells) + " |\n")
    rules = [
        *_rules(schema),
        *(line for field, each in schema["properties"].items() for line in _rules(each, of=field)),
    ]
    return "".join(lines) + _listed(rules)


def _folded(schema: Schema) -> Schema:
    """`X or null` as X."""
    kept = [option for option in schema.get("anyOf", ()) if option.get("type") != "null"]
    return {**schema, **kept[0]} if len(kept) == 1 and "null" in [o.get("type") for o in schema["anyOf"]] else schema


def _type(schema: Schema, definitions: Schema) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        target = definitions[name]
        if "enum" in target:
            return ", ".join(f"`{value}`" for value in target["enum"])
        return f"[{name}](#{name.lower()})"
    alias = _alias(schema)
    if alias is not None:
        return alias
    if schema.get("type") == "array":
        return f"list of {_type(_folded(schema['items']), definitions)}"
    if isinstance(schema.get("additionalProperties"), dict):
        return f"map of {_type(_folded(schema['additionalProperties']), definitions)}"
    return "map of any value" if schema.get("type") == "object" else str(schema.get("type", "any value"))


def _of_words(schema: Schema, definitions: Schema) -> str:
    """What a closed set of words says of itself."""
    target = definitions[schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else {}
    return _joined(target.get("description", "")) if "enum" in target else ""


def _alias(schema: Schema) -> str | None:
    """The name of the bounded string that this is; a further rule does not make it another."""
    plain = _bare(schema)
    return next((name for name, kind in ALIASES.items() if _bare(TypeAdapter(kind).json_schema()) == plain), None)


def _bare(schema: Schema) -> Schema:
    unlike = ("title", "default", "description", "x-kubernetes-validations", "anyOf")
    return {key: value for key, value in schema.items() if key not in unlike}


def _default(schema: Schema, definitions: Schema) -> str:
    """The default, unless it is nothing, or what the field's type has by itself."""
    value = _without_nulls(schema.get("default"))
    if value in (None, [], {}, ""):
        return ""
    if "$ref" in schema and value == _own_default(definitions[schema["$ref"].rsplit("/", 1)[1]]):
        return "its own"
    return f"`{_plain(value)}`"


def _own_default(schema: Schema) -> object:
    fields = schema.get("properties", {}).items()
    return _without_nulls({name: each.get("default") for name, each in fields})


def _plain(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if not isinstance(value, str) else value


def _without_nulls(value: object) -> object:
    if isinstance(value, dict):
        kept = {key: _without_nulls(child) for key, child in value.items() if child is not None}
        return {key: child for key, child in kept.items() if child not in ({}, [])}
    return value


def _bounds(schema: Schema) -> str:
    if _alias(schema) is not None:
        return ""
    found = [text.format(schema[key]) for key, text in BOUNDS.items() if key in schema]
    found = [text[:-1] if " 1 " in text else text for text in found]
    if "pattern" in schema:
        found.append(f"`{schema['pattern']}`")
    inner = schema.get("items") or schema.get("additionalProperties")
    if isinstance(inner, dict) and "$ref" not in inner and _bounds(inner):
        found.append(f"each {_bounds(inner)}")
    return ", ".join(found)


def _rules(schema: Schema, *, of: str = "") -> list[str]:
    """What is refused beyond bounds, in the words in which the API server says it."""
    found = []
    for each in (schema, *schema.get("anyOf", ())):
        for rule in each.get("x-kubernetes-validations", ()):
            place = (of + rule.get("fieldPath", "")).removeprefix(".")
            found.append(f"`{place}`: {rule['message']}" if place else rule["message"])
    return found


def _listed(lines: list[str]) -> str:
    return "".join(["\nRefused otherwise:\n\n", *(f"- {line}\n" for line in lines)]) if lines else ""


def _bounded_strings() -> str:
    lines = ["\n## Bounded strings\n\n| type | what it is | pattern | longest |\n|---|---|---|---|\n"]
    for name, kind in ALIASES.items():
        schema = TypeAdapter(kind).json_schema()
        pattern = f"`{schema['pattern']}`" if "pattern" in schema else ""
        cells = (f"{name}", MEANINGS[name], pattern, str(schema.get("maxLength", "")))
        lines.append("| " + " | ".join(_cell(cell) for cell in cells) + " |\n")
    return "".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _joined(text: str) -> str:
    """Paragraphs, each on one line."""
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


if __name__ == "__main__":
    for name, text in render().items():
        (DOCS / name).write_text(text, encoding="utf-8")
