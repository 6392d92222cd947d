"""The kinds of store: a DuckDB file, and a DuckLake with Parquet files whose catalog is a file or lies in PostgreSQL.

All are attached under the name `store` to a DuckDB instance in memory, so that everything above speaks one SQL, and so
that maintenance can put a rewritten file in place while the cursors of other threads stay valid.
"""

from __future__ import annotations

import importlib.util
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path

import duckdb

from monitor.errors import MissingExtraError, StoreError, UsageError
from monitor.settings import password_within
from monitor.store import catalog_name
from monitor.store.catalog_lock import LOCK, CatalogLock

__all__ = ["CATALOG", "Attachment"]

#: DuckLake's own tables, reachable beside the store itself.
CATALOG = "__ducklake_metadata_store"
_POSTGRES = "postgres:"


@dataclass(frozen=True, slots=True)
class Attachment:
    """Where a store lies, and how it is attached."""

    name: str  # as the user gave it; never with a password
    kind: str  # "duckdb" or "ducklake"
    #: The DuckDB file: the store itself, or DuckLake's catalog. Where the catalog is in PostgreSQL there is no such file, and
    #: what lies beside the others is in the folder of the Parquet files, named after it.
    file: Path
    server: str = ""  # libpq's keywords of the PostgreSQL that has the catalog

    @classmethod
    def parse(cls, name: str) -> Attachment:
        kind, separator, rest = name.partition(":")
        if not separator or kind != "ducklake":
            return cls(name, "duckdb", Path(name).expanduser().resolve())
        if reason := password_within(name):
            raise UsageError(f"store.path {reason}")
        if rest.startswith(_POSTGRES):
            return cls._in_postgres(name, rest.removeprefix(_POSTGRES))
        if rest.startswith(("postgresql:", "mysql:", "sqlite:")):
            raise UsageError(
                f"store.path names a catalog in {rest.partition(':')[0]}, which is not known: "
                f"give a file, such as ducklake:offmap.ducklake, or {catalog_name.EXAMPLE}"
            )
        if not rest:
            raise UsageError(f"store.path = {name!r} names no file; give one, such as ducklake:offmap.ducklake")
        return cls(name, "ducklake", Path(rest).expanduser().resolve())

    @classmethod
    def _in_postgres(cls, name: str, text: str) -> Attachment:
        server, folder = catalog_name.parse(text)
        return cls(name, "ducklake", Path(folder).expanduser().resolve() / "offmap", server)

    @property
    def data(self) -> Path:
        """The folder of DuckLake's Parquet files."""
        return self.file.with_name(self.file.name + ".files")

    @property
    def temporary(self) -> Path:
        """Where queries spill: beside the store, on the disk that was chosen for it, and not into the working folder.

        Of a catalog that processes on other machines share too, the folder may be far away, and the names are DuckDB's.
        """
        if not self.server:
            return Path(f"{self.file}.tmp")
        return Path(tempfile.gettempdir()) / f"offmap-{uuid.uuid4().hex}.tmp"

    @property
    def log(self) -> Path:
        """DuckDB's write-ahead log. It is there while something waits to be moved into the file."""
        return self.file.with_name(f"{self.file.name}.wal")

    @property
    def checkpointed(self) -> str:
        """The database whose log is the store's. (`CHECKPOINT` of a DuckLake itself would expire snapshots.)"""
        return CATALOG if self.kind == "ducklake" else "store"

    def check(self, *, create: bool) -> None:
        if self.server:
            self._check_folder(create=create)
            return
        if self.file.is_dir():
            raise StoreError(f"the store {self.name} is a folder: name a file with --store or OFFMAP_STORE")
        if not self.file.exists():
            if not create:
                raise StoreError(f"the store {self.name} does not exist: run `offmap ingest FILE` first")
            if not self.file.parent.is_dir():
                raise StoreError(f"the store {self.name} cannot be made: create the folder {self.file.parent} first")

    def _check_folder(self, *, create: bool) -> None:
        folder = self.file.parent
        if not create and not self.data.is_dir():
            raise StoreError(
                f"the store {self.name} does not exist: its data_path {folder} holds no Parquet files; "
                "is it mounted here? If there is no store yet, run `offmap ingest FILE` first"
            )
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"the store {self.name} cannot be made: its data_path {folder}: {error.strerror}"
            ) from error

    def lock(self, root: duckdb.DuckDBPyConnection) -> CatalogLock | None:
        """What keeps the processes that share the catalog in turn; None where one process holds the store. Attach it first."""
        if not self.server:
            return None
        root.execute(f"LOAD {_quoted(_extension('postgres_scanner', extra='postgres'))}")
        return CatalogLock(root, self.server)

    def attach(self, root: duckdb.DuckDBPyConnection) -> None:
        if self.kind == "duckdb":
            root.execute(f"ATTACH {_quoted(self.file)} AS store")
            return
        root.execute(f"LOAD {_quoted(_extension('ducklake', extra='ducklake'))}")
        # Small inserts would lie in the catalog as texts, where a double loses its last digit:
        # 0.0015081653109620394 comes back as ...392 (DuckDB 1.5.5).
        options = f"DATA_PATH {_quoted(f'{self.data}/')}, DATA_INLINING_ROW_LIMIT 0"
        if not self.server:
            self._refuse_plain_file(root)
            root.execute(f"ATTACH {_quoted(f'ducklake:{self.file}')} AS store ({options})")
            return
        self._refuse_wrong_database(root)
        # The first to commit wins, and whoever else began before that fails: DuckLake's own second try looks for changes of the
        # same Parquet files only, and would store one turn twice that two processes add.
        root.execute("SET GLOBAL ducklake_max_retry_count = 1")
        try:
            root.execute(f"ATTACH {_quoted(f'ducklake:postgres:{self.server}')} AS store ({options})")
        except duckdb.Error as error:
            if "does not match existing data path" in str(error):
                raise StoreError(
                    f"the store {self.name} keeps its Parquet files in another folder than its data_path: {error}"
                ) from error
            raise

    def _refuse_wrong_database(self, root: duckdb.DuckDBPyConnection) -> None:
        # DuckLake would make an empty catalog in any database, and later take the files of the right one for orphans.
        sql = f"FROM postgres_query('{LOCK}', 'SELECT to_regclass(''ducklake_metadata'')::text AS found')"
        if root.execute(sql).fetchall() == [(None,)] and self.data.is_dir() and any(self.data.iterdir()):
            raise StoreError(
                f"the store {self.name} has no catalog in this database, and its data_path {self.file.parent} holds the "
                "Parquet files of another one: name the database of these files, or a folder that is empty"
            )

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


def _extension(name: str, *, extra: str) -> Path:
    """The extension of the installed package, loaded by its path: nothing is downloaded or put into the home."""
    library = f"duckdb-extension-{name.replace('_', '-')}"
    package = importlib.util.find_spec(f"duckdb_extension_{name}")
    if package is None or not package.submodule_search_locations:
        feature = "a DuckLake store" if extra == "ducklake" else "a store whose catalog is in PostgreSQL"
        raise MissingExtraError(feature, extra=extra, library=library)
    file = Path(package.submodule_search_locations[0]) / "extensions" / f"v{duckdb.__version__}"
    file /= f"{name}.duckdb_extension"
    if not file.exists():
        raise StoreError(
            f"the installed {library} has no extension for DuckDB {duckdb.__version__}: pip install 'offmap[{extra}]'"
        )
    return file
