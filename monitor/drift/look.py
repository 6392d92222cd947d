"""What a published run says, turn by turn, read once for everything that is made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from monitor.atlas.attributes import ATTRIBUTES, Attribute, attributes_of
from monitor.atlas.corpus import numbered, numbered_users
from monitor.records import Window
from monitor.settings import Settings
from monitor.store.atlases import AtlasRow, TopicRow
from monitor.store.reports import CoverageRow, GapRow
from monitor.store.rows import values
from monitor.store.runs import PublishedRun
from monitor.store.store import Store

__all__ = ["ATTRIBUTES", "Attribute", "Look", "read_look"]


@dataclass(frozen=True, slots=True)
class Look:
    """Turns [t] with a subject of their own, in a language that the encoder knows, that are no flood, in the order of their
    keys, and what was found about them.

    `created` is microseconds since 1970, `conversation` and `user` number conversations and users, `fine` and `middle` are
    positions in `topics` (-1 for none), `covered` is nan where nothing is said; `attributes` are those of `ATTRIBUTES` that
    some turn has.
    """

    run: PublishedRun
    atlas: AtlasRow
    report: CoverageRow | None
    topics: Sequence[TopicRow]
    gaps: Sequence[GapRow]
    keys: NDArray[np.uint64]
    hashes: Sequence[bytes]
    created: NDArray[np.int64]
    conversation: NDArray[np.int64]
    user: NDArray[np.int64]
    fine: NDArray[np.int64]
    middle: NDArray[np.int64]
    covered: NDArray[np.float64]
    attributes: Mapping[str, Attribute] = field(default_factory=dict)

    @property
    def position(self) -> Mapping[str, int]:
        """Where each topic stands."""
        return {topic.topic_id: number for number, topic in enumerate(self.topics)}

    def members(self, topic: int) -> NDArray[np.int64]:
        """Rows of the turns of a topic."""
        chosen = self.topics[topic]
        if not chosen.level:
            inside = [place for place, one in enumerate(self.topics) if one.parent == chosen.topic_id]
            return np.flatnonzero(np.isin(self.middle, inside))
        return np.flatnonzero((self.middle if chosen.level == 1 else self.fine) == topic)


def read_look(store: Store, settings: Settings, run: PublishedRun) -> Look:
    """Read the run. It must have been published in this store."""
    atlas = store.atlases.load(run.atlas_id)
    assert atlas is not None, "a published run has its atlas"
    topics = store.atlases.topics(run.atlas_id)
    rows = store.atlases.assignments(run.atlas_id)
    rows = rows.filter(pc.and_(rows.column("act").is_null(), pc.invert(rows.column("flood"))))
    rows = rows.filter(rows.column("foreign_language").is_null())
    turns = store.turns.read(
        Window(run.window_start, run.window_end),
        environments=settings.analysis.environments,
        columns=("turn_key", "created_at", "conversation_key", "user_id", *ATTRIBUTES),
    )
    keys = _array(rows, "turn_key").astype(np.uint64)
    turn_keys = _array(turns, "turn_key").astype(np.uint64)
    # A turn that was forgotten, or whose environment no longer counts, is not there any more.
    there = np.isin(keys, turn_keys)
    rows, keys = rows.filter(pa.array(there)), keys[there]
    of_turns = np.searchsorted(turn_keys, keys)
    place = {topic.topic_id: number for number, topic in enumerate(topics)}
    return Look(
        run=run,
        atlas=atlas,
        report=store.reports.coverage(run.report_id),
        topics=topics,
        gaps=store.reports.gaps(run.report_id),
        keys=keys,
        hashes=values(rows, "text_hash"),
        created=_array(turns, "created_at").astype("datetime64[us]").astype(np.int64)[of_turns],
        conversation=numbered(_array(turns, "conversation_key").astype(np.uint64)[of_turns]),
        user=numbered_users(turns)[of_turns],
        fine=_positions(rows, "fine", place),
        middle=_positions(rows, "middle", place),
        covered=_covered(store, run.report_id, keys),
        attributes=attributes_of(store, turns, of_turns, keys),
    )


def _positions(rows: pa.Table, column: str, place: Mapping[str, int]) -> NDArray[np.int64]:
    return np.array([-1 if name is None else place.get(name, -1) for name in values(rows, column)], np.int64)


def _covered(store: Store, report_id: str, keys: NDArray[np.uint64]) -> NDArray[np.float64]:
    table = store.reports.turn_coverage(report_id)
    found = np.full(len(keys), np.nan)
    if not table.num_rows or not len(keys):
        return found
    known = _array(table, "turn_key").astype(np.uint64)
    values = table.column("covered").to_numpy().astype(np.float64)
    at = np.minimum(np.searchsorted(known, keys), len(known) - 1)
    same = known[at] == keys
    found[same] = values[at[same]]
    return found


def _array(table: pa.Table, column: str) -> NDArray[Any]:
    return table.column(column).to_numpy()
