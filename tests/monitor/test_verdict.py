"""The verdict on two files: its exit codes, and what is refused."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import yaml
from pyarrow import parquet

from monitored import rows
from refit_monitor.errors import BadInputError
from refit_monitor.local import run
from refit_monitor.tables import read

GOOD = "age,site\n" + "".join(f"{30 + place % 40},{'ns'[place % 2]}\n" for place in range(240))


def judged(reference: Path, current: Path, *more: str) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    code = run(["--reference", str(reference), "--current", str(current), *more], out, err)
    return code, out.getvalue(), err.getvalue()


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    (tmp_path / "reference.csv").write_text(GOOD)
    return tmp_path / "reference.csv"


@pytest.mark.parametrize(
    ("count", "shift", "code", "verdict"),
    [
        pytest.param(600, 0, 0, "NoDrift", id="none"),
        pytest.param(600, 15, 10, "Drift", id="drift"),
        pytest.param(100, 15, 11, "Inconclusive", id="too few rows"),
    ],
)
def test_exit_codes(tmp_path: Path, count: int, shift: float, code: int, verdict: str) -> None:
    for name, size, by in (("a", 240, 0.0), ("b", count, shift)):
        made = rows(size, np.random.default_rng(size))
        made["age"] += by
        parquet.write_table(pa.table(made), tmp_path / f"{name}.parquet")
    found, out, _ = judged(tmp_path / "a.parquet", tmp_path / "b.parquet", "-o", "json")
    assert (found, json.loads(out)["verdict"]) == (code, verdict)
    again, told, _ = judged(tmp_path / "a.parquet", tmp_path / "b.parquet")
    assert (again, f"\n{verdict}: " in told, "data quality" in told) == (code, True, True)


def test_a_spec_says_columns_methods_and_rows(tmp_path: Path, reference: Path) -> None:
    spec: dict[str, Any] = {
        "data": {
            "source": {"uri": "sample://heart-disease"},
            "target": {"column": "site"},
            "columns": [{"name": "age", "min": "40"}, {"name": "site", "type": "Category"}],
        },
        "training": {"candidates": [{"algorithm": "LogisticRegression"}], "selection": {"metric": "f1"}},
        "monitoring": {"window": {"minRows": 30}, "drift": {"features": [{"column": "age", "method": "PSI"}]}},
    }
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump({"spec": spec}))
    code, out, _ = judged(reference, reference, "--spec", str(tmp_path / "spec.yaml"), "-o", "json")
    found = json.loads(out)
    assert (code, [(column["column"], column["method"]) for column in found["columns"]]) == (0, [("age", "PSI")])
    assert found["dataQuality"]["problems"] == ["'age' is less than min 40 in 60 of 240 rows"]


@pytest.mark.parametrize(
    ("current", "said"),
    [
        pytest.param(b"", "the file is empty", id="an empty file"),
        pytest.param(b"age,site\n", "0 rows; there is nothing to compare", id="a header alone"),
        pytest.param(b"age,place\n1,n\n", "column 'site' is missing; found: age, place", id="a column is missing"),
        pytest.param(b"age,site\n1,n\nold,s\n3,n\nx,s\n", "column 'age' is a Number but 2 rows (2, 4) hold something else", id="text among numbers"),
        pytest.param(b"age,site\n1,n\ninf,s\n", "column 'age' holds infinite or too large numbers in 1 row (2)", id="infinity"),
        pytest.param(b"age,site\n1e308,n\n2,s\n", "column 'age' holds infinite or too large numbers in 1 row (1)", id="beyond 32 bits"),
        pytest.param("age,site\n1,ä\n".encode("latin1"), "line 2 is not UTF-8 (byte 0xe4)", id="another encoding"),
        pytest.param("age,site\n1,n\n".encode("utf-16"), "found UTF-16 text", id="wide text"),
        pytest.param(b"age;site\n1;n\n", "the header is separated by ';'", id="semicolons"),
        pytest.param(b"age,site\n1,n\0\n", "line 2 holds a NUL byte", id="a NUL byte"),
        pytest.param(b"age,age,site\n1,2,n\n", "column 'age' is there 2 times", id="a name twice"),
        pytest.param(b"age,site\n1,=cmd()\n2,n\n", "column 'site' holds spreadsheet formulas in 1 row (1)", id="formulas"),
        pytest.param(b"age,site\n1,n,3\n", "another number of values than the header", id="a long line"),
        pytest.param(b"PK\x03\x04../../etc/passwd", "found a zip archive", id="an archive, whatever its paths"),
        pytest.param(b"\x1f\x8b\x08\x00", "found gzip", id="a compressed file"),
        pytest.param(b"PAR1nothing", "found a damaged file", id="half a Parquet file"),
    ],
)  # fmt: skip
def test_what_is_refused_is_told_in_one_line(tmp_path: Path, reference: Path, current: bytes, said: str) -> None:
    (tmp_path / "current").write_bytes(current)
    code, out, err = judged(reference, tmp_path / "current")
    assert (code, out, said in err, len(err.splitlines())) == (2, "", True, 1), err


def test_order_and_further_columns_do_not_matter_and_a_mark_is_no_text(tmp_path: Path, reference: Path) -> None:
    lines = [line.split(",") for line in GOOD.splitlines()]
    (tmp_path / "b.csv").write_bytes(b"\xef\xbb\xbf" + "".join(f"{site},x,{age}\n" for age, site in lines).encode())
    assert judged(reference, tmp_path / "b.csv")[0] == 0


def test_a_small_file_that_unpacks_to_a_lot_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.parquet"
    parquet.write_table(pa.table({"age": pa.array(np.zeros(1_000_000))}), path)
    assert path.stat().st_size < 20_000
    with pytest.raises(BadInputError, match="it unpacks to 8000000 bytes, the limit is 1000000"):
        read(path, unpacked=1_000_000)


def test_dates_are_refused(tmp_path: Path) -> None:
    parquet.write_table(pa.table({"day": pa.array([0, 1], pa.date32())}), tmp_path / "a.parquet")
    code, _, err = judged(tmp_path / "a.parquet", tmp_path / "a.parquet")
    assert (code, "column 'day' holds date32[day]; expected numbers or text" in err) == (2, True)


def test_a_missing_file(tmp_path: Path, reference: Path) -> None:
    assert judged(reference, tmp_path / "none.csv")[::2] == (
        2, f"refit_monitor: {tmp_path / 'none.csv'}: No such file or directory\n",
    )  # fmt: skip
