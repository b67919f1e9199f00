"""How often a class was taken for which, on held-out rows: written by the trainer beside its plots, drawn by the page."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from refit.api.base import ApiModel, Word

CONFUSION_FILE = "confusion.json"
MOST_CLASSES = 1024

Count = Annotated[int, Field(ge=0)]


class Confusion(ApiModel):
    """`counts[i][j]` rows of class `labels[i]` were taken for `labels[j]`; a class is taken for the most probable one."""

    labels: Annotated[tuple[Word, ...], Field(min_length=2, max_length=MOST_CLASSES)]
    counts: tuple[tuple[Count, ...], ...]

    @model_validator(mode="after")
    def _is_square(self) -> Self:
        if {len(self.labels)} != {len(self.counts), *map(len, self.counts)}:
            raise ValueError(
                f"counts must have {len(self.labels)} rows of {len(self.labels)} numbers, as there are labels"
            )
        return self
