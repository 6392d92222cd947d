"""How statements and tables travel between a client and the holder of a store: JSON and Arrow, never pickled objects."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from multiprocessing.connection import Connection
from typing import Any

import orjson
import pyarrow as pa

from monitor import errors

__all__ = ["pack_parameters", "pack_table", "raise_error", "receive", "send", "unpack_parameters", "unpack_table"]

_ERRORS: Mapping[str, type[errors.OffmapError]] = {
    name: getattr(errors, name) for name in errors.__all__ if name != "MissingExtraError"
}


def send(connection: Connection, header: Mapping[str, Any], tables: Sequence[pa.Table] = ()) -> None:
    """One message: a header, and tables after it."""
    connection.send_bytes(orjson.dumps({**header, "tables": len(tables)}))
    for table in tables:
        connection.send_bytes(pack_table(table))


def receive(connection: Connection) -> tuple[dict[str, Any], list[pa.Table]]:
    """The next message. `EOFError` or `OSError` when the other side is gone."""
    header: dict[str, Any] = orjson.loads(connection.recv_bytes())
    return header, [unpack_table(connection.recv_bytes()) for _ in range(header["tables"])]


def pack_table(table: pa.Table) -> bytes:
    """A table as the bytes of Arrow's stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    packed: bytes = sink.getvalue().to_pybytes()
    return packed


def unpack_table(data: bytes) -> pa.Table:
    return pa.ipc.open_stream(data).read_all()


def pack_parameters(parameters: Sequence[object]) -> list[list[Any]]:
    """Each parameter with its kind, so that it arrives as what it was."""
    return [_pack(value) for value in parameters]


def unpack_parameters(packed: Sequence[Sequence[Any]]) -> list[object]:
    """
    >>> unpack_parameters(pack_parameters([None, b"x", datetime(2026, 3, 1), ["a"], 2**64 - 1]))
    [None, b'x', datetime.datetime(2026, 3, 1, 0, 0), ['a'], 18446744073709551615]
    """
    return [_UNPACK[kind](value) for kind, value in packed]


def raise_error(header: Mapping[str, Any]) -> None:
    """Raise what the holder met, as what it was there; a bug there is a bug here."""
    kind = _ERRORS.get(header["error"])
    if kind is None:
        raise RuntimeError(f"{header['error']} in the process that holds the store: {header['text']}")
    raise kind(header["text"])


def _pack(value: object) -> list[Any]:
    if isinstance(value, bytes):
        return ["bytes", base64.b64encode(value).decode()]
    if isinstance(value, datetime):
        return ["time", value.isoformat()]
    if isinstance(value, float) and not math.isfinite(value):
        return ["float", repr(value)]
    if isinstance(value, list | tuple):
        return ["list", [_pack(one) for one in value]]
    if value is None or isinstance(value, bool | int | float | str):
        return ["plain", value]
    raise TypeError(f"a parameter of type {type(value).__name__} cannot travel")


_UNPACK: Mapping[str, Callable[[Any], object]] = {
    "plain": lambda value: value,
    "bytes": base64.b64decode,
    "time": datetime.fromisoformat,
    "float": float,
    "list": lambda values: [_UNPACK[kind](value) for kind, value in values],
}
