"""The model file: found, read once and compared with the digest that passed the gate, before anything parses it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from refit.api import jobs


class Unfit(Exception):  # noqa: N818
    """The model must not be served; `reason` is the first word of the termination message."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason


def read(directory: Path, sha256: str) -> bytes:
    """The bytes of the one model file; raises Unfit unless their SHA-256 is the wanted one."""
    try:
        content = _find(directory, sha256).read_bytes()
    except OSError as error:
        raise _mismatch(sha256, f"a file that cannot be read ({type(error).__name__})") from error
    if not content:
        raise _mismatch(sha256, "an empty file")
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise _mismatch(sha256, f"{found[:8]}…")
    return content


def _find(directory: Path, sha256: str) -> Path:
    usual = directory / jobs.MODEL_FILE
    if usual.is_file():
        return usual
    others = sorted(directory.glob("*.onnx"))
    if len(others) == 1:
        return others[0]
    if others:
        raise _mismatch(sha256, f"{len(others)} ONNX files in {directory}, none named {jobs.MODEL_FILE}")
    raise _mismatch(sha256, f"no {jobs.MODEL_FILE} in {directory}")


def _mismatch(sha256: str, found: str) -> Unfit:
    return Unfit(jobs.DIGEST_MISMATCH, f"want {sha256[:8]}… got {found}")
