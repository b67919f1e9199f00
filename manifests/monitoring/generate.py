"""Writes prometheusrule.yaml from rules.yaml, and dashboards-grafana.yaml from dashboards.yaml, all in this folder;
`make generate` calls it."""  # noqa: INP001  # a script beside what it writes

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

import yaml

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

DASHBOARDS_HEADER = """\
# Generated from dashboards.yaml by `make generate`; do not edit.
# Grafana's sidecar takes ConfigMaps with this label: grafana.sidecar.dashboards of its chart.
"""
CONFIG_MAP = """\
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: {name}
  namespace: refit-system
  labels:
    app.kubernetes.io/name: refit
    app.kubernetes.io/part-of: refit
    grafana_dashboard: "1"
data:
  {file}: |-
"""
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
GREEN, AMBER, RED = "#2f7d4f", "#b7791f", "#b83232"
"""Colours that differ in lightness too, for those who tell no red from green."""
KINDS: dict[str, dict[str, Any]] = {
    "timeseries": {"type": "timeseries"},
    "stat": {"type": "stat"},
    "bars": {"type": "bargauge", "options": {"displayMode": "basic", "orientation": "horizontal"}},
    "heatmap": {"type": "heatmap"},
    "table": {"type": "table", "transformations": [{"id": "organize", "options": {"excludeByName": {"Time": True}}}]},
    "timeline": {"type": "state-timeline"},
}
INSTANT = ("stat", "bars", "table")
WIDTH, HEIGHT = 24, 8


def render() -> dict[str, str]:
    """File name -> text of each generated file."""
    rules = (FOLDER / "rules.yaml").read_text(encoding="utf-8")
    maps = [config_map(dashboard(each)) for each in sources()]
    return {
        "prometheusrule.yaml": HEADER + textwrap.indent(rules[rules.index("groups:") :], "  "),
        "dashboards-grafana.yaml": DASHBOARDS_HEADER + "".join(maps),
    }


def sources() -> list[dict[str, Any]]:
    """The dashboards as they are written."""
    found: list[dict[str, Any]] = yaml.safe_load((FOLDER / "dashboards.yaml").read_text(encoding="utf-8"))
    return found


def config_map(made: dict[str, Any]) -> str:
    """A dashboard as Grafana's sidecar takes it."""
    header = CONFIG_MAP.format(name=f"dashboard-{made['uid']}", file=f"{made['uid']}.json")
    return header + textwrap.indent(json.dumps(made, indent=1, ensure_ascii=False), "    ") + "\n"


def dashboard(source: dict[str, Any]) -> dict[str, Any]:
    """Grafana's JSON of a dashboard: its panels from left to right and from top to bottom."""
    panels, x, y, tallest = [], 0, 0, 0
    for number, each in enumerate(source["panels"], 1):
        width, height = each.get("width", 12), each.get("height", HEIGHT if each["kind"] != "stat" else 4)
        if x + width > WIDTH:
            x, y, tallest = 0, y + tallest, 0
        panels.append(panel(number, each) | {"gridPos": {"x": x, "y": y, "w": width, "h": height}})
        x, tallest = x + width, max(tallest, height)
    return {
        "uid": source["uid"],
        "title": source["title"],
        "description": source["about"],
        "tags": ["refit"],
        "schemaVersion": 39,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-24h", "to": "now"},
        "templating": {"list": [_datasource(), *(_chosen(name) for name in source["chosen"])]},
        "links": [{"type": "dashboards", "tags": ["refit"], "title": "Refit", "asDropdown": True, "keepTime": True}],
        "panels": panels,
    }


def panel(number: int, source: dict[str, Any]) -> dict[str, Any]:
    """One panel, without its place."""
    kind, bounds = source["kind"], source.get("bounds", [None, None])
    defaults = {"unit": source.get("unit", "short"), "min": bounds[0], "max": bounds[1], "noValue": "no data"}
    bands = source.get("bands")
    if bands:
        defaults |= {"color": {"mode": "thresholds"}, "thresholds": {"mode": "absolute", "steps": _steps(bands)}}
    targets = [
        {
            "refId": chr(ord("A") + place),
            "datasource": DATASOURCE,
            "expr": query["ask"],
            "legendFormat": query["says"],
            **({"instant": True, "range": False} if kind in INSTANT else {"range": True}),
            **({"format": kind} if kind in ("table", "heatmap") else {}),
        }
        for place, query in enumerate(source["queries"])
    ]
    return {
        "id": number,
        "title": source["title"],
        "description": source.get("about", ""),
        "datasource": DATASOURCE,
        "fieldConfig": {
            "defaults": {name: value for name, value in defaults.items() if value is not None},
            "overrides": [],
        },
        "targets": targets,
        **KINDS[kind],
    }


def _steps(bands: dict[str, float]) -> list[dict[str, Any]]:
    """`warn` and `bad` are where it begins to be so; `good` is where it ceases to be bad."""
    if "good" in bands:
        return [{"color": RED, "value": None}, {"color": GREEN, "value": bands["good"]}]
    colours = {"warn": AMBER, "bad": RED}
    return [
        {"color": GREEN, "value": None},
        *({"color": colours[name], "value": bands[name]} for name in colours if name in bands),
    ]


def _datasource() -> dict[str, Any]:
    return {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}


def _chosen(name: str) -> dict[str, Any]:
    """A choice among what is served, several or all."""
    within = "" if name == "namespace" else '{namespace=~"$namespace"}'
    return {
        "name": name,
        "type": "query",
        "datasource": DATASOURCE,
        "query": f"label_values(refit_predictor_model_info{within}, {name})",
        "refresh": 2,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }


if __name__ == "__main__":
    for name, text in render().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
