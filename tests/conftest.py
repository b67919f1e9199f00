"""Who runs what, when pytest has several workers (`make test`): the kind cluster's tests wait most of their time, so
one worker has them, from the start and in their order, and the other goes through the other folders beside it.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from xdist.remote import Producer  # type: ignore[import-untyped]  # it comes without types
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]  # as above

TESTS = Path(__file__).parent
FIRST = "cluster"


class ByFolder(LoadScopeScheduling):  # type: ignore[misc]  # as above
    """A folder's tests share what its fixtures start, so a folder is not divided."""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid.split("/")[1]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFolder:
    """In the order of the collection, and not the largest folder first."""
    config.option.loadscopereorder = False
    return ByFolder(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The cluster's tests first."""
    items.sort(key=lambda item: item.path.relative_to(TESTS).parts[0] != FIRST)
