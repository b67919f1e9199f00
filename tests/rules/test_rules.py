"""The alert rules: promtool runs the tables beside this file; names, pages and tables are complete."""

from __future__ import annotations

import os
import re
import subprocess
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.metrics_core import Metric

from refit.api.dataspec import ColumnType
from refit.api.modeldeployment import Task
from refit.api.signature import InputColumn, Signature
from refit.core.inference import CONTAINER
from refit.shell.metrics import Metrics as OperatorMetrics
from refit_cluster import packages
from refit_cluster.places import Places
from refit_cluster.shell import HarnessError
from refit_collector.measurements import Gauges, Measured
from refit_collector.metrics import Metrics as CollectorMetrics
from refit_predictor.metrics import Metrics as PredictorMetrics
from refit_predictor.tally import LogMetrics, Tally

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
RULES = ROOT / "manifests" / "monitoring" / "rules.yaml"
RUNBOOKS = ROOT / "docs" / "runbooks"
TABLES = sorted(HERE.glob("*.yaml"))
GROUPS: list[dict[str, Any]] = yaml.safe_load(RULES.read_text())["groups"]
ALERTS = [rule for group in GROUPS for rule in group["rules"] if "alert" in rule]
RECORDED = {rule["record"] for group in GROUPS for rule in group["rules"] if "record" in rule}
NAMES = sorted({rule["alert"] for rule in ALERTS})

ASKED_FOR = {
    "RefitAuditRefused",
    "RefitCollectorLoss",
    "RefitDataDrift",
    "RefitDataQuality",
    "RefitErrorRateHigh",
    "RefitLatencyHigh",
    "RefitModelMetricLow",
    "RefitMonitorStale",
    "RefitNoTraffic",
    "RefitOperatorDown",
    "RefitPredictionDrift",
    "RefitQueryBreached",
    "RefitResourceHigh",
}

OTHERS = {
    # Prometheus itself
    "up",
    # prometheus_client's own, of every process that serves its default registry, as the predictor does
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    # cAdvisor, in every kubelet
    "container_cpu_usage_seconds_total",
    "container_memory_working_set_bytes",
    "container_spec_cpu_period",
    "container_spec_cpu_quota",
    "container_spec_memory_limit_bytes",
    # kube-state-metrics
    "kube_pod_container_resource_limits",
}
"""Metrics of others that the rules read."""

MEASUREMENT = {
    "verdict": "Drift",
    "intervalSeconds": 300,
    "coverage": 1.0,
    "columns": [{"column": "age", "method": "KS", "effect": 0.4, "pAdjusted": 0.001, "drifted": True}],
    "prediction": [{"column": "label", "method": "TVD", "effect": 0.4, "pAdjusted": 0.001, "drifted": True}],
    "segments": [
        {"column": "sex", "value": "f", "drift": {"verdict": "Drift", "columns": [{"column": "age", "effect": 0.4}]}}
    ],
    "dataQuality": {"score": 98.0, "valid": True},
    "quality": {"verdict": "Low", "metrics": {"f1": 0.6}, "bounds": [{"metric": "f1", "missed": True}]},
    "queries": [{"name": "queue", "value": 3.0, "breached": True}],
}
"""A measurement of which the collector makes a gauge of every kind that the rules read."""


@pytest.fixture(scope="module")
def promtool() -> Path:
    try:
        return packages.program(packages.PROMETHEUS, "promtool", Places.from_env(os.environ))
    except HarnessError as error:
        pytest.skip(str(error))


