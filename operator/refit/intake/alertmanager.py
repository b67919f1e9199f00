"""Alertmanager's webhook body, version 4, and what of it is stored."""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from refit.intake.body import line
from refit.intake.records import Given, Status
from refit.intake.targets import Known, TargetLabels
from refit.intake.times import UNSET, parse

MOST_ALERTS = 500
LABEL_NAME, LABEL_VALUE, ANNOTATION = 128, 1024, 16 * 1024

Label = Annotated[str, StringConstraints(max_length=LABEL_NAME)]
Labels = Annotated[dict[Label, Annotated[str, StringConstraints(max_length=LABEL_VALUE)]], Field(max_length=128)]
Moment = Annotated[int, BeforeValidator(parse)]


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel, strict=True)


class Alert(_Message):
    status: Literal["firing", "resolved"]
    labels: Labels
    annotations: Annotated[
        dict[Label, Annotated[str, StringConstraints(max_length=ANNOTATION)]], Field(max_length=128)
    ] = {}
    starts_at: Moment
    ends_at: Moment = UNSET
    fingerprint: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class Delivery(_Message):
    """One request. What Alertmanager says of the group as a whole is in the alerts again."""

    version: Literal["4"]
    group_key: Annotated[str, StringConstraints(min_length=1, max_length=64 * 1024)]
    truncated_alerts: Annotated[int, Field(ge=0)] = 0
    alerts: Annotated[tuple[Alert, ...], Field(max_length=MOST_ALERTS, strict=False)]


def given(delivery: Delivery, labels: TargetLabels, known: Known) -> tuple[tuple[Given, ...], tuple[str, ...]]:
    """The alerts of known models, and the fingerprints of the others."""
    group = hashlib.sha256(delivery.group_key.encode()).hexdigest()[:32]
    found, others = [], []
    for alert in delivery.alerts:
        target = labels.of(alert.labels, known)
        if target is None:
            others.append(alert.fingerprint)
            continue
        found.append(
            Given(
                group=group,
                fingerprint=alert.fingerprint,
                status=Status(alert.status),
                namespace=target[0],
                model=target[1],
                starts_at=alert.starts_at,
                ends_at=None if alert.ends_at == UNSET else alert.ends_at,
                name=line(alert.labels.get("alertname", "")),
                severity=line(alert.labels.get("severity", ""), 64),
                summary=line(alert.annotations.get("summary", "") or alert.annotations.get("description", "")),
                labels=labels.kept(alert.labels),
                truncated=delivery.truncated_alerts,
            )
        )
    return tuple(found), tuple(others)
