"""What columns are called, and of which kind each is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

NUMBER: Final = "number"
TEXT: Final = "text"
INPUT: Final = "input."
PROBABILITY: Final = "probability."
LABEL: Final = "label"
PREDICTION: Final = "prediction"
MOST_COLUMNS = 2048
"""Different columns that one version of a model may have over time."""


def merged(known: Mapping[str, str], new: Mapping[str, str]) -> dict[str, str]:
    """Both together; a column that ever held text is one of text."""
    return {**known, **{name: TEXT if known.get(name) == TEXT else kind for name, kind in new.items()}}
