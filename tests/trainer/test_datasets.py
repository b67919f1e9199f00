from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from refit.api.dataspec import DataFormat, OutlierMethod
from refit.api.metrics import Metric
from refit_trainer import choices, pipelines
from refit_trainer.algorithms import combinations
from refit_trainer.columns import read
from refit_trainer.datasets import Dataset, Rows, divide, prepare, without_outliers
from refit_trainer.errors import RefusedError
from refit_trainer.leaks import suspicion
from refit_trainer.tables import read_table


def prepared(made: Any, table: dict[str, list[Any]] | None = None, **changes: Any) -> Dataset:
    spec = made.order(**changes).spec
    return prepare(read(read_table(made.csv(table or made.patients()), DataFormat.CSV), spec.data), spec)


def test_rows_are_divided_by_class_and_seed(made: Any) -> None:
    dataset = prepared(made)
    shares = [np.mean(rows.answers) for rows in (dataset.training, dataset.held_out)]
    assert (len(dataset.training), len(dataset.held_out)) == (160, 40)
    assert shares[0] == pytest.approx(shares[1], abs=0.02)
    assert dataset.split_digest == prepared(made).split_digest
    assert dataset.split_digest != prepared(made, spec__data__split={"seed": 43}).split_digest


@pytest.mark.parametrize("seed", range(5))
def test_every_class_is_on_both_sides(seed: int) -> None:
    found = np.array([0] * 97 + [1] * 3)
    held_out = divide(found, 5, seed, stratified=True)
    assert (set(found[held_out]), set(found[~held_out]), held_out.sum()) == ({0, 1}, {0, 1}, 6)


@pytest.mark.parametrize(
    ("cleaning", "rows"),
    [
        pytest.param({}, 212, id="rows are kept"),
        pytest.param({"duplicates": "Drop"}, 200, id="repeated rows can be dropped"),
        pytest.param({"missing": {"strategy": "DropRows"}}, 201, id="rows with missing values can be dropped"),
        pytest.param({"missing": {"strategy": "DropRows"}, "duplicates": "Drop"}, 190, id="and both"),
    ],
)
def test_cleaning(made: Any, cleaning: dict[str, Any], rows: int) -> None:
    table = made.patients()
    table["dose"][:10] = [None] * 10
    table = {name: values + values[:1] + values[20:31] for name, values in table.items()}
    assert prepared(made, table, spec__data__cleaning=cleaning).rows == rows


def test_after_dropping_rows_no_value_may_be_missing(made: Any) -> None:
    dataset = prepared(made, spec__data__cleaning={"missing": {"strategy": "DropRows"}})
    assert [column.nullable for column in dataset.inputs] == [False] * 4


def test_too_few_rows_after_cleaning(made: Any) -> None:
    table = made.patients(rows=30, dose=[1.0] * 12 + [None] * 18)
    with pytest.raises(RefusedError, match="DatasetTooSmall: 12 of 30 rows are left after cleaning, need at least 20"):
        prepared(made, table, spec__data__cleaning={"missing": {"strategy": "DropRows"}})


def test_rows_without_an_answer_are_left_out(made: Any) -> None:
    table = made.patients()
    table["ill"][:5] = [None] * 5
    assert prepared(made, table).rows == 195


def test_outliers_are_judged_by_the_rows_to_fit_on_alone() -> None:
    frame = pd.DataFrame(
        {"x": np.array([*range(20), 1000], dtype=np.float32), "flat": np.array([1] * 20 + [2], dtype=np.float32)}
    )
    rows = Rows(frame, np.arange(21))
    assert len(without_outliers(rows, ["x", "flat"], OutlierMethod.IQR)) == 20
    assert len(without_outliers(rows, ["flat"], OutlierMethod.IQR)) == 21
    assert len(without_outliers(rows, ["x"], OutlierMethod.NONE)) == 21


def test_a_fold_learns_nothing_of_the_rows_it_is_judged_on(made: Any) -> None:
    """The fills, the scaling and the categories of a pipeline are those of the rows it was fitted on."""
    dataset = prepared(made)
    (combination,) = combinations(made.order().spec.training.candidates, dataset.task)
    some = dataset.training.at(np.arange(60))
    model = pipelines.pipeline(combination, dataset, made.order().spec.data.cleaning.missing.strategy, jobs=1, seed=0)
    steps = pipelines.fitted(model, some, dataset, combination).named_steps["columns"].named_transformers_
    numbers = some.frame[["age", "dose"]].to_numpy(dtype=np.float64)
    np.testing.assert_allclose(steps["numbers"].named_steps["fill"].statistics_, np.median(numbers, axis=0), rtol=1e-6)
    np.testing.assert_allclose(steps["numbers"].named_steps["scale"].mean_, numbers.mean(axis=0), rtol=1e-6)


