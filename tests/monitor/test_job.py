from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monitored import NOW, Others, environment, profile, rows, table
from refit.api.measured import LastMeasurement, QualityVerdict, Verdict
from refit.api.results import decode_measurement
from refit_monitor.job import run_job

RNG = np.random.default_rng
PAGE = b"<html>"


def others(**changes: Any) -> Others:
    """A healthy world: a profile of 240 rows, and 600 rows like them."""
    held = profile(RNG(1)).model_dump_json(by_alias=True, exclude_none=True).encode()
    return Others(**({"profile": held, "window": table(rows(600, RNG(2)), RNG(3))} | changes))


def measured(folder: Path, world: Others, *, key: str = "m1", **monitoring: Any) -> LastMeasurement:
    code = run_job(
        environment(folder, world, key=key, **monitoring),
        lambda: NOW,
        door=world.door(),
        draw=lambda *_: PAGE,
        out=io.StringIO(),
    )
    assert code == 0
    return decode_measurement((folder / "termination-log").read_text())


def test_unchanged_requests(tmp_path: Path) -> None:
    world = others()
    found = measured(tmp_path, world)
    assert (found.verdict, found.rows, found.measured, found.drifted, found.prediction) == (
        Verdict.NO_DRIFT, 600, 5, 0, None,
    )  # fmt: skip
    assert found.data_quality is not None
    assert (found.data_quality.valid, float(found.data_quality.score) > 95) == (True, True)
    assert found.quality is not None
    assert (found.quality.labelled, found.quality.metrics.wire(), found.quality.verdict) == (
        0, {}, QualityVerdict.UNKNOWN,
    )  # fmt: skip
    assert found.quality.estimated is not None
    assert (found.report, world.files) == (None, {})
    assert [kept["verdict"] for kept in world.kept] == ["NoDrift"]


def test_shifted_requests_name_their_columns_and_get_a_report(tmp_path: Path) -> None:
    shifted = rows(600, RNG(2))
    shifted["age"] += 15
    shifted["site"] = np.where(RNG(4).random(600) < 0.5, "north", shifted["site"])
    world = others(window=table(shifted, RNG(3)))
    found = measured(tmp_path, world)
    assert (found.verdict, {feature.column for feature in found.features}) == (Verdict.DRIFT, {"age", "site"})
    assert found.prediction is not None
    assert found.prediction.column == "probability.yes"
    assert found.report == "http://mlflow/artifacts/monitoring/m1.html"
    assert world.files == {"/artifacts/monitoring/m1.html": PAGE}
    assert world.kept[-1]["report"] == found.report
    assert "age (KS 0." in found.message


def test_too_few_rows_are_no_verdict(tmp_path: Path) -> None:
    shifted = rows(29, RNG(2))
    shifted["age"] += 30
    world = others(window=table(shifted, RNG(3)))
    found = measured(tmp_path, world, window={"minRows": 30})
    assert (found.verdict, found.drifted, found.prediction, found.report) == (Verdict.INCONCLUSIVE, 0, None, None)
    assert found.message == "29 rows, need at least 30 (spec.monitoring.window.minRows)"


def test_an_empty_window_is_no_verdict(tmp_path: Path) -> None:
    found = measured(tmp_path, others(window=table(rows(600, RNG(2)), RNG(3)).slice(0, 0)))
    assert (found.verdict, found.rows, found.data_quality) == (Verdict.INCONCLUSIVE, 0, None)


def test_a_column_suddenly_all_zero_is_a_fault_of_the_data(tmp_path: Path) -> None:
    broken = rows(600, RNG(2))
    broken["age"][:] = 0
    found = measured(tmp_path, others(window=table(broken, RNG(3))))
    assert found.data_quality is not None
    assert (found.data_quality.valid, found.data_quality.message) == (
        False, "'age' is suddenly 0 in all 600 rows; 0.0% of training data's were",
    )  # fmt: skip
    assert found.report is not None


def test_a_masked_column_is_skipped_and_named(tmp_path: Path) -> None:
    found = measured(tmp_path, others(window=table(rows(600, RNG(2)), RNG(3)).drop_columns(["input.age"])))
    assert (found.verdict, found.measured) == (Verdict.NO_DRIFT, 4)
    assert found.message.endswith("; not in the window: age")


@pytest.mark.parametrize(
    ("right", "verdict", "missed"),
    [
        pytest.param(True, QualityVerdict.OK, (), id="labels that agree keep the bound"),
        pytest.param(False, QualityVerdict.LOW, ("f1",), id="labels that sink F1 miss it beyond noise"),
    ],
)
def test_quality_on_labels(tmp_path: Path, right: bool, verdict: QualityVerdict, missed: tuple[str, ...]) -> None:
    window = table(rows(600, RNG(2)), RNG(3), labels=True)
    if not right:
        window = window.set_column(window.column_names.index("truth"), "truth", [RNG(6).choice(["no", "yes"], 600)])
    found = measured(tmp_path, others(window=window), quality=[{"metric": "f1", "minimum": "0.7"}])
    assert found.quality is not None
    assert (found.quality.verdict, found.quality.missed, found.quality.labelled, found.quality.coverage) == (
        verdict, missed, 600, "1.0000",
    )  # fmt: skip
    assert (found.verdict, "f1 0." in found.quality.message) == (Verdict.NO_DRIFT, not right)


