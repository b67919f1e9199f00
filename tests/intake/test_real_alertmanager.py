"""The real Alertmanager as a process, told of an alert over its API, delivers it here. It is installed by nobody here."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from intake_server import Running, free_port, started

HEART = ("clinic", "heart")
BINARY = os.environ.get("REFIT_ALERTMANAGER") or shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")

pytestmark = pytest.mark.skipif(
    BINARY is None,
    reason="no Alertmanager on this machine: apt-get install prometheus-alertmanager, or set REFIT_ALERTMANAGER",
)

CONFIG = """
route: {{receiver: refit, group_by: [namespace, model], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}}
receivers:
  - name: refit
    webhook_configs:
      - url: {url}/v1/alertmanager
        max_alerts: 500
        send_resolved: true
        http_config: {{authorization: {{credentials_file: {token}}}}}
"""


@contextmanager
def alertmanager(folder: Path, intake: Running) -> Iterator[str]:
    """Its address, once it answers."""
    (folder / "alertmanager.yml").write_text(CONFIG.format(url=intake.url, token=folder / "token_file"))
    port = free_port()
    command = [
        str(BINARY),
        f"--config.file={folder}/alertmanager.yml",
        f"--storage.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    with (folder / "alertmanager.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


async def until(met: Callable[[], bool], log: Path) -> None:
    for _ in range(600):
        if met():
            return
        await asyncio.sleep(0.05)  # another process's doing, of which only the result is seen
    raise AssertionError(await asyncio.to_thread(log.read_text))


async def test_an_alert_fires_is_stored_and_ends(tmp_path: Path) -> None:
    async with started(tmp_path) as intake:
        intake.now = datetime.now(UTC)
        with alertmanager(tmp_path, intake) as url:
            begun = intake.now - timedelta(minutes=5)
            told = {
                "labels": {"alertname": "RefitDataDrift", "namespace": "clinic", "model": "heart", "column": "thalach"},
                "annotations": {"summary": "thalach drifted"},
                "startsAt": begun.isoformat(),
            }

            async def tell(**more: str) -> bool:
                try:
                    async with intake.session.post(f"{url}/api/v2/alerts", json=[told | more]) as answer:
                        return answer.status == 200
                except OSError:
                    return False

            for _ in range(600):
                if await tell():
                    break
                await asyncio.sleep(0.05)  # until it listens
            log = tmp_path / "alertmanager.log"
            await until(lambda: len(intake.store.open(*HEART)) == 1, log)
            (found,) = intake.store.open(*HEART)
            assert (found.name, found.summary, found.labels, found.clock_suspect) == (
                "RefitDataDrift",
                "thalach drifted",
                {"namespace": "clinic", "model": "heart", "column": "thalach"},
                False,
            )
            assert abs(found.starts_at - begun) < timedelta(milliseconds=1)
            assert await tell(endsAt=datetime.now(UTC).isoformat())
            await until(lambda: not intake.store.open(*HEART), log)
    assert intake.woken == [HEART, HEART]
