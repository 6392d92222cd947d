"""Deleted rows leave the disk, and not only the tables.

DuckDB keeps the bytes of deleted rows: in row groups that are still in use, and in blocks that are free. So the file is
written anew and put in the place of the old one. DuckLake keeps deleted rows in old Parquet files, and the smallest and
largest text of each file in its catalog: its files are rewritten, expired and removed, then its catalog is too.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from monitor.errors import StoreFullError
from monitor.store.database import Database
from monitor.store.failures import translated

__all__ = ["Erasure"]

#: In this order: files lose their deleted rows, small ones become one, old ones go.
_DUCKLAKE = (
    "ducklake_flush_inlined_data('store')",  # a catalog that something else wrote to may hold rows itself
    "ducklake_rewrite_data_files('store', delete_threshold => 0)",
    "ducklake_merge_adjacent_files('store')",
    "ducklake_expire_snapshots('store', older_than => now() + INTERVAL 1 DAY)",
    "ducklake_cleanup_old_files('store', cleanup_all => true)",
    "ducklake_delete_orphaned_files('store', cleanup_all => true)",
)

#: A table's smallest and largest text stay in the catalog when their row is gone. Unknown is always right.
_FORGET_EXTREMES = """
UPDATE fresh.ducklake_table_column_stats SET min_value = NULL, max_value = NULL
WHERE (table_id, column_id) IN (
    SELECT (table_id, column_id) FROM fresh.ducklake_column WHERE column_type IN ('varchar', 'blob'))
"""


class Erasure:
    """Asked for inside a transaction, done after it, and done at the next opening when the process died in between."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def request(self) -> None:
        self._database.execute("INSERT INTO erasures VALUES (?)", [self._database.clock()])
        self._database.after_commit(self.run)

    def finish_pending(self) -> None:
        """Do what an earlier process owed. A disk without room for it must not keep the store from opening."""
        if self._database.value("SELECT count(*) FROM erasures"):
            try:
                self.run()
            except StoreFullError:
                return

    def run(self) -> None:
        """Write the store anew. Every other thread waits."""
        database, file = self._database, self._database.attachment.file
        try:
            with database.alone(), translated(database.attachment.name):
                if database.attachment.kind == "ducklake":
                    self._drop_old_files()
                self._rewrite(file)
                database.root.execute("DELETE FROM store.erasures")
                database.root.execute(f"CHECKPOINT {database.attachment.checkpointed}")
        except StoreFullError as error:
            size = file.stat().st_size / 1e6
            raise StoreFullError(
                f"the rows are deleted, but the disk of {database.attachment.name} cannot hold the store written anew, "
                f"so their bytes are still in the file: free {size:.0f} MB, then run any offmap command"
            ) from error

    def _drop_old_files(self) -> None:
        for call in _DUCKLAKE:
            # As Arrow: the times among the results would need pytz as Python values.
            self._database.root.execute(f"CALL {call}").to_arrow_table()

    def _rewrite(self, file: Path) -> None:
        root, attachment = self._database.root, self._database.attachment
        fresh = file.with_name(f"{file.name}.rewritten")
        for leftover in (fresh, Path(f"{fresh}.wal")):
            leftover.unlink(missing_ok=True)
        # Nothing may be left in the log: it would be replayed onto the new file.
        root.execute(f"CHECKPOINT {attachment.checkpointed}")
        quoted = str(fresh).replace("'", "''")
        root.execute(f"ATTACH '{quoted}' AS fresh")
        try:
            root.execute(f"COPY FROM DATABASE {attachment.checkpointed} TO fresh")
            if attachment.kind == "ducklake":
                root.execute(_FORGET_EXTREMES)
            root.execute("CHECKPOINT fresh")
            shutil.copymode(file, fresh)
            # While both are attached, and so locked: nobody can open the old file and write into what is gone.
            fresh.replace(file)
            _flush_folder(file.parent)
        except BaseException:
            root.execute("DETACH fresh")
            fresh.unlink(missing_ok=True)
            raise
        root.execute("DETACH store")
        root.execute("DETACH fresh")
        attachment.attach(root)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
