"""A proposal: what would be done, what that is expected to bring, and whose yes it needs."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from refit.api.base import ApiModel, Choice, Digest, Line, Number, ObjectName, Text, Time, Word

LATENCY = "latency_ms"
"""What a scaling changes: mean milliseconds from a request's coming to a pod to its answer. Less is better."""


class Change(ApiModel):
    """One thing that would be different."""

    what: Line
    before: Annotated[str, Field(alias="from", max_length=256)] = ""
    after: Annotated[str, Field(alias="to", max_length=256)] = ""


class PredictedImpact(ApiModel):
    """What the action is expected to do to a metric: a number, its 90 % interval, and how it was found."""

    metric: Word
    now: Number
    predicted: Number
    low: Number
    high: Number
    method: Line


class RankedVersion(ApiModel):
    """A version as it would have answered the requests of the window: a metric with its 90 % interval."""

    version: Annotated[int, Field(ge=1)]
    value: Number
    low: Number
    high: Number
    rows: Annotated[int, Field(ge=0)]


class ApprovalRule(ApiModel):
    """Whose yes this proposal needs: spec.remediation.approval as it was when it was made."""

    approvals: Annotated[int, Field(ge=1, le=16)] = 1
    required_group: Line | None = None
    requester_may_approve: bool = False


class EvidenceWindow(ApiModel):
    """The requests that count as evidence: [since, until)."""

    since: Time
    until: Time


class Proposal(ApiModel):
    """What would be done; `digest` is what an approver approves, and covers all that stands here.

    `automatic` actions hurt nobody and wait for nobody. `ranking` are the versions one could return
    to, the best first. `guard` is the version of the approval guard under which it is decided: what was
    approved under another one may have been approved under none.
    """

    digest: Digest
    text: Text
    automatic: bool = False
    change: Annotated[tuple[Change, ...], Field(max_length=32)] = ()
    window: EvidenceWindow | None = None
    predicted_impact: PredictedImpact | None = None
    ranking: Annotated[tuple[RankedVersion, ...], Field(max_length=20)] = ()
    approval: ApprovalRule | None = None
    guard: Word | None = None
    expires_at: Time | None = None


class EstimatePhase(Choice):
    RUNNING = "Running"
    ENDED = "Ended"


class Estimate(ApiModel):
    """The measurement of what the action would bring, made before anybody is asked; by a Job, or for Scale by the
    operator, which reads twice what the pods count."""

    job: ObjectName | None = None
    phase: EstimatePhase
    window: EvidenceWindow
    start_time: Time
    message: Text = ""
