"""`report MODEL`: the PDF reports of a model; with --kind the newest of that kind as a file, its digest checked."""

from __future__ import annotations

import hashlib
from argparse import Namespace
from pathlib import Path

from refit.api.reports import Report, ReportKind, ReportPhase
from refit.api.times import age, moment
from refit.cli import calibration
from refit.cli.services import AwayError, mlflow_file
from refit.cli.session import Result, Session, StopError
from refit.cli.terminal import printable, table
from refit.kube.cluster import ClusterError

CALIBRATION = "calibration"
KINDS: dict[str, ReportKind] = {
    "deployment": ReportKind.DEPLOYMENT,
    "drift": ReportKind.DRIFT,
    "incident": ReportKind.INCIDENT,
    "approvals": ReportKind.APPROVAL,
}


async def report(session: Session, given: Namespace) -> Result:
    if given.what == CALIBRATION and given.kind is None:
        return await calibration.report(session, given)
    model = await session.model(given.what)
    known = sorted(model.status.reports or (), key=lambda one: moment(one.time), reverse=True)
    if given.kind is None:
        return Result(text=_listed(known, session), data=[one.wire() for one in known])
    stored = [one for one in known if one.kind == KINDS[given.kind] and one.phase == ReportPhase.STORED]
    if not stored:
        raise StopError(
            f"{model.name} has no stored report of kind {given.kind}; see {session.command('report', model.name)}"
        )
    return await _fetched(session, given, model.name, stored[0])


def _listed(known: list[Report], session: Session) -> str:
    if not known:
        return "no report yet"
    return table(
        ("KIND", "AGE", "PHASE", "PAGES", "ABOUT", "WHERE"),
        [
            (
                str(one.kind),
                age(one.time, session.now),
                str(one.phase),
                str(one.pages or "-"),
                one.about or "-",
                one.uri or one.message or "-",
            )
            for one in known
        ],
        coloured=session.terminal.colours,
    )


async def _fetched(session: Session, given: Namespace, model: str, newest: Report) -> Result:
    try:
        content = await mlflow_file(session, given.mlflow_url, newest.uri or "")
    except (AwayError, ClusterError) as error:
        raise StopError(f"the report was not read: {error}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != newest.sha256:
        raise StopError(f"what MLflow has is not what was stored: sha256:{found}, status says sha256:{newest.sha256}")
    file = _written(given.file or f"{model}-{given.kind}.pdf", content)
    told = f"{file}: {newest.kind} report of {newest.time}, {newest.pages} pages, {len(content)} bytes"
    return Result(text=printable(told), data={**newest.wire(), "file": str(file)})


def _written(name: str, content: bytes) -> Path:
    file = Path(name)
    try:
        file.write_bytes(content)
    except OSError as error:
        raise StopError(f"--file {printable(name)}: {error.strerror}") from error
    return file
