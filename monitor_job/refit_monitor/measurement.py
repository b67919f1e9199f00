"""One measurement: everything that is said of a model in one window. A pure function of profile, window and spec."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np

from refit.api.measured import Direction, LastMeasurement, QualityVerdict, QueryResult, Verdict
from refit.api.monitoring import Monitoring
from refit.api.profile import CategoryProfile, ColumnProfile, NumberProfile, Profile
from refit_monitor import data_quality, model_quality
from refit_monitor import segments as by_segment
from refit_monitor.answers import fitting
from refit_monitor.columns import see
from refit_monitor.data_quality import ColumnQuality, Quality, RowCodes
from refit_monitor.drift import Rules, column_drift
from refit_monitor.measured_columns import ColumnDrift, judged
from refit_monitor.model_quality import QualityMeasured
from refit_monitor.segments import Segment
from refit_monitor.trend import Trend
from refit_monitor.windows import LABEL, PROBABILITY, Window, answer_columns
from refit_monitor.wording import sentence

LOWEST_COVERAGE = 0.9
"""Of a window that holds less of the answered requests one can not say that it is like all of them."""
COMPARED_CLASSES = 20
SHORT_FEATURES = 16
MASKED = "not in the window; if requestLog masks it, it can not be compared"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is measured: the names, the window and when it is, and which measurement this is."""

    key: str
    time: str
    namespace: str
    model: str
    version: int | None = None
    since: str | None = None
    until: str | None = None
    interval_seconds: int = 0


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """All that is said."""

    asked: Asked
    rows: int
    verdict: Verdict
    message: str
    columns: tuple[ColumnDrift, ...] = ()
    prediction: tuple[ColumnDrift, ...] = ()
    data_quality: Quality | None = None
    quality: QualityMeasured | None = None
    trend: Trend | None = None
    segments: tuple[Segment, ...] = ()
    queries: tuple[QueryResult, ...] = ()
    coverage: float | None = None
    report: str | None = None
    report_of: str = ""
    report_time: str | None = None

    @property
    def decided(self) -> bool:
        """Whether it has a verdict on drift."""
        return self.verdict in {Verdict.DRIFT, Verdict.NO_DRIFT}

    @property
    def trouble(self) -> str:
        """What a person should look at, in words that are the same while it is the same; "" if nothing."""
        answer = self.drifted_answer
        found = [*sorted(column.column for column in self.drifted), *([answer.column] if answer is not None else [])]
        found += sorted(segment.name for segment in self.drifted_segments)
        if self.data_quality is not None and not self.data_quality.valid and self.decided:
            found.append("invalid data")
        if self.quality is not None and self.quality.verdict == QualityVerdict.LOW:
            found.append("low quality")
        return ", ".join(found)

    @property
    def drifted(self) -> list[ColumnDrift]:
        """The inputs that drifted, the largest effect first."""
        return sorted((column for column in self.columns if column.drifted), key=lambda column: -column.effect)

    @property
    def drifted_answer(self) -> ColumnDrift | None:
        """The column of answers that drifted most; None if none did."""
        return max((column for column in self.prediction if column.drifted), key=lambda c: c.effect, default=None)

    @property
    def drifted_segments(self) -> list[Segment]:
        return [segment for segment in self.segments if segment.drifted]

    def record(self) -> dict[str, Any]:
        """As the collector keeps it."""
        asked = self.asked
        found = {
            "key": asked.key,
            "time": asked.time,
            "namespace": asked.namespace,
            "model": asked.model,
            "version": asked.version,
            "intervalSeconds": asked.interval_seconds,
            "since": asked.since,
            "until": asked.until,
            "rows": self.rows,
            "verdict": self.verdict.value,
            "message": self.message,
            "columns": [column.record() for column in self.columns],
            "prediction": [column.record() for column in self.prediction],
            "dataQuality": self.data_quality.record() if self.data_quality is not None else None,
            "quality": self.quality.record() if self.quality is not None else None,
            "trend": self.trend.record() if self.trend is not None else None,
            "segments": [segment.record() for segment in self.segments],
            "queries": [_query(result) for result in self.queries],
            "coverage": self.coverage,
            "report": self.report,
            "reportOf": self.report_of or None,
            "reportTime": self.report_time,
        }
        return {name: _finite(value) for name, value in found.items() if value is not None}

    def short(self) -> LastMeasurement:
        """As the operator gets it: features and prose are dropped until it fits a termination message."""
        answer = self.drifted_answer
        found = LastMeasurement(
            key=self.asked.key,
            time=self.asked.time,
            verdict=self.verdict,
            rows=self.rows,
            version=self.asked.version,
            since=self.asked.since,
            until=self.asked.until,
            message=self.message[:1024],
            features=tuple(column.short() for column in self.drifted[:SHORT_FEATURES]),
            drifted=len(self.drifted),
            measured=sum(1 for column in self.columns if column.note != MASKED),
            prediction=answer.short() if answer is not None else None,
            segments=by_segment.short(self.segments, {column.column for column in self.drifted}),
            data_quality=self.data_quality.short() if self.data_quality is not None else None,
            quality=self.quality.short() if self.quality is not None else None,
            trend=self.trend.direction if self.trend is not None else Direction.UNKNOWN,
            queries=self.queries,
            coverage=f"{self.coverage:.4f}" if self.coverage is not None else None,
            report=self.report,
        )
        return fitting(found)


