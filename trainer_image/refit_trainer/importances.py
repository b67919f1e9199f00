"""How much each column matters: what the metric loses when the column's values are shuffled among held-out rows.

Asked of the exported model, whatever its algorithm, so that columns compare across candidates.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from refit.api.metrics import LOWER_IS_BETTER, Metric
from refit_trainer.datasets import Dataset
from refit_trainer.exports import Served
from refit_trainer.scores import score

SHUFFLES = 5
ROW_LIMIT = 2000


def importances(served: Served, dataset: Dataset, metric: Metric, seed: int) -> dict[str, float]:
    """Column to its mean loss over shuffles, the largest first."""
    random = np.random.default_rng(seed)
    chosen = random.permutation(len(dataset.held_out))[:ROW_LIMIT]
    rows = dataset.held_out.at(chosen)
    sign = -1.0 if metric in LOWER_IS_BETTER else 1.0
    whole = score(metric, rows.answers, served.answers(rows.frame))
    found = {}
    for column in dataset.inputs:
        losses = []
        for _ in range(SHUFFLES):
            shuffled: pd.DataFrame = rows.frame.assign(
                **{column.name: rows.frame[column.name].to_numpy()[random.permutation(len(rows))]}
            )
            losses.append(sign * (whole - score(metric, rows.answers, served.answers(shuffled))))
        found[column.name] = float(np.mean(losses))
    return dict(sorted(found.items(), key=lambda item: -item[1]))
