"""`trace`: from an inference id to the version that answered, its file, run and data, and whose word it rests on."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

from refit.api.deploymentstatus import VersionRecord
from refit.api.events import AUDIENCE
from refit.api.objects import Model, Request
from refit.api.summaries import action, decisions, short
from refit.api.times import moment, stamp
from refit.cli.services import AwayError, Service, mlflow_run, prediction, settings
from refit.cli.session import Result, Session, StopError
from refit.cli.terminal import pairs, printable
from refit.kube.answers import RefusalError
from refit.kube.cluster import ClusterError

TOKEN_SECONDS = 600
COLLECTOR = "http://refit-collector.{system}.svc:8080"


async def trace(session: Session, given: Namespace) -> Result:
    try:
        answered = await _answered(session, given)
    except AwayError as error:
        raise StopError(str(error)) from error
    if answered is None:
        raise StopError(
            f"the collector keeps no answer {printable(given.inference)!r} of namespace {session.namespace}: "
            "it was never logged, is older than retention, or is of another namespace (-n)"
        )
    if given.model is not None and given.model != answered["model"]:
        raise StopError(f"{printable(given.inference)} was answered by model {answered['model']}, not by {given.model}")
    model = await session.model(answered["model"])
    record = model.version(int(answered["version"]))
    request = await session.find_request(record.request) if record is not None and record.request else None
    run, note = await _run(session, given.mlflow_url, record)
    rows = chain(answered, model, record, request, run)
    text = pairs(rows, coloured=session.terminal.colours) + (f"\n\n{printable(note)}" if note else "")
    data = {
        "inference": answered,
        "version": record.wire() if record is not None else None,
        "request": request.manifest if request is not None else None,
        "run": run,
        "note": note,
    }
    return Result(text=text, data=data)


def chain(
    answered: dict[str, Any],
    model: Model,
    record: VersionRecord | None,
    request: Request | None,
    run: dict[str, Any] | None,
) -> list[tuple[str, object]]:
    """Every link as far as it is known; where one is missing it says so."""
    rows: list[tuple[str, object]] = [
        ("inference", answered["id"]),
        ("answered", f"{stamp(moment(answered['time']))}, {_rows(answered['rows'])}"),
        ("model", f"{model.namespace}/{model.name}"),
    ]
    if record is None:
        known = ", ".join(str(one.version) for one in model.status.history) or "none"
        return [*rows, ("version", f"{answered['version']}: no longer in the history, which has {known}")]
    served = f" from {record.since}{f' until {record.until}' if record.until else ''}" if record.since else ""
    rows += [
        ("version", f"{record.version}, {record.state}{served}"),
        ("artifact", f"sha256:{record.artifact.sha256}"),
        ("file", record.artifact.uri),
        ("run", f"{record.run_id}: {record.algorithm}, {record.metric} {short(record.value)}"),
        ("run's status", (run or {}).get("info", {}).get("status")),
        ("data", f"sha256:{record.data_sha256}"),
        ("spec", record.spec_hash),
        ("trained for", record.reason),
    ]
    if record.request is None:
        return [*rows, ("request", "none: it was trained as its spec asks, and needed no approval")]
    if request is None:
        return [*rows, ("request", f"{record.request}, which is no longer there")]
    rows.append(("request", f"{request.name}: {action(request)}, asked by {request.spec.requested_by}"))
    proposal = request.status.proposal
    rows.append(("proposal", proposal.digest if proposal is not None else None))
    for user, entry, seen in decisions(request.status):
        reason, when = f": {entry.reason}" if entry.reason else "", f", seen {seen}" if seen else ""
        rows.append((str(entry.decision).lower(), f"by {user} for {entry.proposal_digest}{when}{reason}"))
    if not request.status.approvals:
        automatic = proposal is not None and proposal.automatic
        rows.append(("approved", "by nobody: an automatic action" if automatic else "by nobody"))
    return rows


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count} rows"


async def _answered(session: Session, given: Namespace) -> Any:
    if given.collector_url:
        if not given.collector_token_file:
            raise AwayError("--collector-url needs --collector-token-file: a file with a token for the collector")
        collector = Service(name="the collector", url=given.collector_url, direct=True)
    else:
        told = (await _known(session)).get("REFIT_COLLECTOR_URL")
        collector = Service(name="the collector", url=told or COLLECTOR.format(system=session.system))
    token = _token_of(given.collector_token_file) if given.collector_token_file else await _token(session, given)
    return await prediction(session, collector, session.namespace, given.inference, token)


async def _known(session: Session) -> dict[str, str]:
    """The operator's settings; who may not read them gets the chart's own address."""
    try:
        return await settings(session)
    except RefusalError:
        return {}


def _token_of(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise AwayError(f"--collector-token-file {path}: {error}") from error


async def _token(session: Session, given: Namespace) -> str:
    """A token of the namespace's ServiceAccount that only the collector takes; it opens that namespace there."""
    try:
        return await session.person.token(session.namespace, given.service_account, AUDIENCE, TOKEN_SECONDS)
    except RefusalError as error:
        raise AwayError(
            f"no token for the collector: {error}; it takes the right to create serviceaccounts/token in "
            f"{session.namespace}, or --collector-token-file"
        ) from error


async def _run(
    session: Session, address: str | None, record: VersionRecord | None
) -> tuple[dict[str, Any] | None, str]:
    if record is None:
        return None, ""
    try:
        return await mlflow_run(session, address, record.run_id), ""
    except (AwayError, ClusterError) as error:
        return None, f"the run was not read: {error}"
