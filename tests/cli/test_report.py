"""`kubectl refit report MODEL`: what is stored, and a PDF out of a real MLflow, through the API server's proxy."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from backends import Backends
from guarded import Guarded
from plugin import MODELS, Plugin, ago, furnish

pytestmark = pytest.mark.contract

CONTENT = b"%PDF-1.7 \x00\xff as stored"
ARTIFACT = "/api/2.0/mlflow-artifacts/artifacts/0/run3/artifacts/reports/drift-0c5ed6a3f2.pdf"


def stored(**changes: Any) -> dict[str, Any]:
    return {
        "key": "0c5ed6a3f2",
        "kind": "Drift",
        "phase": "Stored",
        "time": ago(1),
        "tried": ago(1),
        "about": "chol, thalach",
        "uri": f"http://mlflow.refit-system.svc:5000{ARTIFACT}",
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
        "bytes": len(CONTENT),
        "pages": 2,
        **changes,
    }


@pytest.fixture
def put(plane: Guarded) -> Iterator[Any]:
    """Writes reports into heart's status, for as long as the test runs."""
    furnish(plane)

    def write(*found: dict[str, Any]) -> None:
        plane.admin.merge(f"{MODELS}/heart/status", {"status": {"reports": list(found) or None}}).accepted()

    yield write
    write()


def test_the_newest_of_a_kind_comes_as_a_file(put: Any, refit: Plugin, services: Backends, tmp_path: Path) -> None:
    httpx.put(services.mlflow + ARTIFACT, content=CONTENT).raise_for_status()
    put(stored(key="older", time=ago(30), uri="http://mlflow.refit-system.svc:5000/gone"), stored())
    file = tmp_path / "drift.pdf"
    said = refit("root", "report", "heart", "--kind", "drift", "-f", str(file))
    assert (said.code, said.err, file.read_bytes()) == (0, "", CONTENT)
    assert said.out == f"{file}: Drift report of 2026-11-21T12:00:00Z, 2 pages, {len(CONTENT)} bytes\n"


def test_a_file_that_is_not_what_was_stored_is_refused(
    put: Any, refit: Plugin, services: Backends, tmp_path: Path
) -> None:
    httpx.put(services.mlflow + ARTIFACT, content=b"another").raise_for_status()
    put(stored())
    file = tmp_path / "drift.pdf"
    said = refit("root", "report", "heart", "--kind", "drift", "-f", str(file))
    assert (said.code, said.out, file.exists()) == (1, "", False)
    assert "what MLflow has is not what was stored" in said.err


def test_the_reports_are_listed_the_newest_first(put: Any, refit: Plugin) -> None:
    failed = stored(key="f", kind="Incident", phase="Failed", time=ago(2), uri=None, message="MLflow: answered 503")
    put({name: value for name, value in failed.items() if value is not None}, stored())
    said = refit("root", "report", "heart")
    lines = [line.split() for line in said.out.splitlines()]
    assert [line[0] for line in lines] == ["KIND", "Drift", "Incident"]
    assert said.out.splitlines()[2].endswith("MLflow: answered 503")


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        pytest.param(("report", "liver"), 0, "no report yet", id="a model without reports"),
        pytest.param(("report", "liver", "--kind", "drift"), 1, "liver has no stored report of kind drift", id="none"),
        pytest.param(("report", "heard"), 1, "no ModelDeployment 'heard'", id="a model that is not there"),
        pytest.param(("report", "calibration"), 0, "the intervals promise 90 %", id="the word that is no model"),
    ],
)
def test_what_else_is_answered(put: Any, refit: Plugin, words: tuple[str, ...], code: int, told: str) -> None:
    put()
    said = refit("root", *words)
    assert (said.code, told in said.out + said.err) == (code, True)