def test_few_labels_give_numbers_and_no_verdict(tmp_path: Path) -> None:
    window = table(rows(600, RNG(2)), RNG(3), labels=True)
    few = [label if place < 20 else None for place, label in enumerate(window.column("truth").to_pylist())]
    window = window.set_column(window.column_names.index("truth"), "truth", [few])
    quality = measured(tmp_path, others(window=window), quality=[{"metric": "f1", "minimum": "0.99"}]).quality
    assert quality is not None
    assert (quality.verdict, quality.labelled, quality.missed) == (QualityVerdict.UNKNOWN, 20, ())
    assert quality.message == "20 labelled rows, a verdict needs 30"


def test_segments_are_kept_with_the_measurement(tmp_path: Path) -> None:
    world = others(window=table(rows(600, RNG(2)), RNG(3), labels=True))
    measured(tmp_path, world, segmentColumn="site")
    segments = {found["value"]: found for found in world.kept[-1]["segments"]}
    assert (set(segments), sum(found["rows"] for found in segments.values())) == (
        {"north", "south", "east", "far"},
        600,
    )
    assert segments["north"]["quality"]["metrics"]["accuracy"] > 0.5


def test_a_report_is_drawn_once_an_hour_for_the_same_trouble(tmp_path: Path) -> None:
    shifted = rows(600, RNG(2))
    shifted["age"] += 15
    world = others(window=table(shifted, RNG(3)))
    links = [measured(tmp_path, world, key=key).report for key in ("m1", "m2")]
    assert (len(world.files), links[0], links[1]) == (1, links[0], links[0])
    assert world.kept[-1]["reportTime"] == world.kept[0]["reportTime"]


def test_the_same_key_is_one_measurement(tmp_path: Path) -> None:
    world = others()
    found = [measured(tmp_path, world) for _ in range(2)]
    assert (found[0], len(world.kept)) == (found[1], 1)


QUERIES = [{"name": "queue", "promql": "sum(queue_length)", "max": "10"}]


@pytest.mark.parametrize(
    ("values", "down", "value", "breached", "said"),
    [
        pytest.param([7.0], set(), "7", False, "", id="within its bound"),
        pytest.param([12.5], set(), "12.5", True, "12.5 is more than max 10", id="beyond its bound"),
        pytest.param([], set(), None, False, "no value", id="no series is no breach"),
        pytest.param([1.0, 2.0], set(), None, False, "gives 2 series, one is needed", id="many series are refused"),
        pytest.param(
            [], {"prometheus"}, None, False, "connection refused", id="an unreachable Prometheus is no breach"
        ),
    ],
)
def test_a_users_own_expressions(
    tmp_path: Path, values: list[float], down: set[str], value: str | None, breached: bool, said: str
) -> None:
    world = others(values={"queue_length": values}, down=down)
    (found,) = measured(tmp_path, world, queries=QUERIES).queries
    assert (found.value, found.breached, said in found.message) == (value, breached, True), found.message


def test_lost_requests_take_the_verdict_away(tmp_path: Path) -> None:
    world = others(values={"log_sent_total": [800.0], "log_dropped_total": [200.0]})
    found = measured(tmp_path, world)
    assert (found.verdict, found.coverage) == (Verdict.INCONCLUSIVE, "0.8000")
    assert found.message == "the collector holds 80.0% of the answered requests, need at least 90%"


@pytest.mark.parametrize(
    ("changes", "monitoring", "said"),
    [
        pytest.param({"down": {"collector"}}, {}, "the collector at http://collector", id="no collector"),
        pytest.param({"down": {"mlflow"}}, {}, "MLflow at http://mlflow/artifacts/profile.json: connection refused", id="no MLflow"),
        pytest.param({"profile": b'{"format": 1}'}, {}, "format 1, this monitor reads 2; train again", id="an old profile"),
        pytest.param({"profile": b"{"}, {}, "the profile can not be read", id="half a profile"),
        pytest.param({}, {"drift": {"features": [{"column": "ages"}]}}, "features[0].column: the model has no input 'ages'; it has age,", id="a rule for no column"),
        pytest.param({}, {"drift": {"features": [{"column": "site", "method": "KS"}]}}, "KS does not fit 'site', a Category; one of TVD,", id="a statistic that does not fit"),
        pytest.param({}, {"segmentColumn": "sites"}, "segmentColumn: the model has no input 'sites'", id="segments of no column"),
    ],
)  # fmt: skip
def test_what_could_not_be_measured_is_an_error_and_no_drift(
    tmp_path: Path, changes: dict[str, Any], monitoring: dict[str, Any], said: str
) -> None:
    found = measured(tmp_path, others(**changes), **monitoring)
    assert (found.verdict, found.drifted, said in found.message) == (Verdict.ERROR, 0, True), found.message


def test_another_profile_than_the_one_meant_is_refused(tmp_path: Path) -> None:
    world = others()
    given = environment(tmp_path, world)
    world.profile += b" "
    run_job(given, lambda: NOW, door=world.door(), out=io.StringIO())
    found = decode_measurement((tmp_path / "termination-log").read_text())
    assert (found.verdict, found.message.split(":")[0]) == (Verdict.ERROR, "DigestMismatch")


@pytest.mark.parametrize("name", ["REFIT_MODELDEPLOYMENT", "REFIT_MEASUREMENT", "REFIT_COLLECTOR_URL"])
def test_a_job_without_its_order_says_what_is_missing(tmp_path: Path, name: str) -> None:
    given = environment(tmp_path, others())
    del given[name]
    assert run_job(given, lambda: NOW, out=io.StringIO()) == 0
    found = decode_measurement((tmp_path / "termination-log").read_text())
    assert (found.verdict, found.message) == (Verdict.ERROR, f"environment variable {name} is not set")
