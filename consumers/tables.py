"""Tables: CSV and Parquet rows as records. Columns have the names of a turn's fields."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from consumers.fields import FIELDS, check_text, from_cell
from consumers.raw import MAX_RECORD, RawRecord
from monitor.errors import InputError

__all__ = ["check_utf8", "read_csv", "read_parquet"]

_PARQUET_BATCH = 1000


def check_utf8(path: Path, stream: BinaryIO) -> None:
    """Refuse a CSV that is not UTF-8 before any row of it is stored: a wrong encoding spoils every row, not one."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    seen = 0
    while chunk := stream.read(1 << 20):
        pending = len(decoder.getstate()[0])
        try:
            decoder.decode(chunk)
        except UnicodeDecodeError as error:
            raise InputError(
                f"{path} is not UTF-8: byte 0x{error.object[error.start]:02x} at byte {seen - pending + error.start}; "
                f"convert it, for example with `iconv -f latin1 -t utf-8 {path}`"
            ) from None
        seen += len(chunk)


def read_csv(path: Path, stream: BinaryIO, delimiter: str) -> Iterator[RawRecord]:
    """Rows of a CSV whose first row names the columns. An empty cell is absent."""
    csv.field_size_limit(MAX_RECORD)  # the module's default refuses texts over 128 KiB
    with io.TextIOWrapper(stream, encoding="utf-8-sig", errors="replace", newline="") as text:
        rows = csv.reader(text, delimiter=delimiter, strict=True)
        try:
            header = next(rows)
        except (StopIteration, csv.Error) as error:
            raise InputError(
                f"{path} has no header row: the first row must name the columns, such as user_text"
            ) from error
        names = [name.strip() for name in header]
        position = 0
        while True:
            try:
                row = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                yield RawRecord(position, b"", reason=f"not CSV: {error} (line {rows.line_num})")
                position += 1
                continue
            if row:  # the csv module gives an empty line as an empty row
                yield _csv_record(position, names, row)
                position += 1


def _csv_record(position: int, names: list[str], row: list[str]) -> RawRecord:
    if len(row) != len(names):
        reason = f"the row has {len(row)} cells and the header {len(names)}"
        return RawRecord(position, orjson.dumps(row), reason=reason)
    cells = {name: from_cell(name, cell) for name, cell in zip(names, row, strict=True)}
    value = _without_gaps(cells)
    return RawRecord(position, orjson.dumps(value), value)


def read_parquet(path: Path) -> Iterator[tuple[RawRecord, int]]:
    """Rows of a Parquet file with the number of all rows. Raises `InputError` for a file that is no Parquet."""
    position = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_PARQUET_BATCH):
                for row in batch.to_pylist():
                    yield _row_record(position, row), file.metadata.num_rows
                    position += 1
    except (pa.ArrowException, OSError) as error:
        where = f" beyond row {position}" if position else ""
        raise InputError(f"{path} cannot be read as Parquet{where}: {error}") from error


def _row_record(position: int, row: Mapping[str, Any]) -> RawRecord:
    """The row as plain JSON values, so that a decoder sees the same as from a JSONL file."""
    try:
        payload = orjson.dumps({name: _cell(name, value) for name, value in row.items()}, default=_plain)
    except TypeError as error:
        return RawRecord(position, b"", reason=f"the row holds something that is not JSON: {error}")
    return RawRecord(position, payload, _without_gaps(orjson.loads(payload)))


def _without_gaps(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row without the empty cells of columns that are no field of a turn: a table cannot leave them out itself."""
    return {name: cell for name, cell in row.items() if cell is not None or name in FIELDS}


def _cell(name: str, value: Any) -> Any:
    if FIELDS.get(name) is check_text and isinstance(value, int) and not isinstance(value, bool):
        return str(value)  # ids are often whole numbers in a table
    if isinstance(value, str) and FIELDS.get(name) is not check_text:
        return from_cell(name, value)  # tables hold lists and objects as JSON text, too
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"a value of type {type(value).__name__}")
