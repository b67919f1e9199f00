"""Traces: one id from the alert to the request, its Jobs, its audit rows and its report, as W3C Trace Context has it.

An id is computed from what began the trace, so every part of Refit that meets the same cause knows the same id, and
no part has to remember it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from refit.api import meta

ANNOTATION = f"{meta.GROUP}/trace-id"
_ID = re.compile(r"[0-9a-f]{32}")
_PARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")
_NONE = "0" * 32


def trace_id(cause: str) -> str:
    """The id of the trace that this cause begins: 32 lower-case hexadecimal digits, never all zero."""
    found = meta.sha256(f"refit trace {cause}")[:32]
    return found if found != _NONE else "1" * 32


def span_id(part: str) -> str:
    """The id of a span, computed from what it is about: 16 lower-case hexadecimal digits."""
    found = meta.sha256(f"refit span {part}")[:16]
    return found if found != "0" * 16 else "1" * 16


def of_object(metadata: Mapping[str, Any]) -> str:
    """The id that an object's annotation names; without one that can be read, the one that the object itself begins."""
    named = str((metadata.get("annotations") or {}).get(ANNOTATION, ""))
    return named if is_id(named) else trace_id(str(metadata["uid"]))


def is_id(text: str) -> bool:
    """Whether that is the id of a trace."""
    return _ID.fullmatch(text) is not None and text != _NONE


def parent(trace: str, part: str) -> str:
    """The `traceparent` by which that part's children join the trace (W3C Trace Context, level 1, sampled)."""
    return f"00-{trace}-{span_id(part)}-01"


def of_parent(header: str) -> str:
    """The id of the trace that a `traceparent` names; empty if it cannot be read."""
    found = _PARENT.fullmatch(header.strip())
    return found[1] if found is not None and is_id(found[1]) else ""
