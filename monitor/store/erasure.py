"""Deleted rows leave the disk, and not only the tables.

DuckDB keeps the bytes of deleted rows: in row groups that are still in use, and in blocks that are free. So the file is
written anew and put in the place of the old one (docs/decisions/0010); meanwhile readers go on, and writers wait. DuckLake
keeps deleted rows in old Parquet files, and the smallest and largest text of each file in its catalog: its files are
rewritten, expired and removed, then its catalog is too. A catalog in PostgreSQL is changed in place, since other processes
work with it.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from monitor.disk import flush
from monitor.errors import StoreBusyError, StoreConflictError, StoreFullError
from monitor.store.catalog_lock import LOCK
from monitor.store.failures import translated
from monitor.store.local import LocalDatabase

__all__ = ["Erasure"]

#: In this order: files lose their deleted rows, small ones become one, old ones go.
_DUCKLAKE = (
    "ducklake_flush_inlined_data('store')",  # a catalog that something else wrote to may hold rows itself
    "ducklake_rewrite_data_files('store', delete_threshold => 0)",
    "ducklake_merge_adjacent_files('store')",
    "ducklake_expire_snapshots('store', older_than => now() + INTERVAL 1 DAY)",
    "ducklake_cleanup_old_files('store', cleanup_all => true)",
)
#: Files that no transaction has committed.
_ORPHANS = "ducklake_delete_orphaned_files('store', {which})"

#: A table's smallest and largest text stay in the catalog when their row is gone. Unknown is always right.
_FORGET_EXTREMES = """
UPDATE {catalog}.ducklake_table_column_stats SET min_value = NULL, max_value = NULL
WHERE (table_id, column_id) IN (
    SELECT (table_id, column_id) FROM {catalog}.ducklake_column WHERE column_type IN ('varchar', 'blob'))
"""
#: The same for PostgreSQL. (Its own files keep the old rows until it reuses their pages: that is its administrator's.)
_FORGET_EXTREMES_THERE = """
UPDATE ducklake_table_column_stats AS stats SET min_value = NULL, max_value = NULL FROM ducklake_column AS described
WHERE described.table_id = stats.table_id AND described.column_id = stats.column_id
AND described.column_type IN ('varchar', 'blob')
"""
#: Seconds that other processes hold back at most for one that erases, and was frozen while it did.
_LONGEST = 600


class Erasure:
    """Asked for inside a transaction, done after it, and done at the next opening when the process died in between."""

    def __init__(self, database: LocalDatabase) -> None:
        self._database = database

    def finish_pending(self) -> None:
        """Do what an earlier process owed. A disk without room for it must not keep the store from opening."""
        if self._pending():
            try:
                self.run()
            except (StoreFullError, StoreBusyError, StoreConflictError):  # no room, or another process is at it
                return

    def _pending(self) -> bool:
        return bool(self._database.value("SELECT count(*) FROM erasures"))

    def run(self) -> None:
        """Write the store anew. Whoever writes waits; readers only while the files change places."""
        database, file = self._database, self._database.attachment.file
        if database.attachment.server:
            with database.alone(), database.turn(seconds=_LONGEST), translated(database.attachment.name):
                self._erase_in_place()
            return
        fresh = file.with_name(f"{file.name}.rewritten")
        size = file.stat().st_size
        try:
            with database.unchanged(), translated(database.attachment.name):
                if not self._pending():  # another thread has done it while this one waited
                    return
                size = self._size()
                # Before, and not when the disk is full: others write to it too.
                if shutil.disk_usage(file.parent).free < size:
                    raise StoreFullError(f"no room on the disk of the store {database.attachment.name}")
                if database.attachment.kind == "ducklake":  # files that somebody reads would go
                    with database.alone():
                        self._drop_old_files("cleanup_all => true")
                        self._copy(fresh)
                        self._swap(fresh)
                else:
                    with database.beside():
                        self._copy(fresh)
                    with database.alone():
                        self._swap(fresh)
                database.clear_journal()
        except StoreFullError as error:
            raise StoreFullError(
                f"the rows are deleted, but the disk of {database.attachment.name} cannot hold the store written anew, "
                f"so their bytes are still in the file: free {size / 1e6:.0f} MB, then run any offmap command"
            ) from error

    def _erase_in_place(self) -> None:
        root, folder = self._database.root, self._database.attachment.file.parent
        # A process that was frozen in a transaction, and has lost its turn, may wake up: what it wrote until now must not be
        # committed after we took its files for orphans. So there is a commit first, which that process did not see, and only
        # files from before it are removed. The clock is that of the disk, where the times of the files come from.
        marker = folder / "offmap.erasing"
        marker.touch()
        before = marker.stat().st_mtime
        if not root.execute("UPDATE store.erasures SET due_at = due_at").fetchall()[0][0]:
            return  # another process has done it
        self._drop_old_files(f"older_than => to_timestamp({before!r})")
        quoted = _FORGET_EXTREMES_THERE.replace("'", "''")
        root.execute(f"CALL postgres_execute('{LOCK}', '{quoted}')")
        # Last, and as a commit with a file: other processes look at the catalog's extremes anew after one.
        root.execute("DELETE FROM store.erasures")
        marker.unlink(missing_ok=True)

    def _size(self) -> int:
        """What the store written anew takes, at most."""
        attachment = self._database.attachment
        if attachment.kind == "ducklake":
            return attachment.file.stat().st_size
        return int(
            self._database.value(
                "SELECT used_blocks * block_size FROM pragma_database_size() WHERE database_name = 'store'"
            )
        )

    def _drop_old_files(self, orphans: str) -> None:
        for call in (*_DUCKLAKE, _ORPHANS.format(which=orphans)):
            # As Arrow: the times among the results would need pytz as Python values.
            self._database.root.execute(f"CALL {call}").to_arrow_table()

    def _copy(self, fresh: Path) -> None:
        attachment = self._database.attachment
        for leftover in (fresh, Path(f"{fresh}.wal")):
            leftover.unlink(missing_ok=True)
        cursor = self._database.root.cursor()
        quoted = str(fresh).replace("'", "''")
        cursor.execute(f"ATTACH '{quoted}' AS fresh")
        try:
            cursor.execute(f"COPY FROM DATABASE {attachment.checkpointed} TO fresh")
            if attachment.kind == "ducklake":
                cursor.execute(_FORGET_EXTREMES.format(catalog="fresh"))
            cursor.execute("CHECKPOINT fresh")
            shutil.copymode(attachment.file, fresh)
        except BaseException:
            cursor.execute("DETACH fresh")
            fresh.unlink(missing_ok=True)
            raise
        finally:
            cursor.close()

    def _swap(self, fresh: Path) -> None:
        root, attachment = self._database.root, self._database.attachment
        try:
            # Nothing may be left in the log: it would be replayed onto the new file.
            root.execute(f"CHECKPOINT {attachment.checkpointed}")
            # While both are attached, and so locked: nobody can open the old file and write into what is gone.
            fresh.replace(attachment.file)
            flush(attachment.file.parent)
        except BaseException:
            root.execute("DETACH fresh")
            fresh.unlink(missing_ok=True)
            raise
        root.execute("DETACH store")
        root.execute("DETACH fresh")
        attachment.attach(root)
        root.execute("DELETE FROM store.erasures")
        root.execute(f"CHECKPOINT {attachment.checkpointed}")
