"""Policy: what a diagnosis calls for, by the preset that the owner chose.

Bands of severity: low [0, 0.5), medium [0.5, 0.7], high (0.7, 1]. A fault of the data itself is never
answered by training on it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum, auto

from refit.api.deploymentstatus import VersionRecord, VersionState
from refit.api.remediation import PolicyPreset
from refit.api.remediationrequest import Action, Diagnosis, DiagnosisClass, Parameters

MEDIUM, HIGH = 0.5, 0.7


class Band(Enum):
    LOW = auto()
    MEDIUM = auto()
    HIGH = auto()


class Response(Enum):
    """Log: say so, do nothing. Safe: what hurts nobody. Retrain, RollBack: ask a person for that."""

    LOG = auto()
    SAFE = auto()
    RETRAIN = auto()
    ROLL_BACK = auto()


PRESETS: dict[PolicyPreset, dict[Band, Response]] = {
    PolicyPreset.SEED_VISUAL: {Band.LOW: Response.LOG, Band.MEDIUM: Response.SAFE, Band.HIGH: Response.RETRAIN},
    PolicyPreset.SEED_ARCHITECTURE: {
        Band.LOW: Response.SAFE,
        Band.MEDIUM: Response.RETRAIN,
        Band.HIGH: Response.ROLL_BACK,
    },
}

SAFE_ACTIONS: dict[DiagnosisClass, Action] = {
    DiagnosisClass.DRIFT: Action.NOTIFY,
    DiagnosisClass.PERFORMANCE: Action.NOTIFY,
    DiagnosisClass.DATA_QUALITY: Action.NOTIFY,
    DiagnosisClass.SYSTEM_ERROR: Action.RESTART,
    DiagnosisClass.UNKNOWN: Action.NOTIFY,
}

RETRAINING_HELPS = (DiagnosisClass.DRIFT, DiagnosisClass.PERFORMANCE)
ROLLING_BACK_HELPS = (*RETRAINING_HELPS, DiagnosisClass.SYSTEM_ERROR)
"""Classes that another model could mend. Faults of the data, and what nobody understands, are not among them."""


@dataclass(frozen=True, kw_only=True)
class Proposed:
    """An action with its parameters, and the rule that chose it."""

    action: Action
    rule: str
    parameters: Parameters = field(default_factory=Parameters)


def band(severity: float) -> Band:
    """The band of a severity; both ends of the medium one belong to it."""
    if severity < MEDIUM:
        return Band.LOW
    return Band.MEDIUM if severity <= HIGH else Band.HIGH


def respond(diagnosis: Diagnosis, preset: PolicyPreset, history: tuple[VersionRecord, ...]) -> Proposed:
    """What the policy answers to the diagnosis."""
    level = band(float(diagnosis.severity))
    response = PRESETS[preset][level]
    rule = f"{preset}/{level.name.lower()}/{diagnosis.class_}"
    if response is Response.LOG:
        return Proposed(action=Action.LOG, rule=rule)
    if response is Response.ROLL_BACK and diagnosis.class_ in ROLLING_BACK_HELPS:
        earlier = _earlier(history)
        if earlier is not None:
            return Proposed(action=Action.ROLLBACK, parameters=Parameters(to_version=earlier.version), rule=rule)
    if response is not Response.SAFE and diagnosis.class_ in RETRAINING_HELPS:
        return Proposed(action=Action.RETRAIN, rule=rule)
    return Proposed(action=SAFE_ACTIONS[diagnosis.class_], rule=rule)


def _earlier(history: tuple[VersionRecord, ...]) -> VersionRecord | None:
    """The last to serve of the versions that are older than the one that does: what a rollback left is no way back."""
    serving = max((record.version for record in history if record.state == VersionState.SERVING), default=math.inf)
    earlier = [record for record in history if record.served_before and record.version < serving]
    return max(earlier, key=lambda record: record.until or "", default=None)
