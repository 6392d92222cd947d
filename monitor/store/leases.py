"""Which of the processes that share a store does what only one may do: table `leases`."""

from __future__ import annotations

from datetime import timedelta

from monitor.store.database import Database

__all__ = ["Leases"]


class Leases:
    """Compare and set: of two processes that take a lease at once, the store lets one commit."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def take(self, name: str, owner: str, *, for_: timedelta) -> bool:
        """Take a lease that is free, or has run out, or prolong one's own; whether it is now the owner's."""
        now = self._database.clock()
        with self._database.transaction():
            taken = self._database.value(
                "SELECT count(*) FROM leases WHERE name = ? AND owner <> ? AND until > ?", [name, owner, now]
            )
            if taken:
                return False
            self._database.execute("DELETE FROM leases WHERE name = ?", [name])
            self._database.execute("INSERT INTO leases VALUES (?, ?, ?)", [name, owner, now + for_])
            return True

    def give_back(self, name: str, owner: str) -> None:
        """Somebody else need not wait until it has run out."""
        self._database.execute("DELETE FROM leases WHERE name = ? AND owner = ?", [name, owner])
