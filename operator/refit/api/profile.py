"""What training data looked like, without a row of it: written by the trainer, the one reference of every measurement.

Numbers are 32-bit ones, written as shortly as they can be: read them as float32 before comparing. A profile lies
beside the model in MLflow as profile.json and is known by its SHA-256.
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, FiniteFloat, model_validator

from refit.api.base import ApiModel, ColumnName, Word
from refit.api.dataspec import ColumnType
from refit.api.modeldeployment import Task

FORMAT = 2
PROFILE_FILE = "profile.json"
MAX_KNOTS = 4096
MAX_BYTES = 192 * 1024 * 1024
"""Of a profile: more than 512 columns of 4,096 knots take, with 20 segments of 256."""
SEGMENTS = 20
SEGMENT_ROWS = 30
"""A segment of fewer rows is no reference."""
SEGMENT_KNOTS = 256
SEGMENT_WORDS = 256
"""A category of more values is not told by segment: its table would be as long in each."""

Count = Annotated[int, Field(ge=0)]


class NumberProfile(ApiModel):
    """The distribution of a number column: `upto[i]` of its `count` values are at most `knots[i]`, `at[i]` are just that.

    With at most 4,096 distinct values every one of them is a knot, and `at` is left out, being the differences of
    `upto`. With more the knots are values about equally many rows apart. Either way the counts are exact, so a
    distance taken at knots is the true one there.
    """

    count: Count
    missing: Count = 0
    distinct: Count = 0
    zeros: Count = 0
    whole: bool = False
    """Whether every value is a whole number."""
    mean: FiniteFloat = 0.0
    deviation: FiniteFloat = 0.0
    knots: Annotated[tuple[FiniteFloat, ...], Field(max_length=MAX_KNOTS)] = ()
    upto: Annotated[tuple[Count, ...], Field(max_length=MAX_KNOTS)] = ()
    at: Annotated[tuple[Count, ...], Field(max_length=MAX_KNOTS)] = ()

    @property
    def complete(self) -> bool:
        """Whether every distinct value is a knot."""
        return not self.at

    @model_validator(mode="after")
    def _counts_agree(self) -> Self:
        if len(self.upto) != len(self.knots) or (self.at and len(self.at) != len(self.knots)):
            raise ValueError("knots, upto and at must be equally long")
        if (self.upto[-1] if self.upto else 0) != self.count:
            raise ValueError("the last of upto must be count")
        return self


class CategoryProfile(ApiModel):
    """How often each value was there, the most frequent first."""

    count: Count
    missing: Count = 0
    counts: dict[str, Count] = {}

    @model_validator(mode="after")
    def _counts_agree(self) -> Self:
        if sum(self.counts.values()) != self.count:
            raise ValueError("counts must add up to count")
        return self


class ColumnProfile(ApiModel):
    """One input: what its values were, and what data.columns declares of them (`minimum`, `maximum`, `categories`).

    Just one of `numbers` and `texts` is there, as `type` says.
    """

    name: ColumnName
    type: ColumnType
    nullable: bool = True
    minimum: FiniteFloat | None = None
    maximum: FiniteFloat | None = None
    categories: tuple[str, ...] = ()
    numbers: NumberProfile | None = None
    texts: CategoryProfile | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.numbers is None) is (self.texts is None) or (self.numbers is None) is (self.type == ColumnType.NUMBER):
            raise ValueError("give numbers for a Number, texts for a Category")
        return self


class ConfidenceBin(ApiModel):
    """Held-out rows with a probability of the class in one range, up to `upto`: how many, their mean probability,
    and how many truly were of the class."""

    upto: FiniteFloat
    rows: Count
    mean: FiniteFloat
    hits: Count


class ErrorBin(ApiModel):
    """Held-out rows with a prediction in one range, up to `upto`: how many, and how far off the predictions were."""

    upto: FiniteFloat
    rows: Count
    absolute: FiniteFloat
    squared: FiniteFloat
    """The means of the absolute and of the squared error."""


class AnswerProfile(ApiModel):
    """The model's answers to held-out rows, where it is no better than in use, and how good they were.

    Classification has `labels`, and by class `probabilities` and a reliability table in `confidence`;
    Regression has `predictions` and `errors`. `metrics` are named as refit.api.metrics does.
    """

    rows: Count
    metrics: dict[str, FiniteFloat] = {}
    labels: CategoryProfile | None = None
    probabilities: dict[str, NumberProfile] = {}
    confidence: dict[str, tuple[ConfidenceBin, ...]] = {}
    predictions: NumberProfile | None = None
    errors: tuple[ErrorBin, ...] = ()


class SegmentProfile(ApiModel):
    """The inputs, but for the column itself, of the rows with this value of it; "" where it was missing."""

    value: str
    rows: Count
    numbers: dict[str, NumberProfile] = {}
    texts: dict[str, CategoryProfile] = {}


class SegmentsProfile(ApiModel):
    """The most frequent values of `column`, which spec.monitoring.segmentColumn named when the version was trained."""

    column: ColumnName
    segments: Annotated[tuple[SegmentProfile, ...], Field(max_length=SEGMENTS)]


class Profile(ApiModel):
    """All of it. `equal_pairs` is how many pairs of rows agree in every input: what is usual among `rows`."""

    format: Annotated[int, Field(ge=FORMAT, le=FORMAT)] = FORMAT
    task: Task
    rows: Count
    equal_pairs: Count = 0
    columns: Annotated[tuple[ColumnProfile, ...], Field(max_length=512)]
    target: ColumnName
    classes: Annotated[tuple[Word, ...], Field(max_length=1024)] = ()
    answers: AnswerProfile
    segments: SegmentsProfile | None = None
