"""Writes crds/*.yaml from the types in refit.api; `make generate` calls it."""

from __future__ import annotations

from pathlib import Path

import yaml

from refit.api.crd import DEFINITIONS

HEADER = "# Generated from refit.api by `make generate`; do not edit.\n"


def render() -> dict[str, str]:
    """File name -> text of each CRD."""
    return {
        name: HEADER + yaml.safe_dump(definition(), sort_keys=False, width=120)
        for name, definition in DEFINITIONS.items()
    }


if __name__ == "__main__":
    for name, text in render().items():
        Path(__file__).with_name(name).write_text(text, encoding="utf-8")
