"""What people say of single turns: that the eval set covers them, or that they are noise. A log that is only added to.

A mark is about a text, and stands as long as a turn that says it: it holds keys and hashes, and no word of a turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import pyarrow as pa

from monitor.records import short_hash
from monitor.store.database import Database
from monitor.store.forgotten import still_there
from monitor.store.rows import KEY, shape, values

__all__ = ["COVERED", "NOISE", "MarkRow", "Marked", "Marks"]

#: What can be said of a turn; `undo` takes back the mark that its `other` names.
COVERED, NOISE, UNDO = "covered", "noise", "undo"

#: So many turns that say the text hold a mark up: it outlives the first that is forgotten.
_TURNS = 50

_TEXTS = pa.schema([pa.field("turn_key", KEY), pa.field("text_hash", pa.binary())])


@dataclass(frozen=True, slots=True)
class MarkRow:
    """One mark. `item_id` is the eval item that covers the text, where somebody named one; `why` is in words of who marked."""

    mark_id: str
    place: int
    created_at: datetime
    who: str | None
    kind: str
    item_id: str | None
    why: str | None
    other: str | None


@dataclass(frozen=True, slots=True)
class Marked:
    """A mark that is in force, with turns that say its text and are still there; never none."""

    mark: MarkRow
    turn_keys: Sequence[int]
    text_hash: bytes


_MARK = shape(MarkRow)


class Marks:
    """Tables `marks` and `mark_turns`. Nothing is edited; deletion takes turns, and reasons of whose turn is gone."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self,
        kind: str,
        turn_key: int,
        text_hash: bytes,
        *,
        who: str | None = None,
        item_id: str | None = None,
        why: str | None = None,
    ) -> MarkRow:
        """Mark the text of a turn at the end of the log. `text_hash` is that of the text as it is encoded."""
        with self._database.transaction():
            made = self._append(kind, who, item_id, why, None)
            same = self._database.query(
                "SELECT DISTINCT turn_key FROM turn_texts WHERE text_hash = ? AND turn_key <> ? ORDER BY turn_key LIMIT ?",
                [text_hash, turn_key, _TURNS - 1],
            )
            keys = [turn_key, *values(same, 0)]
            rows = still_there(
                self._database, pa.table({"turn_key": keys, "text_hash": [text_hash] * len(keys)}, schema=_TEXTS)
            )
            identifier = pa.array([made.mark_id] * rows.num_rows, pa.string())
            self._database.insert("mark_turns", rows.append_column("mark_id", identifier))
        return made

    def undo(self, mark: MarkRow, *, who: str | None = None) -> MarkRow:
        """Take a mark back."""
        with self._database.transaction():
            return self._append(UNDO, who, None, None, mark.mark_id)

    def read(self) -> list[MarkRow]:
        """All of them, the first first."""
        return _MARK.read(self._database.query("SELECT * FROM marks ORDER BY place, created_at, mark_id"))

    def in_force(self) -> list[Marked]:
        """What was not taken back, of several marks of a text the last, where a turn that says it is still there."""
        marks = self.read()
        undone = {one.other for one in marks if one.kind == UNDO}
        standing = {one.mark_id: one for one in marks if one.kind != UNDO and one.mark_id not in undone}
        if not standing:
            return []
        rows = self._database.query("SELECT mark_id, turn_key, text_hash FROM mark_turns ORDER BY mark_id, turn_key")
        keys: dict[str, list[int]] = {}
        text: dict[str, bytes] = {}
        for row in rows.to_pylist():
            keys.setdefault(row["mark_id"], []).append(row["turn_key"])
            text[row["mark_id"]] = row["text_hash"]
        last = {text[id_]: one for id_, one in standing.items() if id_ in text}
        return [
            Marked(one, keys[one.mark_id], hash_) for hash_, one in sorted(last.items(), key=lambda pair: pair[1].place)
        ]

    def of_text(self, text_hash: bytes) -> frozenset[str]:
        """Ids of all marks that were made of a text, in force or not."""
        found = self._database.query("SELECT DISTINCT mark_id FROM mark_turns WHERE text_hash = ?", [text_hash])
        return frozenset(values(found, 0))

    def beside(self, atlas_id: str, turn_key: int) -> frozenset[str]:
        """Ids of all marks of texts that the atlas takes for the same text as this turn's."""
        found = self._database.query(
            "SELECT DISTINCT mark_id FROM mark_turns SEMI JOIN (SELECT turn_key FROM assignments WHERE atlas_id = ? AND"
            " text_hash = (SELECT max(text_hash) FROM assignments WHERE atlas_id = ? AND turn_key = ?)) USING (turn_key)",
            [atlas_id, atlas_id, turn_key],
        )
        return frozenset(values(found, 0))

    def noise(self) -> frozenset[bytes]:
        """Hashes of the texts that are noise."""
        return frozenset(one.text_hash for one in self.in_force() if one.mark.kind == NOISE)

    def _append(self, kind: str, who: str | None, item_id: str | None, why: str | None, other: str | None) -> MarkRow:
        place = int(self._database.value("SELECT coalesce(max(place), 0) + 1 FROM marks"))
        now = self._database.clock()
        row = MarkRow("", place, now, who, kind, item_id, why, other)
        made = replace(row, mark_id="m" + short_hash(str(place), now.isoformat(), kind, str(other), length=8))
        self._database.insert("marks", _MARK.table([made]))
        return made
