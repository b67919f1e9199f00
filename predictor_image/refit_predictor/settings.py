"""What the predictor is told from outside: the environment, read once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from refit.api import jobs

MAX_ROWS = "REFIT_MAX_ROWS"
MAX_BODY_BYTES = "REFIT_MAX_BODY_BYTES"
THREADS = "REFIT_PREDICTOR_THREADS"


class BadSettings(Exception):  # noqa: N818
    """The environment does not say what to serve."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One model to serve, and the limits of a request for it."""

    name: str
    version: str
    sha256: str
    model_dir: Path = Path(jobs.MODEL_PATH)
    threads: int = 1
    max_rows: int = 10_000
    max_body_bytes: int = 8 * 1024 * 1024


def read(environment: Mapping[str, str]) -> Settings:
    """The settings in the environment; raises BadSettings with every variable that is absent or wrong."""
    absent = [
        key
        for key in (jobs.MODEL_NAME, jobs.MODEL_VERSION, jobs.ARTIFACT_SHA256)
        if not environment.get(key, "").strip()
    ]
    if absent:
        raise BadSettings(f"not set: {', '.join(absent)}")
    digest = environment[jobs.ARTIFACT_SHA256].strip().lower().removeprefix("sha256:")
    if len(digest) != 64 or set(digest) - set("0123456789abcdef"):  # noqa: PLR2004
        raise BadSettings(f"{jobs.ARTIFACT_SHA256} is not a SHA-256 in hexadecimal")
    processors = _whole(environment, jobs.CPU_LIMIT, default=1)
    return Settings(
        name=environment[jobs.MODEL_NAME].strip(),
        version=environment[jobs.MODEL_VERSION].strip(),
        sha256=digest,
        model_dir=Path(environment.get(jobs.MODEL_DIR) or jobs.MODEL_PATH),
        # One thread answers a single row soonest; more only help large batches, and never beyond the limit.
        threads=min(_whole(environment, THREADS, default=1), processors),
        max_rows=_whole(environment, MAX_ROWS, default=Settings.max_rows),
        max_body_bytes=_whole(environment, MAX_BODY_BYTES, default=Settings.max_body_bytes),
    )


def _whole(environment: Mapping[str, str], key: str, *, default: int) -> int:
    text = environment.get(key, "").strip()
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise BadSettings(f"{key} is not a whole number of at least 1")
    return int(text)
