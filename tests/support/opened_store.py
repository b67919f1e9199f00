"""A store in this process, opened while nothing runs beside it: no rounds, no helpers, no copying of the log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa

from collector_process import event, lines
from refit_collector import records, removal, snapshots, tasks, times, windows
from refit_collector.events import Bounds, read
from refit_collector.labels import Label
from refit_collector.metrics import Metrics
from refit_collector.settings import Settings
from refit_collector.shapes import Shapes
from refit_collector.snapshots import Asked
from refit_collector.store import Store

NOON = times.micros("2026-01-31T12:00:00Z")
HOUR = times.HOUR
NOW = NOON + HOUR
ALL = Asked("shop", "heart", NOON - 1000 * HOUR, NOON + 1000 * HOUR)


class Opened:
    """A store that nothing runs beside, and what one does with it."""

    def __init__(self, folder: Path, **more: Any) -> None:
        self.metrics = Metrics()
        settings = Settings(data_dir=folder, **more)
        self.store = Store(settings, self.metrics, lambda: NOW)
        self.store.roller._ask = self.store.retention._ask = self.ask  # in this process

    def ask(self, task: str, **given: Any) -> Any:
        """What a helper would do, without the process."""
        return tasks.TASKS[task](self.store.directory, **given)

    def take(self, *events: Mapping[str, Any], now: int = NOW) -> records.Stored:
        body = lines(*events)
        found = read(body, Bounds.at(now, 10_000), Shapes())
        assert not found.refused
        return self.store.writer.submit(
            lambda connection: records.events(connection, self.store.registry, "shop", "heart", found.accepted, now),
            weight=len(body),
        ).result()

    def label(self, *found: Label, now: int = NOW) -> records.Labelled:
        return self.store.writer.submit(
            lambda connection: records.labels(connection, self.store.registry, "shop", "heart", found, now)
        ).result()

    def remove(self) -> bool:
        return self.store.writer.submit(
            lambda connection: removal.hide(connection, self.store.registry, "shop", "heart"), grows=False
        ).result()

    def window(self, asked: Asked = ALL, media: str = snapshots.ARROW) -> list[dict[str, Any]]:
        with TemporaryDirectory() as folder:  # not on the store's volume, which may be full
            path = Path(folder, "window")
            counts = windows.write(self.store.directory, self.store.readers, asked, media, path)
            with path.open("rb") as file:
                found: list[dict[str, Any]] = pa.ipc.open_stream(file).read_all().to_pylist()
        assert (counts.rows, counts.events) == (len(found), len({row["id"] for row in found}))
        return found

    def ids(self) -> list[str]:
        return [row["id"] for row in self.window()]

    def roll(self) -> int:
        return self.store.roller.roll(NOW + HOUR)


@contextmanager
def opened(folder: Path, **more: Any) -> Iterator[Opened]:
    found = Opened(folder, **more)
    found.store.roller.sweep()
    try:
        yield found
    finally:
        found.store.close()


def at_noon(name: str, **more: Any) -> dict[str, Any]:
    return event(name, **{"time": "2026-01-31T12:00:00Z"} | more)
