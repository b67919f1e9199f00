"""The dashboards: complete, well laid out, and each of their questions answered by a real Prometheus."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from exposed import Prometheus, prometheus
from refit_cluster import packages
from refit_cluster.places import Places
from refit_cluster.shell import HarnessError

FOLDER = Path(__file__).parents[2] / "manifests" / "monitoring"
RULES = FOLDER / "rules.yaml"


def _generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("monitoring_generate", FOLDER / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATE = _generator()
MAPS: list[dict[str, Any]] = list(yaml.safe_load_all((FOLDER / "dashboards-grafana.yaml").read_text()))
DASHBOARDS = [json.loads(text) for each in MAPS for text in each["data"].values()]
PANELS = [(board["uid"], panel) for board in DASHBOARDS for panel in board["panels"]]
QUERIES = [
    pytest.param(target["expr"], id=f"{uid} {panel['title']} {target['refId']}")
    for uid, panel in PANELS
    for target in panel["targets"]
]
MEASUREMENT = {
    "verdict": "Drift",
    "version": 3,
    "intervalSeconds": 300,
    "rows": 500,
    "coverage": 1.0,
    "columns": [{"column": "age", "method": "KS", "effect": 0.4, "pAdjusted": 0.001, "drifted": True}],
    "prediction": [{"column": "label", "method": "TVD", "effect": 0.4, "pAdjusted": 0.001, "drifted": True}],
    "dataQuality": {"score": 98.0, "valid": True},
    "quality": {
        "verdict": "Low",
        "coverage": 0.4,
        "metrics": {"f1": 0.6},
        "estimated": {"f1": 0.62},
        "bounds": [{"metric": "f1", "missed": True}],
    },
}


@pytest.mark.parametrize("name", sorted(GENERATE.render()))
def test_what_is_generated_is_fresh(name: str) -> None:
    assert (FOLDER / name).read_text() == GENERATE.render()[name], "run `make generate`"


def test_there_are_five_dashboards_that_the_sidecar_finds() -> None:
    assert [board["title"] for board in DASHBOARDS] == [
        "Refit / Model Monitoring",
        "Refit / Data Drift",
        "Refit / API Performance",
        "Refit / Refit Operator",
        "Refit / Approvals",
    ]
    assert {each["metadata"]["labels"]["grafana_dashboard"] for each in MAPS} == {"1"}


@pytest.mark.parametrize(
    ("uid", "title"),
    [
        pytest.param("refit-models", "Model quality, on labels", id="performance"),
        pytest.param("refit-drift", "Drift alerts", id="drift alerts"),
        pytest.param("refit-api", "Requests", id="the API"),
        pytest.param("refit-models", "Data quality of requests", id="data quality"),
        pytest.param("refit-api", "Response times", id="histograms of response times"),
        pytest.param("refit-drift", "P-values by column", id="p-values of features"),
    ],
)
def test_the_panels_that_were_asked_for_are_there(uid: str, title: str) -> None:
    assert (uid, title) in [(board, panel["title"]) for board, panel in PANELS]


@pytest.mark.parametrize("board", [pytest.param(board, id=board["uid"]) for board in DASHBOARDS])
def test_no_panel_covers_another_or_leaves_the_page(board: dict[str, Any]) -> None:
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in board["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


@pytest.mark.parametrize("board", [pytest.param(board, id=board["uid"]) for board in DASHBOARDS])
def test_what_is_chosen_on_top_is_asked_for_below(board: dict[str, Any]) -> None:
    asked = " ".join(target["expr"] for panel in board["panels"] for target in panel["targets"])
    chosen = {each["name"] for each in board["templating"]["list"]} - {"datasource"}
    assert {name for name in ("namespace", "model") if f"${name}" in asked} == chosen


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    try:
        program = packages.program(packages.PROMETHEUS, "prometheus", Places.from_env(os.environ))
    except HarnessError as error:
        pytest.skip(str(error))  # a machine that is not Debian's and has none; `make cluster-up` brings it elsewhere
    folder = tmp_path_factory.mktemp("prometheus")
    with prometheus(program, RULES, MEASUREMENT, folder) as found:
        yield found


@pytest.mark.parametrize("expression", QUERIES)
def test_prometheus_answers(running: Prometheus, expression: str) -> None:
    """With series, and not only without an error: a name that nobody exposes gives none."""
    found = running.ask(
        expression.replace("$namespace", ".*").replace("$model", ".*").replace("$__rate_interval", "1m")
    )
    assert found != []


def test_the_tables_of_alerts_show_those_that_fire(running: Prometheus) -> None:
    [panel] = [panel for uid, panel in PANELS if (uid, panel["title"]) == ("refit-models", "Alerts")]
    expression = panel["targets"][0]["expr"].replace("$namespace", "ml")
    assert "RefitDataDrift" in {each["metric"]["alertname"] for each in running.ask(expression)}
