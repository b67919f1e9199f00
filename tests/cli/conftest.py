"""The plugin on a live API server with the approval guard, where everybody in `guarded.PEOPLE` is known."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from audit_door import audit_behind
from backends import Backends, backends, own_address
from guarded import SYSTEM, Guarded, guarded
from plugin import Plugin, furnish
from refit.api import crd, meta


@pytest.fixture(scope="session")
def plane() -> Iterator[Guarded]:
    with guarded() as found:
        # The fields of the types as they are, be the generated files fresh or not.
        found.put(*(make() for make in crd.DEFINITIONS.values()))
        yield found


@pytest.fixture(scope="module")
def refit(plane: Guarded) -> Plugin:
    """Runs `kubectl refit` as somebody, in a namespace with models and requests that are new for each module."""
    furnish(plane)
    return Plugin(plane)


@pytest.fixture(scope="session")
def audit(plane: Guarded, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The file of an audit that an operator keeps behind the API server; olga may read it."""
    address = own_address()
    if address is None:
        pytest.skip("this machine has the loopback address alone, to which the API server sends nothing")
    with audit_behind(plane, tmp_path_factory.mktemp("audit"), address) as found:
        plane.bind("refit-auditor", "olga", namespace=SYSTEM)
        yield found


@pytest.fixture(scope="session")
def audit_checkpoint(plane: Guarded, audit: Path) -> str:
    """The ConfigMap with its checkpoint, as `kubectl get -o json` prints it."""
    assert audit.exists()
    return json.dumps(plane.admin.get(f"/api/v1/namespaces/{SYSTEM}/configmaps/{meta.AUDIT_CHECKPOINT}").accepted())


@pytest.fixture(scope="session")
def services(plane: Guarded, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backends]:
    """A collector and a MLflow behind the API server."""
    address = own_address()
    if address is None:
        pytest.skip("this machine has the loopback address alone, to which the API server sends nothing")
    with backends(plane, tmp_path_factory.mktemp("backends"), address) as found:
        yield found
