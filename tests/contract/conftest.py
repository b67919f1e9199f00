"""One control plane for all contract tests: etcd and the API server, with the CRDs as committed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from guarded import Guarded, guarded
from refit_cluster.client import Client
from refit_cluster.controlplane import ControlPlane
from refit_cluster.shell import wait_until

ROOT = Path(__file__).parents[2]
SAMPLES = Path(__file__).parent / "samples"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@pytest.fixture(scope="session")
def plane() -> Iterator[ControlPlane]:
    with ControlPlane() as running:
        yield running


@pytest.fixture(scope="session")
def admin(plane: ControlPlane) -> Iterator[Client]:
    """An administrator, once the CRDs are served."""
    with Client(plane.kubeconfig) as client:
        for path in sorted((ROOT / "crds").glob("*.yaml")):
            define(client, yaml.safe_load(path.read_text()))
        wait_until(
            lambda: client.get("/api/v1/namespaces/default").code == 200, what="the default namespace", within=30
        )
        yield client


def define(client: Client, definition: Mapping[str, Any]) -> None:
    """Applies a CRD and waits until its resource is served."""
    spec = definition["spec"]
    client.apply(f"{DEFINITIONS}/{definition['metadata']['name']}", definition, "contract").accepted()
    served = f"/apis/{spec['group']}/{spec['versions'][0]['name']}/{spec['names']['plural']}"
    wait_until(lambda: client.get(served).code == 200, what=f"an answer at {served}", within=30, pause=0.05)


@pytest.fixture(scope="session")
def guarded_plane() -> Iterator[Guarded]:
    """Another control plane, where the approval guard is installed and everybody in `guarded.PEOPLE` is known."""
    with guarded() as found:
        yield found


@pytest.fixture(scope="session")
def sample() -> Mapping[str, Mapping[str, Any]]:
    """The samples by the names of their files; copy one before changing it."""
    return {path.stem: yaml.safe_load(path.read_text()) for path in SAMPLES.glob("*.yaml")}
