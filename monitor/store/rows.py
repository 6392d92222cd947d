"""Frozen dataclasses to Arrow tables and back, by their annotations.

A field is a column of the same name. What is no plain value (tuples, lists, mappings) is a column of JSON text.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Generic, TypeVar, Union, get_args, get_origin, get_type_hints

import orjson
import pyarrow as pa

__all__ = ["KEY", "Rows", "json_text", "shape", "values"]

R = TypeVar("R")

KEY: pa.DataType = pa.uint64()
_ARROW: dict[Any, pa.DataType] = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
    bytes: pa.binary(),
    datetime: pa.timestamp("us"),
}


def json_text(value: object) -> str:
    """JSON with sorted keys, so that equal values are equal texts."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


@dataclass(frozen=True, slots=True)
class Rows(Generic[R]):
    """How the rows of one dataclass lie in a table."""

    row: type[R]
    schema: pa.Schema
    json: Mapping[str, Callable[[Any], Any]]  # JSON columns, and what makes the field's value of the parsed JSON

    @property
    def names(self) -> list[str]:
        return self.schema.names

    def table(self, rows: Iterable[R], **constants: object) -> pa.Table:
        """The rows as a table; `constants` fill further columns, such as the id of the whole that they belong to."""
        listed = list(rows)
        columns: dict[str, pa.Array[Any]] = {name: _constant(value, len(listed)) for name, value in constants.items()}
        for item in self.schema:
            column = [getattr(row, item.name) for row in listed]
            if item.name in self.json:
                column = [None if value is None else json_text(value) for value in column]
            columns[item.name] = pa.array(column, item.type)
        return pa.table(columns)

    def read(self, table: pa.Table) -> list[R]:
        """The rows of a query's result; columns that are no fields are left out."""
        names = [name for name in self.names if name in table.column_names]
        columns = [values(table, name) for name in names]
        for position, name in enumerate(names):
            if name in self.json:
                make = self.json[name]
                columns[position] = [None if text is None else make(orjson.loads(text)) for text in columns[position]]
        return [self.row(**dict(zip(names, row, strict=True))) for row in zip(*columns, strict=True)]


def shape(row: type[R], *, leave_out: Iterable[str] = ()) -> Rows[R]:
    """Read the columns off a dataclass."""
    hints = get_type_hints(row)
    columns, json = [], {}
    for item in fields(row):  # type: ignore[arg-type]
        if item.name in leave_out:
            continue
        kind = _without_none(hints[item.name])
        columns.append(pa.field(item.name, _ARROW.get(kind, pa.string())))
        if kind not in _ARROW:
            json[item.name] = tuple if get_origin(kind) is tuple else _same
    return Rows(row, pa.schema(columns), json)


def values(table: pa.Table, column: str | int) -> list[Any]:
    """A column as Python values."""
    return table.column(column).to_pylist()


def _constant(value: object, length: int) -> pa.Array[Any]:
    return pa.array([value] * length, _ARROW[type(value)])


def _same(value: Any) -> Any:
    return value


def _without_none(hint: Any) -> Any:
    if get_origin(hint) in (Union, types.UnionType):
        rest = [part for part in get_args(hint) if part is not type(None)]
        if len(rest) == 1:
            return rest[0]
    return hint
