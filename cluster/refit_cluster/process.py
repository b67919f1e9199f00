"""Processes the harness started: remembered in pid files, ended by pid, never by name.

A pid alone may belong to somebody else after a reboot, so the file also keeps the program's path and a pid counts
only while /proc says that it still runs that program.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Remembered:
    """What a pid file says."""

    pid: int
    program: str

    @classmethod
    def read(cls, path: Path) -> Remembered | None:
        try:
            pid, _, program = path.read_text().strip().partition(" ")
            return cls(int(pid), program)
        except (OSError, ValueError):
            return None

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{self.pid} {self.program}\n")

    def is_alive(self, proc: Path = Path("/proc")) -> bool:
        try:
            command = (proc / str(self.pid) / "cmdline").read_bytes().split(b"\0")
            state = (proc / str(self.pid) / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return False
        return state != "Z" and self.program.encode() in command


def start(args: Sequence[str | Path], *, pid_file: Path, log: Path, env: Mapping[str, str] | None = None) -> Remembered:
    """Starts a daemon of our own that outlives this command, in its own session, with its output in a log."""
    whole = [str(arg) for arg in args]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        begun = subprocess.Popen(
            whole,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            env={**os.environ, **(env or {})},
        )
    remembered = Remembered(begun.pid, whole[0])
    remembered.write(pid_file)
    # For a moment after exec the kernel shows no command line, and a process without one counts as somebody else's.
    end = time.monotonic() + 5
    while begun.poll() is None and not remembered.is_alive() and time.monotonic() < end:
        time.sleep(0.001)
    return remembered


def stop(pid_file: Path, *, within: float = 20) -> bool:
    """Ends what the pid file names, if it still runs; False when there was nothing to end."""
    remembered = Remembered.read(pid_file)
    alive = remembered is not None and remembered.is_alive()
    if remembered is not None and alive:
        os.kill(remembered.pid, signal.SIGTERM)
        end = time.monotonic() + within
        while remembered.is_alive() and time.monotonic() < end:
            time.sleep(0.1)
        if remembered.is_alive():
            os.kill(remembered.pid, signal.SIGKILL)
    pid_file.unlink(missing_ok=True)
    return alive
