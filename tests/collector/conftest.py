from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from collector_process import ADMIN_TOKEN, Running, started
from volumes import small


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
    with small(tmp_path / "volume", getattr(request, "param", 24)) as folder:
        yield folder
