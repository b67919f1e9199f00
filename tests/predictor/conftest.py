from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from onnx_models import DIGITS, HEART, HOUSES, make
from predictor_process import MAX_BODY, MAX_ROWS, Running, environment, started
from refit.api.signature import Signature
from refit_predictor.desk import Desk
from refit_predictor.graph import Graph
from refit_predictor.settings import Settings


def desk_for(signature: Signature) -> Desk:
    settings = Settings(name="heart", version="7", sha256="0" * 64, max_rows=MAX_ROWS)
    return Desk(Graph(make(signature).content), settings)


@pytest.fixture(scope="session")
def heart() -> Desk:
    return desk_for(HEART)


@pytest.fixture(scope="session")
def digits() -> Desk:
    return desk_for(DIGITS)


@pytest.fixture(scope="session")
def houses() -> Desk:
    return desk_for(HOUSES)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("heart")
    made = make(HEART)
    (folder / "model.onnx").write_bytes(made.content)
    given = environment(folder, made.sha256, REFIT_MAX_ROWS=str(MAX_ROWS), REFIT_MAX_BODY_BYTES=str(MAX_BODY))
    with started(folder, given) as running:
        running.wait_until_ready("heart")
        yield running


@pytest.fixture
def http(server: Running) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=30) as client:
        yield client
