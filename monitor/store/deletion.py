"""Forget a turn, a conversation or a user: in every table that holds text, vectors or what was computed of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

import pyarrow as pa

from monitor.errors import UsageError
from monitor.store.database import Database
from monitor.store.dead_letters import Chosen, DeadLetters, places_of
from monitor.store.exports import Exports
from monitor.store.mentions import Mentions
from monitor.store.remains import Remains
from monitor.store.rows import values
from monitor.store.tombstones import Subject, Tombstone, Tombstones, hashes
from monitor.store.vectors import Vectors

__all__ = ["ERASE_WITHIN", "Deletion", "Forgotten"]

#: Deletions that a stream brings are gone from every table at once, and from the disk after so long: the store is written
#: anew for all of them.
ERASE_WITHIN = timedelta(hours=1)

_COLUMN = {"turn": "turn_id", "conversation": "conversation_id", "user": "user_id"}
#: Rows that belong to one turn.
_BY_TURN = (
    *("turns", "turn_conflicts", "turn_texts", "turn_languages", "assignments", "turn_coverage", "signals", "layout"),
    "kept_out",
    "decision_turns",
    "mark_turns",
    "lineage_turns",
    "lookout_turns",
)
#: What is read of the turns before they go.
_READ = "turn_key, turn_id, tenant, conversation_id, conversation_key, user_text"
#: Dead letters, and ids, that are looked into at once.
_LETTERS, _IDS = 5_000, 50_000


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How many rows went. `exports` are the paths of the exports that still hold some of the turns, `eval_sets` the names
    of the eval sets with an item that asks what one of the turns asked, word for word.

    `later` turns of the same subject are newer than the deletion and stay.
    """

    turns: int
    events: int
    vectors: int
    dead_letters: int
    exports: tuple[str, ...]
    later: int = 0
    eval_sets: tuple[str, ...] = ()


