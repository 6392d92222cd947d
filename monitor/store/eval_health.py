"""The health of eval sets, of each combination of versions that was compared: table `eval_health`.

It stays when the run is swept: how an eval set became better or worse is read from it. It holds ids and labels of the eval
sets, and no text of anybody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from monitor.records import short_hash
from monitor.store.database import Database
from monitor.store.rows import shape

__all__ = ["EvalHealth", "EvalHealthRow"]


@dataclass(frozen=True, slots=True)
class EvalHealthRow:
    """What the latest run that compared these versions found. `value` is the coverage that it estimated, None if nothing.

    `repeated`, `conflicts` and `doubts` are counts; `document` is that of `monitor.coverage.health.Health`.
    """

    eval_set_ids: tuple[str, ...]
    names: tuple[str, ...]
    run_id: str
    made_at: datetime
    items: int
    texts: int
    labels: int
    repeated: int
    conflicts: int
    doubts: int
    diversity: float
    value: float | None
    low: float | None
    high: float | None
    document: Mapping[str, Any]


_ROW = shape(EvalHealthRow)


class EvalHealth:
    """One row for each combination of versions, whatever their order."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def write(self, row: EvalHealthRow) -> None:
        """In place of what was found of the same versions before."""
        own = _id(row.eval_set_ids)
        with self._database.transaction():
            self._database.execute("DELETE FROM eval_health WHERE health_id = ?", [own])
            self._database.insert("eval_health", _ROW.table([row], health_id=own))

    def find(self, eval_set_ids: Sequence[str]) -> EvalHealthRow | None:
        found = _ROW.read(self._database.query("SELECT * FROM eval_health WHERE health_id = ?", [_id(eval_set_ids)]))
        return found[0] if found else None

    def read(self) -> list[EvalHealthRow]:
        """Of all versions, those last compared last."""
        return _ROW.read(self._database.query("SELECT * FROM eval_health ORDER BY made_at, health_id"))


def _id(eval_set_ids: Sequence[str]) -> str:
    return short_hash(*sorted(eval_set_ids))
