"""`history` and `diff`: the versions of a model, and what differs between two of them or would by a request."""

from __future__ import annotations

from argparse import Namespace

from refit.api.deploymentstatus import VersionRecord
from refit.api.differences import Difference, between, differences
from refit.api.objects import Model, Request
from refit.api.remediationrequest import Decision
from refit.api.summaries import action, decisions, short
from refit.cli.services import AwayError, mlflow_run, parameters
from refit.cli.session import MISUSE, Result, Session, StopError
from refit.cli.terminal import printable, table
from refit.kube.cluster import ClusterError

TWO = 2


async def history(session: Session, given: Namespace) -> Result:
    model = await session.model(given.name)
    records = sorted(model.status.history, key=lambda record: -record.version)
    if not records:
        return Result(text=f"{model.name} has no version yet", data=[])
    requests = {one.name: one for one in await session.requests() if one.about(model)}
    heads = ("VERSION", "STATE", "METRIC", "ALGORITHM", "SINCE", "UNTIL", "WHY", "REQUEST", "APPROVED BY")
    rows = [
        (
            one.version,
            one.state,
            f"{one.metric} {short(one.value)}",
            one.algorithm,
            one.since or "-",
            one.until or "-",
            ": ".join(part for part in (one.reason, one.message) if part) or "-",
            one.request or "-",
            _approved(requests.get(one.request or "")),
        )
        for one in records
    ]
    return Result(
        text=table(heads, rows, coloured=session.terminal.colours), data=[record.wire() for record in records]
    )


def _approved(request: Request | None) -> str:
    """Who said yes to it and when; nothing of a request that is gone, or of what nobody had to ask for."""
    said = decisions(request.status) if request is not None else []
    yes = [f"{user} {seen}".rstrip() for user, entry, seen in said if entry.decision == Decision.APPROVED]
    return ", ".join(yes) or "-"


async def diff(session: Session, given: Namespace) -> Result:
    if not given.versions:
        return await _proposed(session, given.name)
    if len(given.versions) != TWO:
        raise StopError("diff takes two versions of a model, or a request alone", MISUSE)
    model = await session.model(given.name)
    first, second = (_record(model, number) for number in given.versions)
    found = differences(first, second)
    params, note = await _parameters(session, given.mlflow_url, first, second)
    found += params
    same = "" if found else f"versions {first.version} and {second.version} do not differ"
    heads = ("WHAT", f"VERSION {first.version}", f"VERSION {second.version}")
    text = "\n\n".join(part for part in (table(heads, found) if found else same, printable(note)) if part)
    data = {
        "versions": [first.version, second.version],
        "differences": [{"what": what, "from": before, "to": after} for what, before, after in found],
        "note": note,
    }
    return Result(text=text, data=data)


def _record(model: Model, number: int) -> VersionRecord:
    found = model.version(number)
    if found is None:
        there = ", ".join(str(one.version) for one in model.status.history) or "none"
        raise StopError(f"version {number} is not in the history of {model.name}; there are: {there}")
    return found


async def _parameters(
    session: Session, address: str | None, first: VersionRecord, second: VersionRecord
) -> tuple[list[Difference], str]:
    """The parameters of both runs, or why they are not known: that is no reason to tell nothing."""
    if first.run_id == second.run_id:
        return [], ""
    try:
        runs = [parameters(await mlflow_run(session, address, one.run_id)) for one in (first, second)]
    except (AwayError, ClusterError) as error:
        return [], f"parameters were not compared: {error}"
    return between(*runs), ""


async def _proposed(session: Session, name: str) -> Result:
    request = await session.find_request(name)
    if request is None:
        if await session.find_model(name) is not None:
            raise StopError(
                f"{name} is a model: name two of its versions, see `{session.command('history', name)}`", MISUSE
            )
        request = await session.request(name)
    proposal = request.status.proposal
    if proposal is None or not proposal.change:
        return Result(text=f"{request.name} ({action(request)}) would change nothing of the model", data=[])
    rows = [(change.what, change.before or "-", change.after or "-") for change in proposal.change]
    return Result(text=table(("WHAT", "NOW", "AFTER"), rows), data=[change.wire() for change in proposal.change])
