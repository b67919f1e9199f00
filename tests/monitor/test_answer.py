"""The short answer, at its longest."""

from __future__ import annotations

from refit.api.dataspec import ColumnType
from refit.api.measured import QueryResult, Verdict
from refit.api.metrics import Metric
from refit.api.monitoring import DriftMethod
from refit.api.results import decode_measurement, encode
from refit_monitor.data_quality import Quality
from refit_monitor.drift import EFFECTS, METHODS
from refit_monitor.measured_columns import ColumnDrift, judged
from refit_monitor.measurement import Asked, Measurement
from refit_monitor.model_quality import QualityMeasured
from refit_monitor.segments import Segment

ASKED = Asked(
    key="m" * 40, time="2026-11-21T12:00:00Z", namespace="n" * 63, model="m" * 40, version=999, since="2026-11-20T12:00:00Z",
    until="2026-11-21T12:00:00Z", interval_seconds=300,
)  # fmt: skip


def column(name: str, effect: float = 0.5, p_value: float = 1e-9, threshold: float = 0.1) -> ColumnDrift:
    return ColumnDrift(
        column=name, type=ColumnType.NUMBER, method="KS", effect=effect, threshold=threshold, p_value=p_value
    )


def test_the_longest_answer_fits_and_keeps_verdict_counts_and_the_largest_effects() -> None:
    columns = [column("ä" * 120 + str(place), 0.9 - place / 1000) for place in range(200)]
    found = Measurement(
        asked=ASKED,
        rows=1000,
        verdict=Verdict.DRIFT,
        message="ü" * 1024,
        columns=tuple(judged(columns, 0.01, enough=True)),
        prediction=tuple(judged([column("probability.yes")], 0.01, enough=True)),
        segments=tuple(
            Segment(
                column="ö" * 128,
                value=str(place),
                rows=500,
                share=0.1,
                columns=tuple(judged([column("ß" * 120 + str(place))], 0.01, enough=True)),
            )
            for place in range(20)
        ),
        data_quality=Quality(completeness=1, validity=1, consistency=0.5, uniqueness=1, problems=("ö" * 900,) * 3),
        quality=QualityMeasured(
            labelled=500,
            metrics=dict.fromkeys(list(Metric)[:8], 0.123456),
            estimated=dict.fromkeys(list(Metric)[:8], 0.123456),
            message="q" * 1000,
        ),
        queries=tuple(QueryResult(name=f"query-{place}", value="1.5", message="e" * 256) for place in range(16)),
        report="http://" + "r" * 500,
    )
    short = found.short()
    assert decode_measurement(encode(short)) == short
    assert (short.verdict, short.drifted, short.measured, len(short.queries)) == (Verdict.DRIFT, 200, 200, 16)
    assert [feature.column for feature in short.features] == [c.column for c in columns[: len(short.features)]]
    assert len(short.features) >= 1


def test_holm_corrects_over_all_columns() -> None:
    found = judged(
        [column("a", p_value=0.004), column("b", p_value=0.0001), column("c", p_value=0.02), column("d", p_value=0.9)],
        0.02,
        enough=True,
    )
    assert [(c.column, round(c.p_adjusted, 6), c.drifted) for c in found] == [
        ("a", 0.012, True), ("b", 0.0004, True), ("c", 0.04, False), ("d", 0.9, False),
    ]  # fmt: skip


def test_a_small_effect_is_no_drift_however_certain() -> None:
    (found,) = judged([column("a", effect=0.05, p_value=0.0)], 0.01, enough=True)
    assert (found.drifted, found.p_adjusted) == (False, 0.0)


def test_every_method_of_the_api_can_decide_for_some_type_of_column() -> None:
    assert {method for methods in METHODS.values() for method in methods} == set(DriftMethod)
    assert set(EFFECTS) | {DriftMethod.KS, DriftMethod.WASSERSTEIN} == set(DriftMethod)
