"""The report for people: Evidently's data drift and summary pages, on a bounded sample.

There are no reference rows to show, so some are drawn from the profile's columns, each by itself: right in every
column, meaningless across columns, and of nobody.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from refit.api.profile import CategoryProfile, NumberProfile, Profile
from refit_monitor.columns import knots, values
from refit_monitor.profiles import read
from refit_monitor.windows import INPUT, LABEL, PREDICTION, PROBABILITY

LARGEST = 6 * 1024 * 1024
REFERENCE_ROWS = 2000


def draw(given: BinaryIO, size: int, key: str, to: BinaryIO) -> int:
    """Reads a profile of `size` bytes and an Arrow stream of the window's sample, and writes the page."""
    profile = read(given.read(size))
    with pa.ipc.open_stream(given.read()) as stream:
        window = stream.read_all()
    to.write(html(profile, window, np.random.default_rng(list(key.encode()))))
    return 0


def html(profile: Profile, window: pa.Table, rng: np.random.Generator) -> bytes:
    """The page; without the columns that neither side has values in, which Evidently can not compare."""
    from evidently import DataDefinition, Dataset, Report  # type: ignore[import-untyped]  # noqa: PLC0415  # it ships no types; seconds of import
    from evidently.presets import DataDriftPreset, DataSummaryPreset  # type: ignore[import-untyped]  # noqa: PLC0415  # as above

    references = {f"{INPUT}{column.name}": column.numbers or column.texts for column in profile.columns}
    references |= {LABEL: profile.answers.labels, PREDICTION: profile.answers.predictions}
    references |= {f"{PROBABILITY}{label}": held for label, held in profile.answers.probabilities.items()}
    reference: dict[str, Any] = {}
    current: dict[str, Any] = {}
    for name in window.column_names:
        held = references.get(name)
        if held is None or not held.count:
            continue
        seen = _seen(window.column(name), held)
        if seen.notna().any():
            shown = name.removeprefix(INPUT)
            reference[shown], current[shown] = _drawn(held, rng), seen
    numbers = [name for name, values in current.items() if pd.api.types.is_numeric_dtype(values)]
    definition = DataDefinition(
        numerical_columns=numbers, categorical_columns=[name for name in current if name not in numbers]
    )
    methods = DataDriftPreset(num_method="ks", cat_method="chisquare")
    for presets in ([methods, DataSummaryPreset()], [methods]):
        told = Report(presets).run(
            Dataset.from_pandas(pd.DataFrame(current), definition),
            Dataset.from_pandas(pd.DataFrame(reference), definition),
        )
        with tempfile.TemporaryDirectory() as folder:
            page = Path(folder) / "report.html"
            told.save_html(str(page))
            content = page.read_bytes()
        if len(content) <= LARGEST:
            return content
    raise ValueError(f"the report has {len(content)} bytes, the limit is {LARGEST}")


def _seen(column: pa.ChunkedArray, held: NumberProfile | CategoryProfile) -> pd.Series[Any]:
    if isinstance(held, NumberProfile):
        return pd.Series(values(column))
    words: pd.Series[Any] = column.cast(pa.string()).to_pandas().replace("", None)
    return words


def _drawn(held: NumberProfile | CategoryProfile, rng: np.random.Generator) -> NDArray[Any]:
    """Values as the profile says they are distributed; between two knots evenly."""
    if isinstance(held, CategoryProfile):
        words = np.array([*held.counts, None], dtype=object)
        shares = np.array([*held.counts.values(), held.missing], dtype=np.float64)
        return np.asarray(rng.choice(words, REFERENCE_ROWS, p=shares / shares.sum()))
    places, upto, below = knots(held)
    wide = places.astype(np.float64)
    rank = rng.integers(0, held.count + held.missing, REFERENCE_ROWS)
    knot = np.minimum(np.searchsorted(upto, rank, "right"), len(wide) - 1)
    between = rng.uniform(wide[np.maximum(knot - 1, 0)], wide[knot])
    found = np.where(rank >= below[knot], wide[knot], between)
    return np.where(rank >= held.count, np.nan, found)
