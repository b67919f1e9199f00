"""The algorithms: how each is made, which parameters it takes, and how it wants its numbers."""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from refit.api.modeldeployment import COMBINATION_LIMIT, Algorithm, Candidate, Task
from refit_trainer.errors import RefusedError

Parameter = int | float | bool | str | None


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One algorithm: its scikit-learn estimator per task, what Refit itself sets, and whether it wants scaled numbers."""

    estimators: dict[Task, Callable[[], Any]]
    ours: dict[str, str]
    """What Refit sets: "jobs" and "seed" are filled in, the rest is the text's value."""
    defaults: dict[str, str] = field(default_factory=dict)
    """What holds unless a spec says otherwise, where it differs from the library's own default."""
    reserved: frozenset[str] = frozenset()
    scaled: bool = False


@dataclass(frozen=True, kw_only=True)
class Combination:
    """One algorithm with one value for each parameter that was given; `place` is the candidate's in the spec."""

    place: int
    algorithm: Algorithm
    parameters: dict[str, Parameter]

    def label(self) -> str:
        """The combination in one line, as logs and the model card show it."""
        told = ", ".join(f"{name}={value}" for name, value in sorted(self.parameters.items()))
        return f"{self.algorithm}({told})"


def combinations(candidates: tuple[Candidate, ...], task: Task) -> tuple[Combination, ...]:
    """Every combination of every candidate; raises RefusedError for an unknown parameter or too many."""
    found = []
    for place, candidate in enumerate(candidates):
        known = parameter_names(candidate.algorithm, task)
        for given, names in (("parameters", candidate.parameters), ("grid", candidate.grid)):
            for name in names:
                _known(name, known, candidate.algorithm, f"training.candidates[{place}].{given}")
        fixed = {name: value_of(text) for name, text in candidate.parameters.items()}
        varied = [[(name, value_of(text)) for text in texts] for name, texts in sorted(candidate.grid.items())]
        if _product(len(values) for values in varied) > COMBINATION_LIMIT:
            raise RefusedError(
                "TooManyCombinations",
                f"training.candidates[{place}].grid has {_product(len(values) for values in varied)} combinations, "
                f"the limit is {COMBINATION_LIMIT}",
            )
        found += [
            Combination(place=place, algorithm=candidate.algorithm, parameters=fixed | dict(chosen))
            for chosen in itertools.product(*varied)
        ]
    return tuple(found)


def estimator(combination: Combination, task: Task, *, jobs: int, seed: int) -> Any:
    """The unfitted estimator of a combination."""
    kind = ALGORITHMS[combination.algorithm]
    given = {"jobs": jobs, "seed": seed}
    ours = {name: given[role] if role in given else value_of(role) for name, role in kind.ours.items()}
    defaults = {name: value_of(text) for name, text in kind.defaults.items()}
    return kind.estimators[task]()(**defaults | combination.parameters | ours)


def parameter_names(algorithm: Algorithm, task: Task) -> frozenset[str]:
    """The parameters that a spec may set."""
    kind = ALGORITHMS[algorithm]
    return frozenset(kind.estimators[task]()().get_params()) - kind.ours.keys() - kind.reserved


def value_of(text: str) -> Parameter:
    """A parameter's value: a number, true, false or none where the text is one, else the text. Never evaluated."""
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            continue
    return text


_WORDS: Mapping[str, bool | None] = {"true": True, "false": False, "none": None, "null": None}


def _known(name: str, known: frozenset[str], algorithm: Algorithm, place: str) -> None:
    if name in known:
        return
    kind = ALGORITHMS[algorithm]
    why = "is set by Refit" if name in kind.ours or name in kind.reserved else "is unknown"
    raise RefusedError("UnknownParameter", f"{place}.{name} {why} for {algorithm}; known: {', '.join(sorted(known))}")


def _product(lengths: Any) -> int:
    total = 1
    for length in lengths:
        total *= length
    return total


def _from(module: str, name: str) -> Callable[[], Any]:
    """Loads an estimator when it is used: a library that no candidate needs costs nothing."""

    def load() -> Any:
        return getattr(importlib.import_module(module), name)

    return load


ALGORITHMS: dict[Algorithm, Kind] = {
    Algorithm.LOGISTIC_REGRESSION: Kind(
        estimators={Task.CLASSIFICATION: _from("sklearn.linear_model", "LogisticRegression")},
        ours={"random_state": "seed"},
        defaults={"max_iter": "1000"},
        reserved=frozenset({"n_jobs", "verbose", "warm_start"}),
        scaled=True,
    ),
    # Ridge and not LinearRegression: one-hot columns always sum to one, so plain least squares has no
    # single solution, and its huge coefficients would not survive 32 bits. alpha: "0" is least squares.
    Algorithm.LINEAR_REGRESSION: Kind(
        estimators={Task.REGRESSION: _from("sklearn.linear_model", "Ridge")},
        ours={"random_state": "seed"},
        reserved=frozenset({"copy_X"}),
        scaled=True,
    ),
    Algorithm.RANDOM_FOREST: Kind(
        estimators={
            Task.CLASSIFICATION: _from("sklearn.ensemble", "RandomForestClassifier"),
            Task.REGRESSION: _from("sklearn.ensemble", "RandomForestRegressor"),
        },
        ours={"n_jobs": "jobs", "random_state": "seed"},
        reserved=frozenset({"verbose", "warm_start", "oob_score", "monotonic_cst"}),
    ),
    Algorithm.XGBOOST: Kind(
        estimators={
            Task.CLASSIFICATION: _from("xgboost", "XGBClassifier"),
            Task.REGRESSION: _from("xgboost", "XGBRegressor"),
        },
        ours={"n_jobs": "jobs", "random_state": "seed", "tree_method": "hist"},
        # What would need a second data set, another graph, or code.
        reserved=frozenset(
            {"booster", "callbacks", "device", "early_stopping_rounds", "enable_categorical", "eval_metric"}
            | {"feature_types", "feature_weights", "importance_type", "interaction_constraints", "max_cat_threshold"}
            | {
                "max_cat_to_onehot",
                "missing",
                "monotone_constraints",
                "multi_strategy",
                "objective",
                "validate_parameters",
            }
            | {"verbosity", "kwargs", "base_score"}
        ),
    ),
    Algorithm.LIGHTGBM: Kind(
        estimators={
            Task.CLASSIFICATION: _from("lightgbm", "LGBMClassifier"),
            Task.REGRESSION: _from("lightgbm", "LGBMRegressor"),
        },
        ours={
            "n_jobs": "jobs",
            "random_state": "seed",
            "verbosity": "-1",
            "deterministic": "true",
            "force_row_wise": "true",
        },
        reserved=frozenset({"objective", "importance_type"}),
    ),
}
"""Algorithm to how it is made; a test holds it against the API's enum."""
