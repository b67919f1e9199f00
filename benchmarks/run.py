"""Every benchmark, one after the other: tables on the terminal, records in out/bench.json. `make bench` calls it.

python benchmarks/run.py [--cluster-up] [NAME ...]
"""

from __future__ import annotations

import argparse
import importlib
import json
from pathlib import Path
from typing import Any

from figures import Figure, table

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "out" / "bench.json"
NAMES = (
    "predictor",
    "request_log",
    "apply_to_url",
    "operator_scale",
    "intake",
    "monitor",
    "collector",
    "approval",
    "repair",
    "rollback",
    "promotion",
    "scaling",
    "page",
    "report",
    "audit",
)
"""Each is a module here with a function `run` that returns its records."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"those only, of {', '.join(NAMES)}")
    parser.add_argument(
        "--cluster-up", action="store_true", help="also the cluster itself, which ends the one that runs"
    )
    given = parser.parse_args()
    names = [*(given.names or NAMES), *(["cluster_up"] if given.cluster_up else [])]
    found: dict[str, list[dict[str, Any]]] = {}
    for name in names:
        module = importlib.import_module(name)
        print(f"\n{name}", flush=True)
        found[name] = _figures(name, module.run())
        OUT.parent.mkdir(exist_ok=True)
        OUT.write_text(json.dumps(found, indent=2) + "\n")
        print(table(found[name]), flush=True)
    print(f"\nall of it, as records: {OUT.relative_to(ROOT)}")


def _figures(name: str, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Records in the common form; the predictor's hold all pairs of servers, of which these are ours."""
    if name != "predictor":
        return records
    return [figure.record() for record in records if record["server"].startswith(name) for figure in _answers(record)]


def _answers(record: dict[str, Any]) -> list[Figure]:
    number = record["connections"]
    what = f"{record['server']}, one row, {number} connection{'s' if number > 1 else ''}"
    return [
        *(
            Figure(
                what=f"{what}: p50",
                value=record["p50_ms"],
                unit="ms",
                compared_with=other,
                ratio=record[f"p50_against_{key}"],
            )
            for key, other in (("sklearn", "FastAPI with scikit-learn"), ("onnxruntime", "FastAPI with ONNX Runtime"))
        ),
        Figure(what=f"{what}: p99", value=record["p99_ms"], unit="ms"),
        Figure(what=f"{what}: answers", value=record["requests_per_second"], unit="1/s"),
    ]


if __name__ == "__main__":
    main()
