"""KServe's V2 protocol (Open Inference Protocol), as JSON: named tensors in, named tensors out.

A request gives one tensor [rows] or [rows, 1] per input, in any order; or, if all inputs are numbers,
one tensor [rows, inputs] in the order of the signature.
"""

from __future__ import annotations

from itertools import chain
from math import prod
from typing import Any, NamedTuple

from refit.api.dataspec import ColumnType
from refit.api.signature import LABEL_OUTPUT, PREDICTION_OUTPUT, PROBABILITIES_OUTPUT, Signature
from refit_predictor.graph import Answers, labels
from refit_predictor.intake import Intake, Rows, Values
from refit_predictor.protocol_v1 import check_count
from refit_predictor.refusals import MOST_PROBLEMS, Problem, Refused, bad, named, shown, unfit

FLOATS = ("FP16", "FP32", "FP64")
INTEGERS = ("INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64")
BYTES = "BYTES"
BOOL = "BOOL"
NOTHING = type(None)
SIZE_TYPES = frozenset({int})
ELEMENTS = {
    **dict.fromkeys(FLOATS, frozenset({int, float, NOTHING})),
    **dict.fromkeys(INTEGERS, frozenset({int, NOTHING})),
    BOOL: frozenset({bool, NOTHING}),
    BYTES: frozenset({str, NOTHING}),
}
LONGEST_ID = 256


class Tensor(NamedTuple):
    """One input of a request, its data flattened."""

    name: str
    shape: list[int]
    datatype: str
    data: list[Any]


class Asked(NamedTuple):
    """A request's body: its rows, the outputs it wants (none: all), and its id if it has one."""

    rows: Rows
    outputs: list[str]
    request_id: str | None


class Protocol:
    """Reads and writes V2 bodies for one signature."""

    def __init__(self, signature: Signature, intake: Intake, max_rows: int) -> None:
        self._intake = intake
        self._max_rows = max_rows
        self._positions = {name: at for at, name in enumerate(intake.names)}
        self._label_datatype = BYTES if isinstance(next(iter(labels(signature)), ""), str) else "INT64"
        self.outputs = [LABEL_OUTPUT, PROBABILITIES_OUTPUT] if signature.classes else [PREDICTION_OUTPUT]
        self.metadata = _metadata(signature, self._label_datatype)

    def read(self, document: Any) -> Asked:
        if type(document) is not dict:
            raise bad("", f'the body must be an object with "inputs", got {shown(document)}')
        request_id = document.get("id")
        if request_id is not None and not (type(request_id) is str and len(request_id) <= LONGEST_ID):
            raise bad("id", f"must be text of at most {LONGEST_ID} characters, got {shown(request_id)}")
        outputs = self._wanted(document.get("outputs"))
        inputs = document.get("inputs")
        if type(inputs) is not list or not inputs:
            raise bad("inputs", "is missing" if inputs is None else f"must be an array of tensors, got {shown(inputs)}")
        tensors = [_tensor(at, tensor) for at, tensor in enumerate(inputs)]
        return Asked(self._rows(tensors), outputs, request_id or None)

    def write(self, answers: Answers, asked: Asked, identity: dict[str, str], inference_id: str) -> dict[str, Any]:
        outputs = [self._output(name, answers) for name in asked.outputs or self.outputs]
        return {**identity, "id": asked.request_id or inference_id, "outputs": outputs}

    def _wanted(self, outputs: Any) -> list[str]:
        if outputs is None:
            return []
        if type(outputs) is not list:
            raise bad("outputs", f"must be an array, got {shown(outputs)}")
        wanted = []
        for at, output in enumerate(outputs):
            name = output.get("name") if type(output) is dict else None
            if type(name) is not str:
                raise bad(f"outputs[{at}].name", "must be text")
            if name not in self.outputs:
                raise unfit(f"outputs[{at}].name", f"{named(name)} is none of {', '.join(self.outputs)}")
            if name not in wanted:
                wanted.append(name)
        return wanted

    def _rows(self, tensors: list[Tensor]) -> Rows:
        names = self._intake.names
        first = tensors[0]
        if len(tensors) == 1 and len(first.shape) == 2 and (len(names) > 1 or first.name not in self._positions):  # noqa: PLR2004
            return self._matrix(first)
        columns: list[Values | None] = [None] * len(names)
        for at, tensor in enumerate(tensors):
            position = self._positions.get(tensor.name)
            if position is None:
                raise Refused(422, *self._unknown(tensors))
            if columns[position] is not None:
                raise bad(f"inputs[{at}].name", f"{named(tensor.name)} is given twice")
            columns[position] = self._column(position, tensor, first)
        count = first.shape[0]
        self._check_rows(f"inputs.{first.name}", count)
        return self._intake.read(
            self._intake.filled(columns, count), count, lambda row, at: f"inputs.{names[at]}[{row}]"
        )

    def _column(self, position: int, tensor: Tensor, first: Tensor) -> list[Any]:
        """The values of a tensor [rows] or [rows, 1] that has as many rows as the first."""
        name, shape, datatype, data = tensor
        if len(shape) != 1 and shape[1:] != [1]:
            raise unfit(f"inputs.{name}", f"shape must be [rows] or [rows, 1], got {shape}")
        if shape[0] != first.shape[0]:
            raise unfit(f"inputs.{name}", f"has {shape[0]} rows, but {first.name} has {first.shape[0]}")
        if datatype == BYTES and self._intake.inputs[position].type is ColumnType.NUMBER:
            raise unfit(f"inputs.{name}", "datatype BYTES is text, but the model asks for a number; FP32 will do")
        return data

    def _matrix(self, tensor: Tensor) -> Rows:
        names = self._intake.names
        if not self._intake.only_numbers:
            raise unfit("inputs", "the model has text inputs: give one tensor [rows] or [rows, 1] for each input")
        rows, width = tensor.shape
        if width != len(names):
            raise unfit("inputs[0].shape", f"must be [rows, {len(names)}], one column per input, got {tensor.shape}")
        if tensor.datatype == BYTES:
            raise unfit("inputs[0].datatype", "BYTES is text, but the model asks for numbers; FP32 will do")
        self._check_rows("inputs[0].shape", rows)
        columns = [tensor.data[at::width] for at in range(width)]
        return self._intake.read(columns, rows, lambda row, at: f"inputs[0].data[{row}][{at}] ({names[at]})")

    def _check_rows(self, where: str, count: int) -> None:
        if not count:
            raise bad(where, "must hold at least one row")
        check_count(count, self._max_rows)

    def _unknown(self, tensors: list[Tensor]) -> list[Problem]:
        return [
            Problem(f"inputs[{at}].name", f"{named(tensor.name)} is no input of the model")
            for at, tensor in enumerate(tensors)
            if tensor.name not in self._positions
        ][:MOST_PROBLEMS]

    def _output(self, name: str, answers: Answers) -> dict[str, Any]:
        count = len(answers.values)
        if name == LABEL_OUTPUT:
            return {"name": name, "shape": [count], "datatype": self._label_datatype, "data": answers.labels}
        return {
            "name": name,
            "shape": list(answers.values.shape),
            "datatype": "FP32",
            "data": answers.values.reshape(-1),
        }


