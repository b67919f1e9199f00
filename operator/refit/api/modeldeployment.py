"""ModelDeployment: one model's whole life, as its owner declares it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from refit.api import meta
from refit.api.base import (
    ApiModel,
    Choice,
    ColumnName,
    ComputeResources,
    Number,
    Resources,
    Word,
    first_of,
    rule,
    rules,
)
from refit.api.dataspec import DataSpec
from refit.api.metrics import CLASSIFICATION_METRICS, REGRESSION_METRICS, Metric, bound_rules, words
from refit.api.monitoring import Monitoring
from refit.api.remediation import Remediation


class Task(Choice):
    CLASSIFICATION = "Classification"
    REGRESSION = "Regression"


class Algorithm(Choice):
    LOGISTIC_REGRESSION = "LogisticRegression"
    LINEAR_REGRESSION = "LinearRegression"
    RANDOM_FOREST = "RandomForest"
    XGBOOST = "XGBoost"
    LIGHTGBM = "LightGBM"


_PARAMETER_NAME = "[A-Za-z_][A-Za-z0-9_]{0,63}"

GRID_KEYS = 8
COMBINATION_LIMIT = 64
"""How many combinations one candidate's grid may have; each is fitted once per fold."""

SPEC_LIMIT = 65536
"""Bytes of a spec as JSON. It travels to the trainer in an environment variable, of which Linux allows 131,072."""


def _combinations() -> str:
    """CEL has no product; the sizes are bound to a name by way of a list that holds just them."""
    factors = " * ".join(f"(size(n) > {place} ? n[{place}] : 1)" for place in range(GRID_KEYS))
    return f"[self.grid.map(k, size(self.grid[k]))].all(n, {factors} <= {COMBINATION_LIMIT})"


class Candidate(ApiModel):
    """One algorithm to try; `parameters` are the library's own, `grid` tries every combination."""

    algorithm: Algorithm
    parameters: Annotated[dict[str, Word], Field(max_length=32)] = {}
    grid: Annotated[
        dict[str, Annotated[tuple[Word, ...], Field(min_length=1, max_length=16)]], Field(max_length=GRID_KEYS)
    ] = {}

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                f"!has(self.parameters) || self.parameters.all(k, k.matches('^{_PARAMETER_NAME}$'))",
                "a parameter's name is letters, digits and underscores",
                field_path=".parameters",
            ),
            first_of(
                ".grid",
                (
                    f"!has(self.grid) || self.grid.all(k, k.matches('^{_PARAMETER_NAME}$'))",
                    "a parameter's name is letters, digits and underscores",
                ),
                (
                    "!has(self.grid) || !has(self.parameters) || self.grid.all(k, !(k in self.parameters))",
                    "a parameter is either fixed in parameters or varied in grid",
                ),
                (f"!has(self.grid) || {_combinations()}", f"a grid has at most {COMBINATION_LIMIT} combinations"),
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

    model_config = ConfigDict(json_schema_extra=rules(*bound_rules()))


DEFAULT_TRAINING_RESOURCES = Resources(
    requests=ComputeResources(cpu="250m", memory="512Mi"), limits=ComputeResources(cpu="2", memory="2Gi")
)
DEFAULT_SERVING_RESOURCES = Resources(
    requests=ComputeResources(cpu="50m", memory="256Mi"), limits=ComputeResources(cpu="1", memory="1Gi")
)


def _cron_field(place: int, name: str, bounds: str, number: str, words: str = "", *, last: str = "") -> dict[str, str]:
    """A rule for one of the five fields: lists of values, ranges and steps. `last` is what else a value may be."""
    value = f"({number}|{words})" if words else f"({number})"
    item = f"([*]|{value}(-{value})?{f'|{last}' if last else ''})(/[0-9]*[1-9][0-9]*)?"
    field = f"self.split(' ')[{place}]"
    return rule(
        f"size(self.split(' ')) != 5 || {field}.matches('(?i)^{item}(,{item})*$')", f"the {name} field takes {bounds}"
    )


_WEEKDAY = "0?[0-7]|SUN|MON|TUE|WED|THU|FRI|SAT"
CRON_RULES = rules(
    _cron_field(0, "minute", "0-59", "[0-5]?[0-9]"),
    _cron_field(1, "hour", "0-23", "[01]?[0-9]|2[0-3]"),
    _cron_field(2, "day", "1-31, L or LW", "0?[1-9]|[12][0-9]|3[01]", last="LW?"),
    _cron_field(3, "month", "1-12 or JAN-DEC", "0?[1-9]|1[0-2]", "JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC"),
    _cron_field(4, "weekday", "0-7 or SUN-SAT", _WEEKDAY, last=f"({_WEEKDAY})#[1-5]|[0-7]L"),
)


class Training(ApiModel):
    """How candidates are trained and compared.

    `schedule` is a cron line of five fields in UTC; it trains again on the source as it then is.
    """

    candidates: Annotated[tuple[Candidate, ...], Field(min_length=1, max_length=16)]
    folds: Annotated[int, Field(ge=2, le=10)] = 5
    selection: Selection = Selection()
    schedule: (
        Annotated[
            str,
            Field(
                max_length=64,
                pattern=r"^[0-9A-Za-z*/,#-]+( [0-9A-Za-z*/,#-]+){4}$",
                json_schema_extra=CRON_RULES,
            ),
        ]
        | None
    ) = None
    resources: Resources = DEFAULT_TRAINING_RESOURCES
    timeout_seconds: Annotated[int, Field(ge=30, le=86400)] = 1800


class RequestLogMode(Choice):
    NONE = "None"
    ALL = "All"


class RequestLog(ApiModel):
    """Which requests are kept for monitoring; columns in `mask` never leave the predictor in clear."""

    mode: RequestLogMode = RequestLogMode.NONE
    mask: Annotated[
        tuple[ColumnName, ...], Field(max_length=64, json_schema_extra={"x-kubernetes-list-type": "set"})
    ] = ()


class Canary(ApiModel):
    """How a new version shows that it is good before all requests go to it.

    It gets `percent` of the requests for `seconds`, and passes if of at least `min_requests` no more than
    `max_error_percent` were answered with an error. Taking the field away meanwhile takes the new version back.
    """

    percent: Annotated[int, Field(ge=1, le=50)] = 10
    seconds: Annotated[int, Field(ge=30, le=86400)] = 600
    max_error_percent: Annotated[int, Field(ge=0, le=50)] = 1
    min_requests: Annotated[int, Field(ge=1, le=1_000_000)] = 20


class Serving(ApiModel):
    """How the model answers."""

    min_replicas: Annotated[int, Field(ge=1, le=64)] = 1
    max_replicas: Annotated[int, Field(ge=1, le=64)] = 1
    resources: Resources = DEFAULT_SERVING_RESOURCES
    request_log: RequestLog = RequestLog()
    canary: Canary | None = None

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "self.minReplicas <= self.maxReplicas",
                "minReplicas must not be greater than maxReplicas",
                field_path=".minReplicas",
            ),
            rule(
                "self.minReplicas >= self.maxReplicas || "
                "has(self.resources.requests.cpu) || has(self.resources.limits.cpu)",
                "scaling by use of the processor needs a request or a limit of cpu",
                field_path=".resources",
            ),
        ),
    )


