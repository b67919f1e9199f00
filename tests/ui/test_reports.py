"""Reports: a PDF that MLflow holds comes as the file that was stored, or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from browser import go, sign_in
from page_process import World
from plugin import MODEL_STATUS, MODELS, ago, asking
from refit_ui.views.reports import Report, is_as_stored, reports
from refit_ui.views.snapshot import Snapshot
from worlds_of_page import NOW, made_model, made_request

CONTENT = b"%PDF-1.7 \x00\xff as stored " + bytes(range(256)) * 64
PATH = "/api/2.0/mlflow-artifacts/artifacts/0/run3/artifacts/reports/drift-0c5ed6a3f2.pdf"


def stored(mlflow: str, **changes: Any) -> dict[str, Any]:
    """A report as the operator writes it into a model's status."""
    found = {
        "key": "0c5ed6a3f2",
        "kind": "Drift",
        "phase": "Stored",
        "time": ago(1),
        "tried": ago(1),
        "about": "chol, thalach",
        "uri": f"{mlflow}{PATH}",
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
        "bytes": len(CONTENT),
        "pages": 2,
        **changes,
    }
    return {name: value for name, value in found.items() if value is not None}


def test_every_report_is_told_once_and_one_that_failed_says_why() -> None:
    there = stored("http://mlflow:5000")
    failed = stored("", key="f1", kind="Incident", phase="Failed", time=ago(2), uri=None, sha256=None, message="503")
    running = stored("", key="r1", kind="Approval", phase="Running", time=ago(3), uri=None, sha256=None)
    model = made_model({**MODEL_STATUS, "lastMeasurement": None, "reports": [there, failed, running]})
    request = made_request({**asking()["status"], "reports": [there["uri"]]})
    found = reports(Snapshot(models=(model,), requests=(request,), at=NOW))
    assert [(one.name, one.of, one.uri, one.sha256) for one in found] == [
        ("drift-0c5ed6a3f2.pdf", "Drift report of chol, thalach, 2 pages", there["uri"], there["sha256"]),
        ("Incident report f1", "could not be made: 503 of chol, thalach", "", ""),
        ("Approval report r1", "is being made of chol, thalach", "", ""),
    ]


@pytest.mark.parametrize(
    ("sha256", "expected"),
    [
        pytest.param(hashlib.sha256(CONTENT).hexdigest(), True, id="the file that was stored"),
        pytest.param("0" * 64, False, id="another file"),
        pytest.param("", True, id="a file whose digest nobody wrote down"),
    ],
)
def test_a_file_is_known_by_its_digest(sha256: str, expected: bool) -> None:
    one = Report(namespace="a", model="b", of="c", time="", name="d", uri="http://e", linked=True, sha256=sha256)
    assert is_as_stored(one, CONTENT) is expected


@pytest.fixture
def reported(fresh: World) -> Iterator[World]:
    told = stored(fresh.mlflow)
    fresh.plane.admin.merge(f"{MODELS}/heart/status", {"status": {"reports": [told]}}).accepted()
    yield fresh
    fresh.plane.admin.merge(f"{MODELS}/heart/status", {"status": {"reports": None}}).accepted()


def _reports(world: World, tab: Page) -> Page:
    sign_in(tab, world.url, world.tokens["alice"])
    go(tab, "Reports")
    expect(tab.get_by_text("Drift report of chol, thalach, 2 pages")).to_be_visible()
    tab.get_by_role("button", name="Fetch").click()
    return tab


@pytest.mark.contract
def test_a_stored_pdf_is_downloaded_byte_by_byte(reported: World, tab: Page) -> None:
    httpx.put(reported.mlflow + PATH, content=CONTENT, timeout=30).raise_for_status()
    _reports(reported, tab)
    with tab.expect_download() as found:
        tab.get_by_role("button", name="Download").click()
    assert found.value.suggested_filename == "drift-0c5ed6a3f2.pdf"
    assert found.value.path().read_bytes() == CONTENT


@pytest.mark.contract
def test_a_file_that_is_not_what_was_stored_is_not_handed_on(reported: World, tab: Page) -> None:
    httpx.put(reported.mlflow + PATH, content=b"another", timeout=30).raise_for_status()
    _reports(reported, tab)
    expect(tab.get_by_text("Not what was stored")).to_be_visible()
    expect(tab.get_by_role("button", name="Download")).to_have_count(0)
