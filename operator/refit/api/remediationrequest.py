"""RemediationRequest: one proposed repair, from proposal to outcome, and the person's yes or no."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from refit.api.base import (
    ATOMIC,
    ApiModel,
    Choice,
    ColumnName,
    DeploymentName,
    Digest,
    Line,
    Number,
    Text,
    Time,
    Uri,
    Word,
    rule,
    rules,
)
from refit.api.conditions import Condition
from refit.api.deploymentstatus import CONDITIONS_SCHEMA
from refit.api.outcome import Execution, Outcome
from refit.api.proposal import Estimate, Proposal


class Action(Choice):
    """What can be done. Deleting data is not among them, on purpose."""

    LOG = "Log"
    NOTIFY = "Notify"
    SCALE = "Scale"
    RESTART = "Restart"
    RETRAIN = "Retrain"
    PROMOTE = "Promote"
    ROLLBACK = "Rollback"
    CHANGE_CONFIG = "ChangeConfig"


class TargetRef(ApiModel):
    """The ModelDeployment this is about; `uid` tells it from a later one of the same name."""

    name: DeploymentName
    uid: Annotated[str, Field(max_length=64)] | None = None


class Parameters(ApiModel):
    """What the action needs: a version for Rollback and Promote, replicas for Scale, a change for ChangeConfig."""

    to_version: Annotated[int, Field(ge=1)] | None = None
    replicas: Annotated[int, Field(ge=1, le=64)] | None = None
    config: Annotated[dict[str, Line], Field(max_length=16)] | None = None

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                r"!has(self.config) || self.config.all(k, k.matches('^[-A-Za-z0-9_./\\[\\]]{1,128}$'))",
                "a key is the path of a field: at most 128 letters, digits and -_./[]",
                field_path=".config",
            )
        )
    )


class TriggerType(Choice):
    ALERT = "Alert"
    DRIFT = "Drift"
    HUMAN = "Human"
    SCHEDULE = "Schedule"


class AlertReference(ApiModel):
    """An alert by the fingerprint its sender gave it."""

    name: Line
    fingerprint: Word
    starts_at: Time | None = None


class Trigger(ApiModel):
    """What made somebody or something ask for this."""

    type: TriggerType
    alerts: Annotated[tuple[AlertReference, ...], Field(max_length=32)] = ()
    measurement: Line | None = None
    features: Annotated[tuple[ColumnName, ...], Field(max_length=32)] = ()


def _just_for(parameter: str, actions: str, given: str = "") -> str:
    """Given for these actions, and for no other: an approver should see nothing that has no effect."""
    there = f"has(self.parameters) && has(self.parameters.{parameter}){given}"
    return f"(self.action in [{actions}]) == ({there})"


_VERSION = _just_for("toVersion", "'Rollback', 'Promote'")
_REPLICAS = _just_for("replicas", "'Scale'")
_CONFIG = _just_for("config", "'ChangeConfig'", " && size(self.parameters.config) > 0")


class RemediationRequestSpec(ApiModel):
    """What is asked for; it never changes."""

    target_ref: TargetRef
    action: Action
    parameters: Parameters = Parameters()
    trigger: Trigger
    requested_by: Annotated[str, Field(min_length=1, max_length=256)]
    expires_at: Time | None = None
    note: Text = ""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule("self == oldSelf", "spec is immutable; create a new RemediationRequest"),
            rule(_VERSION, "toVersion is needed by Rollback and Promote, and only by them", field_path=".parameters"),
            rule(_REPLICAS, "replicas is needed by Scale, and only by it", field_path=".parameters"),
            rule(_CONFIG, "config is needed by ChangeConfig, and only by it", field_path=".parameters"),
        )
    )


class Decision(Choice):
    APPROVED = "Approved"
    REJECTED = "Rejected"


class ApprovalEntry(ApiModel):
    """One person's decision on exactly one proposal; written once, by that person.

    `groups` are groups of that person, checked at admission. Who may approve through a group names it
    here, since nobody but the API server knows whose groups are whose when the right is checked again.
    """

    decision: Decision
    proposal_digest: Digest
    reason: Text | None = None
    groups: Annotated[tuple[Line, ...], Field(max_length=16)] | None = None

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                r"self.decision != 'Rejected' || (has(self.reason) && self.reason.matches('\\S'))",
                "a rejection needs a reason",
                field_path=".reason",
            )
        )
    )


class DiagnosisClass(Choice):
    DRIFT = "Drift"
    PERFORMANCE = "Performance"
    DATA_QUALITY = "DataQuality"
    SYSTEM_ERROR = "SystemError"
    UNKNOWN = "Unknown"


class Diagnosis(ApiModel):
    """What is thought to be wrong: a class, a severity from 0 to 1, and the rules that said so."""

    class_: Annotated[DiagnosisClass, Field(alias="class")]
    severity: Number
    rules: Annotated[tuple[Word, ...], Field(max_length=32)] = ()
    reasoning: Text = ""


class RequestPhase(Choice):
    PENDING = "Pending"
    AWAITING_APPROVAL = "AwaitingApproval"
    EXECUTING = "Executing"
    EXECUTED = "Executed"
    REJECTED = "Rejected"
    EXPIRED = "Expired"
    SUPERSEDED = "Superseded"
    FAILED = "Failed"


CLOSED = (
    RequestPhase.EXECUTED,
    RequestPhase.REJECTED,
    RequestPhase.EXPIRED,
    RequestPhase.SUPERSEDED,
    RequestPhase.FAILED,
)
"""Phases after which nothing more is done about a request."""


KEYED_BY_USER = rule("self.all(k, size(k) > 0 && size(k) <= 256)", "a key is a user name of 1 to 256 characters")


class RemediationRequestStatus(ApiModel):
    """Where the request stands. `approvals` is keyed by the authenticated user and never written by the operator.

    `decisionsSeen` is when the operator first saw the decision of each: never before it was made, and later by as long
    as the operator was away. The API server's audit log has the moment itself.
    """

    observed_generation: Annotated[int, Field(ge=-1)] = -1
    phase: RequestPhase | None = None
    conditions: Annotated[tuple[Condition, ...], Field(max_length=16, json_schema_extra=CONDITIONS_SCHEMA)] = ()
    diagnosis: Diagnosis | None = None
    alerts: Annotated[tuple[AlertReference, ...], Field(max_length=32)] = ()
    proposal: Proposal | None = None
    approvals: (
        Annotated[dict[str, ApprovalEntry], Field(max_length=16, json_schema_extra=rules(KEYED_BY_USER))] | None
    ) = None
    decisions_seen: Annotated[dict[str, Time], Field(max_length=16, json_schema_extra=ATOMIC)] | None = None
    estimate: Estimate | None = None
    execution: Execution | None = None
    outcome: Outcome | None = None
    reports: Annotated[tuple[Uri, ...], Field(max_length=8)] = ()


DECISION_IS_FINAL = rule(
    "!has(oldSelf.status) || !has(oldSelf.status.approvals) || "
    "(has(self.status) && has(self.status.approvals) && oldSelf.status.approvals.all(k, "
    "k in self.status.approvals && self.status.approvals[k] == oldSelf.status.approvals[k]))",
    "a decision is final",
    field_path=".status.approvals",
)
