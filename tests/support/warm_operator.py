"""The real operator as a process, begun from one that has imported it already: many deaths cost no many imports."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Mapping
from multiprocessing.context import ForkServerProcess
from pathlib import Path


def _run(environment: Mapping[str, str], log: str) -> None:
    """What `python -m refit` does, with that environment."""
    os.environ.update(environment)
    with Path(log).open("ab") as out:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
    from refit.__main__ import main  # noqa: PLC0415  # it is imported before; only the settings are read now

    sys.exit(main())


class WarmOperator:
    """One operator at a time, with the settings in `environment`."""

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self.environment = dict(environment)
        self._log = log
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["refit.__main__"])
        self._process: ForkServerProcess | None = None

    @property
    def lives(self) -> bool:
        return self._process is not None and self._process.is_alive()

    def start(self) -> None:
        """Begins one, unless there is one."""
        if not self.lives:
            self._process = self._context.Process(target=_run, args=(self.environment, str(self._log)))
            self._process.start()

    def kill(self) -> None:
        """SIGKILL, and nothing before it."""
        if self._process is not None:
            self._process.kill()
