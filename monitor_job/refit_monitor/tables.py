"""Files of rows, for a verdict without a cluster: CSV and Parquet, and a plain word about every file that is neither.

No message holds a value of the data; rows are told by number, of which 1 is the first after the header.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv as arrow_csv
from pyarrow import parquet

from refit.api.dataspec import ColumnType
from refit_monitor.columns import MISSING_WORDS
from refit_monitor.errors import BadInputError

FILE_LIMIT = 4 * 1024**3
UNPACKED_LIMIT = 8 * 1024**3
LINE_LIMIT = 16 * 1024**2
COLUMN_LIMIT = 4096
LARGEST = float(np.finfo(np.float32).max)
FIRST = 5
_ARCHIVES = (
    (b"\x1f\x8b", "gzip"),
    (b"PK\x03\x04", "a zip archive or a spreadsheet"),
    (b"\xd0\xcf\x11\xe0", "a spreadsheet"),
)
_WIDE = ((b"\xff\xfe", "UTF-16 text"), (b"\xfe\xff", "UTF-16 text"))
_MARK = b"\xef\xbb\xbf"


def read(path: Path, *, unpacked: int = UNPACKED_LIMIT) -> pa.Table:
    """The table in a file; raises BadInputError naming the file. `unpacked` is how many bytes it may take in memory."""
    try:
        table = _opened(path, unpacked)
    except OSError as error:
        raise BadInputError(f"{path}: {error.strerror or 'can not be read'}") from error
    except BadInputError as error:
        raise BadInputError(f"{path}: {error}") from error
    problem = _header(table.column_names)
    if problem:
        raise BadInputError(f"{path}: {problem}")
    if not table.num_rows:
        raise BadInputError(f"{path}: 0 rows; there is nothing to compare")
    return table


def _opened(path: Path, unpacked: int) -> pa.Table:
    size = path.stat().st_size
    if size > FILE_LIMIT:
        raise BadInputError(f"{size} bytes, the limit is {FILE_LIMIT}")
    with path.open("rb") as file:
        magic = file.read(4)
    return _parquet(path, unpacked) if magic == b"PAR1" else _csv(path.read_bytes())


def types(table: pa.Table) -> dict[str, ColumnType]:
    """What each column holds, by its values; raises BadInputError for dates, lists and bytes."""
    found = {}
    for field in table.schema:
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        if pa.types.is_temporal(kind) or pa.types.is_nested(kind) or pa.types.is_binary(kind):
            raise BadInputError(f"column {field.name!r} holds {kind}; expected numbers or text, or leave it out")
        number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
        found[field.name] = ColumnType.NUMBER if number else ColumnType.CATEGORY
    return found


def problem(name: str, column: pa.ChunkedArray, kind: ColumnType) -> str:
    """What makes a column unfit to be compared as that type, with the first rows; "" if it is fit."""
    held = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    text = pa.types.is_string(held) or pa.types.is_large_string(held)
    if kind is ColumnType.CATEGORY:
        formulas = np.flatnonzero(_starting(column, ("=", "@"))) if text else np.array([], dtype=np.int64)
        return (
            f"column {name!r} holds spreadsheet formulas in {_rows(formulas)}; export values" if formulas.size else ""
        )
    if text:
        wrong = np.flatnonzero([not _is_number(word) for word in column.to_pylist()])
        if wrong.size:
            return f"column {name!r} is a Number but {_rows(wrong)} hold something else"
        return ""
    if not (pa.types.is_integer(held) or pa.types.is_floating(held) or pa.types.is_decimal(held)):
        return f"column {name!r} is a Number in the reference and {held} here"
    values = pc.cast(column, pa.float64(), safe=False).to_numpy()
    endless = np.flatnonzero(np.abs(np.nan_to_num(values, nan=0.0, posinf=np.inf, neginf=-np.inf)) > LARGEST)
    return f"column {name!r} holds infinite or too large numbers in {_rows(endless)}" if endless.size else ""


def _rows(places: NDArray[np.int64]) -> str:
    listed = ", ".join(str(place + 1) for place in places[:FIRST]) + (", ..." if places.size > FIRST else "")
    return f"{places.size} row{'s' if places.size > 1 else ''} ({listed})"


def _starting(column: pa.ChunkedArray, starts: tuple[str, ...]) -> NDArray[np.bool_]:
    plain = pc.cast(column, pa.string())
    found = pc.or_(*(pc.fill_null(pc.starts_with(plain, start), False) for start in starts))
    return np.asarray(found.to_numpy(), dtype=bool)


def _is_number(word: str | None) -> bool:
    if word is None or word.strip() in MISSING_WORDS:
        return True
    try:
        return abs(float(word)) <= LARGEST
    except ValueError:
        return False


def _header(names: list[str]) -> str:
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        return f"column {twice[0][:64]!r} is there {names.count(twice[0])} times; rename one"
    for place, name in enumerate(names, start=1):
        if not name.strip():
            return f"column {place} has no name"
        if name.startswith(("=", "@")):
            return f"the name of column {place} is a spreadsheet formula; export values"
    return "" if len(names) <= COLUMN_LIMIT else f"{len(names)} columns, the limit is {COLUMN_LIMIT}"


def _parquet(path: Path, most: int) -> pa.Table:
    try:
        opened = parquet.ParquetFile(path)
        metadata = opened.metadata
        said = sum(metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups))
        # A file may repeat one value a billion times in a few bytes.
        size = max(int(said), metadata.num_rows * metadata.num_columns * 8)
        if size > most:
            raise BadInputError(f"it unpacks to {size} bytes, the limit is {most}")
        return opened.read()
    except (pa.ArrowException, OSError) as error:
        raise BadInputError("expected Parquet, found a damaged file") from error


def _csv(content: bytes) -> pa.Table:
    for magic, name in (*_ARCHIVES, *_WIDE):
        if content.startswith(magic):
            raise BadInputError(f"expected CSV in UTF-8 or Parquet, found {name}")
    content = content.removeprefix(_MARK)
    if not content.strip():
        raise BadInputError("the file is empty")
    _utf8(content)
    header = content[:LINE_LIMIT].split(b"\n", 1)[0]
    for other, name in ((b";", "';'"), (b"\t", "tabs"), (b"|", "'|'")):
        if other in header and b"," not in header:
            raise BadInputError(f"the header is separated by {name}; expected ','")
    names = next(csv.reader(io.StringIO(header.decode(errors="replace"))), [])
    told = _header([name.strip("\r") for name in names])
    if told:
        raise BadInputError(told)
    try:
        return arrow_csv.read_csv(
            io.BytesIO(content),
            read_options=arrow_csv.ReadOptions(block_size=LINE_LIMIT),
            parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
            convert_options=arrow_csv.ConvertOptions(
                null_values=list(MISSING_WORDS), strings_can_be_null=True, true_values=[], false_values=[]
            ),
        )
    except pa.ArrowInvalid as error:
        found = str(error)
        if "Expected" in found and "got" in found:
            raise BadInputError("a line has another number of values than the header") from error
        if "straddling" in found:
            raise BadInputError(
                f"a line has more than {LINE_LIMIT} bytes, or a quotation mark is never closed"
            ) from error
        # Types are inferred from the beginning; a later value that does not fit makes its column one of text.
        return _texts(content, names)


def _texts(content: bytes, names: list[str]) -> pa.Table:
    try:
        return arrow_csv.read_csv(
            io.BytesIO(content),
            read_options=arrow_csv.ReadOptions(block_size=LINE_LIMIT),
            parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                null_values=list(MISSING_WORDS),
                strings_can_be_null=True,
            ),
        )
    except pa.ArrowInvalid as error:
        raise BadInputError("not a CSV file") from error


def _utf8(content: bytes) -> None:
    place = content.find(b"\0")
    if place >= 0:
        raise BadInputError(f"line {content.count(bytes([10]), 0, place) + 1} holds a NUL byte; expected CSV in UTF-8")
    try:
        content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BadInputError(
            f"line {line} is not UTF-8 (byte 0x{content[error.start]:02x}); "
            "convert it, for example with iconv -f latin1 -t utf-8"
        ) from error