def test_the_best_mean_wins_and_of_equals_the_first(made: Any) -> None:
    first, second, third = combinations(
        made.order(
            spec__training__candidates=[{"algorithm": "LogisticRegression", "grid": {"C": ["1", "2", "3"]}}]
        ).spec.training.candidates,
        made.order().spec.task,
    )
    scored = tuple(
        choices.Scored(combination=c, scores=(mean,), seconds=0.0)
        for c, mean in ((first, 0.5), (second, 0.7), (third, 0.7))
    )
    assert choices.best(scored, Metric.F1).combination == second
    assert choices.best(scored, Metric.LOG_LOSS).combination == first


@pytest.mark.parametrize("value", ["-1", "banana"])
def test_a_parameter_that_the_library_refuses_is_told(made: Any, value: str) -> None:
    for algorithm, name in (
        ("LogisticRegression", "C"),
        ("RandomForest", "n_estimators"),
        ("XGBoost", "max_depth"),
        ("LightGBM", "num_leaves"),
    ):
        changes: dict[str, Any] = {
            "spec__training__candidates": [{"algorithm": algorithm, "parameters": {name: value}}]
        }
        dataset = prepared(made, **changes)
        (combination,) = combinations(made.order(**changes).spec.training.candidates, dataset.task)
        model = pipelines.pipeline(
            combination, dataset, made.order().spec.data.cleaning.missing.strategy, jobs=1, seed=0
        )
        with pytest.raises(RefusedError) as refused:
            pipelines.fitted(model, dataset.training, dataset, combination)
        assert refused.value.message.startswith(f"{algorithm}({name}={value}): ")


@pytest.mark.parametrize(
    ("column", "changes", "said"),
    [
        pytest.param(lambda t: [1 if v == "yes" else 0 for v in t["ill"]], {}, "'copy'", id="a number that is the answer"),
        pytest.param(lambda t: [f"c-{v}" for v in t["ill"]], {}, "'copy'", id="a category that is the answer"),
        pytest.param(lambda t: [2 * v + 1 for v in t["cost"]], {"regression": True}, "'copy'", id="a number that follows from the answer"),
        pytest.param(lambda t: t["dose"], {}, "", id="an honest column"),
        pytest.param(lambda t: [f"c-{n % 9}" for n in range(len(t["ill"]))], {}, "", id="an honest category"),
    ],
)  # fmt: skip
def test_a_column_that_gives_the_answer_away_is_suspect(
    made: Any, column: Any, changes: dict[str, Any], said: str
) -> None:
    table = made.patients()
    table["copy"] = column(table)
    found = suspicion(prepared(made, table, **(made.regression if changes else {})), {})
    assert (found.passed, "SuspectLeak" in found.message, said in found.message) == (True, bool(said), True)


@pytest.mark.parametrize(
    ("change", "measured", "changes", "said"),
    [
        pytest.param(lambda t: t, {}, {}, "", id="62 nothing to say"),
        pytest.param(
            lambda t: {name: values * 2 for name, values in t.items()}, {}, {},
            "70 of 80 held-out rows are training rows, too; data.cleaning.duplicates: Drop removes them",
            id="62 every row twice, on both sides",
        ),
        pytest.param(
            lambda t: {name: values * 2 for name, values in t.items()}, {},
            {"spec__data__cleaning": {"duplicates": "Drop"}}, "",
            id="62 every row twice, and dropped",
        ),
        pytest.param(
            lambda t: {name: values + values[:8] for name, values in t.items()}, {}, {}, "",
            id="62 a few rows that come again are left to the check of repeated rows",
        ),
        pytest.param(
            lambda t: t | {"patient": [1000 + n for n in range(len(t["ill"]))]}, {}, {},
            "'patient' only numbers the rows; add it to data.ignore",
            id="62 an id that counts up",
        ),
        pytest.param(
            lambda t: t | {"patient": [3 * n for n in range(len(t["ill"]))]}, {}, {}, "",
            id="62 different whole numbers that are no count",
        ),
        pytest.param(
            lambda t: t, {Metric.ROC_AUC: 1.0}, {}, "every held-out row is predicted perfectly (ROC AUC 1.0)",
            id="62 an AUC of 1",
        ),
        pytest.param(
            lambda t: t, {Metric.R2: 0.99995}, {"regression": True},
            "every held-out row is predicted perfectly (R2 over 0.9999)",
            id="62 an R2 of 1",
        ),
    ],
)  # fmt: skip
def test_what_makes_a_model_look_better_than_it_is_is_suspect(
    made: Any, change: Any, measured: dict[Metric, float], changes: dict[str, Any], said: str
) -> None:
    more = made.regression if changes.pop("regression", False) else changes
    found = suspicion(prepared(made, change(made.patients()), **more), measured)
    assert (found.passed, found.message) == (True, f"warning: SuspectLeak: {said}" if said else "")
