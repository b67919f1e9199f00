"""`audit`: the operator's own record, as rows to read, a bundle to take away, and a verification that does not take its
word for it.

The rows come through the API server, with a token for the audit alone; who may not ask for one brings a bundle.
"""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refit.api import meta
from refit.api.audits import (
    ACCOUNT,
    AUDIENCE,
    CHECKPOINT_PATH,
    LINES_PATH,
    MOST,
    ROWS_PATH,
    VERIFY_PATH,
)
from refit.api.events import PROXIED_HEADER
from refit.cli import bundle
from refit.cli.services import CONFIG_MAP, AwayError, Service
from refit.cli.session import DONE, MISUSE, PROBLEM, Result, Session, StopError
from refit.cli.terminal import table
from refit.kube.answers import RefusalError

OPERATOR = "http://refit-operator.{system}.svc:8080"
TOKEN_SECONDS = 600
HEADS = ("ROW", "TIME", "KIND", "MODEL", "ACTION", "REQUEST", "TRIGGER", "ACTOR", "APPROVERS", "RESULT")


async def audit(session: Session, given: Namespace) -> Result:
    """What the second word says."""
    if given.what == "list":
        return await _listed(session, given)
    if given.what == "export":
        return await _exported(session, given)
    return await _verified(session, given)


@dataclass(frozen=True, kw_only=True)
class _Door:
    """The operator's door to the audit, and a token for it."""

    session: Session
    service: Service
    token: str

    async def get(self, path: str, **query: str) -> bytes:
        """Raises StopError that says why not."""
        header = {"Authorization" if self.service.direct else PROXIED_HEADER: f"Bearer {self.token}"}
        try:
            answer = await self.service.get(self.session.person, path, header, **query)
        except AwayError as error:
            raise StopError(str(error)) from error
        if not answer.ok:
            said = answer.json()
            told = said.get("error") if isinstance(said, dict) else None
            raise StopError(f"the operator answered {answer.code}: {told or answer.message}")
        return answer.body

    async def data(self, path: str, **query: str) -> dict[str, Any]:
        found = json.loads(await self.get(path, **query))
        if not isinstance(found, dict):
            raise StopError(f"the operator's answer at {path} is none of the audit's")
        return found

    async def lines(self, after: int, until: int) -> AsyncIterator[bytes]:
        """The lines of the rows in between, both ends' own included but for the first."""
        while after < until:
            found = await self.get(LINES_PATH, after=str(after), limit=str(min(MOST, until - after)))
            some = found.splitlines(keepends=True)
            for line in some:
                yield line
            if not some:
                return
            after += len(some)


async def _door(session: Session, given: Namespace) -> _Door:
    direct = bool(given.operator_url)
    url = given.operator_url or OPERATOR.format(system=session.system)
    token = bundle.text_of(given.token_file, "--token-file").strip() if given.token_file else await _token(session)
    return _Door(session=session, service=Service(name="the operator", url=url, direct=direct), token=token)


async def _token(session: Session) -> str:
    try:
        return await session.person.token(session.system, ACCOUNT, AUDIENCE, TOKEN_SECONDS)
    except RefusalError as error:
        raise StopError(
            f"no token for the audit: {error}; it takes ClusterRole refit-auditor, bound in {session.system}, "
            "or --token-file"
        ) from error


async def _listed(session: Session, given: Namespace) -> Result:
    filters = {name: getattr(given, name) for name in ("model", "kind", "trigger", "actor", "trace", "since")}
    if not session.everywhere:
        filters["namespace"] = session.namespace
    door = await _door(session, given)
    asked = {name: str(value) for name, value in filters.items() if value}
    found = (await door.data(ROWS_PATH, limit=str(given.limit), **asked))["rows"]
    if not found:
        where = "in all namespaces" if session.everywhere else f"in namespace {session.namespace}"
        return Result(text=f"no row of the audit {where} fits", data=[])
    data = [{**row, "content": _content(row)} for row in found]
    text = table(HEADS, [_cells(row) for row in data], coloured=session.terminal.colours)
    return Result(text=text, data=data)


def _content(row: Mapping[str, Any]) -> dict[str, Any]:
    found = json.loads(row["content"])
    return found if isinstance(found, dict) else {}


def _cells(row: Mapping[str, Any]) -> tuple[object, ...]:
    content = row["content"]
    model = f"{row['namespace']}/{row['model']}" if row["model"] else content.get("model", "-")
    return (
        row["sequence"],
        row["time"],
        row["kind"],
        model,
        content.get("action", "-"),
        content.get("request", "-"),
        row["trigger_type"] or (content.get("trigger") or {}).get("type", "-"),
        row["actor"] or content.get("actor", "-"),
        ", ".join(map(str, content.get("approvers") or ())) or "-",
        (content.get("outcome") or {}).get("result", "-"),
    )


async def _exported(session: Session, given: Namespace) -> Result:
    if not given.file:
        raise StopError("audit export needs --file: a bundle *.tar, or *.csv", MISUSE)
    door = await _door(session, given)
    told = await door.data(CHECKPOINT_PATH)
    base, checkpoint = told["base"], told["checkpoint"]
    after = base["sequence"] if base else 0
    lines = [line async for line in door.lines(after, checkpoint["sequence"])]
    path = Path(given.file)
    bundle.written(path, lines, checkpoint, base)
    text = f"{len(lines)} rows, up to {checkpoint['sequence']}, are in {path}"
    if path.suffix != ".csv":
        text += f"\nverify it anywhere: kubectl refit verify {path} --checkpoint FILE"
    return Result(text=text, data={"rows": len(lines), "file": str(path), "checkpoint": checkpoint})


async def _verified(session: Session, given: Namespace) -> Result:
    """The operator's word on macs, and our own on hashes and checkpoints: those of the cluster, and those given."""
    door = await _door(session, given)
    outside = bundle.checkpoints_in(given.checkpoint)
    kept = await session.person.get(CONFIG_MAP, session.system, meta.AUDIT_CHECKPOINT)
    if kept is not None:
        outside = [*outside, *bundle.checkpoints_of(json.dumps(kept), meta.AUDIT_CHECKPOINT)]
    said = await door.data(VERIFY_PATH)
    told = await door.data(CHECKPOINT_PATH)
    base, checkpoint = told["base"], told["checkpoint"]
    lines = [line async for line in door.lines(base["sequence"] if base else 0, checkpoint["sequence"])]
    ours = bundle.judged(lines, checkpoint, base, outside)
    disagreed = bundle.compared(lines, given.api_log, _operator(session)) if given.api_log else None
    good = bool(said["ok"]) and ours.ok and not disagreed
    macs = (
        "the operator: every mac was made with its key" if said["ok"] else f"the operator: {said['problem']['message']}"
    )
    parts = [f"here: {bundle.told(ours)}", macs]
    if not outside:
        parts.append(f"no checkpoint was given, and ConfigMap {session.system}/{meta.AUDIT_CHECKPOINT} is not there")
    if disagreed is not None:
        parts += bundle.told_disagreements(disagreed)
    data = {"here": ours.wire(), "operator": said, "disagreements": disagreed}
    return Result(text="\n".join(parts), data=data, code=DONE if good else PROBLEM)


def _operator(session: Session) -> str:
    return f"system:serviceaccount:{session.system}:refit-operator"
