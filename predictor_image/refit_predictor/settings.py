"""What the predictor is told from outside: the environment, read once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import ValidationError

from refit.api import jobs
from refit.api.modeldeployment import RequestLog, RequestLogMode
from refit.api.signature import Signature

MAX_ROWS = "REFIT_MAX_ROWS"
MAX_BODY_BYTES = "REFIT_MAX_BODY_BYTES"
THREADS = "REFIT_PREDICTOR_THREADS"
SPILL_BYTES = "REFIT_SPILL_BYTES"
LEAST_SPILL = 64 * 1024


class BadSettings(Exception):  # noqa: N818
    """The environment does not say what to serve."""


@dataclass(frozen=True, kw_only=True)
class LogSettings:
    """Where the request log goes, where it waits, and what it leaves out."""

    url: str
    namespace: str
    version: int
    token_file: Path
    spill_dir: Path
    spill_bytes: int = 64 * 1024 * 1024
    mask: frozenset[str] = frozenset()

    def masked(self, signature: Signature) -> frozenset[str]:
        """The inputs to leave out; raises BadSettings if one is misspelt, since it would stay in clear.

        The target may be named too, though no request holds it.
        """
        inputs = [column.name for column in signature.inputs]
        if strangers := sorted(self.mask - {*inputs, signature.target}):
            raise BadSettings(
                f"{jobs.REQUEST_LOG}: mask names {', '.join(strangers)}, "
                f"and the model's inputs are {', '.join(inputs)}; correct spec.serving.requestLog.mask"
            )
        return self.mask & {*inputs}


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
    request_log: LogSettings | None = None


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
        request_log=_request_log(environment),
    )


def _request_log(environment: Mapping[str, str]) -> LogSettings | None:
    """None if nothing is to be logged: no mode, or nobody to send it to."""
    try:
        wanted = RequestLog.model_validate_json(environment.get(jobs.REQUEST_LOG, "").strip() or "{}")
    except ValidationError as error:
        places = sorted({".".join(map(str, problem["loc"])) or "the whole" for problem in error.errors()})
        raise BadSettings(f"{jobs.REQUEST_LOG} is no requestLog: {', '.join(places)}") from error
    url = environment.get(jobs.COLLECTOR_URL, "").strip()
    if wanted.mode is RequestLogMode.NONE or not url:
        return None
    if not _is_address(url):
        raise BadSettings(f"{jobs.COLLECTOR_URL} is no address such as http://refit-collector.refit-system.svc:8080")
    needed = (jobs.NAMESPACE, jobs.COLLECTOR_TOKEN_FILE, jobs.SPILL_DIR)
    if absent := [key for key in needed if not environment.get(key, "").strip()]:
        raise BadSettings(f"not set, and the request log needs it: {', '.join(absent)}")
    return LogSettings(
        url=url,
        namespace=environment[jobs.NAMESPACE].strip(),
        version=_whole(environment, jobs.MODEL_VERSION, default=1),
        token_file=Path(environment[jobs.COLLECTOR_TOKEN_FILE].strip()),
        spill_dir=Path(environment[jobs.SPILL_DIR].strip()),
        spill_bytes=_whole(environment, SPILL_BYTES, default=LogSettings.spill_bytes, least=LEAST_SPILL),
        mask=frozenset(wanted.mask),
    )


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for one that is no number
    except ValueError:
        return False
    plain = not (parts.query or parts.fragment or parts.username)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and plain


def _whole(environment: Mapping[str, str], key: str, *, default: int, least: int = 1) -> int:
    text = environment.get(key, "").strip()
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or int(text) < least:
        raise BadSettings(f"{key} is not a whole number of at least {least}")
    return int(text)