def _text_length() -> str:
    """CEL for the characters in those lists that could together grow large; each has few of them in practice."""
    columns = "self.data.columns.map(c, size(c.name) + (has(c.categories) ? c.categories.map(v, size(v)).sum() : 0))"
    fixed = "(has(c.parameters) ? c.parameters.map(k, size(k) + size(c.parameters[k])).sum() : 0)"
    varied = "(has(c.grid) ? c.grid.map(k, size(k) + c.grid[k].map(v, size(v)).sum()).sum() : 0)"
    watched = "self.monitoring.drift.features.map(f, size(f.column))"
    asked = "self.monitoring.queries.map(q, size(q.promql))"
    parts = (
        f"(has(self.data.columns) ? {columns}.sum() : 0)",
        "(has(self.data.ignore) ? self.data.ignore.map(n, size(n)).sum() : 0)",
        "(has(self.data.features) ? self.data.features.map(f, size(f.expression)).sum() : 0)",
        f"self.training.candidates.map(c, {fixed} + {varied}).sum()",
        f"(has(self.monitoring) && has(self.monitoring.drift.features) ? {watched}.sum() : 0)",
        f"(has(self.monitoring) && has(self.monitoring.queries) ? {asked}.sum() : 0)",
    )
    return " + ".join(parts)


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
                f"{words(CLASSIFICATION_METRICS)} : {words(REGRESSION_METRICS)})",
                "this metric does not belong to the task",
                field_path=".training.selection.metric",
            ),
            rule(
                "!has(self.monitoring) || !has(self.monitoring.quality) || self.monitoring.quality.all(q, "
                f"q.metric in (self.task == 'Classification' ? "
                f"{words(CLASSIFICATION_METRICS)} : {words(REGRESSION_METRICS)}))",
                "a metric does not belong to the task",
                field_path=".monitoring.quality",
            ),
            rule(
                "!has(self.serving.requestLog.mask) || !has(self.data.columns) || size(self.data.columns) == 0 || "
                "self.serving.requestLog.mask.all(m, self.data.columns.exists(c, c.name == m))",
                "must name columns of data.columns; a misspelt one would stay in clear",
                field_path=".serving.requestLog.mask",
            ),
            rule(
                f"{_text_length()} <= {SPEC_LIMIT // 2}",
                f"the names, values and expressions of a spec are together at most {SPEC_LIMIT // 2} characters",
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
        ),
    )


def size(spec: ModelDeploymentSpec) -> int:
    """Bytes of the spec as JSON, to be held against SPEC_LIMIT.

    The schema bounds most of it; of the free-form kwargs of expectations it can only count the keys.
    """
    return len(meta.canonical(spec.wire()))


def spec_of(manifest: dict[str, Any]) -> ModelDeploymentSpec:
    """The typed spec of a ModelDeployment as read from the API server or a file."""
    return ModelDeploymentSpec.model_validate(manifest["spec"])
