"""Rows of the heart disease sample, as requests of a model that was trained on it, and how to spoil them."""

from __future__ import annotations

import csv
import random
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CATEGORIES = ("sex", "cp", "fbs", "restecg", "exang", "slope", "thal")
TARGET = "num"

Row = dict[str, float | str | None]


def heart_rows(cache: Path) -> list[Row]:
    """All rows, the target with them as text; the file is made by the trainer's own script where it is not there."""
    folder = cache / "samples"
    subprocess.run([sys.executable, str(ROOT / "trainer_image" / "samples.py"), str(folder)], check=True)
    with (folder / "heart-disease.csv").open(newline="") as file:
        return [{name: _value(name, text) for name, text in row.items()} for row in csv.DictReader(file)]


def _value(name: str, text: str) -> float | str | None:
    if text in ("", "?"):
        return None
    return text if name in CATEGORIES or name == TARGET else float(text)


def drawn(rows: list[Row], count: int, seed: int) -> list[Row]:
    """So many of them, with replacement."""
    return random.Random(seed).choices(rows, k=count)  # noqa: S311  # repeatable, not secret


def without_target(rows: Iterable[Row]) -> list[Row]:
    return [{name: value for name, value in row.items() if name != TARGET} for row in rows]


def spoiled(rows: Iterable[Row], **changes: Callable[[float], float]) -> list[Row]:
    """The rows with number columns changed."""
    return [
        {
            name: changes[name](value) if name in changes and isinstance(value, float) else value
            for name, value in row.items()
        }
        for row in rows
    ]
