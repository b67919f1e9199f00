"""`python -m refit_trainer run`: a training without a cluster and without a server; everything lands in a folder."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import yaml

from refit.api import jobs
from refit.api.results import EXIT_REFUSED, TrainingResult
from refit_trainer.answers import answered, fitting, refused
from refit_trainer.downloads import Downloads
from refit_trainer.errors import RefusedError, UnreachableError
from refit_trainer.job import EXIT_FAILED, EXIT_STARTED_WRONGLY, cpus, exit_code
from refit_trainer.orders import Order, from_manifest
from refit_trainer.progress import plain_lines
from refit_trainer.sources import Fetched, digested, fetch, surroundings
from refit_trainer.trainings import Trained, train

RESULT_FILE = "result.json"


def run(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    *,
    since: float,
    out: TextIO = sys.stdout,
    err: TextIO = sys.stderr,
) -> int:
    """The exit code, the same as a Job's."""
    options = _parser().parse_args(arguments)

    def elapsed() -> float:
        return time.monotonic() - since

    report = plain_lines(err, since)
    order: Order | None = None
    fetched: Fetched | None = None
    options.out.mkdir(parents=True, exist_ok=True)
    try:
        order = from_manifest(_manifest(options.spec))
        fetched = (
            digested(options.data.read_bytes())
            if options.data is not None
            else fetch(order.spec.data.source, surroundings(environment, Downloads()))
        )
        trained = train(order, fetched, cpus=cpus(environment), clock=time.monotonic, report=report)
    except RefusedError as error:
        result = refused(
            error,
            key=order.key if order is not None else "",
            spec=order.spec if order is not None else None,
            data_sha256=fetched.sha256 if fetched is not None else None,
            total_seconds=elapsed(),
        )
        _write(options.out, {}, fitting(result))
        print(f"refused: {error}", file=err)
        return EXIT_REFUSED
    except (UnreachableError, OSError) as error:
        print(f"refit_trainer: {error}", file=err)
        return EXIT_FAILED if isinstance(error, UnreachableError) else EXIT_STARTED_WRONGLY
    result = fitting(answered(trained, None, run_id=None, total_seconds=elapsed()))
    _write(options.out, {jobs.MODEL_FILE: trained.onnx, **trained.files}, result)
    _tell(trained, result, options.out, out)
    return exit_code(result)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m refit_trainer", description="Trains what a ModelDeployment declares."
    )
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("run", help="train without a cluster and without MLflow")
    command.add_argument("--spec", type=Path, required=True, help="YAML of a ModelDeployment")
    command.add_argument("--data", type=Path, help="file to read in place of spec.data.source")
    command.add_argument("--out", type=Path, required=True, help="folder for the model and all that is told of it")
    return parser


def _manifest(path: Path) -> Any:
    """The first ModelDeployment of a YAML file, which may hold other objects too."""
    try:
        documents = [document for document in yaml.safe_load_all(path.read_text()) if document is not None]
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RefusedError("SpecInvalid", f"{path} is not YAML: {' '.join(str(error).split())}") from error
    of_kind = [found for found in documents if isinstance(found, dict) and found.get("kind") == "ModelDeployment"]
    return (of_kind or documents or [None])[0]


def _write(folder: Path, files: Mapping[str, bytes], result: TrainingResult) -> None:
    told = result.model_dump_json(by_alias=True, exclude_none=True, indent=1).encode()
    for name, content in {**files, RESULT_FILE: told}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _tell(trained: Trained, result: TrainingResult, folder: Path, out: TextIO) -> None:
    width = max(len(candidate.label) for candidate in trained.candidates)
    print(f"{'candidate':<{width}}  {trained.metric + ', mean':>12}  {'deviation':>9}", file=out)
    for candidate in trained.candidates:
        mark = "  *" if candidate == trained.winner else ""
        print(f"{candidate.label:<{width}}  {candidate.mean:>12.4f}  {candidate.deviation:>9.4f}{mark}", file=out)
    print(f"\non {trained.held_out} held-out rows", file=out)
    for metric, value in trained.metrics.items():
        print(f"  {metric.value:<18} {value:.4f}", file=out)
    print(f"\n{result.outcome.value}: {result.message}\n{folder}", file=out)
