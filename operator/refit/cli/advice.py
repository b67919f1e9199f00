"""Advice: what a reason means for the person who reads it, and the line to type. A test says that none is left out."""

from __future__ import annotations

from refit.api.conditions import ConditionStatus
from refit.api.reasons import ConditionType, Reason
from refit.api.remediationrequest import RequestPhase

TRUE, FALSE, UNKNOWN = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN

SENTENCES: dict[tuple[str, str], str] = {
    (ConditionType.AVAILABLE, FALSE): "Nobody answers",
    (ConditionType.DATA_VALID, FALSE): "The data is not valid",
    (ConditionType.TRAINED, FALSE): "The newest training did not end in a version",
    (ConditionType.CANARY, FALSE): "Its canary",
    (ConditionType.CANARY, TRUE): "Its canary",
    (ConditionType.MONITORED, FALSE): "It is not measured",
    (ConditionType.DRIFTED, TRUE): "Its requests are no longer like its training data",
    (ConditionType.DRIFTED, UNKNOWN): "Whether its requests have drifted is not known",
    (ConditionType.QUALITY_OK, FALSE): "It misses a bound on labelled rows",
    (ConditionType.DIAGNOSED, TRUE): "The diagnosis",
    (ConditionType.APPROVAL_GUARD, FALSE): "Nothing risky is carried out, for approvals are not guarded",
    (ConditionType.FROZEN, TRUE): "Nothing is carried out now",
    (ConditionType.ESCALATED, TRUE): "Somebody must look",
}
"""What is worth a sentence beside readiness, by condition and status."""

TROUBLES = {
    (ConditionType.CANARY, FALSE),
    (ConditionType.MONITORED, FALSE),
    (ConditionType.APPROVAL_GUARD, FALSE),
    (ConditionType.FROZEN, TRUE),
    (ConditionType.ESCALATED, TRUE),
}
"""Those of them that call for something of their own."""

PHASES: dict[RequestPhase, str] = {
    RequestPhase.PENDING: "Refit has not asked for a decision yet",
    RequestPhase.AWAITING_APPROVAL: "it waits for people",
    RequestPhase.EXECUTING: "it was approved, or needs no approval, and is being carried out",
    RequestPhase.EXECUTED: "it is done",
    RequestPhase.REJECTED: "a person said no, and nothing was done",
    RequestPhase.EXPIRED: "nobody decided in time, and nothing was done",
    RequestPhase.SUPERSEDED: "the world moved on, and nothing was done",
    RequestPhase.FAILED: "it could not be carried out",
}

_OPERATOR = "kubectl -n refit-system logs deploy/refit-operator --tail 50"
_TRAINER = "kubectl -n {namespace} logs -l refit.dev/deployment={name},refit.dev/role=trainer --tail 50"
_PREDICTOR = "kubectl -n {namespace} describe pods -l refit.dev/deployment={name},refit.dev/role=predictor"
_EDIT = "kubectl -n {namespace} edit mdep {name}   # {what}"
_RETRAIN = "kubectl refit retrain {name} -n {namespace}"
_DOCTOR = "kubectl refit doctor"
_HISTORY = "kubectl refit history {name} -n {namespace}"
_REQUESTS = "kubectl refit requests -n {namespace}"
_ROUTER = "kubectl -n {namespace} describe deployment {name}-router"
_ABORT = _EDIT.replace("{what}", "remove spec.serving.canary to take the new version back")


def _edit(what: str) -> str:
    return _EDIT.replace("{what}", what)


