"""Decisions of people about topics: a log that is only added to, and the turns by which a refit knows the topics again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import pyarrow as pa

from monitor.records import short_hash
from monitor.store.database import Database
from monitor.store.forgotten import still_there
from monitor.store.rows import KEY, shape, values

__all__ = ["KINDS", "Curation", "DecisionRow", "Evidence", "in_force", "shaping"]

#: What can be decided. `undo` takes back the decision that its `other` names.
KINDS = ("name", "merge", "split", "lock", "promote", "undo")


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """One decision. `label` is what the topic was called, `level` is 0 (broad), 1 (middle) or 2 (fine).

    `name` is the new name of a topic or the name of an intent; `other` is the topic that it is merged into, or the decision
    that is taken back. `topics` are the ids that the decision stands for in a refit: of a split those of its parts.
    """

    decision_id: str
    place: int
    created_at: datetime
    who: str | None
    kind: str
    topic_id: str
    level: int
    label: str
    name: str | None
    other: str | None
    topics: tuple[str, ...]
    atlas_id: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """Turns of the topics of one decision, by part: of a merge the topic and its target, of a split the parts."""

    turn_keys: Sequence[int]
    text_hashes: Sequence[bytes]
    parts: Sequence[int]

    def of(self, part: int) -> list[bytes]:
        """Hashes of the texts of one part."""
        return [hash_ for hash_, one in zip(self.text_hashes, self.parts, strict=True) if one == part]


#: Kinds that change what a fit finds. A name is put over it.
_SHAPING = ("merge", "split", "lock", "promote")

NOTHING = Evidence((), (), ())
_DECISION = shape(DecisionRow)
_TURNS = pa.schema([pa.field("part", pa.int64()), pa.field("turn_key", KEY), pa.field("text_hash", pa.binary())])


def in_force(decisions: Sequence[DecisionRow]) -> list[DecisionRow]:
    """What was decided and not taken back, in order; of several names of a topic the last, of several promotions too."""
    undone = {one.other for one in decisions if one.kind == "undo"}
    standing = [one for one in decisions if one.kind != "undo" and one.decision_id not in undone]
    last = {(one.kind, one.topic_id): one.decision_id for one in standing}
    return [
        one
        for one in standing
        if one.kind not in ("name", "promote") or last[one.kind, one.topic_id] == one.decision_id
    ]


def shaping(decisions: Sequence[DecisionRow]) -> tuple[str, ...]:
    """Ids of the decisions that an atlas depends on: the same ones make the same atlas."""
    return tuple(one.decision_id for one in decisions if one.kind in _SHAPING)


class Curation:
    """Tables `decisions` and `decision_turns`. Nothing is edited; deletion takes turns, and words of nobody else."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, decision: DecisionRow, evidence: Evidence = NOTHING) -> DecisionRow:
        """Write a decision at the end of the log; its `decision_id`, `place` and `created_at` are made here.

        Turns of the evidence that were forgotten meanwhile are left out."""
        with self._database.transaction():
            place = int(self._database.value("SELECT coalesce(max(place), 0) + 1 FROM decisions"))
            now = self._database.clock()
            made_of = (
                str(place),
                now.isoformat(),
                decision.kind,
                decision.topic_id,
                str(decision.name),
                str(decision.other),
            )
            made = replace(decision, decision_id=f"d{short_hash(*made_of, length=8)}", place=place, created_at=now)
            self._database.insert("decisions", _DECISION.table([made]))
            columns: dict[str, Sequence[int] | Sequence[bytes]] = {
                "part": list(evidence.parts),
                "turn_key": list(evidence.turn_keys),
                "text_hash": list(evidence.text_hashes),
            }
            rows = still_there(self._database, pa.table(columns, schema=_TURNS))
            identifier = pa.array([made.decision_id] * rows.num_rows, pa.string())
            self._database.insert("decision_turns", rows.append_column("decision_id", identifier))
        return made

    def read(self) -> list[DecisionRow]:
        """All of them, the first first."""
        return _DECISION.read(self._database.query("SELECT * FROM decisions ORDER BY place, created_at, decision_id"))

    def in_force(self) -> list[DecisionRow]:
        return in_force(self.read())

    def evidence(self, decision_id: str) -> Evidence:
        """Turns that are still there; those that prove most come first."""
        found = self._database.query(
            "SELECT part, turn_key, text_hash FROM decision_turns WHERE decision_id = ? ORDER BY part, turn_key",
            [decision_id],
        ).to_pydict()
        return Evidence(found["turn_key"], found["text_hash"], found["part"])

    def names(self) -> Mapping[str, str]:
        """What people call topics, by topic id."""
        found = self._database.query(
            "SELECT * FROM decisions WHERE kind IN ('name', 'undo') ORDER BY place, created_at, decision_id"
        )
        return {one.topic_id: str(one.name) for one in in_force(_DECISION.read(found)) if one.name}

    def intents(self, decisions: Sequence[DecisionRow]) -> dict[str, tuple[str, ...]]:
        """Examples of each intent that a topic was made, by its name: the texts of its turns that are still there."""
        found: dict[str, tuple[str, ...]] = {}
        for one in decisions:
            if one.kind != "promote" or not one.name:
                continue
            listed: list[str] = values(
                self._database.query(
                    "SELECT DISTINCT user_text FROM turns SEMI JOIN"
                    " (SELECT turn_key FROM decision_turns WHERE decision_id = ?) USING (turn_key) ORDER BY user_text",
                    [one.decision_id],
                ),
                0,
            )
            if listed:
                found[one.name] = tuple(sorted({*found.get(one.name, ()), *listed}))
        return found

    def members(self, atlas_id: str, level: str, topic_id: str) -> pa.Table:
        """turn_key, text_hash of the turns that a topic was made of, in order of turn_key; acts are left out."""
        return self._database.query(
            f"SELECT turn_key, text_hash FROM assignments WHERE atlas_id = ? AND {level} = ? AND act IS NULL ORDER BY turn_key",
            [atlas_id, topic_id],
        )
