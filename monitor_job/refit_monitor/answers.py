"""The short answer of a Job, made to fit a termination message whatever there is to tell."""

from __future__ import annotations

from collections.abc import Callable

from refit.api.measured import LastMeasurement
from refit.api.results import ResultTooLongError, encode

KEPT_COLUMNS = 4
"""So many of the drifted features, and of the columns that drifted within a segment, stay until prose has gone."""


def fitting(found: LastMeasurement) -> LastMeasurement:
    """The answer with less and less in it until it fits; verdicts and counts are never dropped."""
    for least, shorter in STEPS:
        found = shorter(found)
        while not _fits(found) and max(len(found.segments), len(found.features)) > least:
            longer = "segments" if len(found.segments) > least else "features"
            found = found.model_copy(update={longer: getattr(found, longer)[:-1]})
        if _fits(found):
            break
    return found


def _fits(found: LastMeasurement) -> bool:
    try:
        encode(found)
    except ResultTooLongError:
        return False
    return True


def _same(found: LastMeasurement) -> LastMeasurement:
    return found


def _prose(limit: int) -> Callable[[LastMeasurement], LastMeasurement]:
    """Every message cut to a length in characters."""

    def shorter(found: LastMeasurement) -> LastMeasurement:
        quality, data = found.quality, found.data_quality
        return found.model_copy(
            update={
                "message": found.message[:limit],
                "quality": quality and quality.model_copy(update={"message": quality.message[:limit]}),
                "data_quality": data and data.model_copy(update={"message": data.message[:limit]}),
                "queries": tuple(
                    query.model_copy(update={"message": query.message[:limit]}) for query in found.queries
                ),
            }
        )

    return shorter


STEPS: tuple[tuple[int, Callable[[LastMeasurement], LastMeasurement]], ...] = (
    (KEPT_COLUMNS, _same),
    (KEPT_COLUMNS, _prose(400)),
    (KEPT_COLUMNS, _prose(120)),
    (0, _prose(24)),
)
"""What is given up, least missed first, and how many columns of each kind stay at that step."""
