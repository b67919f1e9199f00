from __future__ import annotations

from typing import Any

import pytest

from refit.api.modeldeployment import Algorithm, Candidate, Task
from refit_trainer.algorithms import ALGORITHMS, Parameter, combinations, estimator, parameter_names, value_of
from refit_trainer.errors import RefusedError


def candidate(algorithm: str = "RandomForest", **fields: Any) -> Candidate:
    return Candidate.model_validate({"algorithm": algorithm, **fields})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("3", 3, id="a whole number"),
        pytest.param("0.5", 0.5, id="a fraction"),
        pytest.param("1e-3", 0.001, id="an exponent"),
        pytest.param("true", True, id="true"),
        pytest.param("False", False, id="false"),
        pytest.param("None", None, id="none"),
        pytest.param("sqrt", "sqrt", id="a word"),
        pytest.param("$(id)", "$(id)", id="a command is a word"),
        pytest.param("__import__('os').system('id')", "__import__('os').system('id')", id="a program is a word"),
        pytest.param("[1, 2]", "[1, 2]", id="a list is a word"),
    ],
)
def test_value_of(text: str, expected: Parameter) -> None:
    found = value_of(text)
    assert (found, type(found)) == (expected, type(expected))


def test_a_grid_is_every_combination() -> None:
    found = combinations(
        (
            candidate(
                parameters={"min_samples_leaf": "2"}, grid={"max_depth": ["2", "none"], "n_estimators": ["5", "9"]}
            ),
        ),
        Task.CLASSIFICATION,
    )
    assert [c.parameters for c in found] == [
        {"min_samples_leaf": 2, "max_depth": depth, "n_estimators": trees} for depth in (2, None) for trees in (5, 9)
    ]


@pytest.mark.parametrize(
    ("wrong", "reason", "said"),
    [
        pytest.param(candidate(parameters={"n_trees": "5"}), "UnknownParameter",
                     "training.candidates[0].parameters.n_trees is unknown for RandomForest; known: bootstrap, ccp_alpha,",
                     id="an unknown parameter"),
        pytest.param(candidate(grid={"n_jobs": ["5"]}), "UnknownParameter",
                     "training.candidates[0].grid.n_jobs is set by Refit", id="a parameter that is not the spec's to set"),
        pytest.param(candidate("XGBoost", parameters={"callbacks": "x"}), "UnknownParameter", "set by Refit",
                     id="a parameter that would be code"),
        pytest.param(candidate(grid={"max_depth": [str(n) for n in range(9)], "n_estimators": [str(n) for n in range(8)]}),
                     "TooManyCombinations", "has 72 combinations, the limit is 64", id="a grid that is too large"),
    ],
)  # fmt: skip
def test_what_is_refused(wrong: Candidate, reason: str, said: str) -> None:
    with pytest.raises(RefusedError) as refused:
        combinations((wrong,), Task.CLASSIFICATION)
    assert (refused.value.reason, said in refused.value.message) == (reason, True), refused.value.message


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_refit_sets_the_seed_and_the_number_of_jobs(algorithm: Algorithm) -> None:
    kind = ALGORITHMS[algorithm]
    task = next(iter(kind.estimators))
    (combination,) = combinations((candidate(algorithm.value),), task)
    found = estimator(combination, task, jobs=2, seed=9).get_params()
    assert (found["random_state"], found.get("n_jobs")) == (9, 2 if "n_jobs" in kind.ours else None)
    assert not parameter_names(algorithm, task) & {"random_state", "n_jobs", "verbose", "objective"}


def test_a_spec_may_overrule_our_defaults() -> None:
    (combination,) = combinations(
        (candidate("LogisticRegression", parameters={"max_iter": "50"}),), Task.CLASSIFICATION
    )
    assert estimator(combination, Task.CLASSIFICATION, jobs=1, seed=0).max_iter == 50
