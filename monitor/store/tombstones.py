"""What was forgotten, as hashes of ids: a replay of the log must not bring it back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import TypeVar

import pyarrow as pa

from monitor.store.database import Database
from monitor.store.rows import values

__all__ = ["Subject", "Tombstones"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Subject:
    """Something that can be forgotten. `tenant=None` means that of every tenant."""

    kind: str  # "turn", "conversation" or "user"
    tenant: str | None
    id: str

    @property
    def hash(self) -> bytes:
        digest = blake2b(digest_size=16)
        for part in (self.kind, "*" if self.tenant is None else "=" + self.tenant, self.id):
            data = part.encode("utf-8", "surrogatepass")
            digest.update(len(data).to_bytes(8, "little") + data)
        return digest.digest()


class Tombstones:
    """Table `tombstones`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def write(self, subjects: Sequence[Subject], at: datetime) -> None:
        """Remember what was forgotten, once for each subject and moment."""
        unique = {subject.hash: subject for subject in subjects}
        known = self._deleted_at(list(unique))
        new = {hash_: subject for hash_, subject in unique.items() if known.get(hash_, datetime.min) < at}
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
