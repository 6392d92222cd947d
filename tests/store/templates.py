"""Stores that are made once and then copied: an empty DuckLake takes two seconds to make, one in PostgreSQL twice as many."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from monitor.store import Store
from monitor.store.attachment import Attachment
from tests.store.postgres_support import Postgres

__all__ = ["Templates", "copied_into", "copy_store", "file_name"]

_DATA_PATH = "UPDATE ducklake_metadata SET value = '{}/' WHERE key = 'data_path'"


@dataclass(slots=True)
class Templates:
    """An empty store of each kind that was asked for, in a folder that no test writes to."""

    folder: Path
    _made: dict[str, str] = field(default_factory=dict)

    def copy_to(self, name: str, server: Postgres | None = None) -> None:
        """Make the store of this name, which does not exist yet; `server` is that of its catalog."""
        kind = "postgres" if server else Attachment.parse(name).kind
        if kind not in self._made:
            made = server.new_store(self.folder) if server else file_name(kind, self.folder)
            Store.open(made).close()
            self._made[kind] = made
        copy_store(self._made[kind], name, server)


def file_name(kind: str, folder: Path) -> str:
    """The name of a store in the folder: a DuckDB file, or a DuckLake whose catalog is one."""
    return {"duckdb": f"{folder}/offmap.duckdb", "ducklake": f"ducklake:{folder}/offmap.ducklake"}[kind]


def copied_into(folder: Path, name: str) -> str:
    """The name of a copy of the store, which is one of `file_name`, in a folder."""
    to = file_name(Attachment.parse(name).kind, folder)
    copy_store(name, to)
    return to


def copy_store(name: str, to: str, server: Postgres | None = None) -> None:
    """Copy a store, which nobody has open now, to a name of the same kind; `server` has both of their catalogs."""
    source, target = Attachment.parse(name), Attachment.parse(to)
    target.file.parent.mkdir(exist_ok=True)
    if target.kind == "ducklake":
        shutil.copytree(source.data, target.data)
    if server is not None:
        server.copy(_database(source), _database(target))
        server.ask(_database(target), _DATA_PATH.format(target.data))
        return
    shutil.copy(source.file, target.file)
    if target.kind == "ducklake":
        with duckdb.connect(str(target.file)) as catalog:
            catalog.execute(_DATA_PATH.format(target.data))


def _database(attachment: Attachment) -> str:
    found = re.search(r"dbname='?(\w+)", attachment.server)
    assert found is not None
    return found[1]
