"""Coverage: how many rows of a window have their label, and how long the labels took."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from refit_collector import columns, times, windows
from refit_collector.readers import Readers
from refit_collector.snapshots import Asked, model_of, snapshot


def report(directory: Path, readers: Readers, asked: Asked) -> dict[str, Any]:
    """Rows, labelled rows, their share, the delay from answer to label; and what waits for its prediction."""
    schema = columns.schema({}, truth=True)
    rows = labelled = 0
    delays: list[np.ndarray[Any, Any]] = []
    with snapshot(directory, readers) as connection:
        for found in windows.batches(connection, directory, asked, schema):
            rows += found.num_rows
            known = found.filter(found.column("truth").is_valid())
            labelled += known.num_rows
            took = pc.subtract(*(known.column(name).cast(pa.int64()) for name in ("truth_time", "time")))
            delays.append(took.to_numpy(zero_copy_only=False))
        model = model_of(connection, asked)
        waiting = connection.execute(
            "SELECT count(*) FROM labels l WHERE l.model = :model AND NOT EXISTS (SELECT 1 FROM ids i"
            " WHERE i.namespace = (SELECT namespace FROM models WHERE model = :model) AND i.id = l.id)",
            {"model": model},
        ).fetchone()[0]
        orphans = dict(
            connection.execute(
                "SELECT kind, count FROM orphans WHERE namespace = ? AND model = ?", (asked.namespace, asked.model)
            ).fetchall()
        )
    return {
        "rows": rows,
        "labelled": labelled,
        "coverage": labelled / rows if rows else None,
        "delaySeconds": _delay(np.concatenate(delays) if delays else np.array([])),
        "labelsWithoutPrediction": waiting,
        "orphans": orphans,
    }


def _delay(micros: np.ndarray[Any, Any]) -> dict[str, float] | None:
    """Median and worst of the delays; none without labels."""
    if not micros.size:
        return None
    median, most = np.quantile(micros, (0.5, 1.0)) / times.SECOND
    return {"median": float(median), "maximum": float(most)}
