"""What the API server takes: every sample, every example, and nothing of it is lost or warned about."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from refit.api import meta
from refit.api.modeldeployment import ModelDeploymentSpec
from refit.api.remediationrequest import RemediationRequestSpec
from refit_cluster.client import Client

pytestmark = pytest.mark.contract

ROOT = Path(__file__).parents[2]
PLACES: Mapping[str, tuple[str, type[ModelDeploymentSpec | RemediationRequestSpec]]] = {
    meta.DEPLOYMENT_KIND: (meta.DEPLOYMENTS, ModelDeploymentSpec),
    meta.REQUEST_KIND: (meta.REQUESTS, RemediationRequestSpec),
}


def documents(folder: Path) -> list[Any]:
    """Refit's own objects in the YAML files below a folder; what else an example holds is not for our CRDs."""
    return [
        pytest.param(document, id=f"{path.relative_to(ROOT)}: {document['kind']} {document['metadata']['name']}")
        for path in sorted([*folder.rglob("*.yaml"), *folder.rglob("*.yml")])
        for document in yaml.safe_load_all(path.read_text())
        if isinstance(document, dict) and document.get("apiVersion") == meta.API_VERSION
    ]


@pytest.mark.parametrize("document", [*documents(ROOT / "tests/contract/samples"), *documents(ROOT / "examples")])
def test_is_accepted_and_read_back_as_the_types_read_it(admin: Client, document: dict[str, Any]) -> None:
    plural, spec = PLACES[document["kind"]]
    document["metadata"]["namespace"] = "default"
    answer = admin.create(f"/apis/{meta.API_VERSION}/namespaces/default/{plural}", document, dryRun="All")
    assert (answer.accepted()["spec"], answer.warnings) == (spec.model_validate(document["spec"]).wire(), ())


def test_the_smallest_sample_has_fifteen_lines_at_most() -> None:
    text = (ROOT / "tests/contract/samples/minimal.yaml").read_text()
    assert len(text.splitlines()) <= 15
