"""Keeping the audit: it is verified when the operator starts, and how far it goes is told to places that it does not own.

A checkpoint goes to the log, to a ConfigMap, and to a folder or an address of an object store if one is set. The one in
the ConfigMap is what the audit is held against at the next start: an older database in its place is not written on.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from refit.api import meta
from refit.audit import checkpoints
from refit.audit.checkpoints import Checkpoint
from refit.audit.ledger import Ledger, LedgerError
from refit.audit.verification import told
from refit.kube import cluster as kinds
from refit.kube.cluster import Cluster, ClusterError
from refit.shell.metrics import AuditMetrics

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
AGAIN_SECONDS = 30.0
"""How soon what failed is tried again, and whether a row could be written is looked at while none is."""
PUT_SECONDS = 10.0
LOG, CONFIG_MAP, COPY = "log", "ConfigMap", "copy"


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where checkpoints go. `namespace` is the operator's, `copy` a folder or an address; each may be empty."""

    namespace: str
    copy: str = ""


@dataclass(kw_only=True)
class Keeper:
    """Opens the ledger, and exports a checkpoint after so many rows or so many seconds, and at the end."""

    ledger: Ledger
    cluster: Cluster
    session: aiohttp.ClientSession
    places: Places
    metrics: AuditMetrics
    rows: int
    seconds: float
    exported: dict[str, int] = field(default_factory=dict)
    """By the place, the last row that it has a checkpoint of."""

    def __post_init__(self) -> None:
        self.metrics.writable.set_function(lambda: float(not self.ledger.problem))

    @property
    def behind(self) -> int:
        """Rows that some place has no checkpoint of."""
        return self.ledger.sequence - min(self.exported.get(place, -1) for place in self._places())

    async def open(self) -> bool:
        """Whether it could be opened. If not, nothing risky is done, serving goes on, and it is tried again."""
        try:
            report = await self.ledger.open(await self._kept())
        except (LedgerError, ClusterError) as error:
            log.error("the audit is not open: %s", error)  # noqa: TRY400  # the message says it all
            return False
        log.info("audit: %s", told(report))
        if report.confirmed == report.last:
            for place in self._places().keys() - {COPY}:  # of which nothing is known
                self._has(place, report.last)
        return True

    async def keep(self, opened: bool) -> None:
        """Goes on until it is cancelled."""
        loop, done = asyncio.get_running_loop(), False
        since = looked = loop.time()
        while True:
            await asyncio.sleep(LOOK_SECONDS if opened else AGAIN_SECONDS)
            now = loop.time()
            if not opened:
                opened = await self.open()
            elif not done or self.behind >= self.rows or (self.behind > 0 and now - since >= self.seconds):
                since = looked = now
                done = await self.export()
                if not done:
                    await asyncio.sleep(AGAIN_SECONDS)
            elif now - looked >= AGAIN_SECONDS:
                looked = now
                await self._checkpoint()

    async def export(self) -> bool:
        """Whether a checkpoint of the last row is everywhere it should be; where one is, no other is put."""
        found = await self._checkpoint()
        if found is None:
            return False
        done = True
        for place, put in self._places().items():
            if self.exported.get(place) == found.sequence:
                continue
            try:
                await put(found)
            except (ClusterError, OSError, TimeoutError, aiohttp.ClientError) as error:
                why = f"no answer within {PUT_SECONDS:g} s" if isinstance(error, TimeoutError) else str(error)
                log.error("the checkpoint of row %d was not exported to the %s: %s", found.sequence, place, why)  # noqa: TRY400  # as above
                self.metrics.exported.labels(place).set(0)
                done = False
            else:
                self._has(place, found.sequence)
        return done

    async def _checkpoint(self) -> Checkpoint | None:
        """It takes all that a row takes, but for the writing: so it is also how the audit is looked at."""
        try:
            return await self.ledger.checkpoint()
        except LedgerError as error:
            log.error("no checkpoint of the audit: %s", error)  # noqa: TRY400  # as above
            return None

    def _has(self, place: str, sequence: int) -> None:
        self.exported[place] = sequence
        self.metrics.exported.labels(place).set(1)

    def _places(self) -> dict[str, Callable[[Checkpoint], Awaitable[None]]]:
        """By the name of each that there is, how a checkpoint is put there."""
        found: dict[str, Callable[[Checkpoint], Awaitable[None]]] = {LOG: self._to_log}
        if self.places.namespace:
            found[CONFIG_MAP] = self._to_cluster
        if self.places.copy:
            found[COPY] = self._to_copy
        return found

    async def _kept(self) -> tuple[Checkpoint, ...]:
        """The checkpoint of the ConfigMap."""
        if not self.places.namespace:
            return ()
        there = await self.cluster.get(kinds.CONFIG_MAP, self.places.namespace, meta.AUDIT_CHECKPOINT)
        text = ((there or {}).get("data") or {}).get(checkpoints.DATA)
        if text is None:
            return ()
        try:
            return (checkpoints.parse(json.loads(text)),)
        except (LedgerError, ValueError) as error:
            where = f"ConfigMap {self.places.namespace}/{meta.AUDIT_CHECKPOINT}"
            raise LedgerError(f"{where} holds no checkpoint of the audit: {error}") from error

    async def _to_log(self, found: Checkpoint) -> None:
        log.info("audit checkpoint of row %d", found.sequence, extra={"checkpoint": found.wire()})

    async def _to_cluster(self, found: Checkpoint) -> None:
        await self.cluster.apply(manifest(self.places.namespace, found))

    async def _to_copy(self, found: Checkpoint) -> None:
        """One file or object for each row of a checkpoint."""
        copy, name = self.places.copy.rstrip("/"), f"{found.sequence:012d}-{found.head[:8]}.json"
        if not copy.startswith(("http://", "https://")):
            await asyncio.to_thread(_write, Path(copy) / name, found.text())
            return
        timeout = aiohttp.ClientTimeout(total=PUT_SECONDS)
        async with self.session.put(f"{copy}/{name}", data=found.text().encode(), timeout=timeout) as answer:
            if not 200 <= answer.status < 300:  # noqa: PLR2004  # success
                raise aiohttp.ClientError(f"it answered {answer.status}")


def manifest(namespace: str, found: Checkpoint) -> kinds.Manifest:
    """The ConfigMap with the newest checkpoint."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": meta.AUDIT_CHECKPOINT,
            "namespace": namespace,
            "labels": {meta.LABEL_MANAGED_BY: meta.MANAGED_BY},
        },
        "data": {checkpoints.DATA: found.text()},
    }


def _write(path: Path, text: str) -> None:
    with contextlib.suppress(FileExistsError), path.open("x", encoding="utf-8") as file:
        file.write(text + "\n")


@asynccontextmanager
async def keeping(keeper: Keeper) -> AsyncIterator[None]:
    """The ledger opened, and looked after until the end."""
    opened = await keeper.open()
    task = asyncio.create_task(keeper.keep(opened), name="audit")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        if keeper.behind > 0:
            await keeper.export()
