"""Coverage, gaps and signals of a run.

Tables `coverage_reports`, `topic_coverage`, `turn_coverage`, `gaps` and `signals`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import pyarrow as pa

from monitor.store.atlases import Atlases
from monitor.store.curation import Curation
from monitor.store.database import Database
from monitor.store.forgotten import gone, still_there
from monitor.store.rows import KEY, shape
from monitor.wording import part_label

__all__ = ["SIGNALS", "TURN_COVERAGE", "CoverageRow", "GapRow", "Reports", "TopicCoverageRow"]


@dataclass(frozen=True, slots=True)
class CoverageRow:
    """Coverage of the whole traffic. The numbers are None when the eval set is too small to say."""

    report_id: str
    atlas_id: str
    created_at: datetime
    eval_set_ids: tuple[str, ...]
    eval_items: int
    value: float | None
    low: float | None
    high: float | None
    verdict: str
    parameters: str


@dataclass(frozen=True, slots=True)
class TopicCoverageRow:
    """Coverage of one topic, with its interval; None where there is too little to say."""

    topic_id: str
    novelty: float | None
    coverage: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class GapRow:
    """One gap, rank 1 the worst. `examples` are turn keys, `nearest_items` ids of eval items.

    Its coverage lies from `low` to `high`; between `sampled_low` and `sampled_high` the figure moves with what is sampled, and
    by that it is compared in time. A gap that is a part of its topic names the `attribute` of turns and its `value`. `splits`
    are the values that hold most of it, as `monitor.coverage.splits.Split` has them. The intervals of growth and risk are None
    in reports of an older offmap, and nan where growth is not known.
    """

    gap_id: str
    rank: int
    topic_id: str
    label: str
    turns: int
    conversations: int
    share: float
    coverage: float
    low: float
    high: float
    sampled_low: float
    sampled_high: float
    novelty: float
    priority: float
    alert: bool
    first_seen: datetime
    growth: float
    risk: float
    examples: tuple[int, ...]
    nearest_items: tuple[str, ...]
    attribute: str | None = None
    value: str | None = None
    splits: tuple[dict[str, Any], ...] | None = ()
    growth_low: float | None = None
    growth_high: float | None = None
    risk_low: float | None = None
    risk_high: float | None = None


_COVERAGE = shape(CoverageRow)
_TOPIC = shape(TopicCoverageRow)
_GAP = shape(GapRow)

TURN_COVERAGE = pa.schema(
    [
        pa.field("turn_key", KEY),
        pa.field("novelty", pa.float32()),
        pa.field("covered", pa.float32()),
        pa.field("nearest_item", pa.string()),
    ]
)
SIGNALS = pa.schema(
    [
        pa.field("turn_key", KEY),
        pa.field("signal", pa.string()),
        pa.field("span_start", pa.int32()),
        pa.field("span_end", pa.int32()),
        pa.field("detail", pa.string()),
    ]
)


class Reports:
    """Written under their id; what a published run shows never changes. Turns that were forgotten meanwhile are left out."""

    TABLES = ("coverage_reports", "topic_coverage", "turn_coverage", "gaps", "signals")

    def __init__(self, database: Database) -> None:
        self._database = database

    def write_coverage(self, report: CoverageRow, topics: Sequence[TopicCoverageRow], turns: pa.Table) -> bool:
        """Replace what an unfinished run left under this id. False, and nothing written, when it is published."""
        own = report.report_id
        with self._database.transaction():
            if not self._clear(own, "coverage_reports", "topic_coverage", "turn_coverage"):
                return False
            self._database.insert("coverage_reports", _COVERAGE.table([report]))
            self._database.insert("topic_coverage", _TOPIC.table(topics, report_id=own))
            self._database.insert("turn_coverage", self._owned(turns, TURN_COVERAGE, own))
        return True

    def write_gaps(self, report_id: str, gaps: Sequence[GapRow]) -> bool:
        """As `write_coverage`."""
        with self._database.transaction():
            if not self._clear(report_id, "gaps"):
                return False
            lost = gone(self._database, {key for one in gaps for key in one.examples})
            kept = [replace(one, examples=tuple(key for key in one.examples if key not in lost)) for one in gaps]
            self._database.insert("gaps", _GAP.table(kept, report_id=report_id))
        return True

    def write_signals(self, report_id: str, signals: pa.Table) -> bool:
        """As `write_coverage`."""
        with self._database.transaction():
            if not self._clear(report_id, "signals"):
                return False
            self._database.insert("signals", self._owned(signals, SIGNALS, report_id))
        return True

    def coverage(self, report_id: str) -> CoverageRow | None:
        found = self._database.query("SELECT * FROM coverage_reports WHERE report_id = ?", [report_id])
        rows = _COVERAGE.read(found)
        return rows[0] if rows else None

    def topic_coverage(self, report_id: str) -> list[TopicCoverageRow]:
        return _TOPIC.read(
            self._database.query("SELECT * FROM topic_coverage WHERE report_id = ? ORDER BY topic_id", [report_id])
        )

    def turn_coverage(self, report_id: str) -> pa.Table:
        """The columns of `TURN_COVERAGE`, ordered by turn_key."""
        return self._read("turn_coverage", TURN_COVERAGE, report_id)

    def coverage_of_turn(self, report_id: str, turn_key: int) -> dict[str, Any] | None:
        """Novelty, coverage and nearest item of one turn; None where the report has not got it."""
        found = self._database.query(
            "SELECT novelty, covered, nearest_item FROM turn_coverage WHERE report_id = ? AND turn_key = ?",
            [report_id, turn_key],
        ).to_pylist()
        return found[0] if found else None

    def gaps(self, report_id: str) -> list[GapRow]:
        """By rank, under the names of their topics; a part of one says which."""
        rows = _GAP.read(self._database.query("SELECT * FROM gaps WHERE report_id = ? ORDER BY rank", [report_id]))
        names = self._names(report_id) if rows else {}
        return [
            replace(row, label=part_label(names.get(row.topic_id, row.label), row.attribute, row.value)) for row in rows
        ]

    def _names(self, report_id: str) -> dict[str, str]:
        """What people and a model call topics, by topic id."""
        names = dict(Curation(self._database).names())
        report = self.coverage(report_id)
        for one in Atlases(self._database).topics(report.atlas_id) if report else ():
            if one.named_by is not None:
                names[one.topic_id] = one.label
        return names

    def signals(self, report_id: str) -> pa.Table:
        """The columns of `SIGNALS`, ordered by turn_key."""
        return self._read("signals", SIGNALS, report_id)

    def _clear(self, report_id: str, *tables: str) -> bool:
        if self._database.value("SELECT count(*) FROM published_runs WHERE report_id = ?", [report_id]):
            return False
        for table in tables:
            self._database.execute(f"DELETE FROM {table} WHERE report_id = ?", [report_id])
        return True

    def _read(self, table: str, schema: pa.Schema, report_id: str) -> pa.Table:
        names = ", ".join(schema.names)
        order = ", ".join(schema.names[:3])
        return self._database.query(f"SELECT {names} FROM {table} WHERE report_id = ? ORDER BY {order}", [report_id])

    def _owned(self, rows: pa.Table, schema: pa.Schema, report_id: str) -> pa.Table:
        rows = still_there(self._database, rows.select(schema.names).cast(schema))
        return rows.append_column("report_id", pa.array([report_id] * rows.num_rows, pa.string()))