def said(promtool: Path, *arguments: str | Path) -> str:
    """What promtool says; raises AssertionError with its words if it is not content."""
    done = subprocess.run([promtool, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_finds_nothing_wrong_with_the_rules(promtool: Path) -> None:
    assert f"SUCCESS: {sum(len(group['rules']) for group in GROUPS)} rules found" in said(
        promtool, "check", "rules", "--lint=all", "--lint-fatal", RULES
    )


@pytest.mark.parametrize("table", [pytest.param(table, id=table.stem) for table in TABLES])
def test_alerts_fire_when_they_should_and_only_then(promtool: Path, table: Path) -> None:
    said(promtool, "test", "rules", table)


def test_the_alerts_are_those_that_were_asked_for() -> None:
    assert set(NAMES) == ASKED_FOR


def expectations(table: Path) -> Iterable[dict[str, Any]]:
    return (each for test in yaml.safe_load(table.read_text())["tests"] for each in test["alert_rule_test"])


def test_every_rule_has_a_case_in_which_it_fires() -> None:
    """Told apart by their fixed labels, since an alert may have several rules."""
    fired = {
        (each["alertname"], alert["exp_labels"]["severity"], alert["exp_labels"].get("reason"))
        for table in TABLES
        for each in expectations(table)
        for alert in each["exp_alerts"]
    }
    assert fired == {(rule["alert"], rule["labels"]["severity"], rule["labels"].get("reason")) for rule in ALERTS}


def test_every_alert_has_its_table_with_cases_in_which_it_is_silent() -> None:
    silent = Counter(each["alertname"] for table in TABLES for each in expectations(table) if not each["exp_alerts"])
    assert [table.stem for table in TABLES] == NAMES
    assert [name for name in NAMES if not silent[name]] == []


@pytest.mark.parametrize(
    "rule", [pytest.param(rule, id=f"{rule['alert']} {place}") for place, rule in enumerate(ALERTS)]
)
def test_every_alert_says_what_it_is_and_where_to_read_on(rule: dict[str, Any]) -> None:
    assert set(rule["labels"]) - {"severity", "reason", "namespace"} == set()
    assert rule["labels"]["severity"] in {"warning", "critical"}
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"] == f"docs/runbooks/{rule['alert']}.md"


SECTIONS = ["What it means", "How to look", "What to do", "How to silence it"]


@pytest.mark.parametrize("name", NAMES)
def test_every_alert_has_its_page(name: str) -> None:
    text = (RUNBOOKS / f"{name}.md").read_text()
    assert re.findall(
        r"^# (.+)$", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL), flags=re.MULTILINE
    ) == [name]
    assert re.findall(r"^## (.+)$", text, flags=re.MULTILINE) == SECTIONS


def test_every_alert_is_listed() -> None:
    text = (RUNBOOKS.parent / "monitoring-setup.md").read_text()
    assert sorted(re.findall(r"^\| \[(\w+)\]\(runbooks/\1\.md\)", text, flags=re.MULTILINE)) == NAMES


def test_no_page_is_left_over() -> None:
    assert sorted(page.stem for page in RUNBOOKS.glob("*.md") if page.stem != "README") == NAMES


WORDS = {"and", "or", "unless", "bool", "offset", "on", "ignoring", "group_left", "group_right", "by", "without"}


def metrics_in(expression: str) -> set[str]:
    """The names of metrics in a PromQL expression: what is left of its identifiers."""
    plain = re.sub(r'"(\\.|[^"])*"', "", expression)
    plain = re.sub(r"\{[^}]*\}", "", plain)
    plain = re.sub(r"\[[^]]*\]", "", plain)
    plain = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", "", plain)
    found = re.findall(r"(?<![\w:.])([a-zA-Z_:][\w:]*)(?!\s*\()(?![\w:])", plain)
    return set(found) - WORDS


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        pytest.param('sum by (a, b) (rate(x_total{code=~"5.."}[5m])) / y > 0.05', {"x_total", "y"}, id="an expression"),
        pytest.param("a and on (namespace) b unless c", {"a", "b", "c"}, id="words between are no names"),
        pytest.param(
            "increase(x[1d:5m]) > 1e3 * refit:y:ratio", {"x", "refit:y:ratio"}, id="nor are durations and numbers"
        ),
    ],
)
def test_the_search_for_metrics_finds_them_all(expression: str, expected: set[str]) -> None:
    assert metrics_in(expression) == expected


def expressions() -> Iterable[str]:
    """Every rule's, and those that annotations ask."""
    for group in GROUPS:
        for rule in group["rules"]:
            yield rule["expr"]
            for text in rule.get("annotations", {}).values():
                for asked in re.findall(r'query \(printf "((?:\\.|[^"])*)"', text):
                    yield asked.replace('\\"', '"').replace("%q", '""')


def names_of(families: Iterable[Metric]) -> set[str]:
    """As they are called in queries: a counter ends in _total, a histogram is three."""
    found = set()
    for family in families:
        match family.type:
            case "counter":
                found.add(f"{family.name}_total")
            case "histogram":
                found.update(f"{family.name}_{part}" for part in ("bucket", "count", "sum"))
            case _:
                found.add(family.name)
    return found


def ours() -> set[str]:
    operator = OperatorMetrics()
    signature = Signature(
        task=Task.CLASSIFICATION,
        target="y",
        inputs=(InputColumn(name="a", type=ColumnType.NUMBER),),
        classes=("0", "1"),
    )
    predictor = PredictorMetrics(signature, "m", "1", "0" * 64)
    log = LogMetrics(Tally(), "m", "1")
    gauges = Gauges(lambda: 0)
    gauges.tell("ml", "heart", Measured(0, MEASUREMENT))
    collector = CollectorMetrics().registry
    exposed = (operator.registry, predictor, log, gauges, collector)
    return set().union(*(names_of(each.collect()) for each in exposed))


def test_the_rules_read_only_metrics_that_there_are() -> None:
    read = set().union(*(metrics_in(expression) for expression in expressions()))
    known = OTHERS | RECORDED
    assert read - known - ours() == set()
    assert OTHERS - read == set(), "listed above, and read by no rule"


def test_the_rules_name_the_container_that_the_operator_makes() -> None:
    named = set(re.findall(r'container="([^"]+)"', RULES.read_text()))
    assert named == {CONTAINER}
