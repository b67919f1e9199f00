"""KServe's V1 protocol: rows as records or arrays, or a list per input; answers as records.

`{"instances": [{"age": 41, "sex": "f"}]}`, `{"instances": [[41, "f"]]}` and
`{"inputs": {"age": [41], "sex": ["f"]}}` ask the same.
"""

from __future__ import annotations

from typing import Any

from refit_predictor.graph import Answers
from refit_predictor.intake import ABSENT, Intake, Rows
from refit_predictor.refusals import MOST_PROBLEMS, Problem, Refused, bad, named, shown, too_large, unfit


def read(document: Any, intake: Intake, max_rows: int) -> Rows:
    """The rows that a request's body asks about; raises Refused."""
    if type(document) is not dict:
        raise bad("", f'the body must be an object with "instances", got {shown(document)}')
    if "instances" in document:
        if "inputs" in document:
            raise bad("", 'give either "instances" or "inputs", not both')
        return _instances(document["instances"], intake, max_rows)
    if "inputs" in document:
        return _columns(document["inputs"], intake, max_rows)
    raise bad("instances", "is missing")


def write(answers: Answers, identity: dict[str, str], inference_id: str) -> dict[str, Any]:
    """The body of the answer; `identity` is the model's name and version."""
    if answers.labels is None:
        predictions: list[Any] = list(answers.values)
    else:
        predictions = [
            {"label": label, "probabilities": dict(zip(answers.class_names, row, strict=True))}
            for label, row in zip(answers.labels, answers.values, strict=True)
        ]
    return {"predictions": predictions, **identity, "id": inference_id}


def _instances(instances: Any, intake: Intake, max_rows: int) -> Rows:
    if type(instances) is not list:
        raise bad("instances", f"must be an array, got {shown(instances)}")
    if not instances:
        raise bad("instances", "must hold at least one row")
    count = len(instances)
    check_count(count, max_rows)
    kinds = set(map(type, instances))
    if kinds == {dict}:
        return _records(instances, intake, count)
    if kinds == {list}:
        return _arrays(instances, intake, count)
    if kinds == {dict, list}:
        raise bad("instances", "must be all records or all arrays, not both")
    at = next(at for at, row in enumerate(instances) if type(row) not in (dict, list))
    raise bad(f"instances[{at}]", f"must be a record or an array, got {shown(instances[at])}")


def _records(instances: list[dict[str, Any]], intake: Intake, count: int) -> Rows:
    known = intake.known
    if not all(map(known.issuperset, instances)):
        raise Refused(422, *_unknown_inputs(instances, intake))
    columns = [[record.get(name, ABSENT) for record in instances] for name in intake.names]
    return intake.read(columns, count, lambda row, at: f"instances[{row}].{intake.names[at]}")


def _unknown_inputs(instances: list[dict[str, Any]], intake: Intake) -> list[Problem]:
    return [
        Problem(f"instances[{row}].{named(name)}", "is no input of the model")
        for row, record in enumerate(instances)
        for name in record
        if name not in intake.known
    ][:MOST_PROBLEMS]


def _arrays(instances: list[list[Any]], intake: Intake, count: int) -> Rows:
    width = len(intake.names)
    for row, values in enumerate(instances):
        if len(values) != width:
            raise unfit(f"instances[{row}]", f"must hold {width} values ({_listed(intake)}), got {len(values)}")
    columns = list(zip(*instances, strict=True))
    return intake.read(columns, count, lambda row, at: f"instances[{row}][{at}] ({intake.names[at]})")


def _columns(inputs: Any, intake: Intake, max_rows: int) -> Rows:
    if type(inputs) is not dict:
        raise bad("inputs", f"must be an object with a list per input, got {shown(inputs)}")
    extra = [
        Problem(f"inputs.{named(name)}", "is no input of the model") for name in inputs if name not in intake.known
    ]
    if extra:
        raise Refused(422, *extra[:MOST_PROBLEMS])
    if not inputs:
        raise bad("inputs", "must hold at least one input")
    for name, values in inputs.items():
        if type(values) is not list:
            raise bad(f"inputs.{name}", f"must be an array, got {shown(values)}")
    first, *others = inputs
    count = len(inputs[first])
    if not count:
        raise bad(f"inputs.{first}", "must hold at least one value")
    check_count(count, max_rows)
    for name in others:
        if len(inputs[name]) != count:
            raise unfit(f"inputs.{name}", f"must hold {count} values as {first} does, got {len(inputs[name])}")
    columns = intake.filled([inputs.get(name) for name in intake.names], count)
    return intake.read(columns, count, lambda row, at: f"inputs.{intake.names[at]}[{row}]")


def check_count(count: int, max_rows: int) -> None:
    if count > max_rows:
        raise too_large(f"{count} rows are more than the {max_rows} that one request may hold")


def _listed(intake: Intake) -> str:
    names = intake.names
    return ", ".join(names) if len(names) <= MOST_PROBLEMS else ", ".join((*names[:MOST_PROBLEMS], "…"))
