"""Bundles: rows in a tar with all that it takes to verify them elsewhere: no database, no cluster, no Refit that runs.

`rows.tsv` has a row a line. `checkpoint.json` is of its last row; `base.json`, where rows before it were archived, of the
row before its first.
"""

from __future__ import annotations

import io
import json
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from refit.audit import checkpoints
from refit.audit.checkpoints import Checkpoint
from refit.audit.rows import LedgerError, Line
from refit.audit.verification import Problem, Report, Start, Walk, verify

ROWS, CHECKPOINT, BASE = "rows.tsv", checkpoints.DATA, "base.json"
LONGEST = 16 * 1024 * 1024
"""Bytes of a line: what is longer is no row of ours."""
BLOCK = 256 * 1024
"""Bytes that are read at once."""
LEAST = 4 * 1024 * 1024
"""Bytes of rows for which it is worth to begin another process."""
SMALL = 64 * 1024
"""Bytes of a checkpoint: what is longer is none."""


@dataclass(frozen=True)
class Stretch:
    """Some bytes of a file, which are whole lines; the first of them is of the row before, unless there is none."""

    path: Path
    begin: int
    end: int
    first: bool = True

    def lines(self) -> Iterator[Line]:
        with self.path.open("rb") as file:
            file.seek(self.begin)
            yield from _lines(file, self.end - self.begin)

    def divided(self, count: int, least: int = LEAST) -> Sequence[Stretch]:
        """Up to so many of about equal size. Each ends with the line that the next one begins with."""
        found: list[Stretch] = []
        begin, count = self.begin, min(count, (self.end - self.begin) // least)
        with self.path.open("rb") as file:
            for number in range(1, count):
                file.seek(self.begin + (self.end - self.begin) * number // count)
                file.readline(LONGEST)
                seam = file.tell()
                file.readline(LONGEST)
                if file.tell() >= self.end:
                    break
                found.append(replace(self, begin=begin, end=file.tell(), first=not found))
                begin = seam
        return [*found, replace(self, begin=begin, first=not found)]


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """An open one. Its lines can be read once."""

    checkpoint: Checkpoint
    base: Checkpoint | None
    lines: Iterator[Line]
    stretch: Stretch | None = None
    """Where they stand in the file, if it is not packed."""


def write(path: Path, lines: Iterable[bytes], checkpoint: Checkpoint, base: Checkpoint | None) -> None:
    """Equal rows make an equal file. It is there when it is whole; raises OSError, also if it is there already."""
    part = path.with_name(f".{path.name}.part")
    with part.open("xb") as file:
        try:
            _fill(file, lines, checkpoint, base)
        except BaseException:
            part.unlink()
            raise
    try:
        path.hardlink_to(part)  # which, unlike a rename, puts nothing in the place of another file
    finally:
        part.unlink()


def _fill(file: IO[bytes], lines: Iterable[bytes], checkpoint: Checkpoint, base: Checkpoint | None) -> None:
    with tempfile.TemporaryFile(dir=Path(file.name).parent) as rows, tarfile.open(fileobj=file, mode="w") as tar:
        for line in lines:
            rows.write(line)
        _add(tar, CHECKPOINT, checkpoint.text().encode())
        if base is not None:
            _add(tar, BASE, base.text().encode())
        member = tarfile.TarInfo(ROWS)
        member.size = rows.tell()
        rows.seek(0)
        tar.addfile(member, rows)


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


@contextmanager
def opened(path: Path) -> Iterator[Bundle]:
    """A bundle to read; nothing of it is unpacked. Raises LedgerError if it is none."""
    try:
        with path.open("rb") as file, tarfile.open(fileobj=file, mode="r:*") as tar:
            checkpoint = _checkpoint(tar, CHECKPOINT)
            rows = _member(tar, ROWS)
            if checkpoint is None or rows is None:
                raise LedgerError(f"{path} is no bundle of the audit: it needs {CHECKPOINT} and {ROWS}")
            member = tar.getmember(ROWS)
            begin, end = member.offset_data, member.offset_data + member.size
            as_it_is = tar.fileobj is file and not member.issparse()
            yield Bundle(
                checkpoint=checkpoint,
                base=_checkpoint(tar, BASE),
                lines=_lines(rows, end - begin),
                stretch=Stretch(path, begin, end) if as_it_is else None,
            )
    except (tarfile.TarError, EOFError, OSError) as error:
        raise LedgerError(f"{path} can not be read as a bundle: {error}") from error


def _member(tar: tarfile.TarFile, name: str) -> IO[bytes] | None:
    """Nothing in place of a link: what is verified is what stands there."""
    try:
        found = tar.getmember(name)
    except KeyError:
        return None
    return tar.extractfile(found) if found.isreg() else None


def _checkpoint(tar: tarfile.TarFile, name: str) -> Checkpoint | None:
    file = _member(tar, name)
    if file is None:
        return None
    try:
        return checkpoints.parse(json.loads(file.read(SMALL)))
    except ValueError as error:
        raise LedgerError(f"{name} of the bundle is no JSON") from error


def _lines(file: IO[bytes], size: int) -> Iterator[Line]:
    """The lines in so many bytes, each without its end; nothing in place of one that has none."""
    rest = b""
    while size:
        block = file.read(min(BLOCK, size))
        if not block:
            raise EOFError("it ends within its rows")
        size -= len(block)
        *whole, rest = (rest + block).split(b"\n")
        yield from whole
        if len(rest) > LONGEST:
            break
    if rest:
        yield None


def judged(
    bundle: Bundle,
    outside: Sequence[Checkpoint],
    *,
    secrets: Mapping[str, bytes] | None = None,
    part: bool = False,
    walk: Walk | None = None,
) -> Report:
    """A bundle against checkpoints that somebody kept elsewhere.

    What the bundle itself says of its end counts only if the same key signed it. With `part`, rows behind it may be
    elsewhere; else a checkpoint of a later row means that rows are missing.
    """
    own, base = bundle.checkpoint, bundle.base
    known = [one for one in outside if not part or one.sequence <= own.sequence]
    trusted = {one.public_key for one in outside}
    anchors = [*known, own] if own.public_key in trusted or secrets is not None else known
    start = Start(sequence=base.sequence, head=base.head) if base is not None else Start()
    report = verify(bundle.lines, secrets=secrets, checkpoints=anchors, start=start, walk=walk)
    if report.ok and base is not None and not _is_proven(base, known, trusted, secrets):
        wrong = f"the bundle begins behind row {base.sequence}, and no checkpoint proves what that was"
        report = replace(report, problem=Problem(sequence=base.sequence, message=wrong))
    return report


def _is_proven(
    base: Checkpoint, known: Sequence[Checkpoint], trusted: set[str], secrets: Mapping[str, bytes] | None
) -> bool:
    """A later checkpoint that fits covers all before it; else the base must bear a signature that is known."""
    if any(one.sequence >= base.sequence for one in known):
        return True
    return (base.public_key in trusted or secrets is not None) and not checkpoints.problem_of(base, secrets)
