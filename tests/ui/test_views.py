"""What the screens show, made of API objects, without a cluster, a browser or Streamlit."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import Any

import pytest

from page_process import FORMULA
from plugin import DIGEST, HISTORY, LAST, MODEL_STATUS, ago, asking, condition, record
from refit.api.objects import Request
from refit.api.remediationrequest import Action
from refit_ui.views.activity import as_csv, chosen, entries, inert
from refit_ui.views.drift import drift
from refit_ui.views.health import health, overview
from refit_ui.views.performance import latency, previous_champion, tiles
from refit_ui.views.prediction import AnswerError, Field, body, missing, predicted
from refit_ui.views.proposals import card, differences
from refit_ui.views.runs import Run
from refit_ui.views.snapshot import Snapshot
from refit_ui.views.tones import band
from refit_ui.views.trends import points, spans
from worlds_of_page import NOW, made_model, made_request, with_proposal


def shown(found: Request, me: str = "alice", groups: tuple[str, ...] = (), *, granted: bool = True) -> Any:
    return card(found, made_model(), me=me, groups=groups, granted=granted, now=NOW)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.0, "low"), (0.4999, "low"), (0.5, "medium"), (0.7, "medium"), (0.7001, "high"), (1.0, "high")],
    ids=str,
)
def test_bands_are_those_that_refit_decides_by(value: float, expected: str) -> None:
    assert band(value) == expected


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        pytest.param([], "Not looked at yet", id="nobody has looked"),
        pytest.param([condition("Ready", "True", "Serving", "")], "Healthy", id="all is well"),
        pytest.param([condition("Ready", "False", "Training", "")], "Working", id="it trains"),
        pytest.param(
            [condition("Ready", "False", "BelowBound", ""), condition("Stalled", "True", "BelowBound", "")],
            "Needs a person",
            id="it stands still",
        ),
        pytest.param(
            [condition("Ready", "True", "Serving", ""), condition("Drifted", "True", "Drift", "")],
            "Drifted",
            id="it drifted",
        ),
        pytest.param(
            [
                condition("Ready", "True", "Serving", ""),
                condition("Drifted", "True", "Drift", ""),
                condition("QualityOk", "False", "QualityLow", ""),
            ],
            "Quality low",
            id="bad quality is worse than drift",
        ),
    ],
)
def test_the_health_of_a_model_in_one_word(conditions: list[dict[str, Any]], expected: str) -> None:
    assert health(made_model({"conditions": conditions})).word == expected


def test_the_overview_counts_what_waits() -> None:
    found = overview(Snapshot(models=(made_model(),), requests=(made_request(),), at=NOW), NOW)
    assert (found.models, found.drifted, found.waiting, [(row.name, row.waiting) for row in found.rows]) == (
        1,
        1,
        1,
        [("heart", 1)],
    )


@pytest.mark.parametrize(
    ("found", "me", "granted", "expected"),
    [
        pytest.param(made_request(), "alice", True, "", id="who may decide is kept by nothing"),
        pytest.param(made_request(), "alice", False, "You may read this, not decide", id="without the right"),
        pytest.param(made_request(requestedBy="alice"), "alice", True, "You asked for this", id="who asked"),
        pytest.param(
            made_request(with_proposal(approval={"approvals": 1, "requesterMayApprove": True}), requestedBy="alice"),
            "alice",
            True,
            "",
            id="who asked, where that is allowed",
        ),
        pytest.param(
            made_request(with_proposal(approval={"approvals": 1, "requiredGroup": "board"})),
            "alice",
            True,
            "Only members of board",
            id="who is not in the group",
        ),
        pytest.param(
            made_request(
                {**asking()["status"], "approvals": {"alice": {"decision": "Approved", "proposalDigest": DIGEST}}}
            ),
            "alice",
            True,
            "You approved this; a decision is final.",
            id="who has decided",
        ),
        pytest.param(
            made_request(with_proposal(expiresAt=ago(1))), "alice", True, "The time to decide is over", id="too late"
        ),
    ],
)
def test_why_somebody_may_not_decide(found: Request, me: str, granted: bool, expected: str) -> None:
    told = shown(found, me, granted=granted).why_not
    assert told.startswith(expected) if expected else told == ""


IMPACT = {"metric": "f1", "now": "0.71", "predicted": "0.82", "low": "0.77", "high": "0.86", "method": "m"}


@pytest.mark.parametrize(
    ("action", "impact", "expected"),
    [
        pytest.param(Action.RETRAIN, IMPACT, "Risk low", id="a retraining that is surely better"),
        pytest.param(Action.RETRAIN, {**IMPACT, "low": "0.70"}, "Risk medium", id="one that may be worse"),
        pytest.param(Action.RETRAIN, None, "Risk medium", id="one of which nobody knows"),
        pytest.param(Action.PROMOTE, None, "Risk high", id="a promotion of which nobody knows"),
        pytest.param(
            Action.RETRAIN,
            {**IMPACT, "metric": "rmse", "now": "9", "predicted": "7", "low": "6", "high": "8"},
            "Risk low",
            id="less is better for an error",
        ),
        pytest.param(Action.RESTART, None, "Risk low", id="a restart changes no model"),
    ],
)
def test_the_risk_of_an_action(action: Action, impact: dict[str, str] | None, expected: str) -> None:
    parameters = {"toVersion": 3} if action == Action.PROMOTE else {}
    found = shown(made_request(with_proposal(predictedImpact=impact), action=action, parameters=parameters))
    assert found.risk.word == expected


def test_what_changed_since_it_was_opened_is_named() -> None:
    now = made_request(with_proposal(digest="sha256:" + "e" * 64, predictedImpact={**IMPACT, "predicted": "0.6"}))
    assert differences(made_request(), now) == (
        ("Predicted", "f1 0.82 [0.77, 0.86]", "f1 0.6 [0.77, 0.86]"),
        ("Digest", DIGEST[:19], "sha256:" + "e" * 12),
    )


def test_evidence_is_only_of_the_measurement_that_the_request_names() -> None:
    assert [one.column for one in shown(made_request()).evidence] == ["thalach", "chol"]
    assert shown(made_request(trigger={"type": "Drift", "measurement": "another"})).evidence == ()


@pytest.mark.parametrize(
    "cell",
    [FORMULA, "+1", "-1+cmd", "@SUM(A1)", "\t=1", "\r=1", " =1", "\u200b=1", "\uff1d1+1", "|cmd", "%0A=1"],
    ids=repr,
)
def test_a_cell_that_would_be_computed_is_text(cell: str) -> None:
    assert inert(cell).startswith("'")


@pytest.mark.parametrize("cell", ["", "heart", "f1 0.71 -> 0.82", "2026-11-21"], ids=repr)
def test_a_cell_that_would_not_stays_as_it_is(cell: str) -> None:
    assert inert(cell) == cell


def test_the_file_reads_back_as_what_the_screen_shows() -> None:
    found = entries([made_request()], NOW)
    rows = list(csv.DictReader(io.StringIO(as_csv(found).decode("utf-8-sig"))))
    assert [(row["model"], row["status"], row["people"]) for row in rows] == [("heart", "Waiting", "nobody")]


def test_filters_let_through_what_all_of_them_let_through() -> None:
    found = entries([made_request()], NOW)
    assert chosen(found, models=(), statuses=(), text="THALACH") == found
    assert chosen(found, models=("heart",), statuses=("Failed",), text="") == ()
    assert entries([made_request()], NOW + timedelta(days=8)) == ()


def test_tiles_say_by_how_much_and_whether_that_is_good() -> None:
    found = made_model()
    first, second, third = tiles(
        found, {"accuracy": 0.87, "f1": 0.8}, {"accuracy": 0.85, "f1": 0.9}, previous_champion(found)
    )
    assert (first.below, first.tone) == ("+0.020 against v1", "good")
    assert (second.below, second.tone) == ("-0.100 against v1", "bad")
    assert (third.value, third.below) == ("not known", "")
    faster = latency(0.005, 0.010, previous_champion(found))
    assert (faster.value, faster.below, faster.tone) == ("5.0 ms", "-5.0 ms against v1", "good")


def test_drift_is_ordered_by_its_effect() -> None:
    found = drift(LAST, NOW)
    assert [(bar.column, bar.chip.word) for bar in found.bars] == [("thalach", "0.71 high"), ("chol", "0.22 low")]
    assert (found.verdict.word, found.others) == ("Drift", 11)


def test_a_month_holds_trainings_of_mlflow_and_what_only_the_history_knows() -> None:
    history = made_model(
        {**MODEL_STATUS, "history": [*HISTORY, record(9, "Retired", "0.5", createTime=ago(2000))]}
    ).status.history
    runs = (Run(run_id="run3", started=NOW, metrics={"f1": 0.9}), Run(run_id="x", started=NOW, metrics={"rmse": 1.0}))
    assert [point.what for point in points(runs, history, "f1", NOW)] == [
        "version 1, LogisticRegression",
        "version 2, XGBoost",
        "version 3, XGBoost",
    ]
    assert [(span.version, span.until == NOW) for span in spans(history, "f1", NOW)] == [("v1", False), ("v3", True)]


FORM = (Field(name="age", number=True, needed=True), Field(name="sex", number=False), Field(name="chol", number=True))


def test_a_row_becomes_a_request_without_what_is_missing() -> None:
    assert body(FORM, {"age": 63.0, "sex": "m", "chol": None}) == {
        "inputs": [
            {"name": "age", "shape": [1], "datatype": "FP64", "data": [63.0]},
            {"name": "sex", "shape": [1], "datatype": "BYTES", "data": ["m"]},
        ]
    }
    assert missing(FORM, {"sex": "m"}) == ("age",)


def test_an_answer_is_read_or_refused() -> None:
    outputs = [{"name": "label", "data": ["yes"]}, {"name": "probabilities", "data": [0.2, 0.8]}]
    found = predicted({"outputs": outputs, "model_version": "3"}, ("no", "yes"))
    assert (found.text, found.probabilities, found.version) == ("yes", (("yes", 0.8), ("no", 0.2)), "3")
    unreadable: tuple[Any, ...] = ({}, {"outputs": []}, {"outputs": [{"name": "label", "data": []}]}, [], None, "text")
    for wrong in unreadable:
        with pytest.raises(AnswerError):
            predicted(wrong, ())
