"""The base of every API type, and the bounded strings the types are made of.

The API holds no floats: a decimal travels as a string, so that what was written is what is read
and hashed. Every string has a length limit, or CEL rules would exceed the API server's cost budget.
"""

from __future__ import annotations

import json
import re
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel

DNS_LABEL = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"


class ApiModel(BaseModel):
    """Immutable, camelCase on the wire, and deaf to fields of newer versions."""

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True)

    def wire(self) -> dict[str, Any]:
        """The value as plain JSON data, without fields that are unset (None)."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class Choice(StrEnum):
    """A closed set of words; the CRD lists them."""


def rule(expression: str, message: str, *, field_path: str | None = None) -> dict[str, str]:
    """One CEL validation rule in the form the CRD schema holds."""
    found = {"rule": expression, "message": message}
    return found if field_path is None else found | {"fieldPath": field_path}


def first_of(field_path: str, *checks: tuple[str, str]) -> dict[str, str]:
    """One CEL rule for several checks of one field; a refusal tells the first that fails.

    The API server evaluates every rule of an object on every write, that of a status too, so a rule costs by being one.
    """
    *others, (_, last) = checks
    told = "".join(f"!({expression}) ? {_literal(message)} : " for expression, message in others)
    return {
        "rule": " && ".join(f"({expression})" for expression, _ in checks),
        "message": "; ".join(message for _, message in checks),
        "messageExpression": told + _literal(last),
        "fieldPath": field_path,
    }


def _literal(text: str) -> str:
    """Text in CEL's quotes, whose escapes JSON shares."""
    return json.dumps(text, ensure_ascii=False)


def rules(*found: dict[str, str]) -> dict[str, Any]:
    """CEL validation rules as an extra of a type's JSON schema."""
    return {"x-kubernetes-validations": list(found)}


ATOMIC: dict[str, Any] = {"x-kubernetes-map-type": "atomic"}
"""For a value that has one author: the API server then keeps no account of who wrote which of its fields, which for
a list of columns or a status was half of the object."""

ObjectName = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
DeploymentName = Annotated[str, Field(min_length=1, max_length=40, pattern=DNS_LABEL)]
"""Name of a ModelDeployment: 40 characters, so that the names of its children fit 63."""
ColumnName = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]+$")]
Word = Annotated[str, Field(max_length=64)]
Line = Annotated[str, Field(max_length=256)]
Text = Annotated[str, Field(max_length=1024)]
Uri = Annotated[str, Field(max_length=1024, pattern=r"^[^\x00-\x20\x7f]*$")]
Time = Annotated[str, Field(max_length=32, json_schema_extra={"format": "date-time"})]
Sha256 = Annotated[str, Field(max_length=64, pattern=r"^[0-9a-f]{64}$")]
Digest = Annotated[str, Field(max_length=71, pattern=r"^sha256:[0-9a-f]{64}$")]
Number = Annotated[
    str, Field(max_length=32, pattern=r"^-?[0-9]{1,15}(\.[0-9]{1,15})?([eE](\+?[0-9]{1,2}|-[0-9]{1,3}))?$")
]
"""A decimal number as a string, such as "0.75"; it may be as small as a p-value, but never overflows to infinity."""
Share = Annotated[str, Field(max_length=12, pattern=r"^(0(\.[0-9]{1,8})?|1(\.0{1,8})?)$")]
"""A number from 0 to 1 as a string."""


def canonical_cpu(value: Any) -> Any:
    """Processors as Kubernetes writes them: 0.5 as 500m, 1000m as 1. What it does not understand it leaves alone."""
    found = re.fullmatch(r"(0|[1-9][0-9]{0,5})(?:\.([0-9]{1,3}))?(m?)", str(value))
    if found is None or (found[2] and found[3]):
        return value
    milli = int(found[1]) if found[3] else int(found[1]) * 1000 + int((found[2] or "").ljust(3, "0"))
    return f"{milli}m" if milli % 1000 else str(milli // 1000)


def canonical_memory(value: Any) -> Any:
    """Bytes as Kubernetes writes them, in the largest unit that needs no fraction: 1024Mi as 1Gi, 1000M as 1G."""
    found = re.fullmatch(r"([1-9][0-9]{0,15})(|k|M|G|T|Ki|Mi|Gi|Ti)", str(value))
    if found is None:
        return value
    number, unit = int(found[1]), found[2]
    base, units = (1024, ("Ki", "Mi", "Gi", "Ti")) if unit.endswith("i") else (1000, ("", "k", "M", "G", "T"))
    while number % base == 0 and unit != units[-1]:
        number, unit = number // base, units[units.index(unit) + 1]
    return f"{number}{unit}"


def _quantity(pattern: str, least: str, most: str, hint: str = "") -> WithJsonSchema:
    """A quantity within bounds. The pattern does not see a number written without quotes, the rule does."""
    within = (
        f"quantity(string(self)).compareTo(quantity('{least}')) >= 0 && "
        f"quantity(string(self)).compareTo(quantity('{most}')) <= 0"
    )
    bounds = rule(f"!isQuantity(string(self)) || ({within})", f"must be from {least} to {most}{hint}")
    return WithJsonSchema({"x-kubernetes-int-or-string": True, "pattern": pattern, "maxLength": 16, **rules(bounds)})


# Kubernetes rewrites quantities in its own objects; ours are in that form from the start, or what was applied would
# never equal what is read back.
Cpu = Annotated[
    str,
    BeforeValidator(canonical_cpu),
    _quantity(r"^([1-9][0-9]{0,5}m|(0|[1-9][0-9]{0,2})(\.[0-9]{1,3})?)$", "1m", "512"),
]
Memory = Annotated[
    str,
    BeforeValidator(canonical_memory),
    _quantity(r"^[1-9][0-9]{0,12}(Ki|Mi|Gi|Ti|k|M|G|T)?$", "16Mi", "16Ti", "; a number without a unit counts bytes"),
]


class ComputeResources(ApiModel):
    """Processor and memory, in Kubernetes quantities."""

    cpu: Cpu | None = None
    memory: Memory | None = None


def _request_within_limit(name: str) -> dict[str, str]:
    asked, allowed = f"self.requests.{name}", f"self.limits.{name}"
    both = f"!has({asked}) || !has({allowed}) || !isQuantity(string({asked})) || !isQuantity(string({allowed}))"
    within = f"quantity(string({asked})).compareTo(quantity(string({allowed}))) <= 0"
    return rule(f"{both} || {within}", f"a request must not exceed the limit of {name}", field_path=f".requests.{name}")


class Resources(ApiModel):
    """What a pod asks for and what it may not exceed."""

    requests: ComputeResources = ComputeResources()
    limits: ComputeResources = ComputeResources()

    model_config = ConfigDict(json_schema_extra=rules(*(_request_within_limit(name) for name in ("cpu", "memory"))))


class LocalReference(ApiModel):
    """An object of the same namespace, by name."""

    name: ObjectName
