"""Checkpoints leave for each place they should be in, and one that takes none stops nothing but itself."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from audited import KEYS, NOON, Intruder, entry, filled
from fake_cluster import FakeCluster
from receivers import Hook, hook
from refit.api import meta
from refit.audit import checkpoints
from refit.audit.checkpoints import Checkpoint, problem_of
from refit.audit.keys import Keys
from refit.audit.ledger import Ledger, LedgerError
from refit.kube.cluster import CONFIG_MAP
from refit.shell import audit
from refit.shell.audit import Keeper, Places, keeping
from refit.shell.metrics import AuditMetrics

SYSTEM = "refit-system"


@dataclass
class Kept:
    """A ledger that is looked after, and all that its checkpoints go to."""

    folder: Path
    cluster: FakeCluster
    ledger: Ledger
    store: Hook
    registry: CollectorRegistry
    keeper: Keeper
    keys: Keys | None = KEYS

    def gauge(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"refit_audit_{name}", labels)

    @property
    def exported(self) -> dict[str, float | None]:
        return {place: self.gauge("checkpoint_exported", place=place) for place in ("ConfigMap", "copy")}

    @property
    def in_cluster(self) -> Checkpoint:
        found = self.cluster.objects[CONFIG_MAP, SYSTEM, meta.AUDIT_CHECKPOINT]
        return checkpoints.parse(json.loads(found["data"][checkpoints.DATA]))

    @property
    def copies(self) -> list[tuple[str, Checkpoint]]:
        return [(post.path, checkpoints.parse(json.loads(post.body))) for post in self.store.got]


@pytest.fixture
async def kept(tmp_path: Path) -> AsyncIterator[Kept]:
    """With one row, and not opened yet."""
    filled(tmp_path / "audit.db", 1)
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(hook())
        session = await stack.enter_async_context(aiohttp.ClientSession())
        cluster, registry = FakeCluster(), CollectorRegistry()

        def keys() -> Keys:
            if found.keys is None:
                raise LedgerError("the audit has no key")
            return found.keys

        ledger = Ledger(tmp_path / "audit.db", lambda: NOON, keys)
        stack.callback(ledger.close)
        keeper = Keeper(
            ledger=ledger,
            cluster=cluster,
            session=session,
            places=Places(namespace=SYSTEM, copy=f"{store.url}/audit/"),
            metrics=AuditMetrics(registry),
            rows=2,
            seconds=300,
        )
        found = Kept(tmp_path, cluster, ledger, store, registry, keeper)
        yield found


async def test_a_checkpoint_is_put_as_an_object_of_its_own(kept: Kept) -> None:
    assert await kept.keeper.open()
    assert await kept.keeper.export()
    await kept.ledger.write(entry(2))
    assert await kept.keeper.export()
    [(first, one), (second, two)] = kept.copies
    assert [first, second] == [f"/audit/{found.sequence:012d}-{found.head[:8]}.json" for found in (one, two)]
    assert [(one.sequence, problem_of(one, KEYS.secrets)), (two.sequence, problem_of(two, KEYS.secrets))] == [
        (1, ""),
        (2, ""),
    ]
    assert kept.in_cluster == two
    assert kept.exported == {"ConfigMap": 1, "copy": 1}
    assert (await kept.ledger.verify([one, two])).confirmed == 2


Break = Callable[[Kept, pytest.MonkeyPatch], Callable[[], None]]
"""Breaks the object store, and says what mends it."""


def answers(status: int) -> Break:
    def broken(kept: Kept, _: pytest.MonkeyPatch) -> Callable[[], None]:
        kept.store.status, kept.store.answer = status, b"key AKIA0SECRET is not allowed to do this"
        return lambda: setattr(kept.store, "status", 200)

    return broken


def refuses(kept: Kept, _: pytest.MonkeyPatch) -> Callable[[], None]:
    """Nobody listens there."""
    right = kept.keeper.places
    kept.keeper.places = Places(namespace=SYSTEM, copy="http://someone:a-password@127.0.0.1:1/audit")
    return lambda: setattr(kept.keeper, "places", right)


def is_slow(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    monkeypatch.setattr(audit, "PUT_SECONDS", 0.2)
    kept.store.pause = asyncio.Event()
    return kept.store.pause.set


@pytest.mark.parametrize(
    ("breaks", "words"),
    [
        pytest.param(answers(403), "it answered 403", id="it forbids it"),
        pytest.param(answers(500), "it answered 500", id="it has an error"),
        pytest.param(answers(304), "it answered 304", id="it answers that nothing was done"),
        pytest.param(refuses, "Cannot connect to host 127.0.0.1:1", id="nobody listens"),
        pytest.param(is_slow, "no answer within 0.2 s", id="it does not answer"),
    ],
)
async def test_an_object_store_that_takes_none_is_told_of_and_stops_nothing_else(
    kept: Kept, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, breaks: Break, words: str
) -> None:
    assert await kept.keeper.open()
    mend = breaks(kept, monkeypatch)
    with caplog.at_level(logging.ERROR, logger="refit.shell.audit"):
        assert not await kept.keeper.export()
    [record] = caplog.records
    assert record.getMessage().startswith(f"the checkpoint of row 1 was not exported to the copy: {words}")
    assert "SECRET" not in caplog.text
    assert "a-password" not in caplog.text
    assert kept.exported == {"ConfigMap": 1, "copy": 0}
    assert kept.in_cluster.sequence == 1
    assert (await kept.ledger.write(entry(2))).sequence == 2
    assert kept.gauge("writable") == 1

    mend()
    kept.store.got.clear()
    assert await kept.keeper.export()
    assert [found.sequence for _, found in kept.copies] == [2]
    assert kept.exported == {"ConfigMap": 1, "copy": 1}


async def test_a_place_that_has_a_checkpoint_is_not_given_another_of_the_same_row(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await kept.keeper.open()
    kept.cluster.fail_after = 0
    for _ in range(3):
        assert not await kept.keeper.export()
    assert kept.exported == {"ConfigMap": 0, "copy": 1}
    kept.cluster.fail_after = None
    assert await kept.keeper.export()
    assert [found.sequence for _, found in kept.copies] == [1]
    mend = answers(500)(kept, monkeypatch)
    await kept.ledger.write(entry(2))
    for _ in range(3):
        assert not await kept.keeper.export()
    mend()
    assert await kept.keeper.export()
    assert kept.cluster.journal == [("apply", "ConfigMap", meta.AUDIT_CHECKPOINT)] * 2


async def test_checkpoints_leave_by_themselves_after_so_many_rows_and_at_the_end(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "LOOK_SECONDS", 0)
    monkeypatch.setattr(audit, "AGAIN_SECONDS", 0)
    kept.store.status = 503
    async with keeping(kept.keeper):
        await until(lambda: len(kept.store.got) > 3)
        kept.store.status = 200
        await until(lambda: kept.exported == {"ConfigMap": 1, "copy": 1})
        for number in (2, 3):
            await kept.ledger.write(entry(number))
        await until(lambda: kept.copies[-1][1].sequence == 3)
        await kept.ledger.write(entry(4))
    assert (kept.in_cluster.sequence, kept.copies[-1][1].sequence) == (4, 4)


async def until(true: Callable[[], bool]) -> None:
    while not true():  # noqa: ASYNC110  # what it waits for happens in the turns of this loop
        await asyncio.sleep(0)


async def test_whether_rows_can_be_written_is_a_metric(kept: Kept) -> None:
    assert kept.gauge("writable") == 0, "it was not opened yet"
    assert await kept.keeper.open()
    assert kept.gauge("writable") == 1
    intruder = Intruder(kept.folder / "audit.db")
    intruder.does("UPDATE audit SET actor = 'mallory'")
    intruder.does(
        "INSERT INTO audit SELECT 2, time, kind, 'u', digest, '', '', '', '', '', '{}', '', '', '' FROM audit"
    )
    intruder.leaves()
    with pytest.raises(LedgerError, match="is not written on"):
        await kept.ledger.write(entry(3))
    assert kept.gauge("writable") == 0


@pytest.mark.parametrize(
    "more", [{"digest": "sha256:other"}, {"model": "a\tb", "request_uid": "u"}], ids=["another", "none"]
)
async def test_an_entry_that_is_refused_says_nothing_about_the_audit(kept: Kept, more: dict[str, Any]) -> None:
    assert await kept.keeper.open()
    with pytest.raises(LedgerError):
        await kept.ledger.write(entry(1, **more))
    assert kept.gauge("writable") == 1


async def test_a_key_that_goes_and_comes_back_is_noticed_while_nobody_writes(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "LOOK_SECONDS", 0)
    monkeypatch.setattr(audit, "AGAIN_SECONDS", 0)
    async with keeping(kept.keeper):
        await until(lambda: kept.gauge("writable") == 1)
        kept.keys = None
        await until(lambda: kept.gauge("writable") == 0)
        kept.keys = KEYS
        await until(lambda: kept.gauge("writable") == 1)


async def test_an_audit_that_is_not_open_is_opened_again(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "LOOK_SECONDS", 0)
    monkeypatch.setattr(audit, "AGAIN_SECONDS", 0)
    kept.keys = None
    async with keeping(kept.keeper):
        assert kept.gauge("writable") == 0
        kept.keys = KEYS
        await until(lambda: kept.exported == {"ConfigMap": 1, "copy": 1})
    assert kept.gauge("writable") == 1
