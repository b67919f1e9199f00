"""The report Job: order in, PDF stored, its address out. It answers, too, why there is no PDF."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from pydantic import ValidationError

from refit.api import jobs
from refit.api.orders import ReportOrder
from refit.api.results import ReportResult, encode
from refit.report import measured
from refit.report.document import TooLargeError, pdf
from refit.report.doors import Door, UnreachableError, measurements, store
from refit.report.measured import Measured
from refit.report.pages import html

DONE, FAILED = 0, 1


def run_job(environment: Mapping[str, str], *, door: Door | None = None, out: TextIO = sys.stdout) -> int:
    """The exit code of a Job; its answer stands in the termination log."""
    try:
        order = ReportOrder.model_validate_json(environment.get(jobs.REPORT, ""))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        answer = ReportResult(key="", message=f"{jobs.REPORT}: {place}: {first['msg']}"[:1024])
    else:
        answer = _made(order, environment, door or Door(), out)
    Path(environment.get(jobs.TERMINATION_LOG, jobs.TERMINATION_LOG_PATH)).write_text(encode(answer), encoding="utf-8")
    print(answer.message or f"{answer.uri}: {answer.pages} pages, {answer.bytes_} bytes", file=out)
    return DONE if answer.uri is not None else FAILED


def _made(order: ReportOrder, environment: Mapping[str, str], door: Door, out: TextIO) -> ReportResult:
    found = _evidence(order, environment, door, out)
    try:
        page = html(order, found)
        drawn = pdf(page)
        # The PDF last: whoever finds it finds the page, too.
        store(door, environment, order.uri.removesuffix(".pdf") + ".html", page.encode(), "text/html; charset=utf-8")
        store(door, environment, order.uri, drawn.content, "application/pdf")
    except (TooLargeError, UnreachableError, ValueError) as error:
        return ReportResult(key=order.key, message=str(error)[:1024])
    return ReportResult(key=order.key, uri=order.uri, sha256=drawn.sha256, bytes_=len(drawn.content), pages=drawn.pages)


def _evidence(order: ReportOrder, environment: Mapping[str, str], door: Door, out: TextIO) -> Measured | None:
    """The measurement with all its columns; without the collector what the status holds of it, if it is that one."""
    if not order.evidence:
        return None
    try:
        found = measured.of_record(measurements(door, environment, order.namespace, order.model), order.evidence)
    except UnreachableError as error:
        print(f"without every column: {error}", file=out)
        found = None
    last = order.measurement
    if found is not None or last is None or last.key != order.evidence:
        return found
    return measured.of_status(last)
