"""What differs between two versions of a model, in the words of its history."""

from __future__ import annotations

from refit.api.deploymentstatus import VersionRecord
from refit.api.summaries import short

SHOWN_DIGEST = 12
Difference = tuple[str, str, str]
"""What, in the first, in the second."""


def differences(first: VersionRecord, second: VersionRecord) -> list[Difference]:
    """What differs between two records, in the words of the history."""
    told = (_told(first), _told(second))
    return [(what, told[0][what], told[1][what]) for what in told[0] if told[0][what] != told[1][what]]


def between(first: dict[str, str], second: dict[str, str]) -> list[Difference]:
    """Parameters that differ; a dash for one that is not there."""
    names = sorted({*first, *second})
    return [
        (f"parameter {name}", first.get(name, "-"), second.get(name, "-"))
        for name in names
        if first.get(name) != second.get(name)
    ]


def _told(record: VersionRecord) -> dict[str, str]:
    return {
        "metric": f"{record.metric} {short(record.value)}",
        "algorithm": record.algorithm,
        "data": _digest(record.data_sha256),
        "spec": record.spec_hash,
        "artifact": _digest(record.artifact.sha256),
        "run": record.run_id,
        "why": record.reason or "-",
        "request": record.request or "-",
        "created": record.create_time,
    }


def _digest(value: str) -> str:
    return f"sha256:{value[:SHOWN_DIGEST]}"
