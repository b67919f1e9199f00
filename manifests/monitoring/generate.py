"""Writes prometheusrule.yaml from rules.yaml, both in this folder; `make generate` calls it."""  # noqa: INP001  # a script beside what it writes

from __future__ import annotations

import textwrap
from pathlib import Path

FOLDER = Path(__file__).parent

HEADER = """\
# Generated from rules.yaml by `make generate`; do not edit.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: refit
  namespace: refit-system
  labels:
    app.kubernetes.io/name: refit
    app.kubernetes.io/part-of: refit
spec:
"""


def render() -> dict[str, str]:
    """File name -> text of each generated file."""
    rules = (FOLDER / "rules.yaml").read_text(encoding="utf-8")
    return {"prometheusrule.yaml": HEADER + textwrap.indent(rules[rules.index("groups:") :], "  ")}


if __name__ == "__main__":
    for name, text in render().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
