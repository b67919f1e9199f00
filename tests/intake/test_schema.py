from __future__ import annotations

from pathlib import Path

import pytest

from refit.intake.schema import StoreError, connect, prepare


def test_a_new_volume_has_no_directory_for_the_store_yet(tmp_path: Path) -> None:
    path = tmp_path / "intake" / "alerts.db"
    prepare(path)
    connection = connect(path)
    assert connection.execute("SELECT count(*) FROM alert").fetchone() == (0,)
    connection.close()


def test_a_path_that_can_not_hold_the_store_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="give a writable path on a volume of its own"):
        prepare(tmp_path / "file" / "alerts.db")
