"""The two kinds of store: a DuckDB file, and a DuckLake catalog with Parquet files beside it.

Both are attached under the name `store` to a DuckDB instance in memory, so that everything above speaks one SQL, and so
that maintenance can put a rewritten file in place while the cursors of other threads stay valid.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import duckdb

from monitor.errors import MissingExtraError, StoreError, UsageError

__all__ = ["CATALOG", "Attachment"]

#: DuckLake's own tables, reachable beside the store itself.
CATALOG = "__ducklake_metadata_store"


@dataclass(frozen=True, slots=True)
class Attachment:
    """Where a store lies, and how it is attached."""

    name: str  # as the user gave it
    kind: str  # "duckdb" or "ducklake"
    file: Path  # the DuckDB file: the store itself, or DuckLake's catalog

    @classmethod
    def parse(cls, name: str) -> Attachment:
        kind, separator, rest = name.partition(":")
        if not separator or kind != "ducklake":
            return cls(name, "duckdb", Path(name).expanduser().resolve())
        if rest.startswith(("postgres:", "postgresql:", "mysql:", "sqlite:")):
            raise UsageError(
                f"store.path = {name!r}: a DuckLake catalog on a database server is not supported yet; "
                "give a file, such as ducklake:offmap.ducklake"
            )
        if not rest:
            raise UsageError(f"store.path = {name!r} names no file; give one, such as ducklake:offmap.ducklake")
        return cls(name, "ducklake", Path(rest).expanduser().resolve())

    @property
    def data(self) -> Path:
        """The folder of DuckLake's Parquet files."""
        return self.file.with_name(self.file.name + ".files")

    @property
    def checkpointed(self) -> str:
        """The database whose log is the store's. (`CHECKPOINT` of a DuckLake itself would expire snapshots.)"""
        return CATALOG if self.kind == "ducklake" else "store"

    def check(self, *, create: bool) -> None:
        if self.file.is_dir():
            raise StoreError(f"the store {self.name} is a folder: name a file with --store or OFFMAP_STORE")
        if not self.file.exists():
            if not create:
                raise StoreError(f"the store {self.name} does not exist: run `offmap ingest FILE` first")
            if not self.file.parent.is_dir():
                raise StoreError(f"the store {self.name} cannot be made: create the folder {self.file.parent} first")

    def attach(self, root: duckdb.DuckDBPyConnection) -> None:
        if self.kind == "ducklake":
            root.execute(f"LOAD {_quoted(_extension())}")
            self._refuse_plain_file(root)
            # Small inserts would lie in the catalog as texts, where a double loses its last digit:
            # 0.0015081653109620394 comes back as ...392 (DuckDB 1.5.5).
            options = f"DATA_PATH {_quoted(f'{self.data}/')}, DATA_INLINING_ROW_LIMIT 0"
            root.execute(f"ATTACH {_quoted(f'ducklake:{self.file}')} AS store ({options})")
        else:
            root.execute(f"ATTACH {_quoted(self.file)} AS store")

    def _refuse_plain_file(self, root: duckdb.DuckDBPyConnection) -> None:
        # DuckLake would make its catalog inside any DuckDB file, also inside one of our own.
        if not self.file.exists():
            return
        root.execute(f"ATTACH {_quoted(self.file)} AS peek (READ_ONLY)")
        try:
            found = root.execute("SELECT table_name FROM duckdb_tables() WHERE database_name = 'peek'").fetchall()
        finally:
            root.execute("DETACH peek")
        if found and ("ducklake_metadata",) not in found:
            raise StoreError(
                f"{self.file} is a DuckDB file and no DuckLake catalog: leave `ducklake:` out of {self.name!r}"
            )


def _quoted(text: str | Path) -> str:
    # ATTACH, LOAD and DATA_PATH take no bound parameters.
    return "'" + str(text).replace("'", "''") + "'"


def _extension() -> Path:
    """The extension of the installed package, loaded by its path: nothing is downloaded or put into the home."""
    package = importlib.util.find_spec("duckdb_extension_ducklake")
    if package is None or not package.submodule_search_locations:
        raise MissingExtraError("a DuckLake store", extra="ducklake", library="duckdb-extension-ducklake")
    folder = Path(package.submodule_search_locations[0]) / "extensions"
    file = folder / f"v{duckdb.__version__}" / "ducklake.duckdb_extension"
    if not file.exists():
        raise StoreError(
            f"the installed duckdb-extension-ducklake has no extension for DuckDB {duckdb.__version__}: "
            "pip install 'offmap[ducklake]'"
        )
    return file
