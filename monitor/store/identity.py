"""What happens when the same turn comes again: the one place that decides it.

Identity is (tenant, turn_id). Equal content changes nothing. New content fills what was empty, and every field that
differs is a conflict: the first value stays, and that another one came is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from operator import attrgetter
from typing import Any

import orjson

from monitor.records import Turn, streamed, turn_key
from monitor.store.rows import json_text, shape

__all__ = ["TURN", "Batch", "Incoming", "Merged", "Row", "content_hash", "incoming", "merge", "resolve"]

TURN = shape(Turn)
_FLOATS = tuple(position for position, item in enumerate(TURN.schema) if str(item.type) == "double")
_JSON = tuple(TURN.names.index(name) for name in TURN.json)
_NAMES = tuple(TURN.names)
_values = attrgetter(*_NAMES)
_TENANT = TURN.names.index("tenant")
_ID = TURN.names.index("turn_id")

#: A turn's fields in the order of `TURN`, as they are stored.
Row = tuple[Any, ...]


@streamed
class Incoming:
    """A turn on its way into the store."""

    key: int
    hash: bytes
    row: Row


@dataclass(frozen=True, slots=True)
class Merged:
    """A stored row after the same id came again."""

    row: Row
    filled: tuple[str, ...]
    conflicts: tuple[str, ...]


@dataclass(slots=True)
class Batch:
    """What a batch does to the store. `hashes` are those of the new rows that came as they are stored."""

    new: dict[int, Row] = field(default_factory=dict)
    hashes: dict[int, bytes] = field(default_factory=dict)
    changed: dict[int, Row] = field(default_factory=dict)
    conflicts: dict[tuple[int, bytes], tuple[str, ...]] = field(default_factory=dict)
    inserted: int = 0
    repeated: int = 0
    filled: int = 0


def incoming(turn: Turn) -> Incoming:
    """The turn as it is stored: no empty tenant, floats where floats belong, lists and mappings as JSON."""
    values = list(_values(turn))
    values[_TENANT] = values[_TENANT] or None
    for position in _FLOATS:
        value = values[position]
        if value is not None and type(value) is not float:
            values[position] = float(value)
    for position in _JSON:
        value = values[position]
        if value is not None:
            values[position] = json_text(value)
    row = tuple(values)
    return Incoming(turn_key(row[_TENANT], row[_ID]), content_hash(row), row)


def content_hash(row: Row) -> bytes:
    """16-byte hash of all fields."""
    return blake2b(orjson.dumps(row), digest_size=16).digest()


def merge(stored: Row, new: Row) -> Merged:
    """Fill the empty fields of `stored` from `new` and name those that differ."""
    if (stored[_TENANT], stored[_ID]) != (new[_TENANT], new[_ID]):
        # Two ids with one 64-bit key. The first stays whole; that the other came is kept like any conflict.
        return Merged(stored, (), ("turn_id",))
    filled, conflicts, row = [], [], list(stored)
    for position, (name, old, value) in enumerate(zip(_NAMES, stored, new, strict=True)):
        if value is None or old == value or (old != old and value != value):
            continue
        if old is None:
            row[position] = value
            filled.append(name)
        else:
            conflicts.append(name)
    return Merged(tuple(row), tuple(filled), tuple(conflicts))


def resolve(
    turns: Sequence[Incoming],
    hashes: Mapping[int, bytes],
    stored: Mapping[int, Row],
    known_conflicts: Iterable[tuple[int, bytes]],
) -> Batch:
    """Decide a whole batch in its order.

    `hashes` are the content hashes of the stored turns that the batch names, `stored` the rows of those whose hash
    some turn of the batch does not have.
    """
    batch, known = Batch(), set(known_conflicts)
    for turn in turns:
        if hashes.get(turn.key) == turn.hash:
            batch.repeated += 1
            continue
        current = batch.new.get(turn.key) or batch.changed.get(turn.key) or stored.get(turn.key)
        if current is None:
            batch.new[turn.key] = turn.row
            batch.hashes[turn.key] = turn.hash
            batch.inserted += 1
            continue
        merged = merge(current, turn.row)
        if merged.filled:
            (batch.new if turn.key in batch.new else batch.changed)[turn.key] = merged.row
            batch.hashes.pop(turn.key, None)
        version = (turn.key, turn.hash)
        if merged.conflicts and version not in known:
            known.add(version)
            batch.conflicts[version] = merged.conflicts
        elif merged.filled:
            batch.filled += 1
        else:
            batch.repeated += 1
    return batch
