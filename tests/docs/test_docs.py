"""The documentation says what the code does: generated pages are fresh, tables complete, examples valid, links alive."""

from __future__ import annotations

import ast
import re
import runpy
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.metrics_core import Metric

from refit.api.dataspec import ColumnType
from refit.api.modeldeployment import Task
from refit.api.reasons import ConditionType, Reason
from refit.api.signature import InputColumn, Signature
from refit.notify.metrics import NotifyMetrics
from refit.shell.metrics import Metrics as OperatorMetrics
from refit.shell.settings import Settings
from refit_collector.settings import PREFIX as COLLECTOR_PREFIX
from refit_collector.settings import Settings as CollectorSettings
from refit_predictor.metrics import Metrics as PredictorMetrics
from refit_predictor.tally import LogMetrics, Tally
from refit_predictor.tally import Reason as LossReason
from refit_trainer.orders import from_manifest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md"), *(ROOT / "charts").rglob("*.md")])
CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.MULTILINE | re.DOTALL)


def text_of(name: str) -> str:
    return (DOCS / name).read_text()


def headings(text: str) -> list[str]:
    return re.findall(r"^#+ (.+)$", CODE.sub("", text), flags=re.MULTILINE)


def anchor(heading: str) -> str:
    """The fragment by which GitHub's pages name a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def generator() -> dict[str, Any]:
    return runpy.run_path(str(DOCS / "generate.py"))


@pytest.mark.parametrize("name", ["api.md"])
def test_generated_pages_are_fresh(name: str) -> None:
    assert generator()["render"]()[name] == text_of(name), "run `make generate`"


def test_every_field_of_the_api_has_its_sentence_and_no_sentence_is_left_over() -> None:
    script = generator()
    declared = {name: set(schema["properties"]) for name, schema in script["types"]().items()}
    assert {name: set(fields) for name, fields in script["sentences"]().items()} == declared


def refusals() -> set[str]:
    """The reasons that the trainer gives, found in its source: what RefusedError and Finding are made with."""
    found: set[str] = set()
    for path in (ROOT / "trainer_image" / "refit_trainer").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(
                    func=ast.Name(id="RefusedError" | "DataRefusedError" | "ShadowFailedError"), args=[first, *_]
                ):
                    found.update(words(first))
                case (
                    ast.keyword(arg="reason", value=value)
                    | ast.Assign(targets=[ast.Name(id="reason")], value=value)
                    | ast.AnnAssign(target=ast.Name(id="reason"), value=ast.expr() as value)
                ):
                    found.update(words(value))
    return found


def words(expression: ast.expr) -> Iterator[str]:
    """CamelCase constants in an expression."""
    for part in ast.walk(expression):
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield from re.findall(r"^(?:[A-Z][a-z]+)+$", part.value)


def test_the_search_for_refusals_finds_some_of_each_kind() -> None:
    assert {"SpecInvalid", "ColumnMissing", "ExpectationFailed", "DataInvalid", "SourceForbidden"} <= refusals()


def test_every_reason_has_its_section_and_no_section_is_left_over() -> None:
    text = text_of("troubleshooting.md")
    reasons = text[text.index("## Reasons of the operator") : text.index("## Words of the predictor")]
    told = [heading for heading in headings(reasons) if " " not in heading]
    assert sorted(told) == sorted({str(reason) for reason in Reason} | refusals())


def test_every_condition_is_explained() -> None:
    text = text_of("concepts.md")
    assert [kind for kind in ConditionType if f"| {kind} |" not in text] == []


def rows(text: str, first: str) -> dict[str, list[str]]:
    """The rows of tables whose first cell is one name that begins so: name -> the other cells."""
    found = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if cells and re.fullmatch(rf"`{first}\w+`", cells[0]):
            found[cells[0].strip("`")] = cells[1:]
    return found


def test_every_setting_is_told_with_its_default() -> None:
    told = {name: cells[1].strip("`") for name, cells in rows(text_of("operations.md"), "REFIT_").items()}
    in_words = {
        "namespaces": "all",
        "kubeconfig": "the pod's service account",
        "context": "the current one",
        "report_image": "none",
        "cluster_name": "none",
        "collector_url": "none",
        "prometheus_url": "none",
        "audit_database_password_file": "none",
        "audit_checkpoint_copy": "none",
        "otlp_endpoint": "none",
    }
    declared = {
        f"REFIT_{name.upper()}": in_words.get(name, "required" if field.is_required() else str(field.default))
        for name, field in Settings.model_fields.items()
    }
    assert {name: default.partition(";")[0] for name, default in told.items()} == declared


def test_every_setting_of_the_collector_is_told_with_its_default() -> None:
    told = {name: cells[0] for name, cells in rows(text_of("collector.md"), "REFIT_COLLECTOR_").items()}
    in_words = {
        "api_server": "the cluster's own",
        "api_ca_file": "the pod's own",
        "api_token_file": "the pod's own",
    }
    declared = {
        f"{COLLECTOR_PREFIX}{name.upper()}": in_words.get(
            name, "required" if field.is_required() else in_mib(field.default)
        )
        for name, field in CollectorSettings.model_fields.items()
    }
    assert told == declared


def in_mib(default: object) -> str:
    """A default as the page tells it."""
    if isinstance(default, int) and default >= 2**20:
        return f"{default // 2**20} MiB"
    return str(default) if default else "none"


def names(families: Iterable[Metric]) -> set[str]:
    return {f"{family.name}_total" if family.type == "counter" else family.name for family in families}


def test_every_metric_is_told() -> None:
    operator = OperatorMetrics()
    operator.watch_queue(lambda: 0, lambda: 0, lambda: 0)
    NotifyMetrics(operator.registry, lambda: 0)
    inputs = (InputColumn(name="age", type=ColumnType.NUMBER),)
    classes = {Task.CLASSIFICATION: ("no", "yes"), Task.REGRESSION: ()}
    predictors = [
        PredictorMetrics(Signature(task=task, target="y", inputs=inputs, classes=words), "m", "1", "0" * 64)
        for task, words in classes.items()
    ]
    collectors = [*predictors, LogMetrics(Tally(), "m", "1")]
    collected = names(operator.registry.collect()).union(*(names(each.collect()) for each in collectors))
    assert set(rows(text_of("operations.md"), "refit_")) == collected


def test_every_reason_of_a_lost_event_is_told() -> None:
    assert set(re.findall(r"^\| `(\w+)` \|", text_of("request-log.md"), re.MULTILINE)) >= set(LossReason)


def test_every_right_of_the_operator_is_explained() -> None:
    text = text_of("security.md")
    documents = yaml.safe_load_all((ROOT / "manifests" / "rbac.yaml").read_text())
    (role,) = [each for each in documents if each["kind"] == "ClusterRole"]
    granted = {(resource, ", ".join(rule["verbs"])) for rule in role["rules"] for resource in rule["resources"]}
    told = {
        (resource, cells.split("|")[0].strip())
        for line in text.splitlines()
        if line.startswith("| `")
        for names, _, cells in [line.strip("| ").partition(" | ")]
        for resource in re.findall(r"`([^`]+)`", names)
    }
    assert granted - told == set()


def blocks() -> Iterator[Any]:
    """Every YAML block that holds a ModelDeployment, on every page."""
    for page in PAGES:
        for number, block in enumerate(re.findall(r"^```yaml\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)):
            for document in yaml.safe_load_all(block):
                if isinstance(document, dict) and document.get("kind") == "ModelDeployment":
                    yield pytest.param(document, id=f"{page.relative_to(ROOT)}, block {number + 1}")


@pytest.mark.parametrize("document", list(blocks()))
def test_examples_fit_the_types_to_the_last_field(document: dict[str, Any]) -> None:
    from_manifest(document)


def links() -> Iterator[Any]:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)\s]+)\)", CODE.sub("", page.read_text())):
            if not re.match(r"[a-z]+:", target):
                yield pytest.param(page, target, id=f"{page.relative_to(ROOT)} to {target}")


@pytest.mark.parametrize(("page", "target"), list(links()))
def test_links_lead_somewhere(page: Path, target: str) -> None:
    path, _, fragment = target.partition("#")
    found = (page.parent / path).resolve() if path else page
    assert found.exists()
    if fragment:
        assert fragment in {anchor(heading) for heading in headings(found.read_text())}


@pytest.mark.parametrize("page", [pytest.param(page, id=str(page.relative_to(ROOT))) for page in PAGES])
def test_pages_hold_no_path_of_a_machine(page: Path) -> None:
    assert re.findall(r"/(?:root|home/\w+|work)/\S*", page.read_text()) == []
