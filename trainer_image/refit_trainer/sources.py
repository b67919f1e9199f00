"""Where the bytes of a data set come from: one function per scheme, one digest over what came."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from refit.api import jobs
from refit.api.dataspec import Source
from refit_trainer.downloads import Downloads, download
from refit_trainer.errors import RefusedError
from refit_trainer.objects import get_object

SIZE_LIMIT = 512 * 1024 * 1024
SAMPLES_DIR = "REFIT_SAMPLES_DIR"
SAMPLES_PATH = "/opt/refit/samples"
"""Where the image holds the sample data sets."""


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What fetching needs from outside: the Secret's variables, mounted folders, limits and the network's rules."""

    environment: Mapping[str, str]
    data_directory: Path
    samples_directory: Path
    downloads: Downloads
    size_limit: int = SIZE_LIMIT


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """The bytes of a data set and their SHA-256."""

    content: bytes
    sha256: str


def surroundings(environment: Mapping[str, str], downloads: Downloads) -> Surroundings:
    """The surroundings that the environment of a Job describes."""
    return Surroundings(
        environment=environment,
        data_directory=Path(environment.get(jobs.DATA_DIR, jobs.DATA_PATH)),
        samples_directory=Path(environment.get(SAMPLES_DIR, SAMPLES_PATH)),
        downloads=downloads,
    )


def fetch(source: Source, around: Surroundings) -> Fetched:
    """The data of a source; raises RefusedError where its digest is not the one that was asked for."""
    scheme = urlsplit(source.uri).scheme
    if scheme not in SOURCES:
        raise RefusedError(
            "SourceUnknown", f"data.source.uri starts with {scheme + '://'!r}; known are {', '.join(SOURCES)}"
        )
    fetched = digested(SOURCES[scheme](source.uri, around))
    if source.sha256 is not None and fetched.sha256 != source.sha256:
        raise RefusedError(
            "DigestMismatch",
            f"the data is not the one pinned in data.source.sha256: want {source.sha256[:12]}, got {fetched.sha256[:12]}",
        )
    return fetched


def digested(content: bytes) -> Fetched:
    return Fetched(content=content, sha256=hashlib.sha256(content).hexdigest())


def _http(uri: str, around: Surroundings) -> bytes:
    return download(uri, around.environment, around.downloads, around.size_limit)


def _s3(uri: str, around: Surroundings) -> bytes:
    parts = urlsplit(uri)
    return get_object(parts.netloc, unquote(parts.path.lstrip("/")), around.environment, around.size_limit)


def _mounted(uri: str, around: Surroundings) -> bytes:
    """A claim or a ConfigMap is mounted as a whole; the rest of the address is a path inside."""
    inside = unquote(urlsplit(uri).path.lstrip("/"))
    return _file(around.data_directory, inside, uri, around.size_limit)


def _sample(uri: str, around: Surroundings) -> bytes:
    name = f"{urlsplit(uri).netloc}.csv"
    if not around.samples_directory.is_dir():
        raise RefusedError(
            "SourceNotFound",
            f"{uri}: no folder {around.samples_directory}; fill one with trainer_image/samples.py and name it in {SAMPLES_DIR}",
        )
    return _file(around.samples_directory, name, uri, around.size_limit)


def _file(directory: Path, inside: str, uri: str, size_limit: int) -> bytes:
    root = directory.resolve()
    path = (root / inside).resolve()
    if not path.is_relative_to(root):
        raise RefusedError("SourceNotFound", f"{uri} leads out of the mounted folder")
    if not path.is_file():
        there = (
            sorted(entry.name for entry in root.iterdir() if not entry.name.startswith(".")) if root.is_dir() else []
        )
        listed = ", ".join(there[:10]) or "nothing"
        raise RefusedError("SourceNotFound", f"{uri}: no such file; found {listed}")
    if path.stat().st_size > size_limit:
        raise RefusedError("SourceTooLarge", f"{uri} has {path.stat().st_size} bytes, the limit is {size_limit}")
    return path.read_bytes()


SOURCES: dict[str, Callable[[str, Surroundings], bytes]] = {
    "https": _http,
    "http": _http,
    "s3": _s3,
    "pvc": _mounted,
    "configmap": _mounted,
    "sample": _sample,
}
"""Scheme to what reads it."""
