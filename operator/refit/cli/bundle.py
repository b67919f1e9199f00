"""`verify`: a bundle of the audit, against checkpoints that somebody kept. It asks nobody: no cluster, no database."""

from __future__ import annotations

import csv
from argparse import Namespace
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from refit.audit import agreement, bundles, checkpoints, keys, verification
from refit.audit.checkpoints import Checkpoint
from refit.audit.parts import on_all_processors
from refit.audit.rows import COLUMNS, LedgerError, Line, row_of_line
from refit.audit.verification import Report
from refit.cli.session import DONE, MISUSE, PROBLEM, Result, StopError, system_namespace

INERT = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")
"""What a cell begins with that a spreadsheet takes for a formula, or for a command."""
OWN = "\ufeff"
told = verification.told


def verify(given: Namespace) -> Result:
    """Exit code 1, and the first bad row, if it is not what the checkpoints saw."""
    path = Path(given.bundle)
    outside = checkpoints_in(given.checkpoint)
    if not outside:
        raise StopError(
            "verify needs --checkpoint: one that was kept elsewhere, as a file, a line of the operator's log, or "
            "`kubectl get configmap refit-audit-checkpoint -o json`",
            MISUSE,
        )
    try:
        secrets = keys.read(Path(given.keys)).secrets if given.keys else None
        with bundles.opened(path) as found:
            walk = on_all_processors(found.stretch.divided) if found.stretch is not None else None
            report = bundles.judged(found, outside, secrets=secrets, part=given.part, walk=walk)
        disagreed = None
        if given.api_log:
            with bundles.opened(path) as found:
                operator = f"system:serviceaccount:{system_namespace(given.system_namespace)}:refit-operator"
                disagreed = compared(found.lines, given.api_log, operator)
    except LedgerError as error:
        raise StopError(str(error)) from error
    parts = [told(report), *(told_disagreements(disagreed) if disagreed is not None else ())]
    good = report.ok and not disagreed
    data = {**report.wire(), "disagreements": disagreed}
    return Result(text="\n".join(parts), data=data, code=DONE if good else PROBLEM)


def checkpoints_in(paths: Iterable[str]) -> list[Checkpoint]:
    """All checkpoints in these files; raises StopError."""
    return [one for path in paths for one in checkpoints_of(text_of(path, "--checkpoint"), path)]


def checkpoints_of(text: str, where: str) -> list[Checkpoint]:
    try:
        return checkpoints.found_in(text)
    except LedgerError as error:
        raise StopError(f"{where}: {error}") from error


def text_of(path: str, option: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StopError(f"{option} {path}: {error}") from error


def judged(lines: Sequence[bytes], checkpoint: Any, base: Any, outside: Sequence[Checkpoint]) -> Report:
    """Rows that the operator gave, with what it said of their end."""
    try:
        own = checkpoints.parse(checkpoint)
        begun = checkpoints.parse(base) if base is not None else None
    except LedgerError as error:
        raise StopError(f"the operator's answer: {error}") from error
    stripped = (line.removesuffix(b"\n") for line in lines)
    return bundles.judged(bundles.Bundle(checkpoint=own, base=begun, lines=stripped), outside)


def written(path: Path, lines: Sequence[bytes], checkpoint: Any, base: Any) -> None:
    """A bundle, or a table for a spreadsheet; no file is overwritten. Raises StopError."""
    try:
        own = checkpoints.parse(checkpoint)
        begun = checkpoints.parse(base) if base is not None else None
        if path.suffix == ".csv":
            _table(path, lines)
        else:
            bundles.write(path, lines, own, begun)
    except (LedgerError, OSError) as error:
        raise StopError(f"{path} was not written: {error}") from error


def _table(path: Path, lines: Sequence[bytes]) -> None:
    with path.open("x", encoding="utf-8", newline="") as file:
        out = csv.writer(file, quoting=csv.QUOTE_ALL)
        out.writerow(COLUMNS)
        for line in lines:
            out.writerow([inert(cell) for cell in line.removesuffix(b"\n").decode(errors="replace").split("\t")])


def inert(cell: str) -> str:
    """Text that a spreadsheet shows and does not compute."""
    return f"'{cell}" if cell.lstrip(f" {OWN}").startswith(INERT) else cell


def compared(lines: Iterable[Line], logs: Sequence[str], operator: str) -> list[dict[str, Any]]:
    """What the rows and the API server's audit log do not both say; raises StopError."""
    try:
        with ExitStack() as stack:
            files = [stack.enter_context(Path(path).open(encoding="utf-8", errors="replace")) for path in logs]
            logged = [event for file in files for event in agreement.events(file)]
        rows = [row_of_line((line or b"").removesuffix(b"\n")) for line in lines]
    except (OSError, LedgerError) as error:
        raise StopError(str(error)) from error
    return [vars(one) for one in agreement.disagreements(rows, logged, operator)]


def told_disagreements(found: Sequence[dict[str, Any]]) -> list[str]:
    if not found:
        return ["the API server's audit log and the rows agree"]
    return [
        f"row {one['sequence']}: {one['message']}" if one["sequence"] else f"no row: {one['message']}" for one in found
    ]
