"""What may be done about a model that stops fitting, and who must agree: spec.remediation of a ModelDeployment."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from refit.api.base import ApiModel, Choice, Line, Word


class PolicyPreset(Choice):
    """The presets' names are those of the designs they follow."""

    SEED_VISUAL = "seed-visual"
    SEED_ARCHITECTURE = "seed-architecture"


class RemediationMode(Choice):
    OBSERVE = "Observe"
    ACT = "Act"


class Approval(ApiModel):
    """Whose yes is needed: how many people, all of them of which group, within what time.

    `escalationContact` is named when a request is rejected, expires or fails. Nobody's yes covers
    the promotion of what a retraining made where `askBeforePromotion` is set: that is asked again.
    """

    approvals: Annotated[int, Field(ge=1, le=16)] = 1
    required_group: Line | None = None
    expires_after_seconds: Annotated[int, Field(ge=300, le=604800)] = 86400
    requester_may_approve: bool = False
    escalation_contact: Line | None = None
    ask_before_promotion: bool = False


class Limits(ApiModel):
    """What keeps remediation from becoming a loop."""

    cooldown_seconds: Annotated[int, Field(ge=0, le=604800)] = 3600
    attempts: Annotated[int, Field(ge=1, le=10)] = 3
    per_day: Annotated[int, Field(ge=1, le=100)] = 5


class FreezeWindow(ApiModel):
    """A time in which nothing is carried out: from each tick of a cron line (UTC), for so long."""

    schedule: Word
    duration_seconds: Annotated[int, Field(ge=60, le=604800)]


class RowsRule(Choice):
    """What a retraining learns from: the source and the window's labelled requests, these alone,
    or the source as it now is."""

    APPEND = "Append"
    RECENT_ONLY = "RecentOnly"
    SOURCE_REFRESHED = "SourceRefreshed"


class Retraining(ApiModel):
    """How a retraining is made, and how long the trial may take that predicts what it would bring."""

    rows: RowsRule = RowsRule.APPEND
    trial_seconds: Annotated[int, Field(ge=10, le=3600)] = 120


class Bake(ApiModel):
    """How long a repair is watched before it counts as done, and whether it may be taken back by itself meanwhile."""

    seconds: Annotated[int, Field(ge=0, le=86400)] = 0
    return_automatically: bool = False


class Remediation(ApiModel):
    """What may be done about a model that stops fitting, and who must agree."""

    policy: PolicyPreset = PolicyPreset.SEED_VISUAL
    mode: RemediationMode = RemediationMode.OBSERVE
    approval: Approval = Approval()
    limits: Limits = Limits()
    freeze_windows: Annotated[tuple[FreezeWindow, ...], Field(max_length=8)] = ()
    retraining: Retraining = Retraining()
    bake: Bake = Bake()
