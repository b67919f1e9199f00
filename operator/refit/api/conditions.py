"""Conditions: what was observed, in the form that kubectl, Helm and Argo CD understand (kstatus)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import ConfigDict, Field

from refit.api.base import ATOMIC, ApiModel, Choice, Time


class ConditionStatus(Choice):
    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(ApiModel):
    """One observation. `last_transition_time` moves only when `status` does."""

    type: Annotated[str, Field(max_length=64)]
    status: ConditionStatus
    reason: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z][A-Za-z0-9]*$")]
    message: Annotated[str, Field(max_length=1024)] = ""
    observed_generation: Annotated[int, Field(ge=0)] = 0
    last_transition_time: Time

    model_config = ConfigDict(json_schema_extra=ATOMIC)


def merge(old: Iterable[Condition], new: Iterable[Condition]) -> tuple[Condition, ...]:
    """The new conditions, each keeping the old transition time where its status did not change.

    Conditions that are in `old` only are dropped: a pass states all it knows.
    """
    before = {condition.type: condition for condition in old}
    merged = []
    for condition in new:
        was = before.get(condition.type)
        same = was is not None and was.status == condition.status
        since = was.last_transition_time if was is not None and same else condition.last_transition_time
        merged.append(condition.model_copy(update={"last_transition_time": since}))
    return tuple(sorted(merged, key=lambda condition: condition.type))


def find(conditions: Iterable[Condition], kind: str) -> Condition | None:
    """The condition of that type, if it is there."""
    return next((condition for condition in conditions if condition.type == kind), None)
