"""A form for one row of a model's inputs, the V2 request that it makes, and the answer in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from refit.api.dataspec import Column, ColumnType
from refit.api.modeldeployment import ModelDeploymentSpec
from refit.api.signature import LABEL_OUTPUT, PREDICTION_OUTPUT, PROBABILITIES_OUTPUT, Signature

LONGEST = 256


class AnswerError(ValueError):
    """What came back is no answer of this protocol; the message says what it is instead."""


@dataclass(frozen=True, kw_only=True)
class Field:
    """One input. A number without a value is missing; `choices` are those of a category."""

    name: str
    number: bool
    least: float | None = None
    most: float | None = None
    choices: tuple[str, ...] = ()
    needed: bool = False


@dataclass(frozen=True, kw_only=True)
class Predicted:
    """The answer: what in one line, and the classes with their probabilities, the likeliest first."""

    text: str
    probabilities: tuple[tuple[str, float], ...] = ()
    version: str = ""


def fields(spec: ModelDeploymentSpec, signature: Signature | None) -> tuple[Field, ...]:
    """From the declared columns; what they leave open, from the signature of the version that serves."""
    declared = {one.name: one for one in spec.data.columns if one.name != spec.data.target.column}
    if signature is None:
        return tuple(_declared(one) for one in declared.values())
    found = []
    for one in signature.inputs:
        column = declared.get(one.name)
        found.append(
            Field(
                name=one.name,
                number=one.type == ColumnType.NUMBER,
                least=_bound(column.min) if column is not None else None,
                most=_bound(column.max) if column is not None else None,
                choices=(column.categories if column is not None else ()) or one.categories,
                needed=not one.nullable,
            )
        )
    return tuple(found)


def body(form: tuple[Field, ...], values: Mapping[str, float | str | None]) -> dict[str, Any]:
    """The V2 request. What is missing is left out: the model fills it as it learned to."""
    inputs = []
    for one in form:
        value = values.get(one.name)
        if value is None or value == "":
            continue
        kind, data = ("FP64", float(value)) if one.number else ("BYTES", str(value))
        inputs.append({"name": one.name, "shape": [1], "datatype": kind, "data": [data]})
    return {"inputs": inputs}


def missing(form: tuple[Field, ...], values: Mapping[str, float | str | None]) -> tuple[str, ...]:
    """Inputs that must be filled in and are not."""
    return tuple(one.name for one in form if one.needed and values.get(one.name) in {None, ""})


def predicted(answer: Any, classes: tuple[str, ...]) -> Predicted:
    """Raises AnswerError."""
    try:
        outputs = {one["name"]: one["data"] for one in answer["outputs"]}
        version = str(answer.get("model_version") or "")
        if PREDICTION_OUTPUT in outputs:
            return Predicted(text=f"{float(outputs[PREDICTION_OUTPUT][0]):.6g}", version=version)
        label = outputs[LABEL_OUTPUT][0]
        chances = [float(one) for one in outputs.get(PROBABILITIES_OUTPUT, ())]
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise AnswerError("the model's answer is not one of the Open Inference Protocol") from error
    names = classes if len(classes) == len(chances) else tuple(str(place) for place in range(len(chances)))
    ranked = sorted(zip(names, chances, strict=True), key=lambda pair: -pair[1])
    return Predicted(text=str(label)[:LONGEST], probabilities=tuple(ranked), version=version)


def _declared(column: Column) -> Field:
    return Field(
        name=column.name,
        number=column.type == ColumnType.NUMBER,
        least=_bound(column.min),
        most=_bound(column.max),
        choices=column.categories,
        needed=not column.nullable,
    )


def _bound(value: str | None) -> float | None:
    return float(value) if value is not None else None
