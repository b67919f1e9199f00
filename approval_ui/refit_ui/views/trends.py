"""A month of a model: every training with its metric, and which version served when."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from refit.api.deploymentstatus import VersionRecord, VersionState
from refit.api.times import moment
from refit_ui.views.runs import Run

DAYS = 30
OUTCOMES = {
    "Registered": "registered",
    "BelowBound": "below its bound",
    "ChampionKept": "not better",
    "Refused": "refused",
}


@dataclass(frozen=True, kw_only=True)
class Point:
    """One training."""

    time: datetime
    value: float
    what: str


@dataclass(frozen=True, kw_only=True)
class Span:
    """A version that served, cut to the month."""

    version: str
    since: datetime
    until: datetime
    value: float
    algorithm: str
    why: str


def points(runs: Iterable[Run], history: Iterable[VersionRecord], metric: str, now: datetime) -> tuple[Point, ...]:
    """Trainings as MLflow knows them; of runs that it no longer has, what the history keeps."""
    since = now - timedelta(days=DAYS)
    records = {one.run_id: one for one in history}
    found = {
        run.run_id: Point(time=run.started, value=run.metrics[metric], what=_what(run, records.get(run.run_id)))
        for run in runs
        if metric in run.metrics
    }
    for record in records.values():
        if record.run_id not in found and record.metric == metric:
            told = f"version {record.version}, {record.algorithm}"
            found[record.run_id] = Point(time=moment(record.create_time), value=float(record.value), what=told)
    return tuple(sorted((one for one in found.values() if one.time >= since), key=lambda one: one.time))


def spans(history: Iterable[VersionRecord], metric: str, now: datetime) -> tuple[Span, ...]:
    """What served in the month, the oldest first."""
    begin = now - timedelta(days=DAYS)
    found = []
    for one in history:
        if one.since is None or one.metric != metric:
            continue
        until = moment(one.until) if one.until and one.state != VersionState.SERVING else now
        if until >= begin:
            found.append(
                Span(
                    version=f"v{one.version}",
                    since=max(begin, moment(one.since)),
                    until=until,
                    value=float(one.value),
                    algorithm=one.algorithm,
                    why=one.reason,
                )
            )
    return tuple(sorted(found, key=lambda span: span.since))


def _what(run: Run, record: VersionRecord | None) -> str:
    algorithm = run.parameters.get("algorithm", "")
    if record is not None:
        return f"version {record.version}, {algorithm or record.algorithm}"
    outcome = run.tags.get("refit.outcome", "")
    return ", ".join(part for part in (OUTCOMES.get(outcome, outcome), algorithm) if part)
