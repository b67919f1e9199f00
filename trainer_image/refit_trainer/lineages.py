"""What a model was fitted on, kept beside it, so that a later comparison asks it only about rows that are new to it.

A row of a source is known by its place, a logged request by its id: which requests are held out follows from the id and
the seed alone, so a request that one model held out is held out by the next one too, whatever else is in the window.
Where the source itself has changed, rows are known by a 64-bit hash of what they say.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from refit.api.base import ApiModel, Sha256, Word
from refit.api.proposal import EvidenceWindow

LINEAGE_FILE = "lineage.json"
FINGERPRINTS_FILE = "lineage.bin"
_KEY = "refit.dev/lineag"
"""Sixteen characters, as pandas wants them; it keeps no secret."""


class Lineage(ApiModel):
    """The rows of one training: of which source, how divided, and of which window, if requests were learned from."""

    seed: int
    test_percent: int
    source_sha256: Sha256 | None = None
    source_split: Sha256 | None = None
    """Digest of which rows of the source were held out."""
    window: EvidenceWindow | None = None
    algorithm: Word = ""
    parameters: dict[str, Word] = {}
    rows: Annotated[int, Field(ge=0)] = 0


def shares(ids: list[str], rows: list[int], seed: int) -> NDArray[np.float64]:
    """A number in [0, 1) for each logged row, the same for ever; those below the held-out share are held out."""
    key = seed.to_bytes(8, "little")
    found = [
        int.from_bytes(hashlib.blake2b(f"{name}/{row}".encode(), digest_size=8, key=key).digest(), "little")
        for name, row in zip(ids, rows, strict=True)
    ]
    return np.array(found, dtype=np.float64) / 2.0**64


def fingerprints(frame: pd.DataFrame, answers: NDArray[Any]) -> NDArray[np.uint64]:
    """A hash of what each row says, its answer included."""
    ordered = frame[sorted(frame.columns)].assign(**{"\N{BULLET} answer": answers})
    return np.asarray(pd.util.hash_pandas_object(ordered, index=False, hash_key=_KEY), dtype=np.uint64)


def packed(found: NDArray[np.uint64]) -> bytes:
    return np.unique(found).astype("<u8").tobytes()


def unpacked(content: bytes) -> NDArray[np.uint64]:
    return np.frombuffer(content[: len(content) // 8 * 8], dtype="<u8").astype(np.uint64)


def micros(moment: str) -> int:
    """Microseconds since 1970 of a time with its zone, as the collector counts them."""
    return (datetime.fromisoformat(moment) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
