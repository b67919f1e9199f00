"""Who runs what, when pytest has several workers (`make test`): the kind cluster's tests wait most of their time, so
one worker has them, from the start and in their order, and the other folders go through the rest beside it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

TESTS = Path(__file__).parent
FIRST = "cluster"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A folder's tests share what its fixtures start, so a folder is not divided."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group(folder(item)))
    items.sort(key=lambda item: folder(item) != FIRST)


def folder(item: pytest.Item) -> str:
    """The folder below tests/ that the test is in."""
    return item.path.relative_to(TESTS).parts[0]
