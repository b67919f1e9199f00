"""How often the monitor cries wolf, what it finds, and what it costs; beside Evidently on the same windows.

    python benchmarks/monitor.py [--windows 2000] [--theirs 40] [--rows 1000000] [--json out.json]

Windows are rows of the Ames sample drawn with replacement: 20 of its columns, 12 numbers and 8 categories, many with
ties and rare values. Each twenty have a reference of their own, of 1,000 rows drawn likewise, so nothing has changed.
Then the same with the neighbourhoods as segments, of a quarter as many windows; and a shift in the one that has a
seventh of the rows.
What a verdict costs is taken in processes of their own, one after the other, from the same two files.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from figures import Figure, tell
from pyarrow import csv, parquet

from refit.api.dataspec import ColumnType
from refit.api.measured import Verdict
from refit.api.monitoring import Monitoring
from refit.api.profile import Profile
from refit_monitor import profiles
from refit_monitor.measurement import Asked, Measurement, measure
from refit_monitor.windows import Window

ROOT = Path(__file__).resolve().parents[1]
CACHE = Path(os.environ.get("REFIT_CACHE") or Path.home() / ".cache" / "refit")
NUMBERS = (
    "Lot_Area", "Lot_Frontage", "Year_Built", "Year_Remod_Add", "Mas_Vnr_Area", "Bsmt_Unf_SF", "Total_Bsmt_SF",
    "First_Flr_SF", "Gr_Liv_Area", "TotRms_AbvGrd", "Garage_Area", "Wood_Deck_SF",
)  # fmt: skip
CATEGORIES = (
    "Neighborhood", "Bldg_Type", "House_Style", "Overall_Cond", "Exterior_1st", "Foundation", "Heating_QC", "MS_Zoning",
)  # fmt: skip
TYPES = dict.fromkeys(NUMBERS, ColumnType.NUMBER) | dict.fromkeys(CATEGORIES, ColumnType.CATEGORY)
SIZES = (30, 100, 300, 1_000, 10_000)
REFERENCE = 1_000
WINDOWS_PER_REFERENCE = 20
SEGMENT_COLUMN, SEGMENT = "Neighborhood", "North_Ames"
SEGMENT_SIZES = (300, 1_000, 10_000)
SEGMENT_POWER_SIZES = (1_000, 10_000)
SPEC = Monitoring.model_validate({"window": {"minRows": 30}})
BY_SEGMENT = SPEC.model_copy(update={"segment_column": SEGMENT_COLUMN})
SHIFTED, REPLACED = "Gr_Liv_Area", "Foundation"
POWER_WINDOWS = 50
POWER = 0.9
STEPS = np.round(np.geomspace(0.03, 3.0, 21), 3)

Change = Callable[[dict[str, Any], np.random.Generator], None]
Found = Callable[[Measurement], bool]


def run(windows: int = 2000, theirs: int = 40, rows: int = 1_000_000) -> list[dict[str, Any]]:
    """One record per figure."""
    population = _population()
    found: list[Figure] = []
    for count in SIZES:
        found += _false_alarms(population, count, windows, theirs)
    for count in SEGMENT_SIZES:
        found.append(_false_alarms_by_segment(population, count, max(1, windows // 4)))
    for count in SIZES:
        found += _power(population, count)
    found += [_power_within(population, count) for count in SEGMENT_POWER_SIZES]
    return [figure.record() for figure in (*found, *_cost(rows))]


def _false_alarms(population: dict[str, Any], count: int, windows: int, theirs: int) -> list[Figure]:
    flagged = 0
    both: list[tuple[dict[str, Any], dict[str, Any]]] = []
    for reference, profile, window in _drawn(population, count, windows):
        flagged += _measured(profile, window).verdict is Verdict.DRIFT
        if len(both) < theirs:
            both.append((reference, window))
    said = f"windows of {count:,} unchanged rows with any flag, of {windows:,}"
    figures = [Figure(what=said, value=100 * flagged / windows, unit="%", at_most=1.0)]
    for name, methods in (("its defaults", {}), ("PSI", {"num_method": "psi", "cat_method": "psi"})):
        if both:
            share = sum(_evidently_flags(*pair, methods) for pair in both) / len(both)
            what = f"the same, Evidently's DataDriftPreset with {name}, of {len(both)}"
            figures.append(Figure(what=what, value=100 * share, unit="%"))
    return figures


def _false_alarms_by_segment(population: dict[str, Any], count: int, windows: int) -> Figure:
    flagged, compared = 0, []
    for _, profile, window in _drawn(population, count, windows):
        measured = _measured(profile, window, BY_SEGMENT)
        flagged += measured.verdict is Verdict.DRIFT
        compared.append(sum(not segment.lacking for segment in measured.segments))
    said = (
        f"windows of {count:,} unchanged rows with any flag, {np.mean(compared):.0f} segments included, of {windows:,}"
    )
    return Figure(what=said, value=100 * flagged / windows, unit="%", at_most=1.0)


def _power_within(population: dict[str, Any], count: int) -> Figure:
    """The shift within one segment that is found, by segment and in the whole window."""
    deviation = float(np.std(population[SHIFTED][population[SEGMENT_COLUMN] == SEGMENT]))

    def shifted(by: float) -> Change:
        def change(inputs: dict[str, Any], _rng: np.random.Generator) -> None:
            inputs[SHIFTED] = inputs[SHIFTED] + by * deviation * (inputs[SEGMENT_COLUMN] == SEGMENT)

        return change

    def within(found: Measurement) -> bool:
        return any(
            segment.value == SEGMENT and drifted.column == SHIFTED
            for segment in found.segments
            for drifted in segment.drifted
        )

    by_segment = _smallest(population, count, within, shifted, list(STEPS), BY_SEGMENT)
    whole = _smallest(population, count, _drifted(SHIFTED), shifted, list(STEPS))
    share = float(np.mean(population[SEGMENT_COLUMN] == SEGMENT))
    return Figure(
        what=f"shift in one segment of {share:.0%} of the rows found in 9 windows of 10, {count:,} rows",
        value=by_segment,
        unit="sd",
        compared_with=f"in the whole window: {f'{whole:g} sd' if whole < STEPS[-1] else f'not at {STEPS[-1]:g} sd'}",
    )


def _power(population: dict[str, Any], count: int) -> list[Figure]:
    deviation = float(np.std(population[SHIFTED]))

    def shifted(by: float) -> Change:
        def change(inputs: dict[str, Any], _rng: np.random.Generator) -> None:
            inputs[SHIFTED] = inputs[SHIFTED] + by * deviation

        return change

    def replaced(share: float) -> Change:
        def change(inputs: dict[str, Any], rng: np.random.Generator) -> None:
            inputs[REPLACED] = np.where(rng.random(count) < share, "Wood", inputs[REPLACED])

        return change

    return [
        Figure(
            what=f"shift found in 9 windows of 10, {count:,} rows",
            value=_smallest(population, count, _drifted(SHIFTED), shifted, list(STEPS)),
            unit="sd",
        ),
        Figure(
            what=f"share of a rare category found in 9 windows of 10, {count:,} rows",
            value=100
            * _smallest(population, count, _drifted(REPLACED), replaced, [step for step in STEPS if step <= 1]),
            unit="%",
        ),
    ]


def _drifted(column: str) -> Found:
    return lambda found: any(drifted.column == column for drifted in found.drifted)


def _smallest(
    population: dict[str, Any],
    count: int,
    is_found: Found,
    changed: Callable[[float], Change],
    steps: list[float],
    spec: Monitoring = SPEC,
) -> float:
    """The smallest of the steps at which the change is found, by halving; 90 % of what is more is found too."""
    low, high = 0, len(steps) - 1
    while low < high:
        middle = (low + high) // 2
        change, found = changed(float(steps[middle])), 0
        rng = np.random.default_rng(count)
        for _, profile, window in _drawn(population, count, POWER_WINDOWS):
            change(window, rng)
            found += is_found(_measured(profile, window, spec))
        low, high = (low, middle) if found >= POWER * POWER_WINDOWS else (middle + 1, high)
    return float(steps[low])


def _drawn(
    population: dict[str, Any], count: int, windows: int
) -> Iterator[tuple[dict[str, Any], Profile, dict[str, Any]]]:
    rng = np.random.default_rng([count, windows])
    size = len(population[SHIFTED])
    reference: dict[str, Any] = {}
    for place in range(windows):
        if place % WINDOWS_PER_REFERENCE == 0:
            rows = rng.integers(0, size, REFERENCE)
            reference = {name: values[rows] for name, values in population.items()}
            profile = profiles.made(_arrow(reference), TYPES, segment_column=SEGMENT_COLUMN)
        rows = rng.integers(0, size, count)
        yield reference, profile, {name: values[rows] for name, values in population.items()}


def _measured(profile: Profile, inputs: dict[str, Any], spec: Monitoring = SPEC) -> Measurement:
    asked = Asked(key="bench", time="2026-11-21T12:00:00Z", namespace="", model="")
    return measure(profile, Window(rows=len(inputs[SHIFTED]), inputs=_arrow(inputs)), spec, asked)


def _arrow(inputs: dict[str, Any]) -> dict[str, pa.ChunkedArray]:
    return {name: pa.chunked_array([pa.array(values)]) for name, values in inputs.items()}


def _evidently_flags(reference: dict[str, Any], window: dict[str, Any], methods: dict[str, str]) -> bool:
    """Whether any column drifted, as Evidently's own test of each says."""
    import pandas as pd  # noqa: PLC0415

    told = _evidently(pd.DataFrame(reference), pd.DataFrame(window), methods)
    return any(test["status"] == "FAIL" for test in told.dict()["tests"] if "ValueDrift" in str(test["metric_config"]))


