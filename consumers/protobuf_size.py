"""How many messages an OTLP request in protobuf holds, counted in its bytes before anything is made of them.

Two bytes are an empty span, and take 90 when they are parsed: 16 MB would be more than a gigabyte before a limit on what was
parsed could say anything.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["holds_more_than"]

#: The fields of each message that are messages themselves, of what an `ExportTraceServiceRequest` holds.
_MESSAGES: Mapping[str, Mapping[int, str]] = {
    "request": {1: "resource spans"},
    "resource spans": {1: "resource", 2: "scope spans"},
    "resource": {1: "pair", 3: "entity"},
    "entity": {3: "text", 4: "text"},
    "text": {},
    "scope spans": {1: "scope", 2: "span"},
    "scope": {3: "pair"},
    "span": {9: "pair", 11: "event", 13: "link", 15: "status"},
    "event": {3: "pair"},
    "link": {4: "pair"},
    "status": {},
    "pair": {2: "value"},
    "value": {5: "array", 6: "pairs"},
    "array": {1: "value"},
    "pairs": {1: "pair"},
}
_VARINT, _FIXED64, _SIZED, _FIXED32 = 0, 1, 2, 5


def holds_more_than(most: int, body: bytes) -> bool:
    """Whether the request holds more messages than that. Of what is no protobuf as much counts as could be read."""
    if len(body) // 2 <= most:  # none is smaller than two bytes
        return False
    found = 0
    waiting = [(0, len(body), _MESSAGES["request"])]
    while waiting:
        at, end, fields = waiting.pop()
        while at < end:
            tag, at = _varint(body, at, end)
            kind, number = tag & 7, tag >> 3
            if kind == _VARINT:
                _, at = _varint(body, at, end)
            elif kind == _SIZED:
                size, at = _varint(body, at, end)
                inner = fields.get(number)
                if inner is not None:
                    found += 1
                    if found > most:
                        return True
                    if size and _MESSAGES[inner] and at + size <= end:
                        waiting.append((at, at + size, _MESSAGES[inner]))
                at += size
            elif kind in (_FIXED64, _FIXED32):
                at += 8 if kind == _FIXED64 else 4
            else:
                break  # nothing that OTLP has: whoever parses it says so
    return False


def _varint(body: bytes, at: int, end: int) -> tuple[int, int]:
    """A number and where it ends; one that is cut ends the message."""
    value = shift = 0
    while at < end and shift < 70:
        byte = body[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    return 0, end
