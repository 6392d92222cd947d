"""Reads the tensors of an ONNX file and writes a new one: the few messages of `onnx.proto` that this takes.

Package `onnx` would do both, and is 17 MB that nothing else here needs. Field numbers are those of onnx.proto (IR 10).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["MICROSOFT", "Node", "initializers", "model"]

#: ONNX Runtime's own operators.
MICROSOFT = "com.microsoft"

_IR_VERSION = 10
_OPSETS = {"": 18, MICROSOFT: 1}

#: TensorProto.DataType
_TYPES: dict[int, np.dtype[np.generic]] = {
    1: np.dtype("<f4"),
    3: np.dtype("i1"),
    6: np.dtype("<i4"),
    7: np.dtype("<i8"),
}
_NUMBERS = {dtype: number for number, dtype in _TYPES.items()}

_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5


@dataclass(frozen=True, slots=True)
class Node:
    """One operation: names of what it reads and writes, and its attributes."""

    operator: str
    inputs: Sequence[str]
    outputs: Sequence[str]
    domain: str = ""
    attributes: Mapping[str, int | float] = field(default_factory=dict)


def initializers(content: bytes) -> dict[str, NDArray[np.generic]]:
    """The tensors that are stored in a file as raw bytes, by name; those of other types or encodings are left out."""
    found: dict[str, NDArray[np.generic]] = {}
    for number, graph in _fields(memoryview(content)):
        if number != 7 or isinstance(graph, int):
            continue
        for inner, tensor in _fields(graph):
            if inner == 5 and not isinstance(tensor, int):
                found.update(_tensor(tensor))
    return found


def model(
    nodes: Sequence[Node],
    tensors: Mapping[str, NDArray[np.generic]],
    inputs: Mapping[str, tuple[type[np.generic], Sequence[str | int]]],
    outputs: Mapping[str, tuple[type[np.generic], Sequence[str | int]]],
) -> bytes:
    """A serialised model. Inputs and outputs are given by name as type and shape; a str in a shape is a free size."""
    graph = [_message(1, _node(node)) for node in nodes]
    graph.append(_message(2, b"offmap"))
    graph += [_message(5, _stored(name, array)) for name, array in tensors.items()]
    graph += [_message(11, _value(name, *what)) for name, what in inputs.items()]
    graph += [_message(12, _value(name, *what)) for name, what in outputs.items()]
    opsets = [_message(8, _message(1, domain.encode()) + _number(2, version)) for domain, version in _OPSETS.items()]
    return b"".join([_number(1, _IR_VERSION), _message(7, b"".join(graph)), *opsets])


def _tensor(content: memoryview) -> dict[str, NDArray[np.generic]]:
    dims: list[int] = []
    name, kind = "", 0
    raw: memoryview | None = None
    for number, value in _fields(content):
        match number, value:
            case 1, int():
                dims.append(value)
            case 1, memoryview():  # the packed form of the same field
                dims += _varints(value)
            case 2, int():
                kind = value
            case 8, memoryview():
                name = bytes(value).decode()
            case 9, memoryview():
                raw = value
    if raw is None or kind not in _TYPES:
        return {}
    return {name: np.frombuffer(raw, dtype=_TYPES[kind]).reshape(dims)}


def _fields(content: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Field numbers and values of a message; fixed-width numbers come as bytes."""
    at = 0
    while at < len(content):
        key, at = _varint_at(content, at)
        if key & 7 == _VARINT:
            value, at = _varint_at(content, at)
            yield key >> 3, value
            continue
        size = {_EIGHT_BYTES: 8, _FOUR_BYTES: 4}.get(key & 7)
        if size is None:
            size, at = _varint_at(content, at)
        yield key >> 3, content[at : at + size]
        at += size


def _varint_at(content: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


def _varints(content: memoryview) -> list[int]:
    found, at = [], 0
    while at < len(content):
        value, at = _varint_at(content, at)
        found.append(value)
    return found


def _node(node: Node) -> bytes:
    parts = [_message(1, name.encode()) for name in node.inputs]
    parts += [_message(2, name.encode()) for name in node.outputs]
    parts.append(_message(4, node.operator.encode()))
    for name, value in node.attributes.items():
        if isinstance(value, float):
            stated = bytes([2 << 3 | _FOUR_BYTES]) + struct.pack("<f", value) + _number(20, 1)
        else:
            stated = _number(3, value) + _number(20, 2)
        parts.append(_message(5, _message(1, name.encode()) + stated))
    parts.append(_message(7, node.domain.encode()))
    return b"".join(parts)


def _stored(name: str, array: NDArray[np.generic]) -> bytes:
    dims = b"".join(_number(1, size) for size in array.shape)
    raw = np.ascontiguousarray(array).tobytes()
    return dims + _number(2, _NUMBERS[array.dtype]) + _message(8, name.encode()) + _message(9, raw)


def _value(name: str, kind: type[np.generic], shape: Sequence[str | int]) -> bytes:
    sizes = [_message(2, size.encode()) if isinstance(size, str) else _number(1, size) for size in shape]
    dims = b"".join(_message(1, size) for size in sizes)
    tensor = _number(1, _NUMBERS[np.dtype(kind)]) + _message(2, dims)
    return _message(1, name.encode()) + _message(2, _message(1, tensor))


def _message(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(content)) + content


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value & (1 << 64) - 1)  # a negative one in two's complement


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
