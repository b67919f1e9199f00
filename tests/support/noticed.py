"""Notices and notification settings, for tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from refit.api.notices import Notice, NoticeKind, Severity
from refit.notify.configuration import Configuration, read

PLAIN = Notice(
    key="k1",
    topic="t1",
    kind=NoticeKind.APPROVAL_NEEDED,
    severity=Severity.HIGH,
    namespace="clinic",
    model="heart",
    at="2026-11-21T12:00:00Z",
    what="Retrain of heart waits for a decision until 2026-11-22T12:00:00Z",
    why="thalach drifted (effect 0.71)",
    impact="predicted f1 0.61 -> 0.8, 90 % interval 0.74 to 0.85 (trial on 300 labelled requests)",
    request="heart-retrain-7c1e",
    contact="ml-on-call@example.com",
    trace="0af7651916cd43dd8448eb211c80319c",
    commands=("kubectl refit approve heart-retrain-7c1e -n clinic",),
)


def notice(key: str = "k1", **changes: Any) -> Notice:
    """A notice that differs in these."""
    return replace(PLAIN, **{"key": key, "topic": f"topic of {key}", **changes})


def configured(folder: Path, settings: Mapping[str, Any], **secrets: str) -> Configuration:
    """The folder as Kubernetes would mount it; a secret's file is named with dashes."""
    for name, text in secrets.items():
        (folder / name.replace("_", "-")).write_text(text)
    (folder / "notifications.yaml").write_text(yaml.safe_dump(dict(settings)))
    found = read(folder)
    assert found is not None
    return found


def settings(*receivers: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """Receivers that are all told everything."""
    return {
        "page": "https://refit.example.com",
        "receivers": [dict(receiver) for receiver in receivers],
        "routes": [{"receivers": [receiver["name"] for receiver in receivers]}],
        "grouping": {"waitSeconds": 10, "intervalSeconds": 60, "repeatSeconds": 3600},
    } | more
