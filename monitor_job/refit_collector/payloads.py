"""Bodies of the V1 and V2 protocols as columns: what any model was asked, and what it answered.

V1 arrays have no names; their columns are x0, x1 and so on. A V2 tensor of several columns gives
name.0, name.1 and so on. What an answer means is read from its values: fractions are predictions of a
Regression, whole numbers and words are classes, and a list of numbers is a probability for each class.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from refit.api.events import MAX_ROWS, Value

Columns = dict[str, list[Value]]


class Unreadable(Exception):  # noqa: N818  # it is the payload's state, no failure of ours
    """The body is of neither protocol; the message says where."""


class Answers(NamedTuple):
    """What a model answered, as an event has it."""

    labels: list[str] | None = None
    classes: list[str] = []
    probabilities: list[list[float]] | None = None
    predictions: list[float] | None = None

    @property
    def rows(self) -> int:
        return len(self.labels if self.labels is not None else self.predictions or ())


def inputs(document: Any) -> tuple[int, Columns]:
    """How many rows were asked for, and their values."""
    match document:
        case {"instances": [_, *_] as instances}:
            _bound(len(instances))
            return len(instances), _instances(instances)
        case {"inputs": [{"name": str()}, *_] as tensors}:
            return _tensors(tensors)
    raise Unreadable("the request holds neither instances (V1) nor inputs (V2)")


def answers(document: Any) -> Answers:
    match document:
        case {"predictions": [_, *_] as predictions}:
            _bound(len(predictions))
            return _predictions(predictions)
        case {"outputs": [{"name": str()}, *_] as tensors}:
            return _outputs(tensors)
    raise Unreadable("the response holds neither predictions (V1) nor outputs (V2)")


def _instances(instances: list[Any]) -> Columns:
    if all(isinstance(row, dict) for row in instances):
        names = list(dict.fromkeys(name for row in instances for name in row))
        return {name: [_value(row.get(name)) for row in instances] for name in names}
    rows = [row if isinstance(row, list) else [row] for row in instances]
    width = max(map(len, rows))
    return {f"x{at}": [_value(row[at]) if at < len(row) else None for row in rows] for at in range(width)}


def _tensors(tensors: list[Any]) -> tuple[int, Columns]:
    found: Columns = {}
    counts = set()
    for tensor in tensors:
        name, rows, width, data = _tensor(tensor)
        counts.add(rows)
        if width == 1:
            found[name] = [_value(value) for value in data]
        else:
            found |= {f"{name}.{at}": [_value(value) for value in data[at::width]] for at in range(width)}
    if len(counts) != 1:
        raise Unreadable("the tensors differ in their number of rows")
    return counts.pop(), found


def _tensor(tensor: Any) -> tuple[str, int, int, list[Any]]:
    """Name, rows, columns, and the data row by row."""
    match tensor:
        case {"name": str(name), "shape": [int(rows), *more], "data": list(data)}:
            flat = _flat(data)
            width = len(flat) // rows if rows > 0 else 0
            _bound(rows)
            if rows < 1 or rows * width != len(flat) or not width or not all(isinstance(size, int) for size in more):
                raise Unreadable(f"the data of tensor {name[:40]!r} is not of its shape")
            return name, rows, width, flat
    raise Unreadable("a tensor lacks name, shape or data as JSON")


def _flat(data: list[Any]) -> list[Any]:
    while data and all(isinstance(part, list) for part in data):
        data = [value for part in data for value in part]
    return data


def _predictions(found: list[Any]) -> Answers:
    match found[0]:
        case {"label": _}:
            return _labelled(found)
        case [_, *_]:
            return _shares([row if isinstance(row, list) else [row] for row in found])
    return _single(found)


def _labelled(found: list[Any]) -> Answers:
    """As Refit's own predictor answers: a label, and the probability of each class by its name."""
    if not all(isinstance(row, dict) and "label" in row for row in found):
        raise Unreadable("not every prediction has a label")
    shares = [row.get("probabilities") for row in found]
    labels = [_word(row["label"]) for row in found]
    if not all(isinstance(share, dict) and share for share in shares):
        return Answers(labels=labels)
    classes = list(shares[0])
    return Answers(labels, classes, [[_number(share.get(name)) for name in classes] for share in shares])


def _outputs(tensors: list[Any]) -> Answers:
    """The output that says most: labels with probabilities, else the first."""
    read = [_tensor(tensor) for tensor in tensors]
    words = next((data for _, _, width, data in read if width == 1 and isinstance(data[0], (str, bool))), None)
    shares = next(((width, data) for _, _, width, data in read if width > 1), None)
    if shares is not None:
        width, data = shares
        found = _shares([data[at : at + width] for at in range(0, len(data), width)])
        return found if words is None else found._replace(labels=[_word(word) for word in words])
    return _single(words if words is not None else read[0][3])


def _shares(rows: list[list[Any]]) -> Answers:
    numbers = [[_number(value) for value in row] for row in rows]
    width = len(numbers[0])
    if any(len(row) != width for row in numbers):
        raise Unreadable("the predictions differ in length")
    if width == 1:
        return _single([row[0] for row in rows])
    labels = [str(max(range(width), key=row.__getitem__)) for row in numbers]
    return Answers(labels, [str(at) for at in range(width)], numbers)


def _single(found: Sequence[Any]) -> Answers:
    if any(isinstance(value, float) for value in found):
        return Answers(predictions=[_number(value) for value in found])
    return Answers(labels=[_word(value) for value in found])


def _bound(rows: int) -> None:
    if rows > MAX_ROWS:
        raise Unreadable(f"{rows} rows are more than {MAX_ROWS}")


def _value(value: Any) -> Value:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise Unreadable("a value is an array or object; only tables can be watched")


def _number(value: Any) -> float:
    if isinstance(value, (bool, int, float)):
        return float(value)
    raise Unreadable("a prediction is not a number")


def _word(value: Any) -> str:
    if isinstance(value, (bool, int, str)):
        return str(value).lower() if isinstance(value, bool) else str(value)
    raise Unreadable("a prediction is no class")
