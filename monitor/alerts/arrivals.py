"""The conversations that have come since some time, read from the store as the lookout takes them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from monitor.drift.conversations import Conversations
from monitor.drift.landmarks import Landmarks
from monitor.records import Turn
from monitor.settings import Settings
from monitor.signals import NEGATIVE, find_signals
from monitor.store.atlases import AtlasRow
from monitor.store.rows import values
from monitor.store.store import Store

__all__ = ["Arrivals"]


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Reads conversations, with the topics of an atlas."""

    store: Store
    settings: Settings
    atlas: AtlasRow

    def landmarks(self, turns: pa.Table, topics: NDArray[np.int64]) -> Landmarks:
        """Turns [n] of a reference, with their topics [n], for others to be compared with."""
        order = np.argsort(turns.column("turn_key").to_numpy())  # as they are read again
        return Landmarks.of(
            self._vectors(turns)[order],
            topics[order],
            turns.column("conversation_key").to_numpy().astype(np.uint64)[order],
        )

    def _vectors(self, turns: pa.Table) -> NDArray[np.float32]:
        return self.store.vectors.read(self.atlas.encoder, self.atlas.recipe, values(turns, "text_hash"))

    def turns(self, after: datetime | None, until: datetime, *, since: datetime | None = None) -> pa.Table:
        """The turns of conversations that began after one time and until another, in the order in which these began."""
        return self.store.lookouts.conversations(
            self.atlas,
            after=after,
            until=until,
            since=since,
            minutes=self.settings.drift.conversation_minutes,
            environments=self.settings.analysis.environments,
        )

    def read(self, turns: pa.Table, marks: Landmarks) -> Conversations:
        """The conversations that have a turn with a subject."""
        subjects = turns.filter(turns.column("subject"))
        of = subjects.column("conversation_key").to_numpy().astype(np.uint64)
        placed = marks.place(self._vectors(subjects), of)
        keys, first = np.unique(of, return_index=True)  # the order of `placed`
        order = np.argsort(first)
        began = values(subjects, "began_at")
        failed = self._failed(turns)
        return Conversations(
            keys[order],
            [began[row] for row in first[order].tolist()],
            subjects.column("turn_key").to_numpy().astype(np.uint64)[first[order]],
            placed.novelty[order],
            placed.topics[order],
            np.isin(keys[order], np.array(sorted(failed), np.uint64)),
        )

    def _failed(self, turns: pa.Table) -> set[int]:
        """Keys of the conversations of which a reply failed, by what was said and scored in their first minutes."""
        of = dict(zip(values(turns, "turn_key"), values(turns, "conversation_key"), strict=True))
        began = dict(zip(values(turns, "turn_key"), values(turns, "began_at"), strict=True))
        minutes = timedelta(minutes=self.settings.drift.conversation_minutes)
        scores = {
            row["turn_key"]: row["feedback_score"]
            for row in self.store.lookouts.feedback(list(of)).to_pylist()  # the last one stays
            if row["created_at"] <= began[row["turn_key"]] + minutes
        }
        talks: dict[int, list[Turn]] = {}
        for turn in self.store.turns.fetch(list(of)):
            score = scores.get(turn.key)
            talks.setdefault(of[turn.key], []).append(turn if score is None else replace(turn, feedback_score=score))
        return {of[one.turn_key] for one in find_signals(list(talks.values())) if one.signal in NEGATIVE}