def _evidently(reference: Any, current: Any, methods: dict[str, str]) -> Any:
    from evidently import DataDefinition, Dataset, Report  # type: ignore[import-untyped]  # noqa: PLC0415  # it ships no types
    from evidently.presets import DataDriftPreset  # type: ignore[import-untyped]  # noqa: PLC0415  # as above

    numbers = [name for name in reference.columns if reference[name].dtype.kind in "if"]
    rest = [name for name in reference.columns if name not in numbers]
    definition = DataDefinition(numerical_columns=numbers, categorical_columns=rest)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of chi-square tests with empty cells
        return Report([DataDriftPreset(**methods)], include_tests=True).run(
            Dataset.from_pandas(current, definition), Dataset.from_pandas(reference, definition)
        )


def _cost(rows: int) -> list[Figure]:
    """Each in a process of its own: seconds of computing, and the largest memory."""
    with tempfile.TemporaryDirectory() as folder:
        for name, seed in (("reference", 1), ("current", 2)):
            _wide(rows, np.random.default_rng(seed), Path(folder) / f"{name}.parquet")
        found = {name: _in_a_process(name, folder) for name in ("ours", "both", "evidently")}
    ours, both, theirs = found["ours"], found["both"], found["evidently"]
    what = f"verdict on {rows:,} rows x 20 columns"
    return [
        Figure(
            what=f"{what}: computing, the reference being a profile",
            value=ours["seconds"],
            unit="s",
            compared_with=f"Evidently's DataDriftPreset, {theirs['seconds']:.1f} s",
            ratio=ours["seconds"] / theirs["seconds"],
        ),
        Figure(what=f"{what}: times as fast", value=theirs["seconds"] / ours["seconds"], unit="x", at_least=50),
        Figure(
            what=f"{what}: computing, the profile included",
            value=both["seconds"],
            unit="s",
            compared_with="Evidently's DataDriftPreset",
            ratio=both["seconds"] / theirs["seconds"],
        ),
        Figure(
            what=f"{what}: largest memory",
            value=ours["mebibytes"],
            unit="MiB",
            compared_with=f"Evidently's DataDriftPreset, {theirs['mebibytes']:,.0f} MiB",
            ratio=ours["mebibytes"] / theirs["mebibytes"],
            at_most=1024,
        ),
    ]


