"""The plugin on a live API server with the approval guard, where everybody in `guarded.PEOPLE` is known."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from backends import Backends, backends, own_address
from guarded import Guarded, guarded
from plugin import Plugin, furnish
from refit.api import crd


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
def services(plane: Guarded, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backends]:
    """A collector and a MLflow behind the API server."""
    address = own_address()
    if address is None:
        pytest.skip("this machine has the loopback address alone, to which the API server sends nothing")
    with backends(plane, tmp_path_factory.mktemp("backends"), address) as found:
        yield found
