"""ModelDeployment: one model's whole life, as its owner declares it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from refit.api.base import (
    ApiModel,
    Choice,
    ColumnName,
    ComputeResources,
    Line,
    Number,
    Resources,
    Share,
    Word,
    rule,
    rules,
)
from refit.api.dataspec import DataSpec


class Task(Choice):
    CLASSIFICATION = "Classification"
    REGRESSION = "Regression"


class Algorithm(Choice):
    LOGISTIC_REGRESSION = "LogisticRegression"
    LINEAR_REGRESSION = "LinearRegression"
    RANDOM_FOREST = "RandomForest"
    XGBOOST = "XGBoost"
    LIGHTGBM = "LightGBM"


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


def _words(metrics: tuple[Metric, ...]) -> str:
    return "[" + ", ".join(f"'{metric}'" for metric in metrics) + "]"


_SMALLER = _words(LOWER_IS_BETTER)

_PARAMETER_NAME = "[A-Za-z_][A-Za-z0-9_]{0,63}"


class Candidate(ApiModel):
    """One algorithm to try; `parameters` are the library's own, `grid` tries every combination."""

    algorithm: Algorithm
    parameters: Annotated[dict[str, Word], Field(max_length=32)] = {}
    grid: Annotated[
        dict[str, Annotated[tuple[Word, ...], Field(min_length=1, max_length=16)]], Field(max_length=8)
    ] = {}

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                f"!has(self.parameters) || self.parameters.all(k, k.matches('^{_PARAMETER_NAME}$'))",
                "a parameter's name is letters, digits and underscores",
                field_path=".parameters",
            ),
            rule(
                f"!has(self.grid) || self.grid.all(k, k.matches('^{_PARAMETER_NAME}$'))",
                "a parameter's name is letters, digits and underscores",
                field_path=".grid",
            ),
            rule(
                "!has(self.grid) || !has(self.parameters) || self.grid.all(k, !(k in self.parameters))",
                "a parameter is either fixed in parameters or varied in grid",
                field_path=".grid",
            ),
        ),
    )


class Selection(ApiModel):
    """Which candidate wins, and what it must reach on held-out rows.

    `minimum` is for metrics where more is better, `maximum` for log_loss, rmse, mae and mape.
    A model that misses it is never served; what is live stays.
    """

    metric: Metric = Metric.F1
    minimum: Number | None = None
    maximum: Number | None = None

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                f"!has(self.minimum) || !(self.metric in {_SMALLER})",
                "less is better for this metric: use maximum",
                field_path=".minimum",
            ),
            rule(
                f"!has(self.maximum) || self.metric in {_SMALLER}",
                "more is better for this metric: use minimum",
                field_path=".maximum",
            ),
            rule(
                "!has(self.minimum) || self.metric == 'r2' || "
                "(double(self.minimum) >= 0.0 && double(self.minimum) <= 1.0)",
                "must be a number from 0 to 1",
                field_path=".minimum",
            ),
            rule(
                "!has(self.maximum) || double(self.maximum) > 0.0",
                "must be greater than 0",
                field_path=".maximum",
            ),
        ),
    )


DEFAULT_TRAINING_RESOURCES = Resources(
    requests=ComputeResources(cpu="250m", memory="512Mi"), limits=ComputeResources(cpu="2", memory="2Gi")
)
DEFAULT_SERVING_RESOURCES = Resources(
    requests=ComputeResources(cpu="50m", memory="256Mi"), limits=ComputeResources(cpu="1", memory="1Gi")
)


class Training(ApiModel):
    """How candidates are trained and compared.

    `schedule` is a cron line of five fields in UTC; it trains again on the source as it then is.
    """

    candidates: Annotated[tuple[Candidate, ...], Field(min_length=1, max_length=16)]
    folds: Annotated[int, Field(ge=2, le=10)] = 5
    selection: Selection = Selection()
    schedule: Annotated[str, Field(max_length=64, pattern=r"^[0-9A-Za-z*/,#-]+( [0-9A-Za-z*/,#-]+){4}$")] | None = None
    resources: Resources = DEFAULT_TRAINING_RESOURCES
    timeout_seconds: Annotated[int, Field(ge=30, le=86400)] = 1800


class RequestLogMode(Choice):
    NONE = "None"
    ALL = "All"


class RequestLog(ApiModel):
    """Which requests are kept for monitoring; columns in `mask` never leave the predictor in clear."""

    mode: RequestLogMode = RequestLogMode.NONE
    mask: Annotated[tuple[ColumnName, ...], Field(max_length=64)] = ()


class Serving(ApiModel):
    """How the model answers."""

    min_replicas: Annotated[int, Field(ge=1, le=64)] = 1
    max_replicas: Annotated[int, Field(ge=1, le=64)] = 1
    resources: Resources = DEFAULT_SERVING_RESOURCES
    request_log: RequestLog = RequestLog()

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "self.minReplicas <= self.maxReplicas",
                "minReplicas must not be greater than maxReplicas",
                field_path=".minReplicas",
            ),
        ),
    )


