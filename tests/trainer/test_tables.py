from __future__ import annotations

import io
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from refit.api.dataspec import DataFormat
from refit_trainer.errors import RefusedError
from refit_trainer.tables import UNPACKED_LIMIT, read_table, unpacked


def as_parquet(table: pa.Table) -> bytes:
    written = io.BytesIO()
    parquet.write_table(table, written)
    return written.getvalue()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(b"a,b\n1,x\n", {"a": ["1"], "b": ["x"]}, id="every CSV value is text at first"),
        pytest.param(b"\xef\xbb\xbfa,b\n1,x\n", {"a": ["1"], "b": ["x"]}, id="a byte order mark is no part of a name"),
        pytest.param(b"a,b\r\n1,x\r\n", {"a": ["1"], "b": ["x"]}, id="lines may end as on Windows"),
        pytest.param(b'a,"b c"\n1,"x, y"\n', {"a": ["1"], "b c": ["x, y"]}, id="quotes protect commas"),
        pytest.param(b'a,b\n1,"x\ny"\n', {"a": ["1"], "b": ["x\ny"]}, id="quotes protect line ends"),
        pytest.param(b"a,b\n", {"a": [], "b": []}, id="a header alone is a table without rows"),
        pytest.param(b"a,b", {"a": [], "b": []}, id="so is a header without a line end"),
    ],
)
def test_csv(content: bytes, expected: dict[str, list[str]]) -> None:
    assert read_table(content, DataFormat.CSV).to_pydict() == expected


@pytest.mark.parametrize(
    ("content", "reason", "said"),
    [
        pytest.param(b"", "DatasetTooSmall", "0 bytes", id="an empty file"),
        pytest.param("a,b\nü,1\n".encode("latin-1"), "DataUnreadable", "line 2 is not UTF-8 (byte 0xfc)", id="Latin-1"),
        pytest.param("a,b\n1,2\n".encode("utf-16"), "DataUnreadable", "UTF-16", id="UTF-16"),
        pytest.param(b"a;b\n1;2\n", "DataUnreadable", "separated by ';'", id="semicolons"),
        pytest.param(b"a\tb\n1\t2\n", "DataUnreadable", "separated by tabs", id="tabs"),
        pytest.param(b"a,b\n1,2\n3,\x00\n", "DataUnreadable", "line 3 holds a NUL byte", id="a NUL byte"),
        pytest.param(b"a,b,a\n1,2,3\n", "DuplicateColumns", "column 'a' is there 2 times", id="a column name twice"),
        pytest.param(b"a,,c\n1,2,3\n", "DataUnreadable", "column 2 has no name", id="a column without a name"),
        pytest.param(b"a,=b\n1,2\n", "FormulaCells", "name of column 2", id="a formula as a column name"),
        pytest.param(
            b"a,b\n1,2\n3\n", "DataUnreadable", "has 1 values, the header has 2", id="a line that is too short"
        ),
        pytest.param(b"a,b\n1,2,3\n", "DataUnreadable", "has 3 values, the header has 2", id="a line that is too long"),
        pytest.param(b"\x1f\x8b\x08rest", "DataUnreadable", "found gzip", id="a compressed file"),
        pytest.param(b"PK\x03\x04rest", "DataUnreadable", "zip archive", id="a spreadsheet"),
        pytest.param(b"PAR1rest", "DataUnreadable", "data.format: Parquet", id="Parquet under the wrong name"),
        pytest.param(
            b"a,b\n1," + b"x" * (17 << 20) + b"\n", "DataUnreadable", "more than 16777216 bytes", id="a giant line"
        ),
    ],
)
def test_csv_that_is_refused(content: bytes, reason: str, said: str) -> None:
    with pytest.raises(RefusedError) as refused:
        read_table(content, DataFormat.CSV)
    assert (refused.value.reason, said in refused.value.message) == (reason, True), refused.value.message


def test_parquet_keeps_its_types() -> None:
    table = pa.table({"a": [1, None], "b": ["x", "y"]})
    assert read_table(as_parquet(table), DataFormat.PARQUET).to_pydict() == {"a": [1, None], "b": ["x", "y"]}


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"a,b\n1,2\n", id="a CSV"),
        pytest.param(as_parquet(pa.table({"a": [1]}))[:-9] + b"garbage!!", id="a damaged file"),
        pytest.param(b"PAR1", id="four bytes"),
    ],
)
def test_what_is_no_parquet_is_refused(content: bytes) -> None:
    with pytest.raises(RefusedError, match="expected Parquet"):
        read_table(content, DataFormat.PARQUET)


def test_a_parquet_bomb_is_seen_before_it_is_unpacked() -> None:
    content = as_parquet(
        pa.table({"a": pa.DictionaryArray.from_arrays(pa.array([0] * 1_000_000, pa.int8()), ["x" * 9])})
    )
    metadata = parquet.ParquetFile(io.BytesIO(content)).metadata
    assert len(content) < 10_000
    assert unpacked(metadata) == 8_000_000 < UNPACKED_LIMIT


def test_a_refusal_never_quotes_the_data() -> None:
    with pytest.raises(RefusedError) as refused:
        read_table(b"name,born\nSmith,1970\nJones,1980,secret\n", DataFormat.CSV)
    assert not {"Smith", "Jones", "secret"} & set(refused.value.message.replace(",", " ").split())


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.binary(max_size=200), st.text(alphabet='a1",;\n\r\t \x00=é', max_size=80).map(str.encode)))
def test_any_bytes_give_a_table_or_a_refusal(content: bytes) -> None:
    for kind in DataFormat:
        try:
            found: Any = read_table(content, kind)
        except RefusedError:
            continue
        assert found.num_columns >= 0
