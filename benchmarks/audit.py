"""The audit: how long a row takes until it is on disk, and how fast rows are verified, beside what does less.

    python benchmarks/audit.py [--rows 100000]

A row is appended as the operator does it: from the event loop, one after the other, with a synced commit; beside it one
INSERT of the same row into the same kind of file, without chain, seal or thread. Rows are verified from the database and
from a bundle: by all processors, by the clock, as `python -m refit.audit verify` and `kubectl refit verify` do it; and by
one process, in its time of the processor, as the operator does it. Beside it SHA-256 alone over the same bytes.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE)]

from figures import Figure, table  # noqa: E402  # beside this script, which runs without being installed

from refit.api.entries import Entry, EntryKind  # noqa: E402  # as above
from refit.audit import bundles, database, standing  # noqa: E402  # as above
from refit.audit.chain import GENESIS, Mac, link  # noqa: E402  # as above
from refit.audit.keys import Keys  # noqa: E402  # as above
from refit.audit.ledger import Ledger  # noqa: E402  # as above
from refit.audit.parts import on_all_processors, processors  # noqa: E402  # as above
from refit.audit.rows import COLUMNS, Row, sealable  # noqa: E402  # as above

APPENDED, ROWS = 2000, 100_000
P99_MS, RATE = 10.0, 200_000.0
KEYS = Keys(current="k1", secrets={"k1": os.urandom(48)})
CONTENT = {
    "request": "heart-retrain-5c1e07aa",
    "namespace": "clinic",
    "model": "heart",
    "action": "Retrain",
    "trigger": {"type": "Drift", "measurement": "a1b2c3", "features": ["thalach", "chol"]},
    "actor": "system:serviceaccount:refit-system:refit-operator",
    "approvers": ["alice"],
    "approvals": {"alice": {"decision": "Approved", "proposalDigest": "sha256:" + "5c1e07aa" * 8}},
    "diagnosis": {"severity": "0.73", "reasoning": [{"rule": "feature-drift", "inputs": {"effect": "0.71"}}]},
    "proposal": {
        "predictedImpact": {"metric": "f1", "now": "0.71", "predicted": "0.82", "low": "0.77", "high": "0.86"}
    },
}
"""What a row holds, more or less."""


def now() -> datetime:
    return datetime.now(UTC)


def percentile(found: list[float], share: float) -> float:
    ordered = sorted(found)
    return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]


async def appended(folder: Path) -> list[float]:
    """Seconds of each row."""
    ledger, found = Ledger(folder / "audit.db", now, lambda: KEYS), []
    await ledger.open()
    for number in range(APPENDED):
        entry = Entry(kind=EntryKind.INTENT, request_uid=f"uid-{number}", digest="sha256:0", content=CONTENT)
        begun = time.perf_counter()
        await ledger.write(entry)
        found.append(time.perf_counter() - begun)
    ledger.close()
    return found


def inserted(folder: Path) -> list[float]:
    """The same rows by one synced INSERT each."""
    connection, found = sqlite3.connect(folder / "bare.db", isolation_level=None), []
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE audit (sequence INTEGER PRIMARY KEY, uid TEXT UNIQUE, content TEXT)")
    content = json.dumps(CONTENT)
    for number in range(APPENDED):
        begun = time.perf_counter()
        connection.execute("INSERT INTO audit VALUES (?, ?, ?)", (number, f"uid-{number}", content))
        found.append(time.perf_counter() - begun)
    connection.close()
    return found


def filled(folder: Path, count: int) -> Path:
    """So many rows as the ledger would have written them, in one transaction."""
    path, content = folder / "many.db", json.dumps(CONTENT, separators=(",", ":"), sort_keys=True)
    asyncio.run(_made(path))
    mac, head, found = Mac(KEYS.secrets["k1"]), GENESIS, []
    for number in range(1, count + 1):
        row = Row(
            sequence=number,
            time="2026-11-21T12:00:00Z",
            kind=EntryKind.INTENT,
            request_uid=f"uid-{number}",
            digest="sha256:" + "5c1e07aa" * 8,
            trigger_type="Drift",
            actor="system:serviceaccount:refit-system:refit-operator",
            trace_id=f"{number:032x}",
            namespace="clinic",
            model="heart",
            content=content,
        )
        head = link(head, sealable(row))
        found.append(tuple({**asdict(row), "hash": head, "mac": mac.of(head), "key_id": "k1"}.values()))
    with sqlite3.connect(path) as connection:
        places = ", ".join("?" * len(COLUMNS))
        connection.executemany(f"INSERT INTO audit VALUES ({places})", found)  # noqa: S608  # of question marks
    return path


async def _made(path: Path) -> None:
    ledger = Ledger(path, now, lambda: KEYS)
    await ledger.open()
    ledger.close()


@dataclass(frozen=True)
class Spent:
    """Seconds by the clock, and of all processors together."""

    clock: float
    work: float


def spent(act: Callable[[], object], times: int = 5) -> Spent:
    """The least of some runs: others work on this machine too."""
    found = []
    for _ in range(times):
        begun, before = time.perf_counter(), os.times()
        act()
        after = os.times()
        work = sum(after[:4]) - sum(before[:4])  # its own, and that of the processes that it began
        found.append((time.perf_counter() - begun, work))
    return Spent(min(clock for clock, _ in found), min(work for _, work in found))


def figures(count: int = ROWS) -> list[Figure]:
    """Appending, then verifying."""
    with tempfile.TemporaryDirectory(prefix="refit-audit-", dir=HERE.parent) as name:
        folder = Path(name)
        ours, bare = asyncio.run(appended(folder)), inserted(folder)
        return [*_appending(ours, bare), *_verifying(folder, count)]


def _appending(ours: list[float], bare: list[float]) -> list[Figure]:
    return [
        Figure(
            what=f"audit, {APPENDED} rows, one after the other: append p99",
            value=percentile(ours, 0.99),
            unit="ms",
            compared_with=f"a bare INSERT ({percentile(bare, 0.99):.3g} ms)",
            ratio=percentile(ours, 0.99) / percentile(bare, 0.99),
            at_most=P99_MS,
        ),
        Figure(
            what="audit: append p50",
            value=percentile(ours, 0.5),
            unit="ms",
            compared_with=f"a bare INSERT ({percentile(bare, 0.5):.3g} ms)",
            ratio=percentile(ours, 0.5) / percentile(bare, 0.5),
        ),
    ]


def _verifying(folder: Path, count: int) -> list[Figure]:
    path = filled(folder, count)
    ledger, url = Ledger(path, now, lambda: KEYS), database.url_of(path)
    kept, lines = asyncio.run(_exported(ledger, count))
    bundles.write(folder / "bundle.tar", lines, kept, None)
    engine = database.engine_of(url)

    def from_database(*, alone: bool) -> None:
        with engine.connect() as connection, database.transaction(connection, writes=False):
            walk = None if alone else on_all_processors(partial(standing.divided, connection, url, None))
            assert standing.verified(connection, KEYS.secrets, [kept], walk).ok

    def from_bundle(*, alone: bool) -> None:
        with bundles.opened(folder / "bundle.tar") as found:
            assert found.stretch is not None
            walk = None if alone else on_all_processors(found.stretch.divided)
            assert bundles.judged(found, [kept], secrets=KEYS.secrets, walk=walk).ok

    hashed = spent(lambda: [hashlib.sha256(line).hexdigest() for line in lines])
    beside = f"SHA-256 of each row alone, by one ({count / hashed.work:,.0f} 1/s)"
    found, what = [], f"audit, {count} rows of {len(lines[0])} bytes, hash and mac, from"
    lines.clear()  # a process that is begun from a large one takes longer, and those of the commands are small
    for where, act in (("the database", from_database), ("a bundle", from_bundle)):
        together, alone = spent(partial(act, alone=False)), spent(partial(act, alone=True))
        found += [
            Figure(
                what=f"{what} {where}: verified by {processors()} processors, by the clock",
                value=count / together.clock,
                unit="1/s",
                compared_with=beside,
                ratio=hashed.work / together.clock,
                at_least=RATE,
            ),
            Figure(
                what=f"{what} {where}: verified by one, in its own time",
                value=count / alone.work,
                unit="1/s",
                compared_with=beside,
                ratio=hashed.work / alone.work,
            ),
        ]
    ledger.close()
    engine.dispose()
    return found


async def _exported(ledger: Ledger, count: int) -> tuple[Any, list[bytes]]:
    return await ledger.checkpoint(), (await ledger.lines(0, count)).splitlines(keepends=True)


def run() -> list[dict[str, Any]]:
    """The records, for benchmarks/run.py."""
    return [figure.record() for figure in figures()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=ROWS)
    print(table(figure.record() for figure in figures(parser.parse_args().rows)))


if __name__ == "__main__":
    main()
