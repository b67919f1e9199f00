"""A retraining's other half: whom it must beat, and the logged requests it learns from and is judged on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from refit.api.modeldeployment import ModelDeploymentSpec
from refit.api.orders import RetrainingOrder
from refit.api.proposal import EvidenceWindow
from refit.api.remediation import RowsRule
from refit.api.signature import InputColumn
from refit_trainer.datasets import Dataset, Input, Rows, named
from refit_trainer.errors import RefusedError
from refit_trainer.evidence import Known, known
from refit_trainer.lineages import Lineage, fingerprints, micros, shares, unpacked
from refit_trainer.mlflow_door import Mlflow
from refit_trainer.versions import Version, logged, version
from refit_trainer.windows import Collector, Requests

FROM_REQUESTS = 60
"""Held-out requests from which on they alone decide: what comes now is what the model is for."""


@dataclass(frozen=True, kw_only=True)
class Retraining:
    """What a training follows. Without a window `requests` and `known` are None."""

    order: RetrainingOrder
    champion: Version
    requests: Requests | None = None
    known: Known | None = None

    @property
    def learns_from_requests(self) -> bool:
        return self.known is not None and self.order.rows is not RowsRule.SOURCE_REFRESHED

    @property
    def learned_window(self) -> EvidenceWindow | None:
        return self.order.window if self.learns_from_requests else None


@dataclass(frozen=True, kw_only=True)
class NewRows:
    """Rows that neither model was fitted on, and which they are."""

    rows: Rows
    told: str


def retraining(
    order: RetrainingOrder, spec: ModelDeploymentSpec, mlflow: Mlflow, collector: Collector | None
) -> Retraining:
    """The champion and the window of an order; raises RefusedError where the order can not be followed."""
    if order.rows is RowsRule.SOURCE_REFRESHED and spec.data.source.sha256 is not None:
        raise RefusedError(
            "SourcePinned",
            "spec.data.source.sha256 pins the source, so there is nothing new to learn from it; remove the pin, "
            "or set spec.remediation.retraining.rows: Append",
        )
    champion = version(mlflow, order.champion)
    if champion.signature.task is not spec.task:
        raise RefusedError(
            "SignatureMismatch",
            f"version {champion.number} is a model of {champion.signature.task}, spec.task is {spec.task}",
        )
    if order.window is None or collector is None:
        if order.rows is RowsRule.RECENT_ONLY:
            raise RefusedError("DatasetTooSmall", "rows: RecentOnly learns from a window, and the order names none")
        return Retraining(order=order, champion=champion)
    requests = collector.requests(order.window)
    return Retraining(
        order=order,
        champion=champion,
        requests=requests,
        known=known(requests.labelled, champion.signature.classes, spec.data.split.seed),
    )


def new_rows(dataset: Dataset, held: Retraining, spec: ModelDeploymentSpec, source_sha256: str | None) -> NewRows:
    """The rows to compare on: requests that both held out if there are enough, else these and the source's."""
    requests = _requests(dataset, held, spec)
    several = not dataset.classes or len(np.unique(requests.answers)) > 1
    if len(requests) >= FROM_REQUESTS and several:
        return NewRows(rows=requests, told=f"{len(requests)} logged requests")
    source, told = _source(dataset, held, source_sha256)
    if not len(requests):
        return NewRows(rows=source, told=told)
    frame = source.frame[list(requests.frame.columns)]
    joined = Rows(
        pd.concat([frame, requests.frame], ignore_index=True),
        np.concatenate([source.answers, requests.answers.astype(source.answers.dtype)]),
    )
    return NewRows(rows=joined, told=f"{len(requests)} logged requests and {told}")


def fair(found: Known, lineage: Lineage | None) -> NDArray[np.bool_]:
    """Which requests a model was not fitted on: those outside of its window, and those that it held out."""
    if lineage is None or lineage.window is None:
        return np.ones(len(found), dtype=bool)
    when = found.micros
    outside = (when < micros(lineage.window.since)) | (when >= micros(lineage.window.until))
    if outside.all():
        return outside
    own = shares(found.table.column("id").to_pylist(), found.table.column("row").to_pylist(), lineage.seed)
    return np.asarray(outside | (own < lineage.test_percent / 100), dtype=bool)


def labelled_rows(
    found: Known, chosen: NDArray[np.bool_], inputs: Iterable[InputColumn | Input], classes: tuple[str, ...]
) -> Rows:
    """The chosen requests as rows with these inputs, without those that no model of them would answer."""
    inputs = tuple(inputs)
    frame = logged(inputs, found.table)
    for column in inputs:
        if not column.nullable:
            values = frame[column.name].to_numpy()
            chosen = chosen & (values != "" if values.dtype == object else ~np.isnan(values))
    if not classes:
        return Rows(frame[chosen].reset_index(drop=True), found.truth[chosen])
    place_of = {name: place for place, name in enumerate(classes)}
    answers = np.array([place_of.get(name, -1) for name in found.truth.tolist()], dtype=np.int64)
    chosen = chosen & (answers >= 0)
    return Rows(frame[chosen].reset_index(drop=True), answers[chosen])


def _requests(dataset: Dataset, held: Retraining, spec: ModelDeploymentSpec) -> Rows:
    found = held.known
    nothing = Rows(dataset.held_out.frame.iloc[:0], dataset.held_out.answers[:0])
    if found is None or not len(found):
        return nothing
    chosen = fair(found, held.champion.lineage)
    if held.learns_from_requests:
        chosen = chosen & (found.shares < spec.data.split.test_percent / 100)
    try:
        return labelled_rows(found, chosen, dataset.inputs, dataset.classes)
    except RefusedError:
        return nothing  # a masked column: such requests can be neither learned from nor compared on


def _source(dataset: Dataset, held: Retraining, source_sha256: str | None) -> tuple[Rows, str]:
    """The source's held-out rows that are new to the champion, and which they are."""
    mine = dataset.held_out.at(np.flatnonzero(dataset.held_numbers < dataset.source_rows))
    lineage = held.champion.lineage
    if lineage is not None and lineage.source_sha256 is None:
        return mine, f"{len(mine)} rows of the source"
    if lineage is not None and lineage.source_sha256 == source_sha256 and lineage.source_split == dataset.source_split:
        return mine, f"{len(mine)} rows of the source that both held out"
    content = held.champion.fingerprints()
    if content is None:
        return mine.at(np.zeros(len(mine), dtype=bool)), "0 rows of the source: what the champion learned is not known"
    new = ~np.isin(fingerprints(mine.frame, named(dataset, mine)), unpacked(content))
    return mine.at(new), f"{int(new.sum())} rows of the source that are new to the champion"
