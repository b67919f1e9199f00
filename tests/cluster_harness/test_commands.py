"""The command line: what is said and done when a command fails."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import pytest

from refit_cluster import __main__, engine
from refit_cluster.places import Places
from refit_cluster.process import Remembered
from refit_cluster.shell import HarnessError

NOBODY = 2**22 + 1
"""Above the greatest pid a Linux kernel gives."""


def call(root: Path) -> __main__.Call:
    return __main__.Call(argparse.Namespace(), Places.from_env({"REFIT_CACHE": str(root)}), root)


class Failing:
    """A command that fails so many times before it succeeds."""

    def __init__(self, times: int) -> None:
        self.left = times
        self.begun = 0

    def __call__(self, _: __main__.Call) -> None:
        self.begun += 1
        if self.left:
            self.left -= 1
            raise HarnessError("connection reset by peer")


def test_a_command_is_repeated_when_our_engine_was_ended_beneath_it(tmp_path: Path) -> None:
    here, command = call(tmp_path), Failing(1)
    starts: list[__main__.Call] = []
    Remembered(NOBODY, "/usr/sbin/dockerd").write(engine.pid_file(here.places))
    __main__.carry_out(command, here, starts.append)
    assert (command.begun, starts) == (2, [here])


@pytest.mark.parametrize(
    ("pid", "failures", "begun"),
    [
        pytest.param(None, 1, 1, id="no engine of ours was started: it failed of something else"),
        pytest.param(os.getpid(), 1, 1, id="our engine still runs: it failed of something else"),
        pytest.param(NOBODY, 2, 2, id="it fails again: once is enough"),
    ],
)
def test_a_failure_is_told(tmp_path: Path, pid: int | None, failures: int, begun: int) -> None:
    here, command = call(tmp_path), Failing(failures)
    if pid:
        program = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode() if pid != NOBODY else "dockerd"
        Remembered(pid, program).write(engine.pid_file(here.places))
    with pytest.raises(HarnessError, match="connection reset by peer"):
        __main__.carry_out(command, here, lambda _: None)
    assert command.begun == begun
