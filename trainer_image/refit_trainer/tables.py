"""Bytes to a table: CSV and Parquet, and a plain word about every file that is neither.

No message holds a value of the data; places are told as row numbers, of which 1 is the first after the header.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv
from pyarrow import parquet

from refit.api.dataspec import DataFormat
from refit_trainer.errors import RefusedError

LINE_LIMIT = 16 * 1024 * 1024
COLUMN_LIMIT = 4096
UNPACKED_LIMIT = 2 * 1024 * 1024 * 1024

_OTHER_FORMATS = (
    (b"\x1f\x8b", "gzip"),
    (b"PK\x03\x04", "a zip archive or a spreadsheet"),
    (b"PAR1", "Parquet; set data.format: Parquet"),
    (b"\xff\xfe", "UTF-16 text"),
    (b"\xfe\xff", "UTF-16 text"),
    (b"\xd0\xcf\x11\xe0", "a spreadsheet"),
)
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def read_table(content: bytes, data_format: DataFormat) -> pa.Table:
    """The table in a file; columns of a CSV are all text. Raises RefusedError."""
    if not content:
        raise RefusedError("DatasetTooSmall", "the data is empty: 0 bytes")
    table = READERS[data_format](content)
    _headers(table.column_names)
    return table


def _csv(content: bytes) -> pa.Table:
    for magic, name in _OTHER_FORMATS:
        if content.startswith(magic):
            raise RefusedError("DataUnreadable", f"expected CSV in UTF-8, found {name}")
    content = content.removeprefix(_BYTE_ORDER_MARK)
    _text(content)
    if not content.endswith(b"\n"):
        content += b"\n"
    _lines(content)
    header = content[: content.find(b"\n")]
    _separator(header)
    names = _names(content)
    if len(names) > COLUMN_LIMIT:
        raise RefusedError("DataUnreadable", f"the header has {len(names)} columns, the limit is {COLUMN_LIMIT}")
    try:
        return arrow_csv.read_csv(
            io.BytesIO(content),
            read_options=arrow_csv.ReadOptions(block_size=LINE_LIMIT),
            parse_options=_PARSING,
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid as error:
        raise RefusedError("DataUnreadable", _told(str(error))) from error


_PARSING = arrow_csv.ParseOptions(newlines_in_values=True)


def _names(content: bytes) -> list[str]:
    """The names of the header, which may go over several lines; Arrow types columns by name."""
    beginning = content[:LINE_LIMIT].decode(errors="ignore")
    try:
        return next(csv.reader(io.StringIO(beginning, newline="")), [])
    except csv.Error as error:
        raise RefusedError("DataUnreadable", "the header is no line of CSV") from error


def _told(message: str) -> str:
    """What Arrow said, without the text of the row that it quotes."""
    found = re.search(r"Row #(\d+): Expected (\d+) columns, got (\d+)", message)
    if found:
        return f"line {found[1]} has {found[3]} values, the header has {found[2]}"
    found = re.search(r"Expected (\d+) columns, got (\d+)", message)
    if found:
        return f"a line has {found[2]} values, the header has {found[1]}"
    if "straddling" in message:
        return f"a line has more than {LINE_LIMIT} bytes, or a quotation mark is never closed"
    return "not a CSV file"


def _text(content: bytes) -> None:
    place = content.find(b"\0")
    if place >= 0:
        raise RefusedError("DataUnreadable", f"line {_line(content, place)} holds a NUL byte; expected CSV in UTF-8")
    try:
        content.decode()
    except UnicodeDecodeError as error:
        raise RefusedError(
            "DataUnreadable",
            f"line {_line(content, error.start)} is not UTF-8 (byte 0x{content[error.start]:02x}); "
            "convert it, for example with iconv -f latin1 -t utf-8",
        ) from error


def _lines(content: bytes) -> None:
    if len(content) <= LINE_LIMIT:
        return
    ends = np.flatnonzero(np.frombuffer(content, dtype=np.uint8) == ord("\n"))
    lengths = np.diff(ends, prepend=-1)
    longest = int(lengths.argmax())
    if lengths[longest] > LINE_LIMIT:
        raise RefusedError("DataUnreadable", f"line {longest + 1} has more than {LINE_LIMIT} bytes")


def _separator(header: bytes) -> None:
    for other, name in ((b";", "';'"), (b"\t", "tabs"), (b"|", "'|'")):
        if other in header and b"," not in header:
            raise RefusedError("DataUnreadable", f"the header is separated by {name}; expected ','")


def _parquet(content: bytes) -> pa.Table:
    try:
        opened = parquet.ParquetFile(io.BytesIO(content))
        size = unpacked(opened.metadata)
        if size > UNPACKED_LIMIT:
            raise RefusedError(
                "SourceTooLarge", f"the Parquet file unpacks to {size} bytes, the limit is {UNPACKED_LIMIT}"
            )
        return opened.read()
    except (pa.ArrowException, OSError) as error:
        raise RefusedError("DataUnreadable", "expected Parquet, found something else or a damaged file") from error


def unpacked(metadata: parquet.FileMetaData) -> int:
    """Bytes that a Parquet file takes in memory at least: what it says, or eight for every value if that is more,
    since a file may repeat one value a billion times in a few bytes."""
    said = sum(metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups))
    return max(int(said), int(metadata.num_rows * metadata.num_columns * 8))


def _headers(names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise RefusedError(
            "DuplicateColumns", f"column {twice[0][:64]!r} is there {names.count(twice[0])} times; rename one"
        )
    for place, name in enumerate(names, start=1):
        if not name.strip():
            raise RefusedError("DataUnreadable", f"column {place} has no name in the header")
        if name.startswith(("=", "@")):
            raise RefusedError("FormulaCells", f"the name of column {place} is a spreadsheet formula; export values")


def _line(content: bytes, place: int) -> int:
    return content.count(b"\n", 0, place) + 1


READERS: dict[DataFormat, Callable[[bytes], pa.Table]] = {DataFormat.CSV: _csv, DataFormat.PARQUET: _parquet}
"""Format to what reads it."""
