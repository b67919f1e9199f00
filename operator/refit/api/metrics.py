"""The metrics a model is judged by, and the bounds that can be put on one."""

from __future__ import annotations

from pydantic import Field

from refit.api.base import ApiModel, Choice, Number, first_of


class Metric(Choice):
    """Metric names are scikit-learn's and MLflow's own words, so they are not CamelCase."""

    ACCURACY = "accuracy"
    BALANCED_ACCURACY = "balanced_accuracy"
    PRECISION = "precision"
    RECALL = "recall"
    F1 = "f1"
    ROC_AUC = "roc_auc"
    PR_AUC = "pr_auc"
    LOG_LOSS = "log_loss"
    RMSE = "rmse"
    MAE = "mae"
    R2 = "r2"
    MAPE = "mape"


CLASSIFICATION_METRICS = tuple(list(Metric)[:8])
REGRESSION_METRICS = tuple(list(Metric)[8:])
LOWER_IS_BETTER = (Metric.LOG_LOSS, Metric.RMSE, Metric.MAE, Metric.MAPE)


def words(metrics: tuple[Metric, ...]) -> str:
    return "[" + ", ".join(f"'{metric}'" for metric in metrics) + "]"


def bound_rules() -> tuple[dict[str, str], ...]:
    """A bound lies on the side of its metric, and where the metric can be."""
    smaller = words(LOWER_IS_BETTER)
    return (
        first_of(
            ".minimum",
            (f"!has(self.minimum) || !(self.metric in {smaller})", "less is better for this metric: use maximum"),
            (
                (
                    "!has(self.minimum) || self.metric == 'r2' || "
                    "(double(self.minimum) >= 0.0 && double(self.minimum) <= 1.0)"
                ),
                "must be a number from 0 to 1",
            ),
        ),
        first_of(
            ".maximum",
            (f"!has(self.maximum) || self.metric in {smaller}", "more is better for this metric: use minimum"),
            ("!has(self.maximum) || double(self.maximum) > 0.0", "must be greater than 0"),
        ),
    )


class Metrics(ApiModel):
    """Metrics of one model on held-out rows, as decimal strings; those of the other task are absent."""

    accuracy: Number | None = None
    balanced_accuracy: Number | None = Field(default=None, alias="balanced_accuracy")
    precision: Number | None = None
    recall: Number | None = None
    f1: Number | None = None
    roc_auc: Number | None = Field(default=None, alias="roc_auc")
    pr_auc: Number | None = Field(default=None, alias="pr_auc")
    log_loss: Number | None = Field(default=None, alias="log_loss")
    rmse: Number | None = None
    mae: Number | None = None
    r2: Number | None = None
    mape: Number | None = None
