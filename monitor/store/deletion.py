"""Forget a turn, a conversation or a user: in every table that holds text, vectors or what was computed of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
import pyarrow as pa

from monitor.errors import UsageError
from monitor.store.database import Database
from monitor.store.erasure import Erasure
from monitor.store.exports import Exports
from monitor.store.rows import values
from monitor.store.tombstones import Subject, Tombstones
from monitor.store.vectors import Vectors

__all__ = ["Deletion", "Forgotten"]

_COLUMN = {"turn": "turn_id", "conversation": "conversation_id", "user": "user_id"}
#: Rows that belong to one turn.
_BY_TURN = ("turns", "turn_conflicts", "turn_texts", "assignments", "turn_coverage", "signals")
#: Rows that list turn keys: table, its id columns, the column with the list.
_LISTS = (("topics", ("atlas_id", "topic_id"), "representatives"), ("gaps", ("report_id", "gap_id"), "examples"))

_PLACE: Mapping[str, pa.DataType] = {"source": pa.string(), "partition": pa.string(), "position": pa.int64()}


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How many rows went. `exports` are the paths of the exports that still hold some of the turns.

    `later` turns of the same subject are newer than the deletion and stay.
    """

    turns: int
    events: int
    vectors: int
    dead_letters: int
    exports: tuple[str, ...]
    later: int = 0


class Deletion:
    """What is forgotten leaves a tombstone without text, so that a replay of the log cannot bring it back."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tombstones = Tombstones(database)
        self._exports = Exports(database)
        self._vectors = Vectors(database)
        self._erasure = Erasure(database)

    def forget(
        self,
        *,
        turn: str | None = None,
        conversation: str | None = None,
        user: str | None = None,
        tenant: str | None = None,
        at: datetime,
    ) -> Forgotten:
        """Forget all that was made until `at`; `tenant=None` means that of every tenant.

        The bytes leave the disk after the outermost transaction. Dead letters go when they contain the id.
        """
        subject = _subject(turn, conversation, user, tenant)
        with self._database.transaction():
            found, later = self._turns(subject, at)
            keys = found.select(["turn_key"])
            exports = tuple(export.path for export in self._exports.containing(values(found, "turn_key")))
            events = self._delete_events(subject, keys, at)
            vectors = self._delete_rows(keys)
            self._delete_from_lists(set(values(found, "turn_key")))
            letters = self._delete_dead_letters(subject.id)
            each = [Subject("turn", row["tenant"] or "", row["turn_id"]) for row in found.to_pylist()]
            self._tombstones.write([subject, *each], at)
            if found.num_rows or events or letters:
                self._erasure.request()
        return Forgotten(found.num_rows, events, vectors, letters, exports, later)

    def _turns(self, subject: Subject, at: datetime) -> tuple[pa.Table, int]:
        whose = f"{_COLUMN[subject.kind]} = ? AND (? OR coalesce(tenant, '') = ?)"
        parameters: list[Any] = [subject.id, subject.tenant is None, subject.tenant or ""]
        found = self._database.query(
            f"SELECT turn_key, turn_id, tenant FROM turns WHERE {whose} AND created_at <= ?", [*parameters, at]
        )
        later = self._database.value(f"SELECT count(*) FROM turns WHERE {whose} AND created_at > ?", [*parameters, at])
        return found, int(later)

    def _delete_events(self, subject: Subject, keys: pa.Table, at: datetime) -> int:
        events = self._database.execute("DELETE FROM events WHERE turn_key IN (SELECT turn_key FROM gone)", gone=keys)
        if subject.kind == "turn":  # also those that came before their turn
            events += self._database.execute(
                "DELETE FROM events WHERE turn_id = ? AND (? OR coalesce(tenant, '') = ?) AND created_at <= ?",
                [subject.id, subject.tenant is None, subject.tenant or "", at],
            )
        return events

    def _delete_rows(self, keys: pa.Table) -> int:
        """Every row of the turns, then the vectors whose text no remaining turn uses; how many vectors."""
        if not keys.num_rows:
            return 0
        texts = self._database.query(
            "SELECT recipe, text_hash FROM turn_texts SEMI JOIN gone USING (turn_key)", gone=keys
        )
        for table in _BY_TURN:
            self._database.execute(f"DELETE FROM {table} WHERE turn_key IN (SELECT turn_key FROM gone)", gone=keys)
        by_recipe: dict[str, list[bytes]] = {}
        for row in texts.to_pylist():
            by_recipe.setdefault(row["recipe"], []).append(row["text_hash"])
        return sum(self._vectors.drop_unused(recipe, hashes) for recipe, hashes in by_recipe.items())

    def _delete_from_lists(self, gone: set[int]) -> None:
        if not gone:
            return
        for table, ids, column in _LISTS:
            rows = self._database.query(f"SELECT {', '.join(ids)}, {column} FROM {table}").to_pylist()
            for row in rows:
                listed = orjson.loads(row[column])
                kept = [key for key in listed if key not in gone]
                if len(kept) < len(listed):
                    self._database.execute(
                        f"UPDATE {table} SET {column} = ? WHERE {' AND '.join(f'{name} = ?' for name in ids)}",
                        [orjson.dumps(kept).decode(), *(row[name] for name in ids)],
                    )

    def _delete_dead_letters(self, identifier: str) -> int:
        letters = self._database.query("SELECT source, partition, position, reason, payload FROM dead_letters")
        found = [
            {name: row[name] for name in _PLACE}
            for row in letters.to_pylist()
            if _mentions(row["payload"], identifier) or _mentions(row["reason"].encode(), identifier)
        ]
        if not found:
            return 0
        return self._database.execute(
            "DELETE FROM dead_letters WHERE (source, partition, position) IN"
            " (SELECT (source, partition, position) FROM gone)",
            gone=pa.Table.from_pylist(found, pa.schema(_PLACE)),
        )


def _subject(turn: str | None, conversation: str | None, user: str | None, tenant: str | None) -> Subject:
    named = [
        (kind, id_) for kind, id_ in (("turn", turn), ("conversation", conversation), ("user", user)) if id_ is not None
    ]
    if len(named) != 1 or not named[0][1]:
        raise UsageError("forget takes exactly one of --turn, --conversation and --user, and it must not be empty")
    return Subject(named[0][0], tenant, named[0][1])


def _mentions(payload: bytes, identifier: str) -> bool:
    """Does the payload contain the id, as text or as JSON writes it with escapes, and not as a part of a longer word?

    Forgetting user 1 must not throw away every record with a 1 in a date.
    """
    word = rb"(?<![0-9A-Za-z])(?:" + b"|".join(re.escape(form) for form in _forms(identifier)) + rb")(?![0-9A-Za-z])"
    return re.search(word, payload) is not None


def _forms(identifier: str) -> Sequence[bytes]:
    escaped = "".join(_escape(character) for character in identifier)
    return (identifier.encode("utf-8", "surrogatepass"), orjson.dumps(identifier)[1:-1], escaped.encode())


def _escape(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if 32 <= ord(character) < 127:
        return character
    data = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{data[start]:02x}{data[start + 1]:02x}" for start in range(0, len(data), 2))
