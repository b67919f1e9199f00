"""What may be done about a model that stops fitting, and who must agree: spec.remediation of a ModelDeployment."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from refit.api.base import ApiModel, Choice, Line


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
