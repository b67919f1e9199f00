"""How often an equal model is promoted, how much better one must be to be seen, and whether predicted impacts hold.

    python benchmarks/promotion.py [--worlds 1000] [--trials 200] [--json out.json]

(a) Worlds in which champion and challenger are equally good, drawn with a seed: how often is the challenger promoted by
Refit's paired test, and by "promote if the point estimate is higher", on the same rows. Then worlds in which it is better
by 0.05 F1: how many rows show it in nine of ten. (b) Worlds that have drifted: a trial predicts the metric after a
retraining with a 90 % interval; the truth is the retrained model's metric on 20,000 fresh rows.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from figures import Figure, tell
from numpy.typing import NDArray

from refit.api.metrics import Metric
from refit.api.orders import RetrainingOrder
from refit.api.remediation import RowsRule
from refit_trainer import algorithms, choices, datasets, exports, pipelines
from refit_trainer.checked import Checked, checked
from refit_trainer.datasets import Rows
from refit_trainer.evidence import known
from refit_trainer.exports import Served
from refit_trainer.orders import Order, from_manifest
from refit_trainer.resampling import Difference, difference
from refit_trainer.retrainings import Retraining
from refit_trainer.scores import score
from refit_trainer.sources import digested
from refit_trainer.trials import tried
from refit_trainer.versions import Version
from refit_trainer.windows import Requests

SIZES = (60, 150, 400, 1_000)
METRICS = (Metric.F1, Metric.ROC_AUC, Metric.RMSE)
RESAMPLES = 400
"""For each world; a Job takes 2,000."""
BETTER = 0.05
POWER = 0.9
POWER_WORLDS = 200
POSITIVES = 0.35
FRESH = 20_000
SPLIT_SEED = 42
Floats = NDArray[np.float64]
Pair = tuple[Any, Floats, Floats]


def run(worlds: int = 1000, trials: int = 200) -> list[dict[str, Any]]:
    """One record per figure."""
    found: list[Figure] = []
    for metric in METRICS:
        for rows in SIZES:
            found += _wrongly_promoted(metric, rows, worlds)
    found += _seen()
    found += _speed()
    found += _held(trials)
    return [figure.record() for figure in found]


def _wrongly_promoted(metric: Metric, rows: int, worlds: int) -> list[Figure]:
    rng = np.random.default_rng([2026, rows, list(Metric).index(metric)])
    ours = naive = 0
    for world in range(worlds):
        truth, champion, challenger = _numbers(rng, rows) if metric is Metric.RMSE else _classes(rng, rows)
        found = difference(metric, truth, champion, challenger, seed=world, times=RESAMPLES)
        ours += found.better
        higher = found.challenger > found.champion
        naive += found.challenger < found.champion if metric is Metric.RMSE else higher
    wrong = 100 * ours / worlds
    return [
        Figure(
            what=f"equal models promoted, {metric} on {rows:,} rows, of {worlds:,} worlds",
            value=wrong,
            unit="%",
            compared_with=f"if the point estimate is better: {100 * naive / worlds:.1f} %",
            ratio=ours / naive,
            at_most=5.0,
        )
    ]


def _seen() -> list[Figure]:
    """How many rows show a gain of 0.05 F1 in nine worlds of ten, to Refit's test and to the plain number."""
    noise = _noise_of(BETTER)
    ours = _smallest(noise, lambda found: found.better)
    naive = _smallest(noise, lambda found: found.challenger > found.champion)
    return [
        Figure(
            what=f"rows that show +{BETTER} F1 in 9 worlds of 10, of {POWER_WORLDS}",
            value=ours,
            unit="rows",
            compared_with=f"if the point estimate is better: {naive} rows",
            ratio=ours / naive,
        )
    ]


