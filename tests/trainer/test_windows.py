"""Windows of requests from a real collector, and what is said where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector_process import ADMIN_TOKEN, Running, free_port
from drifting import WINDOW, Log, patients
from onnx_models import export, make
from refit.api.dataspec import ColumnType
from refit.api.modeldeployment import Task
from refit.api.proposal import EvidenceWindow
from refit.api.signature import InputColumn, Signature
from refit_trainer.errors import RefusedError, UnreachableError
from refit_trainer.exports import Served
from refit_trainer.windows import Collector, Patience, collector

ASKED = EvidenceWindow.model_validate(WINDOW)
WARD = Signature(
    task=Task.CLASSIFICATION,
    target="ill",
    inputs=(
        InputColumn(name="age", type=ColumnType.NUMBER),
        InputColumn(name="dose", type=ColumnType.NUMBER),
        InputColumn(name="site", type=ColumnType.CATEGORY, categories=("east", "north", "south")),
    ),
    classes=("no", "yes"),
)


def door(url: str, token_file: Path, model: str = "windows") -> Collector:
    patience = Patience(attempts=3, pause=lambda _: None, timeout_seconds=10)
    return Collector(url=url, token_file=token_file, namespace="clinic", model=model, patience=patience)


@pytest.fixture
def token(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(f"{ADMIN_TOKEN}\n")
    return path


@pytest.fixture(scope="module")
def filled(collecting: Running) -> Running:
    log = Log(collecting, "clinic", "windows")
    table = patients(300, 1)
    log.requests(Served(export(make(WARD).pipeline, WARD)), table)
    log.labels(table["ill"][:100])
    return collecting


def test_labelled_rows_and_the_latest_ones(filled: Running, token: Path) -> None:
    found = door(filled.url, token).requests(ASKED, recent=50)
    assert (found.labelled.num_rows, found.recent.num_rows, found.cut) == (100, 50, False)
    assert found.recent.column("id").to_pylist() == [f"windows-r{place}" for place in range(250, 300)]
    assert found.labelled.column("truth").null_count == 0


def test_a_window_that_holds_more_is_cut_and_says_so(filled: Running, token: Path) -> None:
    found = door(filled.url, token).requests(ASKED, row_limit=80)
    assert (found.labelled.num_rows, found.cut) == (80, True)


def test_a_model_that_was_never_asked_has_an_empty_window(filled: Running, token: Path) -> None:
    found = door(filled.url, token, "nobody").requests(ASKED)
    assert (found.labelled.num_rows, found.recent.num_rows) == (0, 0)


def test_a_collector_that_is_away(token: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(UnreachableError, match=f"^the collector at {url}: .*refused"):
        door(url, token).requests(ASKED)


def test_a_token_that_is_not_known_is_told_and_not_tried_again(filled: Running, token: Path) -> None:
    token.write_text("nobody's")
    with pytest.raises(UnreachableError, match="answered 401"):
        door(filled.url, token).requests(ASKED)


def test_no_collector_is_a_refusal() -> None:
    with pytest.raises(RefusedError, match="NoCollector: environment variable REFIT_COLLECTOR_URL is not set"):
        collector({}, "clinic", "windows")