def _wide(rows: int, rng: np.random.Generator, path: Path) -> None:
    """14 numbers, continuous and whole, and 6 categories of 3 to 200 values."""
    columns: dict[str, Any] = {}
    for place in range(14):
        columns[f"n{place}"] = (
            rng.normal(place, 1 + place, rows)
            if place % 3
            else rng.integers(0, 50 * (place + 1), rows).astype(np.float64)
        )
    for place, cardinality in enumerate((3, 5, 8, 20, 50, 200)):
        words = pa.array([f"word-{word}" for word in range(cardinality)])
        columns[f"c{place}"] = words.take(pa.array(rng.integers(0, cardinality, rows)))
    parquet.write_table(pa.table(columns), path)


def _in_a_process(what: str, folder: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, __file__, "--cost", what, folder], check=True, capture_output=True, text=True
    )
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def _costing(what: str, folder: Path) -> None:
    """One of the two, on the files in the folder; reading them is not counted."""
    import resource  # noqa: PLC0415

    seconds = _evidently_costing(folder) if what == "evidently" else _ours_costing(folder, whole=what == "both")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "mebibytes": peak}))


def _ours_costing(folder: Path, *, whole: bool) -> float:
    """With `whole` the profile is made here, as the trainer does once; else it is read, as a Job does."""
    kept = folder / "profile.json"
    begun = time.perf_counter()
    if whole or not kept.exists():
        rows = parquet.read_table(folder / "reference.parquet")
        types = {
            field.name: ColumnType.CATEGORY if pa.types.is_string(field.type) else ColumnType.NUMBER
            for field in rows.schema
        }
        begun = time.perf_counter()
        profile = profiles.made({name: rows.column(name) for name in types}, types)
        if not whole:
            kept.write_bytes(profile.model_dump_json(by_alias=True, exclude_none=True).encode())
            os.execv(sys.executable, [sys.executable, __file__, "--cost", "ours", str(folder)])  # noqa: S606 - this very script, afresh
        spent = time.perf_counter() - begun
    else:
        profile = profiles.read(kept.read_bytes())
        spent = time.perf_counter() - begun
    window = parquet.read_table(folder / "current.parquet")
    asked = Asked(key="bench", time="2026-11-21T12:00:00Z", namespace="", model="")
    inputs = {name: window.column(name) for name in window.column_names}
    begun = time.perf_counter()
    measure(profile, Window(rows=window.num_rows, inputs=inputs), SPEC, asked)
    return spent + time.perf_counter() - begun