def _smallest(noise: float, shown: Callable[[Difference], bool]) -> int:
    """The smallest number of rows at which it is shown, by halving."""
    low, high = 30, 4_000
    while high - low > max(20, low // 20):
        middle = (low + high) // 2
        rng = np.random.default_rng([7, middle])
        found = [
            shown(difference(Metric.F1, *_classes(rng, middle, champion=noise), seed=world, times=RESAMPLES))
            for world in range(POWER_WORLDS)
        ]
        low, high = (low, middle) if np.mean(found) >= POWER else (middle, high)
    return high


def _noise_of(gain: float) -> float:
    """How noisy a champion's signal is for its F1 to be less by that much, on many rows."""
    low, high = 0.7, 3.0
    for _ in range(20):
        middle = (low + high) / 2
        truth, champion, challenger = _classes(np.random.default_rng(1), 200_000, champion=middle)
        apart = score(Metric.F1, truth, challenger) - score(Metric.F1, truth, champion)
        low, high = (middle, high) if apart < gain else (low, middle)
    return (low + high) / 2


def _speed() -> list[Figure]:
    figures = []
    for metric in (Metric.F1, Metric.ROC_AUC):
        pair = _classes(np.random.default_rng(3), 10_000)
        began = time.process_time()
        difference(metric, *pair, seed=1)
        spent = time.process_time() - began
        figures.append(
            Figure(what=f"2,000 resamples of 10,000 rows, {metric} of both", value=spent, unit="s of CPU", at_most=2.0)
        )
    return figures


def _classes(rng: np.random.Generator, rows: int, champion: float = 0.7) -> Pair:
    """Two classifiers that see the same signal, each with a noise of its own; alike where the noise is."""
    truth = (rng.random(rows) < POSITIVES).astype(np.int64)
    signal = np.where(truth == 1, 0.9, -0.9) + rng.normal(0, 0.7, rows)
    yes = [1 / (1 + np.exp(-signal - rng.normal(0, noise, rows))) for noise in (champion, 0.7)]
    one, other = (np.column_stack([1 - each, each]) for each in yes)
    return truth, one, other


def _numbers(rng: np.random.Generator, rows: int) -> Pair:
    """Two regressions whose errors have heavy tails, partly shared."""
    truth = rng.normal(0, 1, rows)
    shared = truth + 0.7 * rng.standard_t(4, rows)
    one, other = (shared + 0.7 * rng.standard_t(4, rows) for _ in range(2))
    return truth, one.reshape(-1, 1), other.reshape(-1, 1)


def _held(trials: int) -> list[Figure]:
    """How many predicted intervals hold what came of it: half of the worlds of each task; and, of a few, where the trial
    had time for one candidate only."""
    figures = []
    inside: list[bool] = []
    for name, wanted, quick in (("f1", _CLASSIFIES[0], _CLASSIFIES[1]), ("rmse", _REGRESSES[0], _REGRESSES[1])):
        found = [_foreseen((wanted, wanted), np.random.default_rng([5, world])) for world in range(trials // 2)]
        holds = [low <= truth <= high for low, high, truth in found]
        inside += holds
        width = float(np.median([high - low for low, high, _ in found]))
        short = [_foreseen((wanted, quick), np.random.default_rng([6, world])) for world in range(trials // 8)]
        held = np.mean([low <= truth <= high for low, high, truth in short])
        what = f"predicted 90 % intervals of {name} that hold the truth, of {len(found)} drifted worlds"
        figures += [
            Figure(what=what, value=100 * float(np.mean(holds)), unit="%"),
            Figure(what=f"their median width, {name}", value=width, unit=name),
            Figure(
                what=f"the same where the trial had time for one of two candidates, of {len(short)}",
                value=100 * float(held),
                unit="%",
            ),
        ]
    what = f"predicted 90 % intervals that hold the truth, of all {len(inside)} drifted worlds"
    return [*figures, Figure(what=what, value=100 * float(np.mean(inside)), unit="%", at_least=85.0)]


def _foreseen(manifests: Sequence[dict[str, Any]], rng: np.random.Generator) -> tuple[float, float, float]:
    """A world that drifts: the interval that a trial predicts, and what the retrained model does to fresh rows. Of the
    two manifests the first is what is retrained, the second what the trial has time for."""
    order, quick = (from_manifest(found) for found in manifests)
    before, after = _world(rng), _world(rng)
    source = digested(_csv(before(int(rng.integers(200, 500)))))
    champion = Version(number=1, served=_fitted(order, checked(order, source, _silent)))
    requests = _requests(after(int(rng.integers(300, 1500))), order)
    held = Retraining(
        order=RetrainingOrder.model_validate(
            {"champion": {"version": 1, "artifactUri": "", "artifactSha256": "0" * 64}, "rows": RowsRule.APPEND}
        ),
        champion=champion,
        requests=requests,
        known=known(requests.labelled, champion.signature.classes, SPLIT_SEED),
    )
    rows = checked(order, source, _silent, held)
    found = tried(rows, quick, held, source.sha256, seconds=60, cpus=1, clock=time.monotonic, report=_silent)
    assert found.impact is not None, found.message
    retrained = _fitted(order, rows)
    fresh = _as_rows(after(FRESH), order, retrained)
    truth = score(Metric(found.impact.metric), fresh.answers, retrained.answers(fresh.frame))
    return float(found.impact.low), float(found.impact.high), truth


def _fitted(order: Order, rows: Checked) -> Served:
    """The best candidate, as a training chooses, fits and exports it."""
    spec = order.spec
    dataset = datasets.prepare(rows.reading, spec, rows.late)
    manner = choices.Manner(
        folds=spec.training.folds,
        seed=SPLIT_SEED,
        metric=spec.training.selection.metric,
        missing=spec.data.cleaning.missing.strategy,
        cpus=1,
    )
    combinations = algorithms.combinations(spec.training.candidates, spec.task)
    chosen = choices.best(choices.compare(combinations, dataset, manner, _silent), manner.metric).combination
    model = pipelines.pipeline(chosen, dataset, manner.missing, jobs=1, seed=SPLIT_SEED)
    return Served(exports.export(pipelines.fitted(model, dataset.training, dataset, chosen), dataset, chosen).content)


def _world(rng: np.random.Generator) -> Callable[[int], dict[str, Any]]:
    """Rows of one state of the world: what the columns mean is drawn with it."""
    means, weights, noise = rng.normal(0, 0.7, 3), rng.normal(0, 1, 3), rng.uniform(0.4, 1.2)

    def rows(count: int) -> dict[str, Any]:
        values = rng.normal(means, 1.0, (count, 3))
        kind = rng.choice(["a", "b", "c"], count)
        risk = values @ weights + (kind == "a") + noise * rng.normal(0, 1, count)
        named = {f"x{place}": values[:, place].astype(np.float32).astype(np.float64) for place in range(3)}
        return {**named, "kind": kind, "ill": np.where(risk > 0, "1", "0"), "cost": risk}

    return rows


def _requests(table: dict[str, Any], order: Order) -> Requests:
    """The rows as the collector serves them, labelled."""
    rows = len(table["kind"])
    target = table[order.spec.data.target.column]
    found = pa.table(
        {
            "id": [f"r{place}" for place in range(rows)],
            "row": pa.array([0] * rows, pa.int32()),
            "version": pa.array([1] * rows, pa.int32()),
            "time": pa.array(range(rows), pa.timestamp("us", tz="UTC")),
            **{f"input.{name}": table[name] for name in ("x0", "x1", "x2", "kind")},
            "truth": [str(value) for value in target],
        }
    )
    return Requests(labelled=found, recent=found.slice(0, 0))


def _as_rows(table: dict[str, Any], order: Order, served: Served) -> Rows:
    import pandas as pd  # noqa: PLC0415 - with the rows only

    frame = pd.DataFrame({name: table[name].astype(np.float32) for name in ("x0", "x1", "x2")})
    frame["kind"] = table["kind"].astype(object)
    target = table[order.spec.data.target.column]
    classes = list(served.signature.classes)
    return Rows(frame, np.array([classes.index(value) for value in target]) if classes else target)


def _csv(table: dict[str, Any]) -> bytes:
    lines = [",".join(table), *(",".join(map(str, row)) for row in zip(*table.values(), strict=True))]
    return ("\n".join(lines) + "\n").encode()


def _silent(_event: str, **_fields: Any) -> None:
    return None


def _manifests(task: str, target: str, ignored: str, algorithm: str, metric: str) -> list[dict[str, Any]]:
    """What is retrained, and the part of it that the trial has time for."""
    forest = {"algorithm": "RandomForest", "parameters": {"n_estimators": "10", "min_samples_leaf": "5"}}
    return [
        {
            "apiVersion": "refit.dev/v1alpha1",
            "kind": "ModelDeployment",
            "metadata": {"name": "bench"},
            "spec": {
                "task": task,
                "data": {
                    "source": {"uri": "pvc://claim/data.csv"},
                    "target": {"column": target},
                    "ignore": [ignored],
                    "split": {"seed": SPLIT_SEED},
                },
                "training": {"candidates": candidates, "folds": 2, "selection": {"metric": metric}},
            },
        }
        for candidates in ([{"algorithm": algorithm}, forest], [{"algorithm": algorithm}])
    ]


_CLASSIFIES = _manifests("Classification", "ill", "cost", "LogisticRegression", "f1")
_REGRESSES = _manifests("Regression", "cost", "ill", "LinearRegression", "rmse")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=1000, help="of equal models, for each metric and size")
    parser.add_argument("--trials", type=int, default=200, help="drifted worlds, half of each task")
    parser.add_argument("--json", type=Path, help="file for the records")
    given = parser.parse_args()
    tell(run(given.worlds, given.trials), given.json)


if __name__ == "__main__":
    main()
