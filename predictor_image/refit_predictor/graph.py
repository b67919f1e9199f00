"""The ONNX graph as the signature describes it: checked once, then asked."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from refit.api import jobs
from refit.api.dataspec import ColumnType
from refit.api.modeldeployment import Task
from refit.api.signature import LABEL_OUTPUT, PREDICTION_OUTPUT, PROBABILITIES_OUTPUT, SIGNATURE_KEY, Signature
from refit_predictor.artifact import Unfit
from refit_predictor.intake import Rows
from refit_predictor.refusals import unfit
from refit_predictor.tensors import Runner

# Since 1.29 ONNX Runtime tells Microsoft about the models it loads, unless this is set before it is imported.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import onnxruntime as ort

TENSORS = {ColumnType.NUMBER: "tensor(float)", ColumnType.CATEGORY: "tensor(string)"}
OUTPUTS = {
    Task.CLASSIFICATION: {LABEL_OUTPUT: "tensor(int64)", PROBABILITIES_OUTPUT: "tensor(float)"},
    Task.REGRESSION: {PREDICTION_OUTPUT: "tensor(float)"},
}
WHOLE_NUMBER = re.compile(r"0|-?[1-9][0-9]{0,17}")
WARM_UP_RUNS = 20
ERRORS_ONLY = 3


@dataclass(frozen=True)
class Answers:
    """What the model answers: for classes their labels and [rows, classes] probabilities, else [rows] numbers.

    `positions` are the labels' positions among the classes, for counting.
    """

    values: NDArray[np.float32]
    labels: list[str | int] | None = None
    positions: list[int] | None = None
    class_names: tuple[str, ...] = ()


class Graph:
    """One model, loaded."""

    def __init__(self, content: bytes, threads: int = 1) -> None:
        self._session = _session(content, threads)
        self.signature = _signature(self._session)
        _compare(self._session, self.signature)
        self.classes = self.signature.classes
        self.labels = labels(self.signature)
        self._outputs = list(OUTPUTS[self.signature.task])
        self._runner = Runner(self._session, self.signature, self._outputs)
        self._warm_up()

    def answer(self, rows: Rows) -> Answers:
        """One answer per row; refuses rows for which the model has no finite one."""
        if self.classes:
            found, probabilities = self._runner.run(rows)
            _all_finite(probabilities)
            positions = found.tolist()
            return Answers(probabilities, [self.labels[at] for at in positions], positions, self.classes)
        predictions = self._runner.run(rows)[0].reshape(-1)
        _all_finite(predictions)
        return Answers(predictions)

    def _warm_up(self) -> None:
        """Runs the graph on rows of nothing missing, so that the first request finds it warm, and sees what it answers."""
        for count in (2, 1):
            rows = _sample(self.signature, count)
            try:
                for _ in range(WARM_UP_RUNS):
                    found = self._runner.run(rows)
            except Exception as error:
                raise Unfit(jobs.SIGNATURE_MISMATCH, f"the graph cannot run: {_first_line(error)}") from error
            shapes = [(count,), (count, len(self.classes))] if self.classes else [(count, 1)]
            got = [output.shape for output in found]
            if got != shapes and not (not self.classes and got == [(count,)]):
                raise Unfit(jobs.SIGNATURE_MISMATCH, f"{count} rows are answered by shapes {got}, not {shapes}")
            if self.classes and not 0 <= found[0].min() <= found[0].max() < len(self.classes):
                raise Unfit(jobs.SIGNATURE_MISMATCH, f"labels are no positions among the {len(self.classes)} classes")
        self._runner.bind(found)
        for _ in range(WARM_UP_RUNS):
            self._runner.run(rows)


def labels(signature: Signature) -> list[str | int]:
    """The classes as clients see them: whole numbers if all of them are written as such."""
    if all(map(WHOLE_NUMBER.fullmatch, signature.classes)):
        return [int(name) for name in signature.classes]
    return list(signature.classes)


def _session(content: bytes, threads: int) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = ERRORS_ONLY
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors share no base class
        raise Unfit(jobs.SIGNATURE_MISMATCH, f"not an ONNX model: {_first_line(error)}") from error


def _signature(session: Any) -> Signature:
    written = session.get_modelmeta().custom_metadata_map.get(SIGNATURE_KEY)
    if written is None:
        raise Unfit(jobs.SIGNATURE_MISMATCH, f"the model's metadata has no {SIGNATURE_KEY}")
    try:
        signature = Signature.model_validate_json(written)
    except ValidationError as error:
        places = sorted({".".join(map(str, problem["loc"])) or "the whole" for problem in error.errors()})
        raise Unfit(jobs.SIGNATURE_MISMATCH, f"{SIGNATURE_KEY} is not valid: {', '.join(places)}") from error
    if (signature.task is Task.CLASSIFICATION) != bool(signature.classes):
        raise Unfit(jobs.SIGNATURE_MISMATCH, f"{signature.task} with {len(signature.classes)} classes")
    return signature


def _compare(session: Any, signature: Signature) -> None:
    """Raises Unfit with every difference between the graph and its signature."""
    graph_inputs = {node.name: node for node in session.get_inputs()}
    wanted_inputs = {column.name: TENSORS[column.type] for column in signature.inputs}
    if len(wanted_inputs) != len(signature.inputs):
        raise Unfit(jobs.SIGNATURE_MISMATCH, "an input is named twice")
    differences = _differences("input", graph_inputs, wanted_inputs)
    differences += [
        f"input {name} has shape {node.shape}, not [rows, 1]"
        for name, node in graph_inputs.items()
        if name in wanted_inputs and (len(node.shape) != 2 or node.shape[1] != 1 or isinstance(node.shape[0], int))  # noqa: PLR2004
    ]
    graph_outputs = {node.name: node for node in session.get_outputs()}
    wanted_outputs = OUTPUTS[signature.task]
    differences += _differences(
        "output", {name: node for name, node in graph_outputs.items() if name in wanted_outputs}, wanted_outputs
    )
    if differences:
        raise Unfit(jobs.SIGNATURE_MISMATCH, "; ".join(differences))


def _differences(kind: str, found: dict[str, Any], wanted: dict[str, str]) -> list[str]:
    return [
        *(f"{kind} {name} is not in the graph" for name in wanted if name not in found),
        *(f"{kind} {name} is not in the signature" for name in found if name not in wanted),
        *(
            f"{kind} {name} is {found[name].type}, not {wanted[name]}"
            for name in wanted
            if name in found and found[name].type != wanted[name]
        ),
    ]


def _sample(signature: Signature, count: int) -> Rows:
    """Rows of nothing missing: noughts, and each first category."""
    numbers = sum(column.type is ColumnType.NUMBER for column in signature.inputs)
    words = [
        (column.categories or ("",))[:1] * count for column in signature.inputs if column.type is ColumnType.CATEGORY
    ]
    return Rows(count, [0.0] * numbers * count, list(words), {}, {})


def _all_finite(values: NDArray[np.float32]) -> None:
    # For one row Python's own function is several times as quick as NumPy's.
    if not all(map(isfinite, values.ravel().tolist())):
        row = int(np.argwhere(~np.isfinite(values))[0][0])
        raise unfit(f"row {row}", "the model has no finite answer for these values")


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
