"""What a retraining owes to the model before it: a fair comparison, and an account of what was learned from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refit.api.outcome import Shadow
from refit_trainer.checked import Checked
from refit_trainer.comparisons import Contest, contest, shadow
from refit_trainer.datasets import Dataset
from refit_trainer.errors import ShadowFailedError
from refit_trainer.evidence import repeated
from refit_trainer.exports import Served
from refit_trainer.lineages import Lineage
from refit_trainer.orders import Order
from refit_trainer.retrainings import Retraining, new_rows

if TYPE_CHECKING:
    from refit_trainer.trainings import Trained


def against_champion(
    retraining: Retraining | None, served: Served, dataset: Dataset, order: Order, source_sha256: str | None
) -> tuple[Contest | None, Shadow | None]:
    """How the model compares with the champion; raises ShadowFailedError where it fails requests that were answered."""
    if retraining is None:
        return None, None
    seen = shadow(retraining, served)
    if seen is not None and seen.failed:
        raise ShadowFailedError(
            "ShadowFailed",
            f"the new model has no answer to {seen.failed} of {seen.requests} requests that version "
            f"{retraining.champion.number} answered",
            shadow=seen,
            rows=dataset.rows,
        )
    spec = order.spec
    rows = new_rows(dataset, retraining, spec, source_sha256)
    metric, seed = spec.training.selection.metric, spec.data.split.seed
    return contest(rows, retraining.champion, served, dataset, metric, seed), seen


def learned_from(found: Checked, retraining: Retraining | None) -> str:
    """How many rows of which kind; how many requests say what a row of the source says, and which labels were no use."""
    if retraining is None or retraining.known is None:
        return ""
    reading, late = found.reading, found.late
    cut = ", the window was cut" if retraining.requests is not None and retraining.requests.cut else ""
    unknown = f", {retraining.known.unknown} labels of no class" if retraining.known.unknown else ""
    if late is None:
        return (
            f"learned from {reading.rows} rows of the source; {len(retraining.known)} labelled requests{unknown}{cut}"
        )
    of_source = f"{late.first} rows of the source and " if late.first else ""
    twice = repeated(reading, late.first)
    same = f", {twice} of them repeat rows of the source" if twice else ""
    return f"learned from {of_source}{len(late.shares)} requests{same}{unknown}{cut}"


def lineage(trained: Trained, dataset: Dataset, source_sha256: str | None) -> bytes:
    split = trained.order.spec.data.split
    return (
        Lineage(
            seed=split.seed,
            test_percent=split.test_percent,
            source_sha256=source_sha256,
            source_split=dataset.source_split,
            window=trained.retraining.learned_window if trained.retraining is not None else None,
            algorithm=trained.winner.algorithm,
            parameters=trained.winner.parameters,
            rows=trained.rows,
        )
        .model_dump_json(by_alias=True, exclude_none=True)
        .encode()
    )
