"""The holder of a store lets other processes of the same machine and user work on it, through a local socket.

A DuckDB file takes one process. While `offmap serve` holds it, a command or a worker finds the private file beside the
store, connects, and sends the same statements that it would have run itself. So every command works in both ways, by the
same code. A connection has a thread of its own here, and so a cursor: a transaction is a begin, statements, and a commit.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import AuthenticationError
from multiprocessing.connection import Connection, answer_challenge, deliver_challenge
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import structlog

from monitor.errors import OffmapError, StoreError
from monitor.store import wire
from monitor.store.attachment import Attachment
from monitor.store.local import LocalDatabase

__all__ = ["Holder", "StoreServer", "read_holder"]

#: A client that stops inside a transaction holds the one writer: after so many seconds it loses its transaction.
_IDLE = 30.0
_HANDSHAKE = 5.0

_log = structlog.get_logger("offmap")


@dataclass(frozen=True, slots=True)
class Holder:
    """Who shares a store, and how to reach it. `url` is the app's, for people."""

    address: tuple[str, int]
    token: bytes
    pid: int
    url: str

    def __repr__(self) -> str:
        return f"Holder(address={self.address}, pid={self.pid}, url={self.url!r})"


def _file_of(attachment: Attachment) -> Path:
    return attachment.file.with_name(f"{attachment.file.name}.serve")


def read_holder(attachment: Attachment) -> Holder | None:
    """What the private file beside the store says; None without one, or when it is not readable."""
    try:
        found = orjson.loads(_file_of(attachment).read_bytes())
        return Holder(("127.0.0.1", int(found["port"])), bytes.fromhex(found["token"]), found["pid"], found["url"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


class StoreServer:
    """Shares a store until it is closed."""

    def __init__(self, database: LocalDatabase, *, url: str = "", idle: float = _IDLE) -> None:
        self._database, self._idle = database, idle
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = self._listener.getsockname()[1]
        self.holder = Holder(("127.0.0.1", port), secrets.token_bytes(32), os.getpid(), url)
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._file = _file_of(database.attachment)

    def start(self) -> None:
        """Write the private file, and answer."""
        holder = self.holder
        content = {"port": holder.address[1], "token": holder.token.hex(), "pid": holder.pid, "url": holder.url}
        fresh = self._file.with_name(f"{self._file.name}.{os.getpid()}")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(orjson.dumps(content))
        fresh.replace(self._file)
        thread = threading.Thread(target=self._accept, name="offmap-sharing", daemon=True)
        self._threads.append(thread)
        thread.start()

    def close(self, timeout: float = 2.0) -> None:
        """Stop answering; open transactions of clients are rolled back."""
        self._stop.set()
        mine = read_holder(self._database.attachment)
        if mine is not None and mine.token == self.holder.token:
            self._file.unlink(missing_ok=True)
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in list(self._threads):
            thread.join(timeout)

    def _accept(self) -> None:
        while not self._stop.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = Connection(client.detach())
            thread = threading.Thread(target=self._serve, args=(connection,), name="offmap-client", daemon=True)
            self._threads = [one for one in self._threads if one.is_alive()] + [thread]
            thread.start()

    def _serve(self, connection: Connection) -> None:
        session = _Session(self._database, connection)
        try:
            # In a thread of its own: who connects and says nothing keeps nobody waiting.
            deliver_challenge(connection, self.holder.token)
            answer_challenge(connection, self.holder.token)
            while self._wait(session):
                session.answer()
        except (OSError, EOFError, AuthenticationError, orjson.JSONDecodeError):
            pass  # the client is gone, or was none of ours
        finally:
            session.abandon()
            connection.close()

    def _wait(self, session: _Session) -> bool:
        """Until the client says something. False when this is over."""
        waited = 0.0
        while not session.connection.poll(0.25):
            waited += 0.25
            if self._stop.is_set():
                return False
            if session.in_transaction and waited >= self._idle:
                _log.warning("a client stopped inside a transaction; rolled back", seconds=waited)
                session.refuse(
                    StoreError(
                        f"this command said nothing for {self._idle:.0f} s inside a transaction, which was rolled back: "
                        "run it again"
                    )
                )
                return False
        return not self._stop.is_set()


class _Rollback(Exception):
    """Ends a transaction from outside of its block."""


class _Session:
    """One client: its statements run in one thread, and so on one cursor."""

    def __init__(self, database: LocalDatabase, connection: Connection) -> None:
        self._database, self.connection = database, connection
        self._transaction = ExitStack()
        self.in_transaction = False

    def answer(self) -> None:
        header, tables = wire.receive(self.connection)
        try:
            with _described():
                answer, results = self._do(header, tables)
        except OffmapError as error:
            self.refuse(error)
        except _Described as bug:
            wire.send(self.connection, {"error": bug.kind, "text": bug.text})
        else:
            wire.send(self.connection, answer, results)

    def refuse(self, error: OffmapError) -> None:
        with suppress(OSError):
            wire.send(self.connection, {"error": type(error).__name__, "text": str(error)})

    def abandon(self) -> None:
        if self.in_transaction:
            self._end(keep=False)

    def _do(self, header: dict[str, Any], tables: list[pa.Table]) -> tuple[dict[str, Any], list[pa.Table]]:
        """What is answered: a header, and the result of a query."""
        from importlib.metadata import version

        match header["do"]:
            case "hello":
                return {"version": version("offmap")}, []
            case "query":
                named = dict(zip(header["names"], tables, strict=True))
                parameters = wire.unpack_parameters(header["parameters"])
                return {}, [self._database.query(header["sql"], parameters, **named)]
            case "begin":
                self._transaction = ExitStack()
                self._transaction.enter_context(self._database.transaction(journaled=header["journaled"]))
                self.in_transaction = True
            case "commit":
                self._end(keep=True)
            case "rollback":
                if self.in_transaction:
                    self._end(keep=False)
            case "erase":
                self._database.erase()
            case "checkpoint":
                self._database.checkpoint()
            case unknown:
                raise StoreError(f"the holder of the store knows no {unknown!r}: restart offmap serve")
        return {}, []

    def _end(self, *, keep: bool) -> None:
        self.in_transaction = False
        if keep:
            self._transaction.close()
            return
        with suppress(_Rollback):
            self._transaction.__exit__(_Rollback, _Rollback(), None)


class _Described(Exception):
    """A bug, as far as it may be told: its kind, and its text, which is our SQL and no one's message."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(kind)
        self.kind, self.text = kind, text


@contextmanager
def _described() -> Iterator[None]:
    """A bug in a client's statement is told to the client, and ends neither its connection nor the holder."""
    try:
        yield
    except (OffmapError, OSError, EOFError):
        raise
    except Exception as error:
        raise _Described(type(error).__name__, str(error).splitlines()[0] if str(error) else "") from error
