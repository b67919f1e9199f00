"""One PostgreSQL for all tests of the audit, and a database of its own for each that asks."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from postgres import OWNER, WRITER, Database, Postgres, admin, postgres
from refit_cluster.shell import HarnessError
from tampering import World, world_in
from volumes import small

NUMBERS = count(1)


@pytest.fixture(scope="session")
def server() -> Iterator[Postgres]:
    try:
        with postgres() as found:
            yield found
    except HarnessError as error:
        pytest.skip(str(error))


@pytest.fixture
def empty(server: Postgres) -> Database:
    """Without tables."""
    found = Database(server, f"audit{next(NUMBERS)}")
    server.run(f"CREATE DATABASE {found.name} OWNER {OWNER}")
    return found


@pytest.fixture(scope="session")
def template(server: Postgres) -> str:
    """Name of a database whose tables their owner made, with the command that docs/audit.md names."""
    found = Database(server, "template_audit")
    server.run(f"CREATE DATABASE {found.name} OWNER {OWNER}")
    said = admin("migrate", "--database", found.owners, "--password-file", server.password_file, "--writer", WRITER)
    assert said == "the tables are v0001\n"
    return found.name


@pytest.fixture
def database(server: Postgres, template: str) -> Database:
    """With tables, and no rows."""
    found = Database(server, f"audit{next(NUMBERS)}")
    server.run(f"CREATE DATABASE {found.name} OWNER {OWNER} TEMPLATE {template}")
    return found


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return world_in(tmp_path_factory.mktemp("audit"))


@pytest.fixture
def small_volume(tmp_path: Path) -> Iterator[Path]:
    """A volume of 2 MiB."""
    with small(tmp_path / "volume", 2) as folder:
        yield folder
