"""The real Alertmanager as a process, told of an alert over its API, delivers it here: the one that the cluster runs."""

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
from refit_cluster import packages
from refit_cluster.packages import ALERTMANAGER
from refit_cluster.places import Places

HEART = ("clinic", "heart")
TEMPLATES = "/usr/share/prometheus/alertmanager"
"""Where Debian's looks for its templates, whatever its configuration says."""
BESIDE = f'''mount -t tmpfs tmpfs /usr/share
mkdir -p {TEMPLATES}
cp "$1"/*.tmpl {TEMPLATES}
shift
exec "$@"'''
"""Puts them there for that process alone, in mounts of its own."""


def program() -> list[str]:
    """The command that starts it."""
    named = os.environ.get("REFIT_ALERTMANAGER")
    places = Places.from_env(os.environ)
    if not named and packages.is_unpacked(ALERTMANAGER, places):
        folder = ALERTMANAGER.directory(places)
        return [
            "unshare",
            "--map-root-user",
            "--mount",
            "sh",
            "-ec",
            BESIDE,
            "sh",
            str(folder),
            f"{folder}/alertmanager",
        ]
    found = named or shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    if not found:
        pytest.skip("no Alertmanager on this machine: make cluster-up unpacks Debian's, or set REFIT_ALERTMANAGER")
    return [found]


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
        *program(),
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
