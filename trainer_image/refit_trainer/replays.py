"""Versions as they would have answered the requests of a window: what a return to one of them would bring."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from refit.api.metrics import LOWER_IS_BETTER, Metric
from refit.api.proposal import PredictedImpact, RankedVersion
from refit.api.signature import InputColumn
from refit_trainer.datasets import Rows
from refit_trainer.errors import RefusedError
from refit_trainer.evidence import known
from refit_trainer.resampling import FEWEST_ROWS, interval
from refit_trainer.retrainings import fair, labelled_rows
from refit_trainer.scores import number
from refit_trainer.versions import Version, logged
from refit_trainer.windows import INPUT, Requests

MOST_ROWS = 50_000
METHOD = "replay"


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """The versions, the best first, and what the one that is asked for would bring, else the best."""

    impact: PredictedImpact | None = None
    ranking: tuple[RankedVersion, ...] = ()
    message: str = ""


def replayed(
    serving: Version,
    versions: tuple[Version, ...],
    requests: Requests,
    metric: Metric,
    seed: int,
    wanted: int | None = None,
) -> Replayed:
    """Every version on the same labelled requests, none of which any of them was fitted on; `wanted` is the number of the
    one that is asked for."""
    able = tuple(version for version in versions if _logged(version, requests.labelled))
    unable = "".join(
        f"; version {version.number} asks for a column that is not logged"
        for version in versions
        if version not in able
    )
    if not able or not _logged(serving, requests.labelled):
        return Replayed(message=f"the requests can not be asked again: a column is not logged{unable}")
    classes = _classes((serving, *able))
    rows = _rows((serving, *able), requests, classes, seed)
    if len(rows) < FEWEST_ROWS or (classes and len(np.unique(rows.answers)) < 2):  # noqa: PLR2004 - two classes
        few = f"{len(rows)} labelled requests that no version was fitted on, a number needs {FEWEST_ROWS} of more than one class"
        return Replayed(
            message=f"{few if classes else few.removesuffix(' of more than one class')}; {_agreement(serving, able, requests)}{unable}"
        )
    ranked = [_ranked(version, rows, classes, metric, seed) for version in able]
    ranked = [each for each in ranked if each is not None]
    now = interval(metric, rows.answers, serving.answers(rows.frame, classes), seed)
    if not ranked or not np.isfinite(now.value):
        return Replayed(message=f"{metric} has no meaning on {len(rows)} labelled requests{unable}")
    sign = 1.0 if metric in LOWER_IS_BETTER else -1.0
    ranking = tuple(sorted((each for each in ranked if each is not None), key=lambda each: sign * float(each.value)))
    chosen = next((each for each in ranking if wanted in (None, each.version)), None)
    asked = f"{len(able)} versions asked again{unable}"
    if chosen is None:
        return Replayed(ranking=ranking, message=f"version {wanted} could not be asked; {asked}")
    impact = PredictedImpact(
        metric=metric.value,
        now=number(now.value),
        predicted=chosen.value,
        low=chosen.low,
        high=chosen.high,
        method=f"{METHOD} of version {chosen.version} on {len(rows)} labelled requests, bootstrap",
    )
    return Replayed(impact=impact, ranking=ranking, message=asked)


def _ranked(version: Version, rows: Rows, classes: tuple[str, ...], metric: Metric, seed: int) -> RankedVersion | None:
    found = interval(metric, rows.answers, version.answers(rows.frame, classes), seed)
    if not np.isfinite([found.value, found.low, found.high]).all():
        return None
    return RankedVersion(
        version=version.number,
        value=number(found.value),
        low=number(found.low),
        high=number(found.high),
        rows=len(rows),
    )


def _rows(versions: tuple[Version, ...], requests: Requests, classes: tuple[str, ...], seed: int) -> Rows:
    """The latest requests whose label has come and that are new to all versions."""
    found = known(requests.labelled.slice(max(0, requests.labelled.num_rows - MOST_ROWS)), classes, seed)
    chosen = np.ones(len(found), dtype=bool)
    for version in versions:
        chosen &= fair(found, version.lineage)
    return labelled_rows(found, chosen, _inputs(versions), classes)


def _inputs(versions: tuple[Version, ...]) -> tuple[InputColumn, ...]:
    """What all of them ask for; an input that one of them can not do without is needed."""
    found: dict[str, InputColumn] = {}
    for version in versions:
        for column in version.signature.inputs:
            if column.name not in found or not column.nullable:
                found[column.name] = column
    return tuple(found.values())


def _classes(versions: tuple[Version, ...]) -> tuple[str, ...]:
    """The classes of what serves, and those that only others know."""
    return tuple(dict.fromkeys(name for version in versions for name in version.signature.classes))


def _logged(version: Version, table: pa.Table) -> bool:
    return all(INPUT + column.name in table.column_names for column in version.signature.inputs)


def _agreement(serving: Version, versions: tuple[Version, ...], requests: Requests) -> str:
    """What can be said without labels: how often others answer as the one that serves."""
    classes = _classes((serving, *versions))
    table = requests.recent
    if not table.num_rows or not all(_logged(version, table) for version in (serving, *versions)):
        return "no requests to ask again"
    try:
        frame = logged(_inputs((serving, *versions)), table)
    except RefusedError as error:
        return error.message
    ours = serving.answers(frame, classes)
    told = []
    for version in versions[:5]:
        theirs = version.answers(frame, classes)
        if classes:
            same = float(np.mean(ours.argmax(axis=1) == theirs.argmax(axis=1)))
            told.append(f"version {version.number} gives the same class for {100 * same:.1f} %")
        else:
            apart = float(np.nanmean(np.abs(ours - theirs)))
            told.append(f"version {version.number} differs by {number(apart)} on average")
    return f"without labels, on {len(frame)} requests (agreement with version {serving.number}): {', '.join(told)}"
