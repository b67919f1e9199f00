"""Every benchmark, one after the other: tables on the terminal, records in out/bench.json. `make bench` calls it.

python benchmarks/run.py [--cluster-up] [NAME ...]
"""

from __future__ import annotations

import argparse
import importlib
import json
from pathlib import Path
from typing import Any

from figures import table

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "out" / "bench.json"
NAMES = ("predictor", "apply_to_url", "operator_scale")
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
        found[name] = module.run()
        print(_shown(found[name]), flush=True)
        OUT.parent.mkdir(exist_ok=True)
        OUT.write_text(json.dumps(found, indent=2) + "\n")
    print(f"\nrecords: {OUT.relative_to(ROOT)}")


def _shown(records: list[dict[str, Any]]) -> str:
    """The common table, or, for records of another form, a line each."""
    if all("what" in record for record in records):
        return table(records)
    return "\n".join("  ".join(f"{key}={value}" for key, value in record.items()) for record in records)


if __name__ == "__main__":
    main()
