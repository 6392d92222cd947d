"""offmap's own JSON: a turn, or a later fact about one (`turn.schema.json`). Only `user_text` is needed."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import orjson

from consumers.decoders.decoder import Decoded, Defaults, default_id
from consumers.fields import EVENT_FIELDS, FIELDS, check, shown, type_word
from consumers.times import NOW
from monitor.errors import RecordError
from monitor.records import EVENT_KINDS, Coordinates, Event, Turn, short_hash

__all__ = ["OffmapDecoder"]

# A call with names finds its parameters at once when they are the very same strings, and the parser makes its own.
_READERS = {name: (sys.intern(name), read) for name, read in FIELDS.items()}
_EVENT_KEYS = frozenset({"event", "turn_id", "created_at", "tenant", "metadata", *EVENT_FIELDS})


class OffmapDecoder:
    """Strict about types, open to unknown fields: those are kept in `metadata`."""

    name = "offmap"

    def matches(self, record: Any) -> bool:
        return isinstance(record, dict) and ("user_text" in record or ("event" in record and "turn_id" in record))

    def decode(self, record: Any, at: Coordinates, defaults: Defaults) -> Decoded:
        if not isinstance(record, dict):
            raise RecordError(f"expected an object, got {type_word(record)}")
        if record.get("event") is not None and "user_text" not in record:
            return Decoded(events=(_event(record, defaults),))
        return Decoded(turns=(_turn(record, at, defaults),))


def _turn(record: Mapping[str, Any], at: Coordinates, defaults: Defaults) -> Turn:
    if record.get("user_text") is None:
        raise RecordError("user_text: missing; it is the one field that a turn needs")
    # This is where a stream spends its time: one pass, and no call that a plain record does not need.
    values: dict[str, Any] = {}
    open_to_more = False
    for name, value in record.items():
        if value is None:
            open_to_more |= name not in _READERS
            continue
        found = _READERS.get(name)
        if found is None:
            open_to_more = True
        else:
            own, read = found
            values[own] = read(own, value)
    if not values["user_text"].strip():
        raise RecordError("user_text: blank")
    metadata = _metadata(record, FIELDS) if open_to_more else values.get("metadata") or None
    turn_id, conversation_id = values.get("turn_id"), values.get("conversation_id") or None
    if not turn_id:
        turn_id = values["turn_id"] = _turn_id(values, conversation_id, at)
    if conversation_id is None:
        conversation_id = values["conversation_id"] = turn_id
    when = defaults.dated(values.get("created_at"), conversation_id, values.get("turn_index") or 0, metadata)
    values["created_at"], values["metadata"] = when.at, when.metadata
    return Turn(**values)


def _turn_id(values: Mapping[str, Any], conversation_id: str | None, at: Coordinates) -> str:
    if conversation_id is None:
        return default_id(at)
    if "turn_index" in values:
        return f"{conversation_id}-{values['turn_index']}"
    moment = values["created_at"].isoformat() if "created_at" in values else ""
    return f"{conversation_id}-{short_hash(values['user_text'], values.get('assistant_text') or '', moment)}"


def _event(record: Mapping[str, Any], defaults: Defaults) -> Event:
    kind = record["event"]
    if kind not in EVENT_KINDS:
        raise RecordError(f"event: expected one of {', '.join(EVENT_KINDS)}, got {shown(kind)}")
    turn_id = check("turn_id", record.get("turn_id"))
    if not turn_id:
        raise RecordError(f"turn_id: missing; a {kind} event names its turn")
    fields = {name: check(name, record[name]) for name in EVENT_FIELDS if record.get(name) is not None}
    if not fields and kind != "deletion":
        raise RecordError(f"event: a {kind} event sets none of {', '.join(EVENT_FIELDS)}")
    metadata, when = _metadata(record, _EVENT_KEYS), None
    if record.get("created_at") is not None:
        when = NOW.dated(check("created_at", record["created_at"]), turn_id, 0, metadata, defaults.now)
        metadata = when.metadata
    if metadata:
        fields["metadata"] = metadata
    return Event(
        kind=kind,
        turn_id=turn_id,
        created_at=when.at if when else defaults.now,
        tenant=check("tenant", record.get("tenant")),
        fields=fields,
    )


def _metadata(record: Mapping[str, Any], known: Any) -> Mapping[str, Any] | None:
    """The record's metadata and its unknown fields; what the record itself calls metadata wins."""
    unknown = {name: value for name, value in record.items() if name not in known}
    if not unknown:
        return check("metadata", record.get("metadata")) or None
    try:
        orjson.dumps(unknown)
    except TypeError as error:
        raise RecordError(f"metadata: an unknown field holds something that is not JSON: {error}") from None
    return {**unknown, **(check("metadata", record.get("metadata")) or {})}
