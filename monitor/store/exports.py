"""Exports that were made, and which turns each holds: tables `exports` and `export_turns`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from monitor.store.database import Database
from monitor.store.exported import drop_examples, without_turn_ids
from monitor.store.rows import KEY, shape, values

__all__ = ["OWN", "ExportRow", "Exports"]

#: The folder beside the store with the exports that the app made.
OWN = "exports"


@dataclass(frozen=True, slots=True)
class ExportRow:
    """A set of examples that left the store. `manifest` is JSON text."""

    export_id: str
    created_at: datetime
    path: str
    format: str
    manifest: str
    turn_keys: tuple[int, ...]


_EXPORT = shape(ExportRow, leave_out=["turn_keys"])


class Exports:
    """Kept so that a deletion can name the files that still hold what was deleted."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, export: ExportRow) -> None:
        """Keep an export; the same id again replaces it."""
        keys = export.turn_keys
        with self._database.transaction():
            for table in ("exports", "export_turns"):
                self._database.execute(f"DELETE FROM {table} WHERE export_id = ?", [export.export_id])
            self._database.insert("exports", _EXPORT.table([export]))
            self._database.insert(
                "export_turns",
                pa.table(
                    {
                        "export_id": pa.array([export.export_id] * len(keys), pa.string()),
                        "ordinal": pa.array(range(len(keys)), pa.int64()),
                        "turn_key": pa.array(keys, KEY),
                    }
                ),
            )

    def read(self) -> list[ExportRow]:
        """Every export, the latest first."""
        return self._read("true")

    def times_of_slices(self) -> list[tuple[str, datetime]]:
        """What each export is of, the id of a gap or a topic, and when it was made; the first first."""
        found = self._database.query(
            "SELECT json_extract_string(manifest, '$.slice') AS slice, created_at FROM exports"
            " WHERE json_valid(manifest) ORDER BY created_at, export_id"
        )
        return [
            (slice_id, made)
            for slice_id, made in zip(values(found, 0), values(found, 1), strict=True)
            if slice_id is not None
        ]

    def containing(self, turn_keys: Sequence[int]) -> list[ExportRow]:
        """The exports with at least one of these turns, the latest first."""
        return self._read(
            "export_id IN (SELECT export_id FROM export_turns SEMI JOIN asked USING (turn_key))",
            asked=pa.table({"turn_key": pa.array(turn_keys, KEY)}),
        )

    def forget(self, gone: Sequence[int], near: Sequence[int]) -> tuple[str, ...]:
        """Take turns off the lists; the paths of the exports that still hold some of them. `near` are the turns of the same
        conversations: an example holds what was said before it.

        The app's own exports lie beside the store, and lose those examples. Other files are their owner's.
        """
        removed, touched = set(gone), set(near)
        own = self._database.attachment.file.parent / OWN
        named = []
        for export in self.containing(near):
            rows = [row for row, key in enumerate(export.turn_keys) if key in touched]
            manifest = (
                drop_examples(Path(export.path), export.manifest, rows)
                if Path(export.path).is_relative_to(own)
                else None
            )
            if manifest is None:
                named.append(export.path)
                rows = [row for row in rows if export.turn_keys[row] in removed]
                manifest = without_turn_ids(export.manifest, rows)
            left = tuple(key for row, key in enumerate(export.turn_keys) if row not in set(rows))
            self.record(replace(export, manifest=manifest, turn_keys=left))
        return tuple(named)

    def _read(self, condition: str, **tables: pa.Table) -> list[ExportRow]:
        exports = self._database.query(
            f"SELECT * FROM exports WHERE {condition} ORDER BY created_at DESC, export_id", (), **tables
        ).to_pylist()
        return [self._row(export) for export in exports]

    def _row(self, export: dict[str, Any]) -> ExportRow:
        found = self._database.query(
            "SELECT turn_key FROM export_turns WHERE export_id = ? ORDER BY ordinal", [export["export_id"]]
        )
        return ExportRow(**export, turn_keys=tuple(values(found, 0)))
