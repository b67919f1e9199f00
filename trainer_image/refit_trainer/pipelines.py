"""A candidate as one scikit-learn pipeline from raw rows to predictions.

derived features -> numbers: fill, for linear models widen and scale; categories: fill, one column per
value, none for a value not seen -> estimator. Trees get no scaler: dividing would move values across
32-bit thresholds. Everything is learned inside the pipeline, so a fold learns nothing of the rows it is tested on.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from refit.api.dataspec import MissingStrategy
from refit_trainer.algorithms import ALGORITHMS, Combination, estimator
from refit_trainer.datasets import Dataset, Rows, without_outliers
from refit_trainer.errors import RefusedError
from refit_trainer.expressions import Tree, evaluate

FILLS = {
    MissingStrategy.MEDIAN: "median",
    MissingStrategy.MEAN: "mean",
    MissingStrategy.MOST_FREQUENT: "most_frequent",
    MissingStrategy.DROP_ROWS: "median",  # derived features can still have no value, such as a division by zero
}


class Derive(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Adds the derived features to the raw columns."""

    def __init__(self, trees: dict[str, Tree]) -> None:
        self.trees = trees

    def fit(self, frame: pd.DataFrame, _answers: Any = None) -> Derive:
        self.feature_names_in_ = np.asarray(frame.columns, dtype=object)
        return self

    def transform(self, frame: pd.DataFrame) -> pd.DataFrame:
        if not self.trees:
            return frame
        columns = {name: frame[name].to_numpy() for name in frame.columns}
        return frame.assign(**{name: evaluate(tree, columns) for name, tree in self.trees.items()})


def pipeline(combination: Combination, dataset: Dataset, missing: MissingStrategy, *, jobs: int, seed: int) -> Pipeline:
    """The unfitted pipeline of a combination."""
    scaled = ALGORITHMS[combination.algorithm].scaled
    number_steps: list[tuple[str, Any]] = [("fill", SimpleImputer(strategy=FILLS[missing], keep_empty_features=True))]
    if scaled:
        number_steps += [("widen", FunctionTransformer(_wide)), ("scale", StandardScaler())]
    category_steps = [
        ("fill", SimpleImputer(missing_values="", strategy="most_frequent", keep_empty_features=True)),
        ("encode", OneHotEncoder(handle_unknown="ignore", sparse_output=False, dtype=np.float32)),
    ]
    groups = []
    if dataset.numbers or dataset.derived:
        groups.append(("numbers", Pipeline(number_steps), [*dataset.numbers, *dataset.derived]))
    if dataset.categories:
        groups.append(("categories", Pipeline(category_steps), dataset.categories))
    return Pipeline(
        [
            ("derive", Derive(dataset.derived)),
            ("columns", ColumnTransformer(groups)),
            ("model", estimator(combination, dataset.task, jobs=jobs, seed=seed)),
        ]
    )


def fitted(unfitted: Pipeline, rows: Rows, dataset: Dataset, combination: Combination) -> Pipeline:
    """The pipeline after seeing the rows, less their outliers; raises RefusedError for a value it can not work with."""
    learned_from = without_outliers(rows, dataset.numbers, dataset.outliers)
    if dataset.classes and len(np.unique(learned_from.answers)) < len(dataset.classes):
        raise RefusedError(
            "TargetInvalid", "dropping outliers leaves a class without rows; set cleaning.outliers.method: None"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return unfitted.fit(learned_from.frame, learned_from.answers)
    except (ValueError, TypeError, OverflowError, _lightgbm_error()) as error:
        first_line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise RefusedError("FitFailed", f"{combination.label()}: {first_line[:600]}") from error


def probabilities(model: Pipeline, frame: pd.DataFrame) -> NDArray[np.float64]:
    """Probability per row and class."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # LightGBM misses feature names that it made up itself
        return np.asarray(model.predict_proba(frame), dtype=np.float64)


def predictions(model: Pipeline, frame: pd.DataFrame) -> NDArray[np.float64]:
    """One number per row."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(model.predict(frame), dtype=np.float64).reshape(-1)


def outputs(model: Pipeline, dataset: Dataset, frame: pd.DataFrame) -> NDArray[np.float64]:
    """What the model answers: probabilities [rows, classes], or predictions [rows, 1]."""
    return probabilities(model, frame) if dataset.classes else predictions(model, frame).reshape(-1, 1)


def _wide(values: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(values, dtype=np.float64)


def _lightgbm_error() -> type[Exception]:
    """LightGBM's error has no base but Exception; without LightGBM in use there is none to catch."""
    import sys  # noqa: PLC0415 - only to see whether the library is in use

    module = sys.modules.get("lightgbm.basic")
    found: type[Exception] = module.LightGBMError if module is not None else ValueError
    return found
