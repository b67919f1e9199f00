"""What a verdict promises: where nothing has changed an alarm is rare at every size, and a real change is found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from monitored import TYPES, rows
from refit.api.measured import Verdict
from refit.api.monitoring import Drift, Monitoring
from refit_monitor import profiles
from refit_monitor.measurement import Asked, Measurement, measure
from refit_monitor.windows import Window

WINDOWS = 400
Change = Callable[[dict[str, Any], np.random.Generator], None]


def arrow(inputs: dict[str, Any]) -> dict[str, pa.ChunkedArray]:
    return {name: pa.chunked_array([pa.array(values)]) for name, values in inputs.items()}


def measurements(
    count: int, windows: int, change: Change, drift: dict[str, Any] | None = None
) -> Iterator[Measurement]:
    """Each of a reference of its own of 240 rows, and a window."""
    spec = Monitoring.model_validate({"window": {"minRows": 30}, "drift": drift or {}})
    rng = np.random.default_rng([count, windows])
    for place in range(windows):
        profile = profiles.made(arrow(rows(240, rng)), TYPES)
        inputs = rows(count, rng)
        change(inputs, rng)
        asked = Asked(key=f"w{place}", time="2026-11-21T12:00:00Z", namespace="", model="")
        yield measure(profile, Window(rows=count, inputs=arrow(inputs)), spec, asked)


def nothing(_inputs: dict[str, Any], _rng: np.random.Generator) -> None:
    return


def shifted(by: float) -> Change:
    def change(inputs: dict[str, Any], _rng: np.random.Generator) -> None:
        inputs["dose"] += 2 * by  # its standard deviation is 2

    return change


def replaced(share: float) -> Change:
    def change(inputs: dict[str, Any], rng: np.random.Generator) -> None:
        inputs["site"] = np.where(rng.random(len(inputs["site"])) < share, "elsewhere", inputs["site"])

    return change


@pytest.mark.parametrize("count", [30, 300], ids=lambda count: f"{count} rows")
def test_without_drift_at_most_one_window_in_a_hundred_is_flagged(count: int) -> None:
    """Ties, a rare category and missing values among the columns; the same windows at every run."""
    flagged = sum(found.verdict is Verdict.DRIFT for found in measurements(count, WINDOWS, nothing))
    assert flagged / WINDOWS <= 0.01


@pytest.mark.parametrize(
    ("method", "column"),
    [
        ("Wasserstein", "dose"), ("PSI", "dose"), ("JensenShannon", "dose"), ("ChiSquare", "dose"), ("TVD", "dose"),
        ("ChiSquare", "site"), ("PSI", "site"), ("JensenShannon", "site"),
    ],
)  # fmt: skip
def test_any_other_statistic_is_as_calm_and_sees_as_well(method: str, column: str) -> None:
    drift = {"threshold": "0.05", "features": [{"column": column, "method": method}]}
    calm = [found for found in measurements(60, 60, nothing, drift) if found.drifted]
    change = shifted(1.2) if column == "dose" else replaced(0.35)
    seen = [
        (drifted.column, drifted.method)
        for found in measurements(200, 10, change, drift)
        for drifted in found.drifted
        if drifted.column == column
    ]
    assert (len(calm) <= 1, seen) == (True, [(column, method)] * 10)


@pytest.mark.parametrize(
    ("count", "change", "column"),
    [
        pytest.param(30, shifted(1.5), "dose", id="1.5 standard deviations in 30 rows"),
        pytest.param(300, shifted(0.6), "dose", id="0.6 standard deviations in 300 rows"),
        pytest.param(30, replaced(0.35), "site", id="a third of 30 rows of a new category"),
        pytest.param(300, replaced(0.12), "site", id="an eighth of 300 rows of a new category"),
    ],
)
def test_a_change_is_found_in_nine_windows_of_ten(count: int, change: Change, column: str) -> None:
    found = [
        any(drifted.column == column for drifted in measured.drifted) for measured in measurements(count, 50, change)
    ]
    assert np.mean(found) >= 0.9


def test_missing_values_are_compared_too() -> None:
    def change(inputs: dict[str, Any], rng: np.random.Generator) -> None:
        inputs["dose"] = np.where(rng.random(len(inputs["dose"])) < 0.3, np.nan, inputs["dose"])

    (found,) = measurements(300, 1, change)
    assert [(drifted.column, drifted.method) for drifted in found.drifted] == [("dose", "MissingRate")]
    assert found.data_quality is not None
    assert found.data_quality.problems[0].startswith("'dose' is missing in ")


def test_the_same_window_has_the_same_verdict_to_the_last_digit() -> None:
    assert [found.record() for found in measurements(60, 3, replaced(0.2))] == [
        found.record() for found in measurements(60, 3, replaced(0.2))
    ]


def test_the_thresholds_are_the_features_own() -> None:
    assert Drift().threshold == "0.1"
    own = {"features": [{"column": "dose", "threshold": "0.9"}]}
    (found,) = measurements(300, 1, shifted(1.0), own)
    assert [(column.column, column.threshold) for column in found.columns if column.column in {"dose", "age"}] == [
        ("age", 0.1), ("dose", 0.9),
    ]  # fmt: skip
    assert found.drifted == []
