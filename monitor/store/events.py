"""Later facts about turns: table `events`. They may come before their turn, twice, or a week later."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from hashlib import blake2b

import orjson
import pyarrow as pa

from monitor.records import Event
from monitor.store.database import Database
from monitor.store.rows import KEY, json_text
from monitor.store.tombstones import Subject, Tombstones

__all__ = ["Events"]

_COLUMNS = "turn_key, kind, turn_id, tenant, created_at, feedback_score, feedback_comment, fields"


class Events:
    """Feedback and outcomes. Deletions are no rows: they are applied with `Deletion.forget`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tombstones = Tombstones(database)

    def append(self, events: Sequence[Event]) -> int:
        """Store events once each; how many were new. Those of forgotten turns are refused."""
        if any(event.kind == "deletion" for event in events):
            raise ValueError("a deletion is applied with `store.deletion.forget`, and is no event to keep")
        if not events:
            return 0
        with self._database.transaction():
            deleted = self._tombstones.forgotten(events, _belonging)
            unique = {_event_id(event): event for event, when in zip(events, deleted, strict=True) if when is None}
            if not unique:
                return 0
            now = self._database.clock()
            rows = _table(unique).append_column("ingested_at", pa.array([now] * len(unique), pa.timestamp("us")))
            return self._database.execute(
                f"INSERT INTO events (event_id, {_COLUMNS}, ingested_at) SELECT event_id, {_COLUMNS}, ingested_at"
                " FROM new_rows ANTI JOIN events USING (turn_key, event_id)",
                new_rows=rows,
            )

    def read(self, kind: str | None = None) -> pa.Table:
        """All events, or those of one kind, in the order of their times. `fields` is JSON."""
        return self._database.query(
            f"SELECT {_COLUMNS} FROM events WHERE kind = ? OR ? ORDER BY created_at, event_id", [kind, kind is None]
        )

    def latest_feedback(self) -> pa.Table:
        """The last feedback on each turn: turn_key, feedback_score, feedback_comment, created_at."""
        return self._database.query(
            "SELECT turn_key, feedback_score, feedback_comment, created_at FROM events WHERE kind = 'feedback'"
            " QUALIFY row_number() OVER (PARTITION BY turn_key ORDER BY created_at DESC, event_id DESC) = 1"
            " ORDER BY turn_key"
        )


def _belonging(event: Event) -> tuple[list[Subject], datetime]:
    return [Subject("turn", event.tenant or "", event.turn_id)], event.created_at


def _event_id(event: Event) -> bytes:
    content = [event.kind, event.tenant or "", event.turn_id, event.created_at, json_text(event.fields)]
    return blake2b(orjson.dumps(content), digest_size=16).digest()


def _table(events: dict[bytes, Event]) -> pa.Table:
    rows = list(events.values())
    score, comment = "feedback_score", "feedback_comment"
    return pa.table(
        {
            "event_id": pa.array(list(events), pa.binary()),
            "turn_key": pa.array([event.key for event in rows], KEY),
            "kind": pa.array([event.kind for event in rows], pa.string()),
            "turn_id": pa.array([event.turn_id for event in rows], pa.string()),
            "tenant": pa.array([event.tenant or None for event in rows], pa.string()),
            "created_at": pa.array([event.created_at for event in rows], pa.timestamp("us")),
            score: pa.array([event.fields.get(score) for event in rows], pa.float64()),
            comment: pa.array([event.fields.get(comment) for event in rows], pa.string()),
            "fields": pa.array([json_text(event.fields) for event in rows], pa.string()),
        }
    )
