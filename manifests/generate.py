"""Writes guard.yaml from refit.api.guard; `make generate` calls it."""  # noqa: INP001  # a script beside what it writes

from __future__ import annotations

from pathlib import Path

import yaml

from refit.api import guard

FOLDER = Path(__file__).parent
IDENTITY = "system:serviceaccount:refit-system:refit-operator"
"""The user name of the operator that rbac.yaml installs."""

HEADER = "# Generated from refit.api.guard by `make generate`; do not edit. docs/security.md says what it promises.\n"


class _Readable(yaml.SafeDumper):
    """An expression is written as a folded block, for in quotes its own quotes would be doubled."""

    def represent_text(self, text: str) -> yaml.ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=">" if "'" in text or text[0] == "!" else "")


_Readable.add_representer(str, _Readable.represent_text)


def render() -> dict[str, str]:
    """File name -> text of each generated file."""
    written = (yaml.dump(each, Dumper=_Readable, sort_keys=False, width=120) for each in guard.objects(IDENTITY))
    return {"guard.yaml": HEADER + "---\n".join(written)}


if __name__ == "__main__":
    for name, text in render().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
