"""Impact Jobs: real models, a real collector and a real MLflow."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from clinics import Clinic
from drifting import WINDOW, order_of, patients, positives, served
from refit.api import jobs
from refit.api.results import MESSAGE_LIMIT, ImpactResult, Registered, decode_impact
from refit_trainer.impact_job import run_impact

LONG = {"algorithm": "RandomForest", "parameters": {"n_estimators": "500000"}}


def ended(_code: int) -> None:
    raise AssertionError("the trial took longer than it may")


class Estimates:
    """Impact Jobs about one clinic."""

    def __init__(self, clinic: Clinic) -> None:
        self.clinic = clinic

    def environment(self, serving: Registered, action: str, **changes: Any) -> dict[str, str]:
        spec = {name: changes.pop(name) for name in list(changes) if name.startswith("spec__")}
        order = {
            "key": "impact-1",
            "action": action,
            "window": WINDOW,
            "serving": order_of(serving).wire(),
            "budgetSeconds": 30,
        }
        environment = self.clinic.environment("unused", **spec)
        return environment | {jobs.IMPACT: json.dumps(order | changes)}

    def run(self, serving: Registered, action: str, **changes: Any) -> tuple[int, ImpactResult]:
        err = io.StringIO()
        code = run_impact(
            self.environment(serving, action, **changes), since=0.0, out=io.StringIO(), err=err, end=ended
        )
        assert self.clinic.termination.exists(), err.getvalue()
        text = self.clinic.termination.read_text()
        assert len(text.encode()) <= MESSAGE_LIMIT
        return code, decode_impact(text)


@pytest.fixture
def estimates(clinic: Clinic) -> Estimates:
    return Estimates(clinic)


def test_a_retraining_that_would_help_is_foreseen(estimates: Estimates) -> None:
    clinic = estimates.clinic
    champion = clinic.first()
    turned = patients(1200, 2, turned=True)
    clinic.log.requests(served(champion), turned)
    clinic.log.labels(positives(turned))
    code, found = estimates.run(champion, "Retrain")
    assert (code, found.key, found.ranking) == (0, "impact-1", ())
    assert found.predicted is not None
    now, low, predicted, high = (float(getattr(found.predicted, name)) for name in ("now", "low", "predicted", "high"))
    assert now < low < predicted < high
    assert found.predicted.method.startswith("trial of 1 of 1 candidates on ")
    assert found.predicted.method.endswith(" logged requests, and what refitting changes")
    _, result, _ = clinic.train("again", {"champion": order_of(champion).wire(), "rows": "Append", "window": WINDOW})
    assert result.comparison is not None
    assert float(result.comparison.challenger) == pytest.approx(predicted), "the same rows, divided alike"


def test_what_does_not_fit_into_the_time_is_left_out(estimates: Estimates) -> None:
    clinic = estimates.clinic
    champion = clinic.first()
    some = patients(400, 3, turned=True)
    clinic.log.requests(served(champion), some)
    clinic.log.labels(positives(some))
    many = {"algorithm": "RandomForest", "grid": {"n_estimators": [str(number) for number in range(100, 116)]}}
    candidates = [many, {"algorithm": "LogisticRegression"}]
    began = time.monotonic()
    code, found = estimates.run(champion, "Retrain", budgetSeconds=12, spec__training__candidates=candidates)
    assert code == 0
    assert found.predicted is not None, found.message
    looked_at = int(found.predicted.method.split()[2])
    assert 1 <= looked_at < 17
    assert time.monotonic() - began < 60


def test_a_trial_that_does_not_return_is_ended_with_an_answer(estimates: Estimates) -> None:
    clinic = estimates.clinic
    champion = clinic.first()
    some = patients(400, 4)
    clinic.log.requests(served(champion), some)
    clinic.log.labels(positives(some))
    environment = estimates.environment(champion, "Retrain", budgetSeconds=10, spec__training__candidates=[LONG])
    done = subprocess.run(
        [sys.executable, "-m", "refit_trainer", "impact"],
        env=os.environ | environment,
        timeout=120,
        check=False,
        capture_output=True,
    )
    found = decode_impact(clinic.termination.read_text())
    assert (done.returncode, found.predicted) == (0, None)
    assert found.message.startswith("the trial did not end within 15 s; give it more time")


def test_versions_are_ranked_by_what_they_would_have_answered(estimates: Estimates) -> None:
    clinic = estimates.clinic
    good = clinic.first()
    clinic.source(patients(400, 5, turned=True))
    code, second, _ = clinic.train("second")
    assert (code, second.registered is not None) == (0, True)
    bad = second.registered
    assert bad is not None
    clinic.source(patients(60, 6))
    third = clinic.train("third")[1].registered
    assert third is not None
    now = patients(500, 7)
    clinic.log.requests(served(bad), now, version=2)
    clinic.log.labels(positives(now))
    versions = [order_of(third).wire(), order_of(good).wire()]
    code, found = estimates.run(bad, "Rollback", versions=versions)
    assert code == 0
    assert [(each.version, each.rows) for each in found.ranking] == [(1, 500), (3, 500)]
    assert found.predicted is not None
    assert found.predicted.predicted == found.ranking[0].value
    assert float(found.predicted.now) < 0.5 < float(found.predicted.low) < float(found.predicted.high) < 1
    assert found.predicted.method == "replay of version 1 on 500 labelled requests, bootstrap"
    _, other = estimates.run(bad, "Rollback", versions=versions, toVersion=3)
    assert other.predicted is not None
    assert (other.ranking, other.predicted.predicted) == (found.ranking, found.ranking[1].value), "of the one asked for"
    assert other.predicted.method == "replay of version 3 on 500 labelled requests, bootstrap"


def test_without_labels_it_says_so_and_how_often_they_agree(estimates: Estimates) -> None:
    clinic = estimates.clinic
    good = clinic.first()
    clinic.source(patients(400, 5, turned=True))
    bad = clinic.train("second")[1].registered
    assert bad is not None
    now = patients(200, 8)
    clinic.log.requests(served(bad), now, version=2)
    clinic.log.labels(positives(now)[:12])
    code, found = estimates.run(bad, "Rollback", versions=[order_of(good).wire()])
    assert (code, found.predicted, found.ranking) == (0, None, ())
    assert found.message.startswith(
        "12 labelled requests that no version was fitted on, a number needs 30 of more than one class; "
        "without labels, on 200 requests (agreement with version 2): version 1 gives the same class for "
    )


def test_a_regression_is_replayed_too(estimates: Estimates, made: Any) -> None:
    clinic = estimates.clinic
    changes = made.regression | {"spec__data__ignore": ["ill"]}
    good = clinic.first(**changes)
    clinic.source(patients(400, 5, turned=True))
    bad = clinic.train("second", **changes)[1].registered
    assert bad is not None
    now = patients(300, 9)
    clinic.log.requests(served(bad), now, version=2)
    clinic.log.labels(now["cost"])
    _, found = estimates.run(bad, "Promote", versions=[order_of(good).wire()], **changes)
    assert found.predicted is not None
    assert float(found.predicted.high) < float(found.predicted.now), "less is better"


@pytest.mark.parametrize(
    ("action", "changes", "code", "told"),
    [
        pytest.param("Scale", {}, 0, "Scale changes no answer", id="an action that changes no answer"),
        pytest.param("Rollback", {}, 0, "there is no other version to ask", id="nothing to return to"),
        pytest.param(
            "Retrain",
            {"rows": "SourceRefreshed", "spec__data__source": {"uri": "pvc://claim/data.csv", "sha256": "0" * 64}},
            3,
            "SourcePinned: spec.data.source.sha256 pins the source",
            id="a refusal ends with three and its reason",
        ),
        pytest.param(
            "Retrain", {"rows": "RecentOnly"}, 3, "DatasetTooSmall: the window holds 0", id="no labels at all"
        ),
    ],
)
def test_what_can_not_be_estimated_is_said(
    estimates: Estimates, action: str, changes: dict[str, Any], code: int, told: str
) -> None:
    champion = estimates.clinic.first()
    ended, found = estimates.run(champion, action, **changes)
    assert (ended, found.predicted) == (code, None)
    assert found.message.startswith(told)


def test_without_a_collector_there_is_one_line_and_no_answer(estimates: Estimates, tmp_path: Path) -> None:
    champion = estimates.clinic.first()
    environment = estimates.environment(champion, "Rollback", versions=[order_of(champion).wire()])
    estimates.clinic.termination.unlink()
    err = io.StringIO()
    gone = environment | {jobs.COLLECTOR_TOKEN_FILE: str(tmp_path / "nowhere")}
    assert run_impact(gone, since=0.0, out=io.StringIO(), err=err) == 1
    assert err.getvalue() == f"refit_trainer: the collector's token: {tmp_path}/nowhere: No such file or directory\n"
    assert not estimates.clinic.termination.exists()
