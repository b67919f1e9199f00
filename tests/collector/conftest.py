from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from collector_process import ADMIN_TOKEN, Running, started


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One collector for the tests that do not mind what the others stored."""
    with started(tmp_path_factory.mktemp("collector"), REFIT_COLLECTOR_PAIR_SECONDS="1") as running:
        yield running


@pytest.fixture
def http(server: Running) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


@pytest.fixture
def admin(server: Running) -> Iterator[httpx.Client]:
    with server.client(ADMIN_TOKEN) as client:
        yield client


@pytest.fixture
def small_volume(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A volume of 24 MiB, or of as many as the test is given."""
    if os.geteuid() != 0:
        pytest.skip("a file system in memory can only be mounted by root")
    folder = tmp_path / "volume"
    folder.mkdir()
    size = getattr(request, "param", 24)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}m", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)
