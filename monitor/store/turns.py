"""Turns: tables `turns` and `turn_conflicts`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from monitor.records import Turn, Window, key_of, turn_key
from monitor.store.database import Database
from monitor.store.forgotten import gone
from monitor.store.identity import TURN, Batch, Incoming, Row, content_hash, incoming, resolve
from monitor.store.rows import KEY, json_text, values
from monitor.store.tombstones import Subject, Tombstones

__all__ = ["Appended", "Turns", "traffic"]

_STORED = ("turn_key", "conversation_key", "content_hash", "ingested_at", *TURN.names)
_TENANT = TURN.names.index("tenant")
_CONVERSATION = TURN.names.index("conversation_id")
_USER = TURN.names.index("user_id")
_ID = TURN.names.index("turn_id")
_CREATED = TURN.names.index("created_at")


@dataclass(frozen=True, slots=True)
class Appended:
    """What became of the turns of a batch. Each is counted once, so the five add up to the batch.

    `filled` brought values for empty fields; `conflicts` differ from what is stored and were not seen before (they may
    have filled fields too); `forgotten` were deleted earlier and are refused.
    """

    inserted: int = 0
    repeated: int = 0
    filled: int = 0
    conflicts: int = 0
    forgotten: int = 0

    def __add__(self, other: Appended) -> Appended:
        return Appended(
            self.inserted + other.inserted,
            self.repeated + other.repeated,
            self.filled + other.filled,
            self.conflicts + other.conflicts,
            self.forgotten + other.forgotten,
        )


def traffic(window: Window | None, environments: Sequence[str] | None, table: str = "turns") -> tuple[str, list[Any]]:
    """The condition that picks turns, and its parameters.

    With environments it picks the traffic: the turns of those environments and the turns that name none, without those that a
    rule keeps out (`monitor.store.kept_out`). With None it picks all that are stored.
    """
    conditions: list[str] = []
    parameters: list[Any] = []
    if window is not None:
        conditions.append(f"{table}.created_at >= ? AND {table}.created_at < ?")
        parameters += [window.start, window.end]
    if environments is not None:
        conditions.append(f"({table}.environment IS NULL OR list_contains(?::VARCHAR[], {table}.environment))")
        parameters.append(list(environments))
        conditions.append(f"NOT EXISTS (SELECT 1 FROM kept_out WHERE kept_out.turn_key = {table}.turn_key)")
    return " AND ".join(conditions) or "true", parameters


class Turns:
    """Append, merge and read turns."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tombstones = Tombstones(database)

    def append(self, turns: Sequence[Turn]) -> Appended:
        """Store turns once each, by the rules of `monitor.store.identity`, in one transaction."""
        if not turns:
            return Appended()
        coming = [incoming(turn) for turn in turns]
        with self._database.transaction():
            deleted = self._tombstones.forgotten(coming, _belonging)
            wanted = [turn for turn, when in zip(coming, deleted, strict=True) if when is None]
            self._refuse([(turn, when) for turn, when in zip(coming, deleted, strict=True) if when is not None])
            batch = self._resolve(wanted)
            self._write(batch)
        return Appended(batch.inserted, batch.repeated, batch.filled, len(batch.conflicts), len(coming) - len(wanted))

    def read(
        self,
        window: Window | None = None,
        *,
        environments: Sequence[str] | None = None,
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        """The turns of a window (all, when none is given) as a table ordered by `turn_key`."""
        names = _checked(columns)
        condition, parameters = traffic(window, environments)
        return self._database.query(
            f"SELECT {', '.join(names)} FROM turns WHERE {condition} ORDER BY turn_key", parameters
        )

    def some(self, keys: NDArray[np.uint64], columns: Sequence[str]) -> pa.Table:
        """The turns with these keys that are there, as a table ordered by `turn_key`."""
        names = _checked(columns)
        return self._database.query(
            f"SELECT {', '.join(names)} FROM turns SEMI JOIN asked USING (turn_key) ORDER BY turn_key",
            asked=_keys(keys.tolist()),
        )

    def fetch(self, keys: Sequence[int]) -> list[Turn]:
        """Whole turns in the order asked; unknown keys are left out."""
        found = self._rows(set(keys))
        return [found[key] for key in keys if key in found]

    def texts(self, keys: NDArray[np.uint64]) -> list[str]:
        """The user's text of each of these turns, in the order asked; empty where there is no turn."""
        found = self._database.query(
            "SELECT turn_key, user_text FROM turns SEMI JOIN asked USING (turn_key)", asked=_keys(keys.tolist())
        )
        texts = dict(zip(values(found, 0), values(found, 1), strict=True))
        return [texts.get(key, "") for key in keys.tolist()]

    def gone(self, keys: NDArray[np.uint64]) -> frozenset[int]:
        """Those of the keys that no turn has, or has any more."""
        return gone(self._database, keys)

    def find(self, turn_id: str, tenant: str | None = None) -> Turn | None:
        """The turn with this identity."""
        found = self.fetch([turn_key(tenant, turn_id)])
        return found[0] if found and found[0].turn_id == turn_id and (found[0].tenant or "") == (tenant or "") else None

    def called(self, turn_id: str) -> list[Turn]:
        """The turns of this id, one a tenant, in the order of the tenants."""
        found = self._database.query(
            "SELECT turn_key FROM turns WHERE turn_id = ? ORDER BY coalesce(tenant, ''), turn_key", [turn_id]
        )
        return self.fetch(values(found, 0))

    def count(self) -> int:
        return int(self._database.value("SELECT count(*) FROM turns"))

    def conflicts(self) -> int:
        """How many differing versions of stored turns have come."""
        return int(self._database.value("SELECT count(*) FROM turn_conflicts"))

    def span(self) -> Window | None:
        """The smallest window that holds every turn; None when there is none."""
        found = self._database.query("SELECT min(created_at), max(created_at) FROM turns")
        start, end = found.column(0)[0].as_py(), found.column(1)[0].as_py()
        return None if start is None else Window(start, end + timedelta(microseconds=1))

    def last_arrival(self) -> datetime | None:
        """When the turn came that was stored last, by the clock."""
        found: datetime | None = self._database.value("SELECT max(ingested_at) FROM turns")
        return found

    def _resolve(self, turns: Sequence[Incoming]) -> Batch:
        asked = _keys({turn.key for turn in turns})
        # Narrow first: of a million rows this reads one column of eight bytes, and the hashes only where a key fits.
        stored = self._database.query(
            "SELECT turn_key, content_hash FROM turns SEMI JOIN asked USING (turn_key)", asked=asked
        )
        hashes: dict[int, bytes] = dict(zip(values(stored, 0), values(stored, 1), strict=True))
        differing = {turn.key for turn in turns if turn.key in hashes and hashes[turn.key] != turn.hash}
        rows: dict[int, Row] = {}
        conflicts: list[tuple[int, bytes]] = []
        if differing:
            rows = {key: tuple(row) for key, row in self._stored(differing).items()}
        if differing or len({turn.key for turn in turns}) < len(turns):
            known = self._database.query(
                "SELECT turn_key, content_hash FROM turn_conflicts SEMI JOIN asked USING (turn_key)", asked=asked
            )
            conflicts = list(zip(values(known, 0), values(known, 1), strict=True))
        return resolve(turns, hashes, rows, conflicts)

    def _write(self, batch: Batch) -> None:
        now = self._database.clock()
        if batch.changed:
            kept = self._database.query(
                "SELECT turn_key, ingested_at FROM turns SEMI JOIN asked USING (turn_key)", asked=_keys(batch.changed)
            )
            arrived = dict(zip(values(kept, 0), values(kept, 1), strict=True))
            self._database.execute(
                "DELETE FROM turns WHERE turn_key IN (SELECT turn_key FROM asked)", asked=_keys(batch.changed)
            )
            self._database.insert("turns", _table(batch.changed, {}, arrived, now))
        if batch.new:
            self._database.insert("turns", _table(batch.new, batch.hashes, {}, now))
        if batch.conflicts:
            self._database.insert(
                "turn_conflicts",
                pa.table(
                    {
                        "turn_key": pa.array([key for key, _ in batch.conflicts], KEY),
                        "content_hash": pa.array([hash_ for _, hash_ in batch.conflicts], pa.binary()),
                        "fields": pa.array([json_text(names) for names in batch.conflicts.values()], pa.string()),
                        "seen_at": pa.array([now] * len(batch.conflicts), pa.timestamp("us")),
                    }
                ),
            )

    def _refuse(self, turns: Sequence[tuple[Incoming, datetime]]) -> None:
        """A turn of a forgotten user takes along its events, those here and those to come: they name no user."""
        if not turns:
            return
        for moment in sorted({when for _, when in turns}):
            rows = [turn.row for turn, when in turns if when == moment]
            self._tombstones.write([Subject("turn", row[_TENANT] or "", row[_ID]) for row in rows], moment)
        self._database.execute(
            "DELETE FROM events WHERE turn_key IN (SELECT turn_key FROM asked)",
            asked=_keys({turn.key for turn, _ in turns}),
        )

    def _stored(self, keys: Iterable[int]) -> dict[int, tuple[Any, ...]]:
        found = self._database.query(
            f"SELECT turn_key, {', '.join(TURN.names)} FROM turns SEMI JOIN asked USING (turn_key)", asked=_keys(keys)
        )
        columns = [values(found, name) for name in TURN.names]
        return dict(zip(values(found, 0), zip(*columns, strict=True), strict=True))

    def _rows(self, keys: Iterable[int]) -> dict[int, Turn]:
        found = self._database.query(
            f"SELECT turn_key, {', '.join(TURN.names)} FROM turns SEMI JOIN asked USING (turn_key)", asked=_keys(keys)
        )
        return dict(zip(values(found, 0), TURN.read(found), strict=True))


def _belonging(turn: Incoming) -> tuple[list[Subject], datetime]:
    tenant, user = turn.row[_TENANT] or "", turn.row[_USER]
    subjects = [Subject("turn", tenant, turn.row[_ID]), Subject("conversation", tenant, turn.row[_CONVERSATION])]
    if user is not None:
        subjects.append(Subject("user", tenant, user))
    return subjects, turn.row[_CREATED]


def _keys(keys: Iterable[int]) -> pa.Table:
    return pa.table({"turn_key": pa.array(list(keys), KEY)})


def _checked(columns: Sequence[str] | None) -> Sequence[str]:
    unknown = set(columns or ()) - set(_STORED)
    if unknown:
        raise ValueError(f"turns have no column {min(unknown)!r}; they have {', '.join(_STORED)}")
    return _STORED if columns is None else columns


def _table(rows: dict[int, Row], hashes: dict[int, bytes], arrived: dict[int, datetime], now: datetime) -> pa.Table:
    columns = list(zip(*rows.values(), strict=True))
    # Most fields of most logs are empty: a column of nulls is made at once.
    table = {
        item.name: pa.nulls(len(rows), item.type) if column.count(None) == len(rows) else pa.array(column, item.type)
        for item, column in zip(TURN.schema, columns, strict=True)
    }
    named = list(zip(columns[_TENANT], columns[_CONVERSATION], strict=True))
    conversations = {(tenant, id): key_of(tenant or "", id) for tenant, id in set(named)}
    keys = list(rows)
    return pa.table(
        {
            "turn_key": pa.array(keys, KEY),
            "conversation_key": pa.array([conversations[one] for one in named], KEY),
            "content_hash": pa.array([hashes.get(key) or content_hash(row) for key, row in rows.items()], pa.binary()),
            "ingested_at": pa.array([arrived.get(key, now) for key in keys], pa.timestamp("us")),
            **table,
        }
    )
