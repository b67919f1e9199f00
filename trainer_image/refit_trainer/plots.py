"""Small pictures of a model on held-out rows: four for a classification, four for a regression."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from refit.api.confusion import Confusion

BARS = 15
CLASSES_TOLD = 12
BINS = 10
BLUE, GREY = "#2563eb", "#9ca3af"


@dataclass(frozen=True, kw_only=True)
class Picture:
    """What the plots show: truth and answers of held-out rows, and the columns' importances."""

    truth: NDArray[Any]
    answers: NDArray[np.float64]
    classes: tuple[str, ...]
    importances: dict[str, float]
    metric: str


def plots(picture: Picture) -> dict[str, bytes]:
    """File name to PNG."""
    wanted = CLASSIFICATION_PLOTS if picture.classes else REGRESSION_PLOTS
    return {f"{name}.png": _png(draw, picture) for name, draw in wanted.items()}


def confusion(picture: Picture) -> Confusion | None:
    """What the confusion matrix is drawn of; none of a regression."""
    return Confusion(labels=picture.classes, counts=_counts(picture).tolist()) if picture.classes else None


def _counts(picture: Picture) -> NDArray[np.int64]:
    """Rows by their true class (down) and the most probable one (across)."""
    size = len(picture.classes)
    counts = np.zeros((size, size), dtype=np.int64)
    np.add.at(counts, (picture.truth, picture.answers.argmax(axis=1)), 1)
    return counts


def _png(draw: Callable[[Axes, Picture], None], picture: Picture) -> bytes:
    figure = Figure(figsize=(4.8, 3.6), dpi=90, layout="constrained")
    FigureCanvasAgg(figure)  # names the backend, so that no display is looked for
    draw(figure.subplots(), picture)
    written = io.BytesIO()
    figure.savefig(written, format="png", metadata={"Software": None})
    return written.getvalue()


def _confusion_matrix(axes: Axes, picture: Picture) -> None:
    size, counts = len(picture.classes), _counts(picture)
    axes.imshow(counts, cmap="Blues")
    axes.set(title="Confusion matrix", xlabel="predicted", ylabel="true")
    if size > CLASSES_TOLD:
        return
    names = [name[:12] for name in picture.classes]
    axes.set_xticks(range(size), names)
    axes.set_yticks(range(size), names)
    for row, column in np.ndindex(size, size):
        dark = counts[row, column] > counts.max() / 2
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", color="white" if dark else "black")


def _roc(axes: Axes, picture: Picture) -> None:
    shown = range(1, 2) if len(picture.classes) == 2 else range(min(len(picture.classes), CLASSES_TOLD))  # noqa: PLR2004
    for place in shown:
        wrong, right = _roc_points(picture.truth == place, picture.answers[:, place])
        axes.plot(wrong, right, label=picture.classes[place][:12])
    axes.plot([0, 1], [0, 1], color=GREY, linestyle=":")
    axes.set(title="ROC", xlabel="false positive rate", ylabel="true positive rate")
    axes.legend(loc="lower right", fontsize="small")


def _roc_points(truth: NDArray[np.bool_], value: NDArray[np.float64]) -> tuple[NDArray[Any], NDArray[Any]]:
    order = np.argsort(-value, kind="stable")
    last_of_equals = np.append(np.diff(value[order]) != 0, True)
    right = np.cumsum(truth[order])[last_of_equals] / max(int(truth.sum()), 1)
    wrong = np.cumsum(~truth[order])[last_of_equals] / max(int((~truth).sum()), 1)
    return np.append(0, wrong), np.append(0, right)


def _calibration(axes: Axes, picture: Picture) -> None:
    """How often a class came true that was given a probability; of more than two classes the most probable one."""
    if len(picture.classes) == 2:  # noqa: PLR2004 - two classes
        given, came_true = picture.answers[:, 1], picture.truth == 1
    else:
        given, came_true = picture.answers.max(axis=1), picture.answers.argmax(axis=1) == picture.truth
    place = np.minimum((given * BINS).astype(np.int64), BINS - 1)
    counts = np.bincount(place, minlength=BINS)
    filled = counts > 0
    axes.plot([0, 1], [0, 1], color=GREY, linestyle=":")
    axes.plot(
        (np.bincount(place, weights=given, minlength=BINS) / np.maximum(counts, 1))[filled],
        (np.bincount(place, weights=came_true, minlength=BINS) / np.maximum(counts, 1))[filled],
        marker="o",
        color=BLUE,
    )
    axes.set(
        title="Calibration", xlabel="predicted probability", ylabel="share that came true", xlim=(0, 1), ylim=(0, 1)
    )


def _feature_importance(axes: Axes, picture: Picture) -> None:
    shown = list(picture.importances.items())[:BARS][::-1]
    axes.barh([name[:20] for name, _ in shown], [value for _, value in shown], color=BLUE)
    axes.set(title="Permutation importance", xlabel=f"loss of {picture.metric} when shuffled")
    axes.tick_params(labelsize="small")


def _residuals(axes: Axes, picture: Picture) -> None:
    predicted = picture.answers[:, 0]
    axes.scatter(predicted, picture.truth - predicted, s=6, alpha=0.5, color=BLUE)
    axes.axhline(0, color=GREY, linestyle=":")
    axes.set(title="Residuals", xlabel="predicted", ylabel="true - predicted")


def _predicted_and_actual(axes: Axes, picture: Picture) -> None:
    axes.scatter(picture.truth, picture.answers[:, 0], s=6, alpha=0.5, color=BLUE)
    ends = [float(picture.truth.min()), float(picture.truth.max())]
    axes.plot(ends, ends, color=GREY, linestyle=":")
    axes.set(title="Predicted and true", xlabel="true", ylabel="predicted")


def _residual_histogram(axes: Axes, picture: Picture) -> None:
    axes.hist(picture.truth - picture.answers[:, 0], bins=30, color=BLUE)
    axes.set(title="Residuals", xlabel="true - predicted", ylabel="rows")


CLASSIFICATION_PLOTS: dict[str, Callable[[Axes, Picture], None]] = {
    "confusion_matrix": _confusion_matrix,
    "roc": _roc,
    "calibration": _calibration,
    "feature_importance": _feature_importance,
}
REGRESSION_PLOTS: dict[str, Callable[[Axes, Picture], None]] = {
    "residuals": _residuals,
    "predicted_and_actual": _predicted_and_actual,
    "residual_histogram": _residual_histogram,
    "feature_importance": _feature_importance,
}
"""File name to what draws it."""
