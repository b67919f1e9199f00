"""Batches of events on disk, oldest first, in files of a bounded size in all.

A file is named by the number of its first batch, so that their names are their order, also for a
process that comes after this one. Files are only appended to and removed whole: when all of one is
delivered, or when it is the oldest and there is no room. Nothing is synced: the directory outlives the
process, not the node. One thread at a time; the backlog sees to that.
"""

from __future__ import annotations

import os
from bisect import insort
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

SUFFIX = ".ndjson"
FILES = 16
"""Into how many files the limit is divided: that share of it is lost at once when there is no room."""


@dataclass(eq=False)
class File:
    """One file: batches from `sequence` to `last`, of which the bytes up to `offset` are delivered."""

    sequence: int
    last: int
    size: int
    events: int
    offset: int = 0


class Chunk(NamedTuple):
    """Whole lines from one file, up to `end`."""

    file: File
    end: int
    body: bytes
    events: int


class Spill:
    """The files in one directory, which is made if need be."""

    def __init__(self, directory: Path, limit: int) -> None:
        self._directory = directory
        self._limit = limit
        self._files: list[File] = []
        self.bytes = 0
        directory.mkdir(parents=True, exist_ok=True)

    def load(self) -> int:
        """Takes over what an earlier process left; answers how many lines it did not finish."""
        torn = 0
        for path in sorted(self._directory.glob(f"*{SUFFIX}")):
            if not path.stem.isdigit():
                continue
            content = path.read_bytes()
            whole = content.rfind(b"\n") + 1
            if whole < len(content):
                torn += 1
                os.truncate(path, whole)
            if whole:
                sequence = int(path.stem)
                self._files.append(File(sequence, sequence, whole, content.count(b"\n")))
                self.bytes += whole
            else:
                path.unlink()
        return torn

    @property
    def empty(self) -> bool:
        return not self._files

    @property
    def events(self) -> int:
        return sum(file.events for file in self._files)

    @property
    def last(self) -> int:
        return max((file.last for file in self._files), default=0)

    def holds(self, file: File) -> bool:
        return file in self._files

    def write(self, sequence: int, body: bytes, events: int) -> None:
        """Keeps a batch in its place; raises OSError and changes nothing if the disk does not take it."""
        tail = self._files[-1] if self._files else None
        if tail is None or sequence < tail.last or tail.size + len(body) > self._limit // FILES:
            tail = File(sequence, sequence, 0, 0)
        self._append(self._path(tail), tail.size, body)
        if not tail.size:
            insort(self._files, tail, key=attrgetter("sequence"))
        tail.last = sequence
        tail.size += len(body)
        tail.events += events
        self.bytes += len(body)

    def drop_oldest(self) -> File | None:
        """Removes the oldest file if all together are over the limit."""
        if self.bytes <= self._limit:
            return None
        oldest = self._files[0]
        self._remove(oldest)
        return oldest

    def read(self, limit: int) -> Chunk | None:
        """The oldest lines: about `limit` bytes, the last line whole; raises OSError."""
        if not self._files:
            return None
        file = self._files[0]
        with self._path(file).open("rb") as content:
            content.seek(file.offset)
            body = content.read(min(limit, file.size - file.offset))
            if not body.endswith(b"\n"):
                body += content.readline()
        if not body.endswith(b"\n"):
            raise OSError(f"{self._path(file).name} is shorter than it was")
        return Chunk(file, file.offset + len(body), body, body.count(b"\n"))

    def delivered(self, chunk: Chunk) -> None:
        file = chunk.file
        if self.holds(file):
            file.offset = chunk.end
            file.events -= chunk.events
            if file.offset >= file.size:
                self._remove(file)

    def give_up(self) -> int:
        """Removes the oldest file, which cannot be read; answers how many events it held."""
        oldest = self._files[0]
        self._remove(oldest)
        return oldest.events

    def _remove(self, file: File) -> None:
        self._files.remove(file)
        self.bytes -= file.size
        self._path(file).unlink(missing_ok=True)

    def _path(self, file: File) -> Path:
        return self._directory / f"{file.sequence:020d}{SUFFIX}"

    @staticmethod
    def _append(path: Path, size: int, body: bytes) -> None:
        with path.open("ab", buffering=0) as output:
            try:
                rest = memoryview(body)
                while rest:
                    rest = rest[output.write(rest) :]
            except OSError:
                output.truncate(size)
                raise
