from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

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


def measured(folder: Path, world: Others, **monitoring: Any) -> LastMeasurement:
    code = run_job(
        environment(folder, world, **monitoring),
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
