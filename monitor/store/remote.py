"""A store that another process holds, reached over its local socket. See `monitor.store.sharing` for the other side."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection
from typing import Any

import pyarrow as pa

from monitor.clock import Clock, utc_now
from monitor.errors import StoreError
from monitor.store import wire
from monitor.store.attachment import Attachment
from monitor.store.database import Database, Depth
from monitor.store.sharing import Holder, read_holder

__all__ = ["RemoteDatabase"]


class _Thread(Depth):
    connection: Connection | None = None
    erase_due: bool = False


class RemoteDatabase(Database):
    """A connection a thread. What is said of `LocalDatabase` holds: same statements, same transactions, same errors."""

    def __init__(self, attachment: Attachment, holder: Holder, *, clock: Clock = utc_now) -> None:
        self.attachment, self.holder, self.clock = attachment, holder, clock
        self._thread = _Thread()
        self._open: list[Connection] = []
        self._connection()

    @classmethod
    def find(cls, attachment: Attachment) -> RemoteDatabase | None:
        """Connect to the process that shares the store; None when there is none."""
        holder = read_holder(attachment)
        if holder is None:
            return None
        try:
            return cls(attachment, holder)
        except (OSError, EOFError, AuthenticationError):
            # The file was left by a process that died, and the port may be another's by now.
            return None

    def query(self, sql: str, parameters: Sequence[object] = (), **tables: pa.Table) -> pa.Table:
        header = {"do": "query", "sql": sql, "parameters": wire.pack_parameters(parameters), "names": list(tables)}
        answer = self._ask(header, list(tables.values()))
        assert answer is not None, "a query has a result"
        return answer

    @contextmanager
    def transaction(self, *, journaled: bool = True) -> Iterator[None]:
        mine = self._thread
        if mine.depth:
            with mine.joined():
                yield
            return
        self._ask({"do": "begin", "journaled": journaled})
        mine.depth, mine.failed = 1, False
        try:
            yield
            if mine.failed:
                raise StoreError("a part of this transaction failed, so none of it was kept")
            self._ask({"do": "commit"})
        except BaseException:
            mine.erase_due = False
            # What went wrong is worth more than what goes wrong on top of it; the holder rolls back on its own too.
            with suppress(StoreError):
                self._ask({"do": "rollback"})
            raise
        finally:
            mine.depth = 0
        if mine.erase_due:
            mine.erase_due = False
            self.erase()

    def erase_after_commit(self) -> None:
        self._thread.erase_due = True

    def erase(self) -> None:
        self._ask({"do": "erase"})

    def checkpoint(self) -> None:
        self._ask({"do": "checkpoint"})

    def close(self) -> None:
        for connection in self._open:
            connection.close()

    def _ask(self, header: dict[str, Any], tables: Sequence[pa.Table] = ()) -> pa.Table | None:
        connection = self._connection()
        try:
            wire.send(connection, header, tables)
            answer, found = wire.receive(connection)
        except (OSError, EOFError) as error:
            raise StoreError(
                f"the offmap serve that held the store {self.attachment.name} ended: run the same command again"
            ) from error
        if "error" in answer:
            wire.raise_error(answer)
        return found[0] if found else None

    def _connection(self) -> Connection:
        if self._thread.connection is None:
            connection = Client(self.holder.address, authkey=self.holder.token)
            _without_delay(connection)
            self._open.append(connection)
            self._thread.connection = connection
            self._greet(connection)
        return self._thread.connection

    def _greet(self, connection: Connection) -> None:
        from importlib.metadata import version

        wire.send(connection, {"do": "hello"})
        answer, _ = wire.receive(connection)
        if answer["version"] != version("offmap"):
            raise StoreError(
                f"the store {self.attachment.name} is held by offmap {answer['version']} and this is offmap "
                f"{version('offmap')}: restart offmap serve"
            )


def _without_delay(connection: Connection) -> None:
    """A message is some writes: the second must not wait for the first to be acknowledged (40 ms)."""
    with socket.socket(fileno=os.dup(connection.fileno())) as mine:
        mine.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
