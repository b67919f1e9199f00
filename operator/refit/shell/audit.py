"""Keeping the audit: it is verified when the operator starts, and how far it goes is told to places that it does not own.

A checkpoint goes to the log, to a ConfigMap, and to a folder or an address of an object store if one is set. The one in
the ConfigMap is what the audit is held against at the next start: an older database in its place is not written on.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from refit.api import meta
from refit.audit import checkpoints
from refit.audit.checkpoints import Checkpoint
from refit.audit.ledger import Ledger, LedgerError
from refit.audit.verification import told
from refit.kube import cluster as kinds
from refit.kube.cluster import Cluster, ClusterError

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
AGAIN_SECONDS = 30.0
"""How soon what failed is tried again."""
PUT_SECONDS = 10


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
    rows: int
    seconds: float
    exported: int = -1
    """The last row that a checkpoint was exported of."""

    async def open(self) -> bool:
        """Whether it could be opened. If not, nothing risky is done, serving goes on, and it is tried again."""
        try:
            report = await self.ledger.open(await self._kept())
        except (LedgerError, ClusterError) as error:
            log.error("the audit is not open: %s", error)  # noqa: TRY400  # the message says it all
            return False
        log.info("audit: %s", told(report))
        self.exported = report.confirmed if report.confirmed == report.last else -1
        return True

    async def keep(self, opened: bool) -> None:
        """Goes on until it is cancelled."""
        loop = asyncio.get_running_loop()
        since = loop.time()
        while True:
            if not opened:
                await asyncio.sleep(AGAIN_SECONDS)
                opened = await self.open()
                continue
            await asyncio.sleep(LOOK_SECONDS)
            behind = self.ledger.sequence - self.exported
            if behind >= self.rows or (behind > 0 and loop.time() - since >= self.seconds) or self.exported < 0:
                since = loop.time()
                if not await self.export():
                    await asyncio.sleep(AGAIN_SECONDS)

    async def export(self) -> bool:
        """Whether a checkpoint of the last row is everywhere it should be."""
        try:
            found = await self.ledger.checkpoint()
        except LedgerError as error:
            log.error("no checkpoint of the audit: %s", error)  # noqa: TRY400  # as above
            return False
        log.info("audit checkpoint of row %d", found.sequence, extra={"checkpoint": found.wire()})
        done = True
        for place in (self._to_cluster, self._to_copy):
            try:
                await place(found)
            except (ClusterError, OSError, TimeoutError, aiohttp.ClientError) as error:
                log.error("the checkpoint of row %d was not exported: %s", found.sequence, error)  # noqa: TRY400  # as above
                done = False
        if done:
            self.exported = found.sequence
        return done

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

    async def _to_cluster(self, found: Checkpoint) -> None:
        if self.places.namespace:
            await self.cluster.apply(manifest(self.places.namespace, found))

    async def _to_copy(self, found: Checkpoint) -> None:
        """One file or object for each; none is ever written twice with something else."""
        copy, name = self.places.copy.rstrip("/"), f"{found.sequence:012d}-{found.head[:8]}.json"
        if copy.startswith(("http://", "https://")):
            timeout = aiohttp.ClientTimeout(total=PUT_SECONDS)
            async with self.session.put(f"{copy}/{name}", data=found.text().encode(), timeout=timeout) as answer:
                answer.raise_for_status()
        elif copy:
            await asyncio.to_thread(_write, Path(copy) / name, found.text())


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
        if keeper.ledger.sequence > keeper.exported:
            await keeper.export()
