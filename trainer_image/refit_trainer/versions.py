"""Registered versions, as they are served: the very file, checked by its digest, asked through ONNX Runtime."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import ValidationError

from refit.api.dataspec import ColumnType
from refit.api.orders import VersionOrder
from refit.api.signature import InputColumn, Signature
from refit_trainer.datasets import Input
from refit_trainer.errors import RefusedError
from refit_trainer.exports import Served
from refit_trainer.lineages import FINGERPRINTS_FILE, LINEAGE_FILE, Lineage
from refit_trainer.mlflow_door import Mlflow
from refit_trainer.windows import INPUT

ROWS_AT_ONCE = 16_384
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Version:
    """A version that can be asked. `lineage` is None where nobody wrote down what it was fitted on."""

    number: int
    served: Served
    lineage: Lineage | None = None
    fingerprints: Callable[[], bytes | None] = lambda: None

    @property
    def signature(self) -> Signature:
        return self.served.signature

    def answers(self, frame: pd.DataFrame, classes: tuple[str, ...]) -> Floats:
        """Its answers, probabilities in the order of these classes; one that it does not know has none."""
        asked = as_asked(self.signature, frame)
        parts = [
            self.served.answers(asked.iloc[begun : begun + ROWS_AT_ONCE])
            for begun in range(0, len(asked), ROWS_AT_ONCE)
        ]
        found = np.concatenate(parts) if parts else np.zeros((0, len(self.signature.classes) or 1))
        if not classes:
            return found.reshape(len(found), -1)[:, :1]
        aligned = np.zeros((len(found), len(classes)))
        for place, name in enumerate(classes):
            if name in self.signature.classes:
                aligned[:, place] = found[:, self.signature.classes.index(name)]
        return aligned


def version(mlflow: Mlflow, order: VersionOrder) -> Version:
    """The version at an address; raises RefusedError where it is not the one that was registered."""
    content = mlflow.read(order.artifact_uri)
    if content is None:
        raise RefusedError("VersionNotFound", f"version {order.version}: there is no file at {order.artifact_uri}")
    found = hashlib.sha256(content).hexdigest()
    if found != order.artifact_sha256:
        raise RefusedError(
            "DigestMismatch",
            f"the file of version {order.version} is not the registered one: "
            f"want {order.artifact_sha256[:12]}, got {found[:12]}",
        )
    folder = order.artifact_uri.rsplit("/", 2)[0]
    return Version(
        number=order.version,
        served=_served(content, order.version),
        lineage=_lineage(mlflow.read(f"{folder}/{LINEAGE_FILE}")),
        fingerprints=lambda: mlflow.read(f"{folder}/{FINGERPRINTS_FILE}"),
    )


def as_asked(signature: Signature, frame: pd.DataFrame) -> pd.DataFrame:
    """The rows with the inputs of a signature, in its types; raises RefusedError for an input that they lack."""
    columns = {}
    for column in signature.inputs:
        if column.name not in frame.columns:
            raise RefusedError("ColumnMissing", f"the model asks for {column.name!r}, which the rows do not have")
        values = frame[column.name].to_numpy()
        if column.type is ColumnType.NUMBER:
            columns[column.name] = _numbers(values)
        else:
            columns[column.name] = (
                values if values.dtype == object else np.array(list(map(_word, values)), dtype=object)
            )
    return pd.DataFrame(columns)


def logged(inputs: Iterable[InputColumn | Input], table: Any) -> pd.DataFrame:
    """Logged requests as a model of these inputs takes them; raises RefusedError for an input that is not logged."""
    columns = {}
    for column in inputs:
        if INPUT + column.name not in table.column_names:
            raise RefusedError(
                "ColumnMissing",
                f"the logged requests do not hold {column.name!r}; is it in spec.serving.requestLog.mask?",
            )
        values = table.column(INPUT + column.name).to_pandas().to_numpy()
        if column.type is ColumnType.NUMBER:
            columns[column.name] = _numbers(values)
        else:
            columns[column.name] = np.array(list(map(_word, values)), dtype=object)
    return pd.DataFrame(columns)


def _numbers(values: NDArray[Any]) -> NDArray[np.float32]:
    if values.dtype == object:
        values = pd.to_numeric(pd.Series(values), errors="coerce").to_numpy(dtype=np.float64)
    with np.errstate(over="ignore"):
        found = values.astype(np.float32)
    return np.where(np.isfinite(found), found, np.float32(np.nan))


def _word(value: Any) -> str:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return ""
    if isinstance(value, str):
        return value.strip()
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def _served(content: bytes, number: int) -> Served:
    try:
        return Served(content)
    except Exception as error:  # ONNX Runtime's errors share no base class
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise RefusedError(
            "SignatureMismatch", f"version {number} is no model of this contract: {first[:300]}"
        ) from error


def _lineage(content: bytes | None) -> Lineage | None:
    try:
        return None if content is None else Lineage.model_validate_json(content)
    except ValidationError:
        return None
