"""What came of a repair: that it was begun, how champion and challenger compared, and what was read back."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from refit.api.base import ATOMIC, ApiModel, Choice, Digest, Line, Number, Time, Word


class Comparison(ApiModel):
    """Champion and challenger on the same rows, neither of which either was fitted on.

    `low` and `high` are the 90 % interval of the difference, challenger less champion, in the metric's
    own unit; `better` says that the challenger is better beyond chance.
    """

    metric: Word
    champion: Number
    challenger: Number
    low: Number
    high: Number
    rows: Annotated[int, Field(ge=0)]
    better: bool
    method: Line

    model_config = ConfigDict(json_schema_extra=ATOMIC)


class Shadow(ApiModel):
    """The challenger on requests that the champion answered, where nobody sees it."""

    requests: Annotated[int, Field(ge=0)]
    differing: Annotated[int, Field(ge=0)]
    failed: Annotated[int, Field(ge=0)]

    model_config = ConfigDict(json_schema_extra=ATOMIC)


class Result(Choice):
    """What came of a request that was carried out."""

    LOGGED = "Logged"
    NOTIFIED = "Notified"
    SCALED = "Scaled"
    RESTARTED = "Restarted"
    RETRAINED = "Retrained"
    CHAMPION_KEPT = "ChampionKept"
    PROMOTED = "Promoted"
    ROLLED_BACK = "RolledBack"
    CONFIG_CHANGED = "ConfigChanged"
    RETURNED = "Returned"
    NOT_DONE = "NotDone"


class RealisedImpact(ApiModel):
    """What the metric was before and after; `inside` says whether the predicted interval held it."""

    metric: Word
    before: Number
    after: Number
    rows: Annotated[int, Field(ge=0)]
    inside: bool | None = None


class Outcome(ApiModel):
    """What came of it, as read back."""

    result: Result
    before: Line = ""
    after: Line = ""
    realised_impact: RealisedImpact | None = None


class Execution(ApiModel):
    """That it was begun: when, on whose word, from which version, and the digest that was approved."""

    start_time: Time
    digest: Digest
    approvers: Annotated[tuple[Line, ...], Field(max_length=16)] = ()
    from_version: Annotated[int, Field(ge=1)] | None = None
    done_time: Time | None = None
