"""The real Alertmanager as a process, told of an alert over its API, delivers it here: the one that the cluster runs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from intake_authority import Authority, encrypted
from intake_server import Running, free_port, started
from refit.intake.routes import ALERTMANAGER
from refit_cluster import packages
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
    if not named and packages.is_unpacked(packages.ALERTMANAGER, places):
        folder = packages.ALERTMANAGER.directory(places)
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


Http = dict[str, Any]
"""Alertmanager's http_config."""


def configuration(intake: Running, http: Http) -> str:
    webhook = {"url": f"{intake.url}{ALERTMANAGER}", "max_alerts": 500, "send_resolved": True, "http_config": http}
    route = {"receiver": "refit", "group_by": ["namespace", "model"], "group_wait": "0s"}
    intervals = {"group_interval": "1s", "repeat_interval": "1h"}
    return json.dumps({"route": route | intervals, "receivers": [{"name": "refit", "webhook_configs": [webhook]}]})


@contextmanager
def alertmanager(folder: Path, intake: Running, http: Http) -> Iterator[str]:
    """Its address, once it answers."""
    (folder / "alertmanager.yml").write_text(configuration(intake, http))
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


@dataclass(frozen=True)
class Sender:
    """An Alertmanager that is told of one alert."""

    url: str
    intake: Running
    begun: datetime
    log: Path

    async def tell(self, **more: str) -> None:
        """Again and again until it listens."""
        labels = {"alertname": "RefitDataDrift", "namespace": "clinic", "model": "heart", "column": "thalach"}
        annotations = {"summary": "thalach drifted"}
        told = {"labels": labels, "annotations": annotations, "startsAt": self.begun.isoformat()} | more
        async with aiohttp.ClientSession() as session:
            for _ in range(600):
                with contextlib.suppress(OSError):
                    async with session.post(f"{self.url}/api/v2/alerts", json=[told]) as answer:
                        assert answer.status == 200, await answer.text()
                        return
                await asyncio.sleep(0.05)  # another process's doing, of which only the result is seen
        raise AssertionError(await asyncio.to_thread(self.log.read_text))

    async def end(self) -> None:
        await self.tell(endsAt=datetime.now(UTC).isoformat())

    async def stored(self, number: int) -> None:
        """Once so many alerts are open."""
        for _ in range(600):
            if len(self.intake.store.open(*HEART)) == number:
                return
            await asyncio.sleep(0.05)  # as above
        raise AssertionError(await asyncio.to_thread(self.log.read_text))


@contextmanager
def sender(folder: Path, intake: Running, http: Http) -> Iterator[Sender]:
    intake.now = datetime.now(UTC)
    with alertmanager(folder, intake, http) as url:
        yield Sender(url, intake, intake.now - timedelta(minutes=5), folder / "alertmanager.log")


async def test_an_alert_fires_is_stored_and_ends(tmp_path: Path) -> None:
    token = {"authorization": {"credentials_file": str(tmp_path / "token_file")}}
    async with started(tmp_path) as intake:
        with sender(tmp_path, intake, token) as its:
            await its.tell()
            await its.stored(1)
            (found,) = intake.store.open(*HEART)
            assert (found.name, found.summary, found.labels, found.clock_suspect) == (
                "RefitDataDrift",
                "thalach drifted",
                {"namespace": "clinic", "model": "heart", "column": "thalach"},
                False,
            )
            assert abs(found.starts_at - its.begun) < timedelta(milliseconds=1)
            await its.end()
            await its.stored(0)
    assert intake.woken == [HEART, HEART]


async def test_a_token_is_sent_by_tls(tmp_path: Path) -> None:
    async with encrypted(tmp_path) as (intake, authority):
        http = {
            "authorization": {"credentials_file": str(tmp_path / "token_file")},
            "tls_config": {"ca_file": str(authority.file)},
        }
        with sender(tmp_path, intake, http) as its:
            await its.tell()
            await its.stored(1)
    assert intake.woken == [HEART]


async def test_a_client_certificate_is_enough_and_so_is_the_next_of_another_authority(tmp_path: Path) -> None:
    async with encrypted(tmp_path) as (intake, authority):
        ours, theirs, client = tmp_path / "localhost.pem", tmp_path / "authority.pem", authority.issue("alertmanager")
        files = {"ca_file": str(authority.file), "cert_file": str(client), "key_file": str(client)}
        with sender(tmp_path, intake, {"tls_config": files}) as its:
            await its.tell()
            await its.stored(1)
            (tmp_path / "next").mkdir()
            following = Authority(tmp_path / "next")
            for path, renewed in ((ours, "localhost"), (client, "alertmanager")):
                shutil.copy(following.issue(renewed), path)
            shutil.copy(following.file, theirs)
            intake.later(seconds=2)
            # It is told on the connection of before, on which nothing is lost.
            await its.end()
            await its.stored(0)
    assert intake.woken == [HEART, HEART]
    answers = [intake.count("refit_intake_requests_total", route=ALERTMANAGER, code=code) for code in ("202", "401")]
    assert answers == [2, 0]
