"""Many small Parquet files become one.

Each transaction adds a file to every table of a DuckLake that it writes to, and each look-up opens them all: without this the
300th batch took half as long again as the first. DuckDB files need nothing like it.
"""

from __future__ import annotations

from monitor.store.failures import translated
from monitor.store.local import LocalDatabase

__all__ = ["Compaction"]

#: So many files of one table are too many.
_MANY = 50
#: Files above this are left as they are, or each pass would write everything anew.
_LARGE = 64 << 20
#: What is replaced stays for those who began to read before: other processes, too.
_KEPT = "INTERVAL 1 HOUR"
_STEPS = (
    f"ducklake_merge_adjacent_files('store', max_file_size => {_LARGE})",
    f"ducklake_expire_snapshots('store', older_than => now() - {_KEPT})",
    f"ducklake_cleanup_old_files('store', older_than => now() - {_KEPT})",
)
#: Seconds that other processes hold back at most for one that was frozen meanwhile.
_LONGEST = 120


class Compaction:
    """Whoever commits asks now and then whether it is due, and does it: there is no process that always runs."""

    def __init__(self, database: LocalDatabase) -> None:
        self._database = database

    def run_if_due(self) -> bool:
        """Raises `StoreError`, as when another process was faster: then it is due again."""
        database = self._database
        if database.attachment.kind != "ducklake":
            return False
        most = database.value("SELECT max(file_count) FROM ducklake_table_info('store')")
        if (most or 0) < _MANY:
            return False
        with (
            database.unchanged(),
            database.beside(),
            database.turn(seconds=_LONGEST),
            translated(database.attachment.name),
            database.root.cursor() as cursor,
        ):
            for step in _STEPS:
                # As Arrow: the times among the results would need pytz as Python values.
                cursor.execute(f"CALL {step}").to_arrow_table()
        return True