def _tensor(at: int, tensor: Any) -> Tensor:
    if type(tensor) is not dict:
        raise bad(f"inputs[{at}]", f"must be a tensor, got {shown(tensor)}")
    name, shape, datatype, data = tensor.get("name"), tensor.get("shape"), tensor.get("datatype"), tensor.get("data")
    if not (
        type(name) is str
        and type(shape) is list
        and SIZE_TYPES.issuperset(map(type, shape))
        and shape
        and min(shape) >= 0
        and type(datatype) is str
        and datatype in ELEMENTS
        and type(data) is list
    ):
        raise _malformed(f"inputs[{at}]", tensor)
    if len(shape) > 1 or len(data) != shape[0]:
        data = _flat(data, shape, f"inputs[{at}].data")
    allowed = ELEMENTS[datatype]
    if not allowed.issuperset(map(type, data)):
        odd = next(position for position, value in enumerate(data) if type(value) not in allowed)
        raise unfit(f"inputs[{at}].data[{odd}] ({named(name)})", f"{shown(data[odd])} does not fit datatype {datatype}")
    return Tensor(name, shape, datatype, data)


def _malformed(where: str, tensor: dict[str, Any]) -> Refused:
    """What keeps an object from being a tensor."""
    name, shape, datatype, data = (tensor.get(key) for key in ("name", "shape", "datatype", "data"))
    if type(name) is not str:
        return bad(f"{where}.name", "is missing" if name is None else f"must be text, got {shown(name)}")
    if type(shape) is not list or not shape or not all(type(size) is int and size >= 0 for size in shape):
        return bad(f"{where}.shape", f"must be an array of sizes such as [1, 1], got {shown(shape)}")
    if type(datatype) is not str or datatype not in ELEMENTS:
        return bad(f"{where}.datatype", f"must be one of {', '.join(ELEMENTS)}, got {shown(datatype)}")
    parameters = tensor.get("parameters")
    if type(parameters) is dict and "binary_data_size" in parameters:
        return bad(where, "binary tensor data is not read here; send the data as JSON")
    return bad(f"{where}.data", "is missing" if data is None else f"must be an array, got {shown(data)}")


def _flat(data: list[Any], shape: list[int], where: str) -> list[Any]:
    """The data in row-major order, whether it was sent flat or nested as the shape is."""
    depth = 1
    while data and type(data[0]) is list:
        if depth == len(shape) or not all(type(part) is list and len(part) == shape[depth] for part in data):
            raise bad(where, f"is not nested as shape {shape} is")
        data = list(chain.from_iterable(data))
        depth += 1
    if len(data) != prod(shape):
        raise bad(where, f"holds {len(data)} values, but shape {shape} holds {prod(shape)}")
    return data


def _metadata(signature: Signature, label_datatype: str) -> dict[str, Any]:
    def tensor(name: str, datatype: str, *shape: int) -> dict[str, Any]:
        return {"name": name, "datatype": datatype, "shape": list(shape)}

    inputs = [
        tensor(column.name, "FP32" if column.type is ColumnType.NUMBER else BYTES, -1, 1) for column in signature.inputs
    ]
    if signature.classes:
        outputs = [
            tensor(LABEL_OUTPUT, label_datatype, -1),
            tensor(PROBABILITIES_OUTPUT, "FP32", -1, len(signature.classes)),
        ]
    else:
        outputs = [tensor(PREDICTION_OUTPUT, "FP32", -1)]
    return {"inputs": inputs, "outputs": outputs}
