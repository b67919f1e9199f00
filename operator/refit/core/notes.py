"""Notes: the Kubernetes Event of a pass, about what changed in the conditions."""

from __future__ import annotations

from dataclasses import dataclass

from refit.api.conditions import Condition, ConditionStatus, find
from refit.api.reasons import ConditionType, Reason


@dataclass(frozen=True, kw_only=True)
class Note:
    """A Kubernetes Event about a change of state."""

    reason: str
    message: str
    warning: bool


NOTED = (
    ConditionType.DATA_VALID,
    ConditionType.TRAINED,
    ConditionType.DRIFTED,
    ConditionType.QUALITY_OK,
    ConditionType.DIAGNOSED,
    ConditionType.READY,
)
NOT_NEWS = (
    Reason.NOT_YET_CHECKED,
    Reason.INCONCLUSIVE,
    Reason.NO_DRIFT,
    Reason.QUALITY_UNKNOWN,
    Reason.NOTHING_FOUND,
)
BAD_WHEN_TRUE = (ConditionType.DRIFTED, ConditionType.DIAGNOSED)


def note(before: tuple[Condition, ...], after: tuple[Condition, ...]) -> Note | None:
    """One Event for all that a pass has to tell: the noted conditions whose status or reason changed.

    It bears the reason of the first that is bad, else of the last; each Event is a write of its own.
    """
    stalled = find(after, ConditionType.STALLED) is not None
    told, bad = [], []
    for kind in NOTED:
        old, new = find(before, kind), find(after, kind)
        if new is None or (new.reason in NOT_NEWS and (old is None or old.reason in NOT_NEWS)):
            continue
        if old is not None and (old.status, old.reason) == (new.status, new.reason):
            continue
        told.append(new)
        if _bad(new, stalled=stalled):
            bad.append(new)
    if not told:
        return None
    # The same words twice in one pass say nothing new.
    message = "; ".join(dict.fromkeys(found.message for found in told))
    return Note(reason=(bad[:1] or told[-1:])[0].reason, message=message, warning=bool(bad))


def _bad(condition: Condition, *, stalled: bool) -> bool:
    if condition.type in BAD_WHEN_TRUE:
        return condition.status == ConditionStatus.TRUE
    return condition.status == ConditionStatus.FALSE and (condition.type != ConditionType.READY or stalled)