class Deletion:
    """What is forgotten leaves a tombstone without text, so that a replay of the log cannot bring it back."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tombstones = Tombstones(database)
        self._exports = Exports(database)
        self._vectors = Vectors(database)
        self._letters = DeadLetters(database)
        self._remains = Remains(database)

    def forget(
        self,
        *,
        turn: str | None = None,
        conversation: str | None = None,
        user: str | None = None,
        tenant: str | None = None,
        at: datetime,
        erase: bool = True,
    ) -> Forgotten:
        """Forget all that was made until `at`; `tenant=None` means that of every tenant.

        The bytes leave the disk after the outermost transaction, or without `erase` when `Store.erase_due` is called: a
        stream brings many deletions, and the whole store is written anew. Dead letters go when they contain the id, or that
        of something of the subject's alone.
        """
        return self._forget(_subject(turn, conversation, user, tenant), at, erase=erase)

    def _forget(self, subject: Subject, at: datetime, *, erase: bool = True) -> Forgotten:
        with self._database.transaction():
            found, later = self._turns(subject, at)
            keys = found.select(["turn_key"])
            eval_sets = self._eval_sets(found)
            near = self._near(found)
            events = self._delete_events(subject, keys, at)
            vectors = self._delete_rows(keys)
            self._remains.forget_keys(set(values(found, "turn_key")))
            self._remains.forget_words(values(found, "user_text"))
            exports = self._exports.forget(values(found, "turn_key"), near)
            letters = self._delete_dead_letters(subject, found)
            gone = found.select(["tenant", "turn_id"]).to_pylist()
            self._tombstones.write(
                [subject, *(Subject("turn", row["tenant"] or "", row["turn_id"]) for row in gone)], at
            )
            if found.num_rows or events or letters:
                # Remembered with the deletion itself: a process that dies before it is done does it at the next opening.
                self._database.execute("INSERT INTO erasures VALUES (?)", [self._database.clock()])
                if erase:
                    self._database.erase_after_commit()
        return Forgotten(found.num_rows, events, vectors, letters, exports, later, eval_sets)

    def tombstones(self) -> list[Tombstone]:
        """Everything that was forgotten, without what it was called."""
        return self._tombstones.read()

    def apply(self, tombstones: Sequence[Tombstone]) -> int:
        """Forget what another store has forgotten, also in what comes later; how many subjects were here."""
        if not tombstones:
            return 0
        until: dict[bytes, datetime] = {}
        for one in tombstones:
            until[one.subject] = max(one.deleted_at, until.get(one.subject, datetime.min))
        done = 0
        with self._database.transaction():
            self._tombstones.adopt(tombstones)
            for kinds in (("user", "conversation"), ("turn",)):  # the first take most of the second along
                for subject, at in self._known(kinds, until):
                    self._forget(subject, at)
                    done += 1
        return done

    def _known(self, kinds: Sequence[str], until: Mapping[bytes, datetime]) -> list[tuple[Subject, datetime]]:
        """Subjects of turns, and turns of events, that stand here and whose hash is among those."""
        found: dict[Subject, datetime] = {}
        for kind in kinds:
            column = _COLUMN[kind]
            sql = f"SELECT coalesce(tenant, '') AS tenant, {column} AS id FROM turns WHERE {column} IS NOT NULL"
            if kind == "turn":
                sql += " UNION ALL SELECT coalesce(tenant, ''), turn_id FROM events"
            rows = self._database.query(f"SELECT DISTINCT tenant, id FROM ({sql}) ORDER BY tenant")
            for part in rows.to_batches(_IDS):  # there may be millions
                for tenant, listed in groupby(part.to_pylist(), key=lambda row: str(row["tenant"])):
                    ids = [str(row["id"]) for row in listed]
                    for scope in (tenant, None):
                        for one, hash_ in zip(ids, hashes(kind, scope, ids), strict=True):
                            if (at := until.get(hash_)) is not None:
                                found[Subject(kind, scope, one)] = at
        return list(found.items())

    def _turns(self, subject: Subject, at: datetime) -> tuple[pa.Table, int]:
        whose = f"{_COLUMN[subject.kind]} = ? AND (? OR coalesce(tenant, '') = ?)"
        parameters: list[Any] = [subject.id, subject.tenant is None, subject.tenant or ""]
        found = self._database.query(f"SELECT {_READ} FROM turns WHERE {whose} AND created_at <= ?", [*parameters, at])
        later = self._database.value(f"SELECT count(*) FROM turns WHERE {whose} AND created_at > ?", [*parameters, at])
        return found, int(later)

    def _near(self, found: pa.Table, column: str = "turn_key") -> list[int]:
        """Every turn of the same conversations: an example of a later turn holds the earlier ones."""
        near = self._database.query(
            f"SELECT {column} FROM turns SEMI JOIN gone USING (conversation_key)",
            gone=found.select(["conversation_key"]),
        )
        return values(near, 0)

    def _eval_sets(self, found: pa.Table) -> tuple[str, ...]:
        named = self._database.query(
            "SELECT DISTINCT name FROM eval_items JOIN eval_sets USING (eval_set_id)"
            " WHERE prompt IN (SELECT user_text FROM gone) ORDER BY name",
            gone=found.select(["user_text"]),
        )
        return tuple(values(named, 0))

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

    def _delete_dead_letters(self, subject: Subject, found: pa.Table) -> int:
        """Those that name the subject, or something that was only theirs; a part at a time, as there may be many."""
        theirs = {row["turn_id"] for row in found.select(["turn_id"]).to_pylist()}
        if subject.kind == "user":
            kept = set(self._near(found, "conversation_key"))
            theirs |= {row["conversation_id"] for row in found.to_pylist() if row["conversation_key"] not in kept}
        mentions = Mentions(subject.id, theirs)
        places = self._letters.places(Chosen())
        gone = [
            letter.coordinates
            for start in range(0, places.num_rows, _LETTERS)
            for letter in self._letters.at(places.slice(start, _LETTERS))
            if mentions.among(letter)
        ]
        return self._letters.remove(places_of(gone))


def _subject(turn: str | None, conversation: str | None, user: str | None, tenant: str | None) -> Subject:
    named = [
        (kind, id_) for kind, id_ in (("turn", turn), ("conversation", conversation), ("user", user)) if id_ is not None
    ]
    if len(named) != 1 or not named[0][1]:
        raise UsageError("forget takes exactly one of --turn, --conversation and --user, and it must not be empty")
    return Subject(named[0][0], tenant, named[0][1])
