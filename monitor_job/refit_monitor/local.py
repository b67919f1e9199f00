"""The verdict on two files of rows, without a cluster. The exit code says it too, for scripts."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa
from pydantic import ValidationError

from refit.api.dataspec import ColumnType
from refit.api.measured import Verdict
from refit.api.modeldeployment import ModelDeploymentSpec
from refit.api.monitoring import Monitoring
from refit.api.profile import Profile
from refit_monitor import profiles, tables
from refit_monitor.errors import BadInputError
from refit_monitor.measurement import MASKED, Asked, Measurement, measure
from refit_monitor.orders import told
from refit_monitor.windows import Window

EXIT_CODES = {Verdict.NO_DRIFT: 0, Verdict.DRIFT: 10, Verdict.INCONCLUSIVE: 11}
EXIT_BAD_INPUT = 2
MOST_UNKNOWN = 20


def run(arguments: list[str], out: TextIO = sys.stdout, err: TextIO = sys.stderr) -> int:
    given = _arguments(arguments)
    try:
        found = verdict(given.reference, given.current, given.spec)
    except BadInputError as error:
        print(f"refit_monitor: {error}", file=err)
        return EXIT_BAD_INPUT
    print(json.dumps(found.record(), indent=1) if given.output == "json" else table(found), file=out)
    return EXIT_CODES[found.verdict]


def verdict(reference: Path, current: Path, manifest: Path | None = None) -> Measurement:
    """The measurement of the current rows; the reference is a table, or a version's profile.json."""
    spec = _spec(manifest)
    monitoring = (spec.monitoring if spec is not None else None) or Monitoring()
    rows = tables.read(current)
    profile = _profile(reference, spec, monitoring.segment_column)
    inputs = _inputs(profile, rows, current)
    asked = Asked(key="verdict", time=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), namespace="", model="")
    return measure(profile, Window(rows=rows.num_rows, inputs=inputs), monitoring, asked)


def _profile(path: Path, spec: ModelDeploymentSpec | None, segment_column: str | None) -> Profile:
    if path.suffix == ".json":
        try:
            return profiles.read(path.read_bytes())
        except OSError as error:
            raise BadInputError(f"{path}: {error.strerror}") from error
    rows = tables.read(path)
    declared = {column.name: column for column in spec.data.columns} if spec is not None else {}
    left_out = {spec.data.target.column, *spec.data.ignore} if spec is not None else set()
    found = tables.types(rows.drop_columns([name for name in rows.column_names if name in left_out]))
    if declared:
        wanted = {name: column.type for name, column in declared.items() if name not in left_out}
        _there(list(wanted), rows.column_names, path)
        found = wanted
    if not found:
        raise BadInputError(f"{path}: no column is left to compare")
    for name, kind in found.items():
        _fit(name, rows.column(name), kind, path)
    return profiles.made({name: rows.column(name) for name in found}, found, declared.values(), segment_column)


def _inputs(profile: Profile, rows: pa.Table, path: Path) -> dict[str, pa.ChunkedArray]:
    """The columns of the reference, in any order; further ones are nobody's business."""
    _there([column.name for column in profile.columns], rows.column_names, path)
    for column in profile.columns:
        found = rows.column(column.name)
        if found.null_count == len(found) and column.type is ColumnType.NUMBER:
            continue
        _fit(column.name, found, column.type, path)
    return {column.name: rows.column(column.name) for column in profile.columns}


def _there(wanted: list[str], found: list[str], path: Path) -> None:
    absent = [name for name in wanted if name not in found]
    if absent:
        listed = ", ".join(found[:MOST_UNKNOWN]) + (", ..." if len(found) > MOST_UNKNOWN else "")
        named = ", ".join(repr(name) for name in absent[:5])
        raise BadInputError(f"{path}: column {named} is missing; found: {listed}")


def _fit(name: str, column: pa.ChunkedArray, kind: ColumnType, path: Path) -> None:
    found = tables.problem(name, column, kind)
    if found:
        raise BadInputError(f"{path}: {found}")


def _spec(path: Path | None) -> ModelDeploymentSpec | None:
    if path is None:
        return None
    import yaml  # noqa: PLC0415 - only for a spec

    try:
        manifest = yaml.safe_load(path.read_text())
    except OSError as error:
        raise BadInputError(f"{path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadInputError(f"{path}: not YAML") from error
    if not isinstance(manifest, dict) or not isinstance(manifest.get("spec"), dict):
        raise BadInputError(f"{path}: the file holds no ModelDeployment with a spec")
    try:
        return ModelDeploymentSpec.model_validate(manifest["spec"], extra="forbid", by_alias=True, by_name=False)
    except ValidationError as error:
        raise BadInputError(f"{path}: spec.{told(error)}") from error


def table(found: Measurement) -> str:
    """What a person reads first."""
    heads = ("column", "method", "effect", "threshold", "p", "p adjusted", "missing", "drifted")
    lines: list[tuple[str, ...]] = [heads]
    for column in sorted(found.columns, key=lambda column: (not column.drifted, -column.effect)):
        measured: tuple[Any, ...] = (column.effect, column.threshold, column.p_value, column.p_adjusted, column.missing)
        numbers = ("-",) * 5 if column.note == MASKED else tuple(f"{value:.3g}" for value in measured)
        lines.append((column.column, column.method, *numbers, "yes" if column.drifted else ""))
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    rows = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    quality = found.data_quality
    said = [f"{found.verdict}: {found.message}"]
    if quality is not None:
        said.append(f"data quality {quality.score:.1f} of 100" + "".join(f"\n  {told}" for told in quality.problems))
    return "\n".join([*rows, "", *said])


def _arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m refit_monitor verdict",
        description="Has the data drifted? Exit code 0: no, 10: yes, 11: too few rows to say, 2: bad input.",
    )
    parser.add_argument("--reference", type=Path, required=True, help="CSV, Parquet, or a version's profile.json")
    parser.add_argument("--current", type=Path, required=True, help="CSV or Parquet")
    parser.add_argument("--spec", type=Path, help="a ModelDeployment (YAML), for its data.columns and monitoring")
    parser.add_argument("-o", dest="output", choices=("json", "table"), default="table")
    return parser.parse_args(arguments)
