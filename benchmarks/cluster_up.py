"""The cluster from nothing running to KServe ready, with everything built before. It ends the cluster that runs.

python benchmarks/cluster_up.py [--json out.json]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from figures import Figure, tell

ROOT = Path(__file__).resolve().parents[1]


def run() -> list[dict[str, Any]]:
    """One record per figure."""
    _harness("down")
    warm, again = _harness("up"), _harness("up")
    figures = [
        Figure(
            what="cluster-up, warm: engine, registry, kind, KServe ready",
            value=warm,
            unit="s",
            compared_with="cluster-up with nothing to do",
            ratio=warm / again,
            at_most=60,
        ),
        Figure(what="cluster-up with nothing to do", value=again, unit="s"),
    ]
    return [figure.record() for figure in figures]


def _harness(command: str) -> float:
    environment = os.environ | {"PYTHONPATH": str(ROOT / "cluster")}
    begun = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "refit_cluster", command], env=environment, check=True, stdout=subprocess.DEVNULL
    )
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="file for the records")
    given = parser.parse_args()
    tell(run(), given.json)


if __name__ == "__main__":
    main()
