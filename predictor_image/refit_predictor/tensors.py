"""Rows become tensors and are run: many rows through tensors of their own, one row through tensors that stay.

Handing over a tensor per input costs several times what a small model takes for one row, so for one row
the tensors are bound once and only their values change. ONNX Runtime binds no text, so models with
words among their inputs go the other way.
"""

from __future__ import annotations

from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refit.api.dataspec import ColumnType
from refit.api.signature import Signature
from refit_predictor.intake import Rows


class Runner:
    """Runs a session for rows of its signature; answers the outputs in the order of `outputs`."""

    def __init__(self, session: Any, signature: Signature, outputs: list[str]) -> None:
        self._session = session
        self._outputs = outputs
        self._numbers = _names(signature, ColumnType.NUMBER)
        self._words = _names(signature, ColumnType.CATEGORY)
        self._single: _Single | None = None

    def run(self, rows: Rows) -> list[NDArray[Any]]:
        if rows.count == 1 and self._single is not None:
            return self._single.run(rows)
        feeds: dict[str, NDArray[Any]] = {}
        if self._numbers:
            matrix = np.array(rows.numbers, dtype=np.float32).reshape(-1, rows.count, 1)
            feeds.update(zip(self._numbers, matrix, strict=True))
        feeds.update(zip(self._words, map(_word_tensor, rows.words), strict=True))
        return list(self._session.run(self._outputs, feeds))

    def bind(self, one_row: list[NDArray[Any]]) -> None:
        """From now on runs one row through bound tensors if it can, for outputs as they were seen."""
        if not self._words:
            self._single = _Single(self._session, self._numbers, dict(zip(self._outputs, one_row, strict=True)))


class _Single:
    """Tensors of one row, bound to the session."""

    def __init__(self, session: Any, inputs: list[str], outputs: dict[str, NDArray[Any]]) -> None:
        self._session = session
        self._binding = session.io_binding()
        self._numbers = np.zeros(len(inputs), dtype=np.float32)
        self._results = [np.zeros_like(output) for output in outputs.values()]
        self._lock = Lock()  # one row in a large body comes from another thread
        for at, name in enumerate(inputs):
            self._bind(self._binding.bind_input, name, self._numbers[at : at + 1].reshape(1, 1))
        for name, result in zip(outputs, self._results, strict=True):
            self._bind(self._binding.bind_output, name, result)

    @staticmethod
    def _bind(bind: Any, name: str, tensor: NDArray[Any]) -> None:
        bind(name, "cpu", 0, tensor.dtype.type, tensor.shape, tensor.ctypes.data)

    def run(self, rows: Rows) -> list[NDArray[Any]]:
        with self._lock:
            self._numbers[:] = rows.numbers
            self._session.run_with_iobinding(self._binding)
            return [result.copy() for result in self._results]


def _names(signature: Signature, kind: ColumnType) -> list[str]:
    return [column.name for column in signature.inputs if column.type is kind]


def _word_tensor(words: Any) -> NDArray[Any]:
    tensor = np.empty((len(words), 1), dtype=object)
    tensor[:, 0] = words
    return tensor
