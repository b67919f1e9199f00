"""Removal of a model: everything that is kept of it goes, at the word of who may write there.

First it is hidden, in one transaction: its row gets a name that no model can have, so that nobody finds it, its
number stays taken, and what comes under its name from then on is another model's. Then, some at a time, its chunks
and their ids go, its segments as expired ones do, its labels and measurements, and last its row. Each step can be
done again after a crash.
"""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

from refit_collector.ids import forget, ids_of
from refit_collector.registry import Registry
from refit_collector.schema import REMOVED, reading
from refit_collector.writer import Writer

log = logging.getLogger("refit.collector")

LABELS_AT_ONCE = 500
MEASUREMENTS_AT_ONCE = 20


def hide(connection: sqlite3.Connection, registry: Registry, namespace: str, model: str) -> bool:
    """Whether there was such a model, which nobody finds any more. Called by the writing thread."""
    place = {"namespace": namespace, "model": model}
    connection.execute("DELETE FROM halves WHERE namespace = :namespace AND model = :model", place)
    connection.execute("DELETE FROM orphans WHERE namespace = :namespace AND model = :model", place)
    found = connection.execute(
        "SELECT model FROM models JOIN namespaces n USING (namespace) WHERE n.name = :namespace AND models.name = :model",
        place,
    ).fetchone()
    if found is None:
        return False
    # Its rows do not count as expired: somebody asked for this.
    connection.execute("UPDATE segments SET expired = 1, rows = 0 WHERE model = ?", found)
    connection.execute("UPDATE models SET name = ? || model WHERE model = ?", (REMOVED, *found))
    registry.forget()
    return True


def erase(directory: Path, writer: Writer) -> None:
    """One round: what is left of hidden models, but for segments, which retention removes."""
    with closing(reading(directory)) as connection:
        hidden = connection.execute("SELECT model FROM models WHERE substr(name, 1, 1) = ?", (REMOVED,)).fetchall()
    for (model,) in hidden:
        for step in (_chunk, _labels, _measurements):
            while writer.submit(partial(step, model=model), grows=False).result():
                pass
        if writer.submit(partial(_row, model=model), grows=False).result():
            log.info("all that was kept of a removed model is erased")


def _chunk(connection: sqlite3.Connection, model: int) -> bool:
    """The oldest chunk; its ids too, unless they are a segment's by now."""
    found = connection.execute(
        "SELECT h.seq, h.body, h.seq > v.rolled_to, m.namespace FROM hot h JOIN versions v USING (model, version)"
        " JOIN models m USING (model) WHERE h.model = ? ORDER BY h.seq LIMIT 1",
        (model,),
    ).fetchone()
    if found is None:
        return False
    seq, body, is_hot, scope = found
    if is_hot:
        forget(connection, scope, model, ids_of(body))
    connection.execute("DELETE FROM hot WHERE seq = ?", (seq,))
    return True


def _labels(connection: sqlite3.Connection, model: int) -> int:
    return connection.execute(
        "DELETE FROM labels WHERE (model, id, row) IN (SELECT model, id, row FROM labels WHERE model = ? LIMIT ?)",
        (model, LABELS_AT_ONCE),
    ).rowcount


def _measurements(connection: sqlite3.Connection, model: int) -> int:
    return connection.execute(
        "DELETE FROM measurements WHERE model = :model"
        " AND key IN (SELECT key FROM measurements WHERE model = :model LIMIT :most)",
        {"model": model, "most": MEASUREMENTS_AT_ONCE},
    ).rowcount


def _row(connection: sqlite3.Connection, model: int) -> bool:
    """The model itself, once no segment of it is left."""
    (left,) = connection.execute("SELECT EXISTS (SELECT 1 FROM segments WHERE model = ?)", (model,)).fetchone()
    if left:
        return False
    connection.execute("DELETE FROM versions WHERE model = ?", (model,))
    connection.execute("DELETE FROM models WHERE model = ?", (model,))
    return True
