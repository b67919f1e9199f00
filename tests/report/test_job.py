"""The report Job against real HTTP servers: what it asks, what it stores, what it answers."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader

from refit.api import jobs
from refit.api.orders import ReportOrder
from refit.api.reports import ReportKind
from refit.api.results import ReportResult, decode_report
from refit.report.doors import Door
from refit.report.job import run_job
from reported import RECORD, order

STORED = "/artifacts/1/run3/artifacts/reports/drift-0c5ed6a3f2"


class Made:
    """A Job that was run: its exit code, its answer, and what it printed."""

    def __init__(self, folder: Path, told: str, others: Any, **environment: str) -> None:
        log, out = folder / "termination-log", io.StringIO()
        (folder / "token").write_text("made-up\n")
        base = f"http://127.0.0.1:{others.server_port}"
        self.waited: list[float] = []
        self.code = run_job(
            {
                jobs.REPORT: told,
                jobs.TRACKING_URI: base,
                jobs.COLLECTOR_URL: base,
                jobs.COLLECTOR_TOKEN_FILE: str(folder / "token"),
                jobs.TERMINATION_LOG: str(log),
                **environment,
            },
            door=Door(pause=self.waited.append),
            out=out,
        )
        self.answer: ReportResult = decode_report(log.read_text())
        self.out = out.getvalue()


def ordered(others: Any, kind: ReportKind = ReportKind.DRIFT, **changes: Any) -> str:
    uri = f"http://127.0.0.1:{others.server_port}/artifacts/1/run3/artifacts/reports/{kind.lower()}-0c5ed6a3f2.pdf"
    found: ReportOrder = order(kind, uri=uri, **changes)
    return json.dumps(found.wire())


def test_a_report_is_stored_as_page_and_pdf_and_answered_with_its_digest(tmp_path: Path, beacon: Any) -> None:
    beacon.content = json.dumps([{"key": "other"}, RECORD]).encode()
    made = Made(tmp_path, ordered(beacon), beacon)
    content = beacon.files[f"{STORED}.pdf"]
    assert (made.code, made.answer) == (
        0,
        ReportResult(
            key="0c5ed6a3f2",
            uri=f"http://127.0.0.1:{beacon.server_port}{STORED}.pdf",
            sha256=hashlib.sha256(content).hexdigest(),
            bytes_=len(content),
            pages=len(PdfReader(io.BytesIO(content)).pages),
        ),
    )
    assert beacon.asked == [
        ("GET", "/v1/namespaces/clinic/models/heart/measurements?limit=100", "Bearer made-up"),
        ("PUT", f"{STORED}.html", ""),
        ("PUT", f"{STORED}.pdf", ""),
    ]
    assert b"exang" in beacon.files[f"{STORED}.html"], "a column that did not drift comes from the collector"


def test_a_deployment_report_asks_no_collector(tmp_path: Path, beacon: Any) -> None:
    assert Made(tmp_path, ordered(beacon, ReportKind.DEPLOYMENT), beacon).code == 0
    assert [method for method, _, _ in beacon.asked] == ["PUT", "PUT"]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"[]", id="it does not know the measurement"),
        pytest.param(b"<html>", id="it does not answer JSON"),
        pytest.param(b'[{"key": "a1b2c3d4e5", "columns": 3}]', id="its record cannot be read"),
    ],
)
def test_whatever_the_collector_answers_a_report_is_made(tmp_path: Path, beacon: Any, content: bytes) -> None:
    beacon.content = content
    assert Made(tmp_path, ordered(beacon), beacon).code == 0
    page = beacon.files[f"{STORED}.html"].decode()
    assert ("thalach" in page, "The collector did not give this measurement" in page) == (True, True)


def test_without_a_collector_a_report_is_made(tmp_path: Path, beacon: Any) -> None:
    made = Made(tmp_path, ordered(beacon), beacon, **{jobs.COLLECTOR_URL: ""})
    assert (made.code, made.out.splitlines()[0]) == (
        0, "without every column: this installation has no collector",
    )  # fmt: skip


def test_a_server_that_is_away_for_a_moment_is_asked_again(tmp_path: Path, beacon: Any) -> None:
    beacon.refusals = 2
    made = Made(tmp_path, ordered(beacon, ReportKind.DEPLOYMENT), beacon)
    assert (made.code, made.waited) == (0, [1.0, 2.0])


@pytest.mark.parametrize(
    ("code", "tries"),
    [
        pytest.param(403, 1, id="a no is a no"),
        pytest.param(507, 4, id="a full disk may have room again"),
    ],
)
def test_a_report_that_is_not_stored_says_why(tmp_path: Path, beacon: Any, code: int, tries: int) -> None:
    beacon.codes["PUT"] = code
    made = Made(tmp_path, ordered(beacon, ReportKind.DEPLOYMENT), beacon)
    address = f"http://127.0.0.1:{beacon.server_port}{STORED.replace('drift', 'deployment')}.html"
    assert (made.code, made.answer) == (
        1, ReportResult(key="0c5ed6a3f2", message=f"MLflow at {address}: answered {code}"),
    )  # fmt: skip
    assert len(beacon.asked) == tries


def test_credentials_go_to_the_tracking_server_and_nowhere_else(tmp_path: Path, beacon: Any) -> None:
    told = ordered(beacon, ReportKind.DEPLOYMENT)
    Made(tmp_path, told, beacon, MLFLOW_TRACKING_TOKEN="made-up-too")
    Made(tmp_path, told, beacon, MLFLOW_TRACKING_TOKEN="made-up-too", MLFLOW_TRACKING_URI="http://mlflow.test")
    assert [given for _, _, given in beacon.asked] == ["Bearer made-up-too"] * 2 + [""] * 2


@pytest.mark.parametrize(
    ("told", "message"),
    [
        pytest.param("", "REFIT_REPORT: : Invalid JSON", id="no order"),
        pytest.param('{"kind": "Poem"}', "REFIT_REPORT: key: Field required", id="half an order"),
        pytest.param(
            json.dumps(order(ReportKind.INCIDENT, request=None).wire()),
            "an incident report needs a request",
            id="an order without what it tells of",
        ),
    ],
)
def test_an_order_that_cannot_be_carried_out_is_answered(tmp_path: Path, beacon: Any, told: str, message: str) -> None:
    made = Made(tmp_path, told, beacon)
    assert (made.code, made.answer.uri, made.answer.message.startswith(message)) == (1, None, True)
    assert made.out.startswith(message)