WHAT_TO_DO: dict[Reason, tuple[str, ...]] = {
    Reason.SERVING: (),
    Reason.TRAINING: (_TRAINER,),
    Reason.ROLLING_OUT: (_PREDICTOR,),
    Reason.UNAVAILABLE: (_PREDICTOR,),
    Reason.CANARY_UNAVAILABLE: (_DOCTOR, _ROUTER),
    Reason.CANARY_READY: (),
    Reason.CANARYING: (_ABORT,),
    Reason.CANARY_PASSED: (),
    Reason.CANARY_FAILED: (_HISTORY, _RETRAIN),
    Reason.CANARY_ABORTED: (_HISTORY, _RETRAIN),
    Reason.INVALID_SPEC: (_edit("the message names the field"),),
    Reason.NOT_OWNED: (_edit("or delete the object that the message names: it is not Refit's"),),
    Reason.TRAINING_FAILED: (_TRAINER, _RETRAIN),
    Reason.TRAINING_TIMEOUT: (_edit("raise spec.training.timeoutSeconds or resources"),),
    Reason.TRAINING_LOST: (_RETRAIN,),
    Reason.BELOW_BOUND: (_edit("better data, other candidates, or a lower spec.training.selection.minimum"),),
    Reason.REFUSED: (_edit("or mend the data; the message says what"),),
    Reason.DIGEST_MISMATCH: (_RETRAIN,),
    Reason.SIGNATURE_MISMATCH: (_RETRAIN,),
    Reason.GOLDEN_MISMATCH: (_RETRAIN,),
    Reason.ROLLOUT_TIMEOUT: (_PREDICTOR,),
    Reason.API_REFUSED: (_OPERATOR, _DOCTOR),
    Reason.SERVING_UNAVAILABLE: (_DOCTOR,),
    Reason.PREVIOUS_TERMINATING: (),
    Reason.REGISTERED: (),
    Reason.CHECKS_PASSED: (),
    Reason.NOT_YET_CHECKED: (),
    Reason.NOT_YET_SERVED: (),
    Reason.MEASURED: (),
    Reason.NOT_YET_MEASURED: (),
    Reason.NO_COLLECTOR: (_DOCTOR,),
    Reason.REQUEST_LOG_OFF: (_edit("set spec.serving.requestLog.mode to All"),),
    Reason.NO_REFERENCE: (_RETRAIN,),
    Reason.MEASUREMENT_FAILED: (
        "kubectl -n {namespace} logs -l refit.dev/deployment={name},refit.dev/role=monitor --tail 50",
    ),
    Reason.REPORT_STORED: (),
    Reason.REPORT_FAILED: (
        "kubectl -n {namespace} logs -l refit.dev/deployment={name},refit.dev/role=report --tail 50",
    ),
    Reason.DRIFT: (),
    Reason.NO_DRIFT: (),
    Reason.INCONCLUSIVE: (),
    Reason.REQUESTS_INVALID: (),
    Reason.QUALITY_KEPT: (),
    Reason.QUALITY_LOW: (),
    Reason.QUALITY_UNKNOWN: (),
    Reason.ESTIMATING: (),
    Reason.AWAITING_APPROVAL: (_REQUESTS,),
    Reason.APPROVED: (),
    Reason.REJECTED: (),
    Reason.AUTHORITY_NOT_CONFIRMED: (_REQUESTS,),
    Reason.AUTOMATIC: (),
    Reason.WAITING_FOR_OTHER: (_REQUESTS,),
    Reason.FROZEN: ("kubectl refit unfreeze -n {namespace}   # or without -n, if all are frozen",),
    Reason.GUARDED: (),
    Reason.UNGUARDED: (_DOCTOR,),
    Reason.LEDGER_UNAVAILABLE: (_OPERATOR,),
    Reason.EXECUTING: (),
    Reason.BAKING: (),
    Reason.EXECUTED: (),
    Reason.CHAMPION_KEPT: (),
    Reason.EXECUTION_FAILED: (_OPERATOR,),
    Reason.RETURNED: (_HISTORY,),
    Reason.NO_VERSION: (_HISTORY,),
    Reason.OUT_OF_BOUNDS: (),
    Reason.DUPLICATE: (_REQUESTS,),
    Reason.ESCALATED: (_REQUESTS,),
    Reason.NOTHING_FOUND: (),
    Reason.OBSERVE_ONLY: (_edit("set spec.remediation.mode to Act to have repairs carried out"),),
    Reason.EXPIRED: (),
    Reason.SUPERSEDED: (),
    Reason.TARGET_NOT_FOUND: (),
}
"""What to type when a model is so. Nothing: time will tell, or nothing is wrong."""


def todo(reason: str, name: str, namespace: str) -> tuple[str, ...]:
    """The lines for a reason; one that the trainer gives for refusing data is about the data or the spec."""
    known = WHAT_TO_DO.get(Reason(reason), ()) if reason in set(Reason) else WHAT_TO_DO[Reason.REFUSED]
    return tuple(line.format(name=name, namespace=namespace) for line in known)
