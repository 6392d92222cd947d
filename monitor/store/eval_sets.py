"""Eval sets and their items: tables `eval_sets` and `eval_items`."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from monitor.errors import UsageError
from monitor.records import EvalItem, EvalSet
from monitor.store.database import Database
from monitor.store.rows import shape

__all__ = ["EvalSetSummary", "EvalSets"]


@dataclass(frozen=True, slots=True)
class EvalSetSummary:
    """One version of an eval set, as it is listed. `labels` counts the distinct ones."""

    name: str
    version: str
    created_at: datetime
    items: int
    labels: int


_SUMMARY = shape(EvalSetSummary)
_ITEM = shape(EvalItem)


class EvalSets:
    """Named and versioned; a version never changes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, eval_set: EvalSet) -> bool:
        """Keep a version; False when that name and version is there already."""
        labels = len({item.label for item in eval_set.items if item.label is not None})
        summary = EvalSetSummary(eval_set.name, eval_set.version, eval_set.created_at, len(eval_set.items), labels)
        with self._database.transaction():
            if self._database.value("SELECT count(*) FROM eval_sets WHERE eval_set_id = ?", [eval_set.eval_set_id]):
                return False
            generation = int(self._database.value("SELECT coalesce(max(generation), 0) + 1 FROM eval_sets"))
            row = _SUMMARY.table([summary], eval_set_id=eval_set.eval_set_id)
            self._database.insert("eval_sets", row.append_column("generation", pa.array([generation], pa.int64())))
            items = _ITEM.table(eval_set.items, eval_set_id=eval_set.eval_set_id)
            ordinals = pa.array(range(len(eval_set.items)), pa.int64())
            self._database.insert("eval_items", items.append_column("ordinal", ordinals))
        return True

    def load(self, name: str, version: str | None = None) -> EvalSet:
        """A version of a set, the one saved last when none is named."""
        found = self._database.query(
            "SELECT eval_set_id, version, created_at FROM eval_sets"
            " WHERE name = ? AND (version = ? OR ?) ORDER BY generation DESC LIMIT 1",
            [name, version, version is None],
        ).to_pylist()
        if not found:
            raise UsageError(self._unknown(name, version))
        items = self._database.query(
            "SELECT * FROM eval_items WHERE eval_set_id = ? ORDER BY ordinal", [found[0]["eval_set_id"]]
        )
        return EvalSet(name, found[0]["version"], found[0]["created_at"], tuple(_ITEM.read(items)))

    def summaries(self) -> list[EvalSetSummary]:
        """Every version, by name and then from the oldest to the latest."""
        return _SUMMARY.read(self._database.query("SELECT * FROM eval_sets ORDER BY name, generation"))

    def _unknown(self, name: str, version: str | None) -> str:
        known = self.summaries()
        names = sorted({summary.name for summary in known})
        if name in names:
            versions = ", ".join(summary.version for summary in known if summary.name == name)
            return f"eval set {name!r} has no version {version!r}; it has {versions}"
        if not names:
            return f"no eval set {name!r}: import one with `offmap evalset import FILE --name {name}`"
        nearest = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"there are {', '.join(names[:10])}"
        return f"no eval set {name!r}; {hint}"
