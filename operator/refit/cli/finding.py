"""A finding of the doctor: a verdict in a word, what was seen, what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

OK, PROBLEM_WORD, UNKNOWN_WORD = "ok", "problem", "unknown"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """`todo` is for a problem."""

    verdict: str
    message: str
    todo: str = ""
    name: str = ""

    def named(self, name: str) -> Finding:
        return replace(self, name=name)


def told(verdict: str, message: str, todo: str = "") -> Finding:
    """A finding; what to do stands beside a problem only."""
    return Finding(verdict=verdict, message=message, todo=todo if verdict == PROBLEM_WORD else "")


def paths(schema: Mapping[str, Any], at: str = "") -> set[str]:
    """Every field of a CRD's schema by its path."""
    found: set[str] = set()
    for name, child in (schema.get("properties") or {}).items():
        path = f"{at}.{name}".lstrip(".")
        found |= {path} | paths(child, path)
    for inner in ("items", "additionalProperties"):
        if isinstance(schema.get(inner), Mapping):
            found |= paths(schema[inner], f"{at}[]")
    return found