def _evidently_costing(folder: Path) -> float:
    import pandas as pd  # noqa: PLC0415

    reference, current = (pd.read_parquet(folder / f"{name}.parquet") for name in ("reference", "current"))
    _evidently(reference.head(100), current.head(100), {})  # what is loaded late is not counted
    begun = time.perf_counter()
    _evidently(reference, current, {})
    return time.perf_counter() - begun


def _population() -> dict[str, Any]:
    """The sample's columns, as a Job gets them."""
    folder = CACHE / "samples"
    subprocess.run([sys.executable, str(ROOT / "trainer_image" / "samples.py"), str(folder)], check=True)
    (path,) = folder.glob("ames*.csv")
    kept = csv.read_csv(path, convert_options=csv.ConvertOptions(include_columns=list(TYPES)))
    return {
        name: np.array(kept.column(name).to_pylist(), dtype=np.float64 if name in NUMBERS else object) for name in TYPES
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=int, default=2000, help="unchanged windows of each size")
    parser.add_argument("--theirs", type=int, default=40, help="of these, how many Evidently sees too")
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the table that is timed")
    parser.add_argument("--json", type=Path, help="file for the records")
    parser.add_argument("--cost", nargs=2, metavar=("WHAT", "FOLDER"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.cost:
        _costing(given.cost[0], Path(given.cost[1]))
        return
    tell(run(given.windows, given.theirs, given.rows), given.json)


if __name__ == "__main__":
    main()
