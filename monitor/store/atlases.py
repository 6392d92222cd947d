"""Atlases with their topics, lineage and assignments: tables `atlases`, `topics`, `topic_lineage`, `lineage_turns`,
`assignments`.

The names of `topic_names` go with them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import pyarrow as pa

from monitor.store.curation import Curation
from monitor.store.database import Database
from monitor.store.forgotten import gone, still_there, without
from monitor.store.remains import Remains
from monitor.store.rows import KEY, shape, values
from monitor.store.topic_names import TopicNames
from monitor.store.turns import traffic
from monitor.store.vectors import Vectors

__all__ = ["ASSIGNMENTS", "PERSON", "AtlasRow", "Atlases", "ForeignTurns", "LineageRow", "TopicRow", "named"]


#: Who named a topic, where that was no model.
PERSON = "person"


@dataclass(frozen=True, slots=True)
class AtlasRow:
    """One fitted characterisation of a window. `parameters` is JSON text; `fingerprint` is a hash of what went in."""

    atlas_id: str
    created_at: datetime
    window_start: datetime
    window_end: datetime
    encoder: str
    recipe: str
    clusterer: str
    parameters: str
    turns: int
    texts: int
    fingerprint: str


@dataclass(frozen=True, slots=True)
class TopicRow:
    """A topic on level 0 (broad), 1 (middle) or 2 (fine). `representatives` are turn keys, never texts.

    `share_low` and `share_high` are the interval of `share`, None in an atlas of an older offmap. `label` is what people
    called the topic, else what a model did, where they did; then `found_label` is the one that was found, and `named_by` is
    `PERSON` or the model.
    """

    topic_id: str
    level: int
    parent: str | None
    label: str
    keywords: tuple[str, ...]
    turns: int
    conversations: int
    users: int
    share: float
    representatives: tuple[int, ...]
    first_seen: datetime
    share_low: float | None = None
    share_high: float | None = None
    found_label: str | None = None
    named_by: str | None = None

    @property
    def named_by_model(self) -> bool:
        return self.named_by not in (None, PERSON)

    @property
    def local_label(self) -> str:
        """The label that was found, whatever the topic is called."""
        return self.found_label or self.label


@dataclass(frozen=True, slots=True)
class LineageRow:
    """What became of a topic since the atlas before: born, kept, grew, split, merged or died.

    `turns` are keys of the turns that prove it, those that say most first; see `monitor.atlas.proof`. Empty where there are
    none, in an atlas of an older offmap, or when all were forgotten.
    """

    topic_id: str
    event: str
    other: str | None
    shared: float
    turns: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ForeignTurns:
    """Of `turns` with a subject that are no flood: how many are in each language that the encoder does not know, the most
    first."""

    turns: int
    by_language: Mapping[str, int]

    @property
    def share(self) -> float:
        """Of all turns; 0 where there are none."""
        return sum(self.by_language.values()) / self.turns if self.turns else 0.0


_ATLAS = shape(AtlasRow)
_TOPIC = shape(TopicRow, leave_out=["found_label", "named_by"])
_LINEAGE = shape(LineageRow, leave_out=["turns"])

#: Turns that prove an event, from 0 in their order. A row each, so that one that is forgotten goes as a row.
_PROOF: dict[str, pa.DataType] = {
    "topic_id": pa.string(),
    "event": pa.string(),
    "other": pa.string(),
    "place": pa.int64(),
    "turn_key": KEY,
}

#: What the atlas says of each turn.
ASSIGNMENTS = pa.schema(
    [
        pa.field("turn_key", KEY),
        pa.field("text_hash", pa.binary()),
        pa.field("broad", pa.string()),
        pa.field("middle", pa.string()),
        pa.field("fine", pa.string()),
        pa.field("act", pa.string()),
        pa.field("flood", pa.bool_()),
        pa.field("intent", pa.string()),
        pa.field("intent_similarity", pa.float32()),
        # Of a turn in a language that the encoder does not know: it has no topic and no coverage.
        pa.field("foreign_language", pa.string()),
    ]
)


def named(
    topics: Sequence[TopicRow], names: Mapping[str, str], by_model: Mapping[str, tuple[str, str]] | None = None
) -> list[TopicRow]:
    """The topics under their names: a person's, else that of a model (name, model), else the label that was found.

    A label that was found and is somebody's name on the same level gets a number; a model's name that something else on its
    level is called gives way to the label.
    """
    taken = {(one.level, names[one.topic_id].casefold()) for one in topics if one.topic_id in names}
    found = []
    for one in topics:
        if one.topic_id in names:
            found.append(replace(one, label=names[one.topic_id], found_label=one.label, named_by=PERSON))
            continue
        label, number = one.label, 2
        while (one.level, label.casefold()) in taken:
            label, number = f"{one.label} ({number})", number + 1
        found.append(one if label == one.label else replace(one, label=label))
    if not by_model:
        return found
    used = taken | {(one.level, one.label.casefold()) for one in found}
    for place, one in enumerate(found):
        name, model = by_model.get(one.topic_id, ("", ""))
        if name and one.named_by is None and (one.level, name.casefold()) not in used:
            used.add((one.level, name.casefold()))
            found[place] = replace(one, label=name, found_label=topics[place].label, named_by=model)
    return found


class Atlases:
    """Written whole under their id; readers find them through the published run."""

    TABLES = ("atlases", "topics", "topic_lineage", "lineage_turns", "assignments", "topic_names")

    def __init__(self, database: Database) -> None:
        self._database = database

    def write(
        self,
        atlas: AtlasRow,
        topics: Sequence[TopicRow],
        lineage: Sequence[LineageRow],
        assignments: pa.Table,
        said: Callable[[Collection[int]], Iterable[str]] = lambda keys: (),
    ) -> bool:
        """Replace what an unfinished run left under this id. False, and nothing written, when it is published.

        What was forgotten while the atlas was made does not come back with it: turns, and words in labels that nobody else
        wrote; `said` are the texts of turns, by their keys.
        """
        own = {"atlas_id": atlas.atlas_id}
        with self._database.transaction():
            if self._database.value("SELECT count(*) FROM published_runs WHERE atlas_id = ?", [atlas.atlas_id]):
                return False
            for table in self.TABLES:
                self._database.execute(f"DELETE FROM {table} WHERE atlas_id = ?", [atlas.atlas_id])
            self._database.insert("atlases", _ATLAS.table([atlas]))
            rows = assignments.select(ASSIGNMENTS.names).cast(ASSIGNMENTS)
            lost = gone(self._database, rows.column("turn_key").to_numpy())
            self._database.insert("topics", _TOPIC.table(self._remaining(topics, lost, said), **own))
            self._database.insert("topic_lineage", _LINEAGE.table(lineage, **own))
            self._write_proof(atlas.atlas_id, lineage)
            kept = without(rows, lost)
            identifier = pa.array([atlas.atlas_id] * kept.num_rows, pa.string())
            self._database.insert("assignments", kept.append_column("atlas_id", identifier))
            if lost:  # one of their texts may have stood for its near copies
                Vectors(self._database).drop_unused(atlas.recipe, set(values(rows, "text_hash")) - {None})
        return True

    def _remaining(
        self, topics: Sequence[TopicRow], lost: frozenset[int], said: Callable[[Collection[int]], Iterable[str]]
    ) -> Sequence[TopicRow]:
        """The topics without the turns that are lost, and without their words."""
        if not lost:
            return topics
        phrases = [phrase for one in topics for phrase in (one.label, *one.keywords)]
        words = Remains(self._database).lost_words(phrases, said(lost))
        return [
            replace(
                one,
                representatives=tuple(key for key in one.representatives if key not in lost),
                label=words.out_of(one.label),
                keywords=tuple(word for word in one.keywords if not words.among(word)),
            )
            for one in topics
        ]

    def _write_proof(self, atlas_id: str, lineage: Sequence[LineageRow]) -> None:
        lost = gone(self._database, {key for one in lineage for key in one.turns})
        rows = [
            (one.topic_id, one.event, one.other, place, key)
            for one in lineage
            for place, key in enumerate(one.turns)
            if key not in lost
        ]
        columns = {name: pa.array([row[at] for row in rows], kind) for at, (name, kind) in enumerate(_PROOF.items())}
        identifier = pa.array([atlas_id] * len(rows), pa.string())
        self._database.insert("lineage_turns", pa.table(columns).append_column("atlas_id", identifier))

    def append(self, atlas_id: str, assignments: pa.Table) -> int:
        """Add turns that came after the atlas was fitted; turns that it has already stay as they are, and those that were
        forgotten are left out. How many were new."""
        rows = assignments.select(ASSIGNMENTS.names).cast(ASSIGNMENTS)
        names = ", ".join(ASSIGNMENTS.names)
        with self._database.transaction():
            return self._database.execute(
                f"INSERT INTO assignments (atlas_id, {names}) SELECT ?, {names} FROM new_rows"
                " ANTI JOIN (SELECT turn_key FROM assignments WHERE atlas_id = ?) USING (turn_key)",
                [atlas_id, atlas_id],
                new_rows=still_there(self._database, rows),
            )

    def unassigned(self, atlas_id: str, since: datetime, *, environments: Sequence[str] | None, limit: int) -> pa.Table:
        """turn_key, conversation_key, user_text, language of turns since then that the atlas lacks, in conversation order."""
        condition, parameters = traffic(None, environments)
        return self._database.query(
            "SELECT turn_key, conversation_key, user_text, language FROM turns"
            " ANTI JOIN (SELECT turn_key FROM assignments WHERE atlas_id = ?) USING (turn_key)"
            f" WHERE created_at >= ? AND {condition}"
            " ORDER BY conversation_key, turn_index NULLS LAST, created_at, turn_key LIMIT ?",
            [atlas_id, since, *parameters, limit],
        )

    def load(self, atlas_id: str) -> AtlasRow | None:
        found = _ATLAS.read(self._database.query("SELECT * FROM atlases WHERE atlas_id = ?", [atlas_id]))
        return found[0] if found else None

    def topics(self, atlas_id: str) -> list[TopicRow]:
        """From the broad to the fine, the largest first, under their names."""
        rows = _TOPIC.read(
            self._database.query(
                "SELECT * FROM topics WHERE atlas_id = ? ORDER BY level, turns DESC, topic_id", [atlas_id]
            )
        )
        by_model = {
            one.topic_id: (one.name, one.model) for one in TopicNames(self._database).read(atlas_id) if one.name
        }
        return named(rows, Curation(self._database).names(), by_model)

    def topic_ids(self, *, besides: str) -> set[str]:
        """Every topic id that an atlas besides this one has or had, as far as atlases are kept; and those of decisions."""
        found = self._database.query(
            "SELECT topic_id FROM topics WHERE atlas_id <> $1"
            " UNION SELECT topic_id FROM topic_lineage WHERE atlas_id <> $1",
            [besides],
        )
        decided = (one.topics for one in Curation(self._database).in_force())
        return {*values(found, "topic_id"), *(id_ for topics in decided for id_ in topics)}

    def former_topics(self, topic_ids: Collection[str], *, besides: str) -> dict[str, TopicRow]:
        """Topics as the latest atlas besides this one has them that has them at all, as far as atlases are kept."""
        wanted = pa.table({"topic_id": pa.array(sorted(topic_ids), pa.string())})
        found = self._database.query(
            "SELECT topic_id, atlas_id FROM topics JOIN atlases USING (atlas_id) SEMI JOIN wanted USING (topic_id)"
            " WHERE atlas_id <> ? ORDER BY created_at, atlas_id",
            [besides],
            wanted=wanted,
        )
        last = dict(zip(values(found, "topic_id"), values(found, "atlas_id"), strict=True))
        rows = {atlas_id: {one.topic_id: one for one in self.topics(atlas_id)} for atlas_id in set(last.values())}
        return {topic_id: rows[atlas_id][topic_id] for topic_id, atlas_id in last.items()}

    def lineage(self, atlas_id: str) -> list[LineageRow]:
        events = _LINEAGE.read(
            self._database.query(
                "SELECT * FROM topic_lineage WHERE atlas_id = ? ORDER BY topic_id, event, other", [atlas_id]
            )
        )
        proof: dict[tuple[str, str, str | None], list[int]] = {}
        rows = self._database.query(
            "SELECT topic_id, event, other, turn_key FROM lineage_turns WHERE atlas_id = ? ORDER BY place", [atlas_id]
        )
        for row in rows.to_pylist():
            proof.setdefault((row["topic_id"], row["event"], row["other"]), []).append(row["turn_key"])
        return [replace(one, turns=tuple(proof.get((one.topic_id, one.event, one.other), ()))) for one in events]

    def foreign(self, atlas_id: str) -> ForeignTurns:
        """How many of the turns with a subject are in languages that the atlas's encoder does not know."""
        found = self._database.query(
            "SELECT foreign_language AS language, count(*) AS turns FROM assignments"
            " WHERE atlas_id = ? AND act IS NULL AND NOT flood GROUP BY language ORDER BY turns DESC, language",
            [atlas_id],
        ).to_pylist()
        unknown = {str(row["language"]): int(row["turns"]) for row in found if row["language"] is not None}
        return ForeignTurns(sum(int(row["turns"]) for row in found), unknown)

    def assignment(self, atlas_id: str, turn_key: int) -> dict[str, Any] | None:
        """The columns of `ASSIGNMENTS` of one turn; None where the atlas has not got it."""
        names = ", ".join(ASSIGNMENTS.names)
        found = self._database.query(
            f"SELECT {names} FROM assignments WHERE atlas_id = ? AND turn_key = ?", [atlas_id, turn_key]
        ).to_pylist()
        return found[0] if found else None

    def assignments(self, atlas_id: str) -> pa.Table:
        """The columns of `ASSIGNMENTS`, ordered by turn_key."""
        names = ", ".join(ASSIGNMENTS.names)
        return self._database.query(f"SELECT {names} FROM assignments WHERE atlas_id = ? ORDER BY turn_key", [atlas_id])