def error(asked: Asked, message: str) -> Measurement:
    """What could not be measured: no drift, and not no drift."""
    return Measurement(asked=asked, rows=0, verdict=Verdict.ERROR, message=message[:1024])


def measure(
    profile: Profile,
    window: Window,
    spec: Monitoring,
    asked: Asked,
    *,
    coverage: float | None = None,
    cut: bool = False,
) -> Measurement:
    """The measurement, but for what is asked of others (trend, queries, report). Raises BadInputError."""
    rules = Rules(spec.drift, asked.key)
    rules.check({column.name: column.type for column in profile.columns})
    columns, quality = _inputs(profile, window, rules)
    answers = _answers(profile, window, rules)
    segments = by_segment.segments(profile, window, spec, rules, asked.key)
    found = [column for column in columns if column.note != MASKED]
    lacking = _lacking(window.rows, len(found), spec, coverage)
    within = [column for segment in segments for column in segment.columns]
    verdicts = iter(judged([*found, *answers], float(spec.drift.alpha), enough=not lacking, within=within))
    by_name = {column.column: column for column in islice(verdicts, len(found))}
    told = Measurement(
        asked=asked,
        rows=window.rows,
        verdict=Verdict.INCONCLUSIVE,
        message=lacking,
        columns=tuple(by_name.get(column.column, column) for column in columns),
        prediction=tuple(islice(verdicts, len(answers))),
        data_quality=quality,
        quality=_model(profile, window, spec, asked),
        segments=by_segment.with_verdicts(segments, verdicts, lacking),
        coverage=coverage,
    )
    if not lacking:
        drifted = told.drifted or told.drifted_answer or told.drifted_segments
        message = sentence(window.rows, list(by_name.values()), told.drifted_answer, told.segments)
        told = replace(told, verdict=Verdict.DRIFT if drifted else Verdict.NO_DRIFT, message=message)
    more = ["; only the first rows of a longer window"] if cut else []
    absent = [column.column for column in columns if column.note == MASKED]
    more += [f"; not in the window: {', '.join(absent[:8])}"] if absent else []
    more += [f"; {said}" for said in [by_segment.no_reference(profile, told.segments)] if said]
    return replace(told, message=told.message + "".join(more))


def _inputs(profile: Profile, window: Window, rules: Rules) -> tuple[list[ColumnDrift], Quality | None]:
    """Each input is read once; its distribution, its faults and its part of the rows' identity are taken from that."""
    columns: list[ColumnDrift] = []
    faults: list[ColumnQuality] = []
    codes = RowCodes(window.rows)
    for column in profile.columns:
        held = column.numbers or column.texts
        if column.name not in window.inputs or held is None:
            columns.append(_skipped(column, rules))
            continue
        seen = see(window.inputs[column.name], column.type)
        if seen.codes is not None:
            codes.add(seen.codes)
        columns.append(column_drift(column.name, held, seen, rules.of(column.name)))
        faults.append(data_quality.column_quality(column, seen))
    if not window.rows or not faults:
        return columns, None
    whole = len(faults) == len(columns)  # without a masked column rows are equal that are not
    return columns, data_quality.quality(faults, codes.repetition(profile) if whole else None)


def _skipped(column: ColumnProfile, rules: Rules) -> ColumnDrift:
    rule = rules.of(column.name)
    return ColumnDrift(
        column=column.name,
        type=column.type,
        method=rule.method or "",
        effect=0.0,
        threshold=rule.threshold,
        p_value=1.0,
        note=MASKED,
    )


def _answers(profile: Profile, window: Window, rules: Rules) -> list[ColumnDrift]:
    references: dict[str, NumberProfile | CategoryProfile | None] = {
        LABEL: profile.answers.labels,
        "prediction": profile.answers.predictions,
    }
    references |= {f"{PROBABILITY}{label}": held for label, held in profile.answers.probabilities.items()}
    found = []
    for name, kind in answer_columns(profile, window, COMPARED_CLASSES).items():
        held = references[name]
        if held is not None:
            found.append(column_drift(name, held, see(window.answers[name], kind), rules.of_answers(name)))
    return found


def _model(profile: Profile, window: Window, spec: Monitoring, asked: Asked) -> QualityMeasured | None:
    answers = window.answered(profile)
    if answers is None:
        return None
    truth = window.known(profile)
    rng = np.random.default_rng(list(asked.key.encode()))
    return model_quality.measured(
        profile, answers, truth.values, spec.quality, rng, delay_seconds=truth.delay_seconds, unknown=truth.unknown
    )


def _lacking(rows: int, compared: int, spec: Monitoring, coverage: float | None) -> str:
    """Why nothing can be said of drift; "" if something can."""
    if rows < spec.window.min_rows:
        return f"{rows} rows, need at least {spec.window.min_rows} (spec.monitoring.window.minRows)"
    if not compared:
        return "no input of the model is in the window"
    if coverage is not None and coverage < LOWEST_COVERAGE:
        return f"the collector holds {coverage:.1%} of the answered requests, need at least {LOWEST_COVERAGE:.0%}"
    return ""


def _query(result: QueryResult) -> dict[str, Any]:
    value = float(result.value) if result.value is not None else None
    return {"name": result.name, "value": value, "breached": result.breached, "message": result.message}


def _finite(value: Any) -> Any:
    """JSON has no number that is not finite: such a one is left out."""
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    return [_finite(part) for part in value] if isinstance(value, list) else value
