"""What is watched of a served model, and how often: spec.monitoring of a ModelDeployment."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from refit.api.base import ApiModel, Choice, ColumnName, Number, Share, rule, rules
from refit.api.metrics import Metric, bound_rules


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
    alpha: Annotated[
        Share,
        Field(json_schema_extra=rules(rule("self.matches('[1-9]')", "must be greater than 0, or nothing ever drifts"))),
    ] = "0.01"
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

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule("has(self.minimum) || has(self.maximum)", "a bound is missing: minimum or maximum"), *bound_rules()
        )
    )


class Query(ApiModel):
    """A user's own PromQL expression and its bounds."""

    name: Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$")]
    promql: Annotated[str, Field(min_length=1, max_length=1024)]
    min: Number | None = None
    max: Number | None = None

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule("has(self.min) || has(self.max)", "a bound is missing: min or max"),
            rule(
                "!has(self.min) || !has(self.max) || double(self.min) <= double(self.max)",
                "min must not be greater than max",
                field_path=".min",
            ),
        )
    )


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
