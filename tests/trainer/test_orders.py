from __future__ import annotations

import json
from typing import Any

import pytest

from refit.api import jobs
from refit_trainer.errors import RefusedError
from refit_trainer.orders import NoOrderError, from_environment, from_manifest


def test_the_environment_of_a_job_is_an_order(made: Any) -> None:
    manifest = made.manifest()
    manifest["spec"]["data"]["fieldOfANewerOperator"] = 1
    order = from_environment({jobs.DEPLOYMENT: json.dumps(manifest), jobs.TRAINING_KEY: "k1"})
    assert (order.experiment, order.model_name, order.uid, order.generation, order.key) == (
        "clinic/ward", "clinic.ward", "u-1", 3, "k1",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, "REFIT_MODELDEPLOYMENT is not set"),
        ({jobs.DEPLOYMENT: "{}"}, "REFIT_TRAINING_KEY is not set"),
        ({jobs.DEPLOYMENT: "{", jobs.TRAINING_KEY: "k"}, "REFIT_MODELDEPLOYMENT is not JSON"),
    ],
    ids=["nothing is set", "no key", "half a JSON"],
)
def test_a_wrong_environment_is_not_an_order(environment: dict[str, str], said: str) -> None:
    with pytest.raises(NoOrderError, match=said):
        from_environment(environment)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({"kind": "Deployment"}, "found 'refit.dev/v1alpha1' and 'Deployment'", id="another kind"),
        pytest.param({"extra": 1}, "extra: unknown field", id="an unknown field at the top"),
        pytest.param({"spec__thresold": "0.3"}, "spec.thresold: unknown field", id="an unknown field of the spec"),
        pytest.param({"spec__data__target": {"column": "ill", "positive_when": "> 0"}},
                     "spec.data.target.positive_when: unknown field", id="a field in another case"),
        pytest.param({"spec__training__candidates": [{"algorithm": "SVM"}]},
                     "spec.training.candidates[0].algorithm: Input should be 'LogisticRegression'", id="an unknown algorithm"),
        pytest.param({"spec__training__folds": 1}, "spec.training.folds: Input should be greater than or equal to 2", id="one fold"),
        pytest.param({"spec__training__selection": {"metric": "rmse"}},
                     "spec.training.selection.metric: rmse does not belong to Classification; one of accuracy,", id="a metric of the other task"),
        pytest.param({"spec__training__candidates": [{"algorithm": "LinearRegression"}]},
                     "spec.training.candidates[0].algorithm: LinearRegression is not for Classification", id="an algorithm of the other task"),
        pytest.param({"spec__training__selection": {"metric": "log_loss", "minimum": "0.1"}},
                     "spec.training.selection.minimum: less is better for log_loss; use maximum", id="a bound on the wrong side"),
        pytest.param({"spec__training__selection": {"metric": "f1", "maximum": "0.1"}},
                     "spec.training.selection.maximum: more is better for f1; use minimum", id="and on the other"),
        pytest.param({"spec__data__columns": [{"name": "age"}]},
                     "spec.data.target.column: 'ill' must be one of spec.data.columns", id="a target that is not declared"),
        pytest.param({"spec__data__columns": [{"name": "ill"}, {"name": "ill"}]}, "spec.data.columns: 'ill' is there twice", id="a column twice"),
        pytest.param({"spec__data__ignore": ["ill"]}, "spec.data.ignore: must not hold the target 'ill'", id="a target to be ignored"),
        pytest.param({"spec__training__candidates": [{"algorithm": "XGBoost", "parameters": {"gamma": "1"}, "grid": {"gamma": ["1"]}}]},
                     "spec.training.candidates[0].grid: 'gamma' is in parameters too", id="a parameter that is fixed and varied"),
        pytest.param({"metadata": {}}, "metadata.name: required", id="no name"),
    ],
)  # fmt: skip
def test_what_a_file_may_not_say(made: Any, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(RefusedError) as refused:
        from_manifest(made.manifest(**changes))
    assert (refused.value.reason, said in refused.value.message) == ("SpecInvalid", True), refused.value.message


def test_a_regression_has_no_positive_class(made: Any) -> None:
    with pytest.raises(RefusedError, match=r"spec\.data\.target\.positiveWhen: is for Classification"):
        made.order(**made.regression | {"spec__data__target": {"column": "cost", "positiveWhen": "> 0"}})