class Window(ApiModel):
    """The requests that one measurement looks at."""

    hours: Annotated[int, Field(ge=1, le=720)] = 24
    min_rows: Annotated[int, Field(ge=30, le=10000000)] = 200


class DriftMethod(Choice):
    """Statistics that can be asked for beside the bounded effect that decides."""

    KS = "KS"
    CHI_SQUARE = "ChiSquare"
    PSI = "PSI"
    JENSEN_SHANNON = "JensenShannon"
    WASSERSTEIN = "Wasserstein"
    TVD = "TVD"


class FeatureThreshold(ApiModel):
    """A feature's own drift threshold or statistic."""

    column: ColumnName
    threshold: Share | None = None
    method: DriftMethod | None = None


class Drift(ApiModel):
    """When a feature has drifted: its effect passes `threshold` and its p-value `alpha`, corrected over all features."""

    threshold: Share = "0.1"
    alpha: Share = "0.01"
    features: Annotated[
        tuple[FeatureThreshold, ...],
        Field(
            max_length=256,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["column"]},
        ),
    ] = ()


class QualityBound(ApiModel):
    """A metric and what it must keep while serving."""

    metric: Metric
    minimum: Number | None = None
    maximum: Number | None = None


class Query(ApiModel):
    """A user's own PromQL expression and its bounds."""

    name: Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$")]
    promql: Annotated[str, Field(min_length=1, max_length=1024)]
    min: Number | None = None
    max: Number | None = None


class Monitoring(ApiModel):
    """What is watched, and how often."""

    interval_seconds: Annotated[int, Field(ge=60, le=604800)] = 300
    window: Window = Window()
    drift: Drift = Drift()
    segment_column: ColumnName | None = None
    quality: Annotated[
        tuple[QualityBound, ...],
        Field(
            max_length=12, json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["metric"]}
        ),
    ] = ()
    queries: Annotated[
        tuple[Query, ...],
        Field(
            max_length=16, json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}
        ),
    ] = ()


class PolicyPreset(Choice):
    """The presets' names are those of the designs they follow."""

    SEED_VISUAL = "seed-visual"
    SEED_ARCHITECTURE = "seed-architecture"


class RemediationMode(Choice):
    OBSERVE = "Observe"
    ACT = "Act"


class Approval(ApiModel):
    """Whose yes is needed: how many people, of which group, within what time."""

    approvals: Annotated[int, Field(ge=1, le=16)] = 1
    required_group: Line | None = None
    expires_after_seconds: Annotated[int, Field(ge=300, le=604800)] = 86400
    requester_may_approve: bool = False


class Limits(ApiModel):
    """What keeps remediation from becoming a loop."""

    cooldown_seconds: Annotated[int, Field(ge=0, le=604800)] = 3600
    attempts: Annotated[int, Field(ge=1, le=10)] = 3
    per_day: Annotated[int, Field(ge=1, le=100)] = 5


class Remediation(ApiModel):
    """What may be done about a model that stops fitting, and who must agree."""

    policy: PolicyPreset = PolicyPreset.SEED_VISUAL
    mode: RemediationMode = RemediationMode.OBSERVE
    approval: Approval = Approval()
    limits: Limits = Limits()


_TARGET_IN_COLUMNS = (
    "!has(self.data.columns) || size(self.data.columns) == 0 || "
    "self.data.columns.exists(c, c.name == self.data.target.column)"
)


class ModelDeploymentSpec(ApiModel):
    """What is wanted. The operator never writes here."""

    task: Task = Task.CLASSIFICATION
    data: DataSpec
    training: Training
    serving: Serving = Serving()
    monitoring: Monitoring | None = None
    remediation: Remediation | None = None

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "self.task == oldSelf.task",
                "the task of a model is immutable; create a new ModelDeployment",
                field_path=".task",
            ),
            rule(
                f"self.training.selection.metric in (self.task == 'Classification' ? "
                f"{_words(CLASSIFICATION_METRICS)} : {_words(REGRESSION_METRICS)})",
                "this metric does not belong to the task",
                field_path=".training.selection.metric",
            ),
            rule(
                "self.task == 'Classification' ? "
                "self.training.candidates.all(c, c.algorithm != 'LinearRegression') : "
                "self.training.candidates.all(c, c.algorithm != 'LogisticRegression')",
                "LogisticRegression is for Classification, LinearRegression for Regression",
                field_path=".training.candidates",
            ),
            rule(
                "self.task == 'Classification' || !has(self.data.target.positiveWhen)",
                "positiveWhen is for Classification",
                field_path=".data.target.positiveWhen",
            ),
            rule(
                _TARGET_IN_COLUMNS,
                "data.target.column must be one of data.columns when columns are given",
                field_path=".data.target.column",
            ),
        ),
    )


def spec_of(manifest: dict[str, Any]) -> ModelDeploymentSpec:
    """The typed spec of a ModelDeployment as read from the API server or a file."""
    return ModelDeploymentSpec.model_validate(manifest["spec"])
