"""Opening a store after a crash: a damaged log is cut, and what the journal holds beyond the store is run again."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import duckdb

from monitor.store.attachment import Attachment
from monitor.store.damage import Damage, set_log_aside
from monitor.store.failures import is_full
from monitor.store.journal import Content, Entry, Journal

__all__ = ["Recovery", "attach_sound", "replay"]


@dataclass(frozen=True, slots=True)
class Recovery:
    """What opening the store had to do. `replayed` transactions came back from the journal; `journal` is where one lies that
    could not be used."""

    damage: Damage | None = None
    replayed: int = 0
    journal: Path | None = None

    @property
    def news(self) -> str:
        """What a person must know; empty when there is nothing."""
        said = [str(self.damage)] if self.damage else []
        if self.damage and self.replayed:
            said.append(f"{self.replayed:,} transactions that no stream can bring again were written from the journal")
        if self.journal is not None:
            said.append(
                f"the store's journal does not fit the store and is kept as {self.journal}: what came over HTTP and what "
                "people decided in the last minutes may be missing"
            )
        return "; ".join(said)


def attach_sound(attachment: Attachment, root: duckdb.DuckDBPyConnection) -> Damage | None:
    """Attach the store; one whose log is damaged without the damaged part, and what that was."""
    damage = None
    while True:
        try:
            attachment.attach(root)
        except duckdb.Error as error:
            # Twice: the log that was cut may still not do, and is then left out whole.
            found = None if attachment.server else set_log_aside(attachment.file, error)
            if found is None:
                raise
            damage = damage or found
        else:
            return damage


def replay(root: duckdb.DuckDBPyConnection, journal: Journal) -> tuple[int, Path | None]:
    """Run the entries that the store does not hold. How many those were, and where the journal lies if it could not be used."""
    content = journal.read()
    if not content.entries and not content.damaged:
        journal.clear()
        return 0, None
    position = _position(root)
    due = _due(content, position)
    done = 0
    if due is not None:
        for entry in due:
            if not _run(root, entry):
                break
            done += 1
    if position is not None:
        # Also when nothing was due: the journal may go only when what it holds is in the file itself.
        root.execute("CHECKPOINT store")
    if due is None or done < len(due) or (content.damaged and not _held(content, position)):
        return done, journal.set_aside()
    journal.clear()
    return done, None


def _position(root: duckdb.DuckDBPyConnection) -> int | None:
    """The last entry that the store holds; None when it counts none."""
    known = root.execute(
        "SELECT count(*) FROM duckdb_tables() WHERE database_name = 'store' AND table_name = 'journal'"
    ).fetchone()
    if known is None or not known[0]:
        return None
    found = root.execute("SELECT max(position) FROM store.journal").fetchone()
    return int(found[0] or 0) if found else 0


def _due(content: Content, position: int | None) -> Sequence[Entry] | None:
    """The entries behind `position`; None when they do not follow on it: a journal of another store, or a hole."""
    if position is None:
        return None
    due = [entry for entry in content.entries if entry.number > position]
    if [entry.number for entry in due] != list(range(position + 1, position + 1 + len(due))):
        return None
    return due


def _held(content: Content, position: int | None) -> bool:
    """Whether the store holds more than can be read of the journal: then its damage costs nothing."""
    return position is not None and bool(content.entries) and content.entries[-1].number < position


def _run(root: duckdb.DuckDBPyConnection, entry: Entry) -> bool:
    """One transaction again. False when it does not fit the store; raises when there is no room."""
    cursor = root.cursor()
    try:
        cursor.execute("USE store")
        cursor.execute("BEGIN TRANSACTION")
        for statement in entry.statements:
            for name, table in statement.tables.items():
                cursor.register(name, table)
            cursor.execute(statement.sql, list(statement.parameters))
            for name in statement.tables:
                cursor.unregister(name)
        cursor.execute("UPDATE journal SET position = ?", [entry.number])
        cursor.execute("COMMIT")
    except duckdb.Error as error:
        with suppress(duckdb.Error):
            cursor.execute("ROLLBACK")
        if is_full(error):
            raise
        return False
    finally:
        cursor.close()
    return True
