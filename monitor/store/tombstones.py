"""What was forgotten, as hashes of ids: a replay of the log must not bring it back."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from pathlib import Path
from typing import TypeVar

import orjson
import pyarrow as pa

from monitor.errors import StoreFullError
from monitor.store.attachment import Attachment
from monitor.store.database import Database
from monitor.store.rows import values

__all__ = ["Subject", "Tombstone", "Tombstones", "hashes", "read_deletions", "read_log"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Subject:
    """Something that can be forgotten. `tenant=None` means that of every tenant."""

    kind: str  # "turn", "conversation" or "user"
    tenant: str | None
    id: str

    @property
    def hash(self) -> bytes:
        return next(hashes(self.kind, self.tenant, [self.id]))


def hashes(kind: str, tenant: str | None, ids: Iterable[str]) -> Iterator[bytes]:
    """The hashes of many subjects of one kind and tenant: what they begin with is hashed once."""
    start = blake2b(digest_size=16)
    for part in (kind, "*" if tenant is None else "=" + tenant):
        start.update(_sized(part))
    for one in ids:
        digest = start.copy()
        digest.update(_sized(one))
        yield digest.digest()


def _sized(part: str) -> bytes:
    data = part.encode("utf-8", "surrogatepass")
    return len(data).to_bytes(8, "little") + data


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A subject by its hash alone, and until when what was made of it is forgotten."""

    kind: str
    subject: bytes
    deleted_at: datetime


class Tombstones:
    """Table `tombstones`, and the deletion log beside the store, which a restored backup needs: it is older than both."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def write(self, subjects: Sequence[Subject], at: datetime) -> None:
        """Remember what was forgotten, once for each subject and moment."""
        unique = {subject.hash: subject for subject in subjects}
        known = self._deleted_at(list(unique))
        new = {hash_: subject for hash_, subject in unique.items() if known.get(hash_, datetime.min) < at}
        # Before the commit: a deletion that somebody asked for and that then failed may be done later, and not the other way.
        _log(self._database.attachment, [Tombstone(subject.kind, hash_, at) for hash_, subject in new.items()])
        self._database.insert(
            "tombstones",
            pa.table(
                {
                    "kind": pa.array([subject.kind for subject in new.values()], pa.string()),
                    "tenant": pa.array([subject.tenant for subject in new.values()], pa.string()),
                    "subject": pa.array(list(new), pa.binary()),
                    "deleted_at": pa.array([at] * len(new), pa.timestamp("us")),
                }
            ),
        )

    def forgotten(
        self, records: Sequence[T], belonging: Callable[[T], tuple[Sequence[Subject], datetime]]
    ) -> list[datetime | None]:
        """For each record, when it was forgotten, or None when that never happened since it was made.

        `belonging` says what a record belongs to, and when it was made.
        """
        if not self._database.value("SELECT count(*) FROM tombstones"):
            return [None] * len(records)
        described = [belonging(record) for record in records]
        hashes = [[hash_ for subject in subjects for hash_ in _scopes(subject)] for subjects, _ in described]
        deleted = self._deleted_at(sorted({hash_ for row in hashes for hash_ in row}))
        answers: list[datetime | None] = []
        for row, (_, made) in zip(hashes, described, strict=True):
            latest = max((deleted[hash_] for hash_ in row if hash_ in deleted), default=None)
            answers.append(latest if latest is not None and made <= latest else None)
        return answers

    def read(self) -> list[Tombstone]:
        found = self._database.query("SELECT kind, subject, deleted_at FROM tombstones ORDER BY deleted_at, subject")
        return [Tombstone(row["kind"], row["subject"], row["deleted_at"]) for row in found.to_pylist()]

    def adopt(self, tombstones: Sequence[Tombstone]) -> None:
        """Take over what another store has forgotten."""
        known = set(self.read())
        new = [one for one in dict.fromkeys(tombstones) if one not in known]
        self._database.insert(
            "tombstones",
            pa.table(
                {
                    "kind": pa.array([one.kind for one in new], pa.string()),
                    "tenant": pa.nulls(len(new), pa.string()),
                    "subject": pa.array([one.subject for one in new], pa.binary()),
                    "deleted_at": pa.array([one.deleted_at for one in new], pa.timestamp("us")),
                }
            ),
        )

    def _deleted_at(self, hashes: Sequence[bytes]) -> dict[bytes, datetime]:
        found = self._database.query(
            "SELECT subject, max(deleted_at) FROM tombstones SEMI JOIN asked USING (subject) GROUP BY subject",
            asked=pa.table({"subject": pa.array(hashes, pa.binary())}),
        )
        return dict(zip(values(found, 0), values(found, 1), strict=True))


def _scopes(subject: Subject) -> tuple[bytes, bytes]:
    """Forgotten in its own tenant, or in all of them."""
    return (
        Subject(subject.kind, subject.tenant or "", subject.id).hash,
        Subject(subject.kind, None, subject.id).hash,
    )


def read_log(attachment: Attachment) -> list[Tombstone]:
    """The deletion log beside a store."""
    try:
        return read_deletions(_log_of(attachment))
    except FileNotFoundError:
        return []


def read_deletions(log: Path) -> list[Tombstone]:
    """A deletion log; a line that a crash cut is left out."""
    found = []
    lines = log.read_bytes().splitlines()
    for line in lines:
        with suppress(ValueError, KeyError, TypeError):
            one = orjson.loads(line)
            moment = datetime.fromisoformat(one["deleted_at"])
            found.append(Tombstone(str(one["kind"]), bytes.fromhex(one["subject"]), moment))
    return found


def _log(attachment: Attachment, tombstones: Sequence[Tombstone]) -> None:
    if not tombstones:
        return
    lines = [
        orjson.dumps({"kind": one.kind, "subject": one.subject.hex(), "deleted_at": one.deleted_at.isoformat()})
        for one in tombstones
    ]
    # It holds hashes and no ids. A newline first: the line before may have been cut.
    data = b"\n" + b"\n".join(lines) + b"\n"
    number = os.open(_log_of(attachment), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(number, data)
        os.fsync(number)
    except OSError as error:
        raise StoreFullError(f"the deletion log {_log_of(attachment)} cannot be written: {error.strerror}") from error
    finally:
        os.close(number)


def _log_of(attachment: Attachment) -> Path:
    return attachment.file.with_name(f"{attachment.file.name}.deletions")
