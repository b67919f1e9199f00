"""The intake alone in a process, as the operator runs it; `benchmarks/intake.py` and a test start and kill it.

    python benchmarks/intake_process.py PORT FOLDER [--each] [--models N]

It takes the token `benchmark-token-of-intake` and knows the models clinic/model-0 to clinic/model-<N-1>.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest

from refit.intake import IntakeSettings, running
from refit.intake.writer import Limits

TOKEN = "benchmark-token-of-intake"  # noqa: S105  # of a server on this machine that lives for a minute


async def serve(port: int, folder: Path, *, each: bool, models: int) -> None:
    """Until SIGTERM; then the metrics are written beside the store."""
    tokens = folder / "tokens"
    tokens.write_text(TOKEN)
    settings = IntakeSettings.read(
        {
            "REFIT_INTAKE_PORT": str(port),
            "REFIT_INTAKE_TOKEN_FILE": str(tokens),
            "REFIT_INTAKE_DATABASE": str(folder / "alerts.db"),
        }
    )
    known = {("clinic", f"model-{number}") for number in range(models)}
    registry = CollectorRegistry()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with running(
        settings,
        known=lambda *name: name in known,
        ready=lambda: True,
        stored=lambda *_: None,
        registry=registry,
        host="127.0.0.1",
        limits=Limits(batch=1, gather_seconds=0) if each else None,
    ):
        print("ready", flush=True)
        await stop.wait()
    (folder / "metrics").write_bytes(generate_latest(registry))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port", type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--each", action="store_true", help="a transaction and its fsync for each request")
    parser.add_argument("--models", type=int, default=20)
    given = parser.parse_args()
    asyncio.run(serve(given.port, given.folder, each=given.each, models=given.models))


if __name__ == "__main__":
    main()
