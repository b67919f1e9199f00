"""How long a training takes, and where: `python benchmarks/trainer.py [SPEC] [--repeat N]`.

Runs the training of a ModelDeployment in fresh processes, without MLflow, and prints medians in seconds: import of
what each step needs, fitting, export with its proof, plots and the rest. `python -X importtime` is not used, since
it would slow down what it measures.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
LIBRARIES = (
    "pyarrow.compute",
    "pandas",
    "sklearn.compose",
    "onnx",
    "onnxruntime",
    "matplotlib.figure",
    "xgboost",
    "lightgbm",
)


def main() -> None:
    options = _options()
    rows = [_measured(options.spec, options.data) for _ in range(options.repeat)]
    print(f"{options.spec.name}, median of {options.repeat}")
    for name in rows[0]:
        print(f"  {name:<28} {statistics.median(row[name] for row in rows):7.2f} s")
    print("import alone, each in a fresh process")
    for library in LIBRARIES:
        print(f"  {library:<28} {statistics.median(_imported(library) for _ in range(options.repeat)):7.2f} s")


def _measured(spec: Path, data: Path | None) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "refit_trainer", "run", "--spec", str(spec), "--out", folder]
        command += ["--data", str(data)] if data is not None else []
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        total = time.perf_counter() - started
        result = json.loads(Path(folder, "result.json").read_text())
    fit = float(result["fitSeconds"])
    return {"total": total, "fitting and folds": fit, "all but fitting": total - fit}


def _imported(library: str) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import {library}"], check=True)
    return time.perf_counter() - started


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spec", type=Path, nargs="?", default=ROOT / "examples" / "heart.yaml")
    parser.add_argument("--data", type=Path, help="file to read in place of spec.data.source")
    parser.add_argument("--repeat", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    main()
