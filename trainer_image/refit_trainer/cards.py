"""The model card: what a person wants to know of a model before trusting it, in Markdown."""

from __future__ import annotations

from refit_trainer.scores import number
from refit_trainer.trainings import Trained


def card(trained: Trained, importances: dict[str, float]) -> str:
    """The card of a trained model."""
    spec = trained.order.spec
    selection = spec.training.selection
    bound = (
        f"at least {selection.minimum}" if selection.minimum is not None
        else f"at most {selection.maximum}" if selection.maximum is not None
        else "none"
    )  # fmt: skip
    missed = trained.missed_bound()
    if missed is None and trained.contest is not None and not trained.contest.better:
        missed = trained.contest.told
    what = f"{spec.task} of `{spec.data.target.column}`"
    if spec.data.target.positive_when:
        what += f" (positive when {spec.data.target.positive_when})"
    sections = [
        f"# {trained.order.experiment}",
        f"{what} by {trained.winner.algorithm}. Training `{trained.order.key}`. "
        + ("Passed its bound." if missed is None else f"**Not registered**: {missed}."),
        "## Data",
        _table(
            ("what", "value"),
            [
                ("source", f"`{spec.data.source.uri.split('?', 1)[0]}`"),
                ("sha256", f"`{trained.data_sha256}`"),
                ("rows used", str(trained.rows)),
                ("held out", f"{trained.held_out} (seed {spec.data.split.seed}, digest `{trained.split_digest[:12]}`)"),
                ("missing values", str(spec.data.cleaning.missing.strategy)),
                ("outliers", str(spec.data.cleaning.outliers.method)),
                ("repeated rows", str(spec.data.cleaning.duplicates)),
            ],
        ),
        "## Inputs",
        _table(
            ("column", "type", "may be missing", "values"),
            [
                (f"`{column.name}`", str(column.type), "yes" if column.nullable else "no", _values(column.categories))
                for column in trained.signature.inputs
            ],
        ),
    ]
    if spec.data.features:
        sections.append(
            _table(
                ("derived feature", "expression"), [(f"`{f.name}`", f"`{f.expression}`") for f in spec.data.features]
            )
        )
    sections += [
        "## Checks",
        _table(
            ("check", "outcome", "said"),
            [(check.name, "passed" if check.passed else "failed", check.message) for check in trained.checks],
        ),
        f"## Candidates, {spec.training.folds} folds on training rows",
        _table(
            ("candidate", f"{trained.metric}, mean", "deviation", ""),
            [
                (c.label, number(c.mean), number(c.deviation), "chosen" if c == trained.winner else "")
                for c in trained.candidates
            ],
        ),
        f"## Metrics on {trained.held_out} held-out rows (bound on {trained.metric}: {bound})",
        _table(("metric", "value"), [(metric.value, number(value)) for metric, value in trained.metrics.items()]),
        *_against(trained),
        "## Importance",
        _table(
            ("column", f"loss of {trained.metric} when shuffled"),
            [(f"`{n}`", number(v)) for n, v in importances.items()],
        ),
        "## The exported model follows the fitted one",
        (
            f"On {trained.parity.rows} rows, with missing and unknown values among them: largest difference "
            f"{trained.parity.max_difference}, {trained.parity.differing_labels} other labels."
        ),
        "## Limits",
        (
            "Measured on rows of the same source and time as the training rows. Nothing is said of other populations, "
            "of fairness between groups, or of causes. Importance is not cause."
        ),
    ]
    return "\n\n".join(sections) + "\n"


def _against(trained: Trained) -> list[str]:
    """How it compares with the model before it, if there is one."""
    if trained.retraining is None or trained.contest is None:
        return []
    told = [f"## Against version {trained.retraining.champion.number}", f"{trained.contest.told}."]
    if trained.contest.comparison is not None:
        told.append(f"By {trained.contest.comparison.method}; the interval is of 90 %.")
    return [*told, f"This model {trained.learned_from}."] if trained.learned_from else told


def _values(categories: tuple[str, ...]) -> str:
    shown = ", ".join(f"`{value}`" for value in categories[:12])
    return shown + (f" and {len(categories) - 12} more" if len(categories) > 12 else "")  # noqa: PLR2004 - as shown


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |" for line in lines
    )
