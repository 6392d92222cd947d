"""A record as a source hands it on: where it stands, its bytes, and its value or why it has none."""

from __future__ import annotations

from typing import Any

import orjson

from monitor.records import streamed

__all__ = ["MAX_RECORD", "RawRecord", "parse_record"]

#: A longer record is refused: memory stays bounded whatever the file holds.
MAX_RECORD = 16 << 20
_KEPT_OF_TOO_LONG = 64 << 10


@streamed
class RawRecord:
    """One record. `position` counts from 0: the line, the element, the row."""

    position: int
    payload: bytes
    value: Any = None
    reason: str | None = None

    @classmethod
    def too_long(cls, position: int, payload: bytes) -> RawRecord:
        kept = payload[:_KEPT_OF_TOO_LONG]
        reason = f"longer than {MAX_RECORD >> 20} MiB; only its first {_KEPT_OF_TOO_LONG >> 10} KiB are kept"
        return cls(position, kept, reason=reason)


def parse_record(position: int, payload: bytes) -> RawRecord:
    """Read a record's JSON; a bad one gets a reason that says where it is bad and quotes nothing of it.

    >>> parse_record(0, b'{"user_text": "hi"').reason
    'not JSON: unexpected end of data at character 18: the record is cut'
    """
    if len(payload) > MAX_RECORD:
        return RawRecord.too_long(position, payload)
    try:
        return RawRecord(position, payload, orjson.loads(payload))
    except orjson.JSONDecodeError as error:
        return RawRecord(position, payload, reason=_reason(payload, error))


def _reason(payload: bytes, error: orjson.JSONDecodeError) -> str:
    try:
        payload.decode()
    except UnicodeDecodeError as bad:
        return f"not UTF-8: byte 0x{payload[bad.start]:02x} at byte {bad.start} of the record"
    if "surrogate" in error.msg:
        return f"not Unicode: a \\u escape near character {error.pos} is half of a surrogate pair"
    message = error.msg.partition(": line ")[0]
    cut = ": the record is cut" if "end of data" in message else ""
    return f"not JSON: {message} at character {error.pos}{cut}"
