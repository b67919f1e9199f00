"""What the predictor tells the collector of each answered request, and the late labels that come for it.

Events travel as NDJSON, one event a line, many lines a request; the collector answers 2xx only when
all of them are on disk. An event is known by its id: told twice, it counts once.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from refit.api.base import ApiModel, ColumnName, Word

MEDIA_TYPE = "application/x-ndjson"
AUDIENCE = "refit-collector"
"""For whom a ServiceAccount's token must be made out."""
EVENTS_PATH = "/v1/namespaces/{namespace}/models/{model}/events"
LABELS_PATH = "/v1/namespaces/{namespace}/models/{model}/labels"
WINDOW_PATH = "/v1/namespaces/{namespace}/models/{model}/window"
MEASUREMENTS_PATH = "/v1/namespaces/{namespace}/models/{model}/measurements"
PROBE_HEADER = "Refit-Probe"
"""Header of a request that is no traffic: the golden request, by which the operator proves a roll-out."""
PROXIED_HEADER = "Refit-Authorization"
"""Header that stands for Authorization behind the API server's proxy, which takes that one away."""
PREDICTION_PATH = "/v1/namespaces/{namespace}/predictions/{id}"

MAX_BODY = 8 * 1024 * 1024
"""Bytes of one request to the collector."""
MAX_ROWS = 10_000
"""Rows of one event, as the predictor allows in one request."""

INFERENCE_ID = r"^[A-Za-z0-9._:/+=@-]{1,128}$"
InferenceId = Annotated[str, Field(pattern=INFERENCE_ID)]
"""As the predictor takes it from a client or makes it up."""
Value = float | int | str | bool | None
"""One value of a row; null is a missing one."""

_ZONE = re.compile(r"(Z|[+-]\d\d:\d\d)$")


class PredictionEvent(ApiModel):
    """One answered request: `rows` rows of inputs by column name, and the answers in the same order.

    Classification answers `labels` and `probabilities` [rows][classes in the order of `classes`];
    Regression answers `predictions` [rows]. Of the columns in `masked` no value ever left the predictor.
    `latency` is in milliseconds; `time` is RFC 3339 with its zone, when the answer was given.
    """

    id: InferenceId
    version: Annotated[int, Field(ge=1)]
    time: Annotated[str, Field(max_length=40)]
    rows: Annotated[int, Field(ge=1, le=MAX_ROWS)]
    inputs: Annotated[dict[ColumnName, tuple[Value, ...]], Field(max_length=512)]
    masked: Annotated[tuple[ColumnName, ...], Field(max_length=64)] = ()
    classes: Annotated[tuple[Word, ...], Field(max_length=1024)] = ()
    labels: tuple[str, ...] | None = None
    probabilities: tuple[tuple[float, ...], ...] | None = None
    predictions: tuple[float, ...] | None = None
    latency: Annotated[float, Field(ge=0)] = 0.0

    @model_validator(mode="after")
    def _rows_agree(self) -> Self:
        columns: dict[str, Any] = {f"inputs.{name}": values for name, values in self.inputs.items()}
        columns |= {name: getattr(self, name) for name in ("labels", "probabilities", "predictions")}
        for name, values in columns.items():
            if values is not None and len(values) != self.rows:
                raise ValueError(f"{name} holds {len(values)} values, rows is {self.rows}")
        if (self.labels is None) == (self.predictions is None):
            raise ValueError("give labels (Classification) or predictions (Regression), one of them")
        if self.probabilities and any(len(row) != len(self.classes) for row in self.probabilities):
            raise ValueError(f"each of probabilities must hold {len(self.classes)} values, as classes does")
        if any(isinstance(value, float) and not math.isfinite(value) for row in self.inputs.values() for value in row):
            raise ValueError("inputs holds a number that is not finite; null stands for a missing value")
        if _ZONE.search(self.time) is None:
            raise ValueError("time must be RFC 3339 with a zone, such as 2026-01-31T12:00:00.000Z")
        return self


class LabelEvent(ApiModel):
    """What turned out to be true for one row of an answered request: a class, or a number as a string."""

    id: InferenceId
    row: Annotated[int, Field(ge=0, lt=MAX_ROWS)] = 0
    label: Annotated[str, Field(min_length=1, max_length=64)]
    time: Annotated[str, Field(max_length=40)] | None = None
