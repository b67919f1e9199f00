"""Reports: how long a process takes from an order to a PDF of five pages, and how much memory, beside Chromium.

    python benchmarks/report.py [--times 5]

Bytecode is compiled before anything is timed, as it is in the image: to compile WeasyPrint anew takes two seconds.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from figures import Figure, table

ROOT = Path(__file__).resolve().parents[1]
SUPPORT = ROOT / "tests" / "support"
TIMES = 5
SECONDS, MIB = 2.0, 300.0
MAKE = """
import sys
sys.path.insert(0, sys.argv[1])
from refit.api.reports import ReportKind
from refit.report.document import pdf
from refit.report.pages import html
from reported import hostile, hostile_measured
page = html(hostile(ReportKind.INCIDENT), hostile_measured())
drawn = pdf(page)
open(sys.argv[2], "wb").write(drawn.content)
open(sys.argv[3], "w").write(page)
print(drawn.pages)
"""
EMPTY = """
import sys
from refit.report.document import pdf
open(sys.argv[1], "wb").write(pdf("<html lang=en><title>x</title><p>x</p></html>").content)
"""


@dataclass(frozen=True, kw_only=True)
class Took:
    """Of one process: seconds, seconds of processor, and MiB at its largest (of Chromium, its main process)."""

    seconds: float
    cpu: float
    mib: float


def took(*command: str, environment: Mapping[str, str]) -> Took:
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return Took(seconds=time.perf_counter() - began, cpu=usage.ru_utime + usage.ru_stime, mib=usage.ru_maxrss / 1024)


def compiled(folder: Path) -> dict[str, str]:
    """The environment of processes that keep their bytecode in this folder, whatever ours says."""
    return {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(folder)}


def middle(found: list[Took]) -> Took:
    return Took(
        seconds=statistics.median(each.seconds for each in found),
        cpu=statistics.median(each.cpu for each in found),
        mib=max(each.mib for each in found),
    )


def figures(times: int = TIMES) -> list[Figure]:
    """Ours, an empty page, and the same page printed by Chromium where that is installed; in turns."""
    chromium = shutil.which("chromium")
    with tempfile.TemporaryDirectory(prefix="refit-report-") as name:
        folder = Path(name)
        ours, page, theirs = (str(folder / file) for file in ("ours.pdf", "page.html", "theirs.pdf"))
        make = (sys.executable, "-c", MAKE, str(SUPPORT), ours, page)
        within = compiled(folder / "bytecode")
        pages = int(subprocess.run(make, capture_output=True, text=True, check=True, env=within).stdout)
        headless = ("--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}")
        drawn: list[Took] = []
        empty: list[Took] = []
        printed: list[Took] = []
        for _ in range(times):
            drawn.append(took(*make, environment=within))
            empty.append(took(sys.executable, "-c", EMPTY, str(folder / "empty.pdf"), environment=within))
            if chromium:
                printed.append(
                    took(chromium, *headless, f"--print-to-pdf={theirs}", f"file://{page}", environment=within)
                )
        size = Path(ours).stat().st_size / 1024
        other_size = Path(theirs).stat().st_size / 1024 if chromium else 0.0
    return _figures(pages, middle(drawn), middle(empty), middle(printed) if printed else None, size, other_size)


def _figures(pages: int, ours: Took, empty: Took, theirs: Took | None, size: float, other_size: float) -> list[Figure]:
    what = f"report of {pages} pages, a process of its own"
    beside, other = ("Chromium", theirs) if theirs is not None else ("WeasyPrint, an empty page", empty)
    return [
        Figure(
            what=f"{what}: whole time",
            value=ours.seconds,
            unit="s",
            compared_with=f"{beside} ({other.seconds:.2f} s)",
            ratio=ours.seconds / other.seconds,
            at_most=SECONDS,
        ),
        Figure(
            what=f"{what}: of the processor",
            value=ours.cpu,
            unit="s",
            compared_with=f"an empty page ({empty.cpu:.2f} s)",
            ratio=ours.cpu / empty.cpu,
        ),
        Figure(
            what=f"{what}: memory at most",
            value=ours.mib,
            unit="MiB",
            compared_with=f"{beside} ({other.mib:.0f} MiB)",
            ratio=ours.mib / other.mib,
            at_most=MIB,
        ),
        Figure(
            what=f"{what}: size, tagged and with its fonts",
            value=size,
            unit="KiB",
            compared_with=f"Chromium ({other_size:.0f} KiB)" if other_size else "",
            ratio=size / other_size if other_size else None,
            at_most=2048,
        ),
    ]


def run() -> list[dict[str, Any]]:
    """The records, for benchmarks/run.py."""
    return [figure.record() for figure in figures()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=TIMES)
    print(table(figure.record() for figure in figures(parser.parse_args().times)))


if __name__ == "__main__":
    main()
