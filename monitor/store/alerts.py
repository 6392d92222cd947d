"""What was found worth telling, to whom it was sent, and what is known of each subject.

Tables `alerts`, `deliveries` (the outbox) and `alert_subjects`. An alert, its deliveries and what they say about their
subjects are written in one transaction: a process that dies has told, or has it still to tell.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import pyarrow as pa

from monitor.store.database import Database
from monitor.store.forgotten import gone
from monitor.store.rows import shape

__all__ = ["AlertBody", "AlertRow", "Alerts", "DeliveryRow", "SubjectRow"]


@dataclass(frozen=True, slots=True)
class AlertBody:
    """What an alert says. `facts` are pairs of a name and a value; `examples` are turn keys: the forgotten go."""

    text: str
    facts: tuple[tuple[str, str], ...] = ()
    examples: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class AlertRow:
    """One alert. `kind` is gap, resolved, history, drift, watch_list, stalled, damaged, dead_letters or test.

    `path` is the page that shows it, with its query; `body` is `AlertBody` as JSON.
    """

    alert_id: str
    kind: str
    subject: str
    created_at: datetime
    title: str
    body: dict[str, Any]
    path: str

    @property
    def content(self) -> AlertBody:
        facts = tuple((str(name), str(value)) for name, value in self.body.get("facts", ()))
        return AlertBody(self.body.get("text", ""), facts, tuple(self.body.get("examples", ())))


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """One alert on one channel. `state` is due, sent or failed (given up); `due_at` is when it is tried next."""

    alert_id: str
    channel: str
    state: str
    attempts: int
    due_at: datetime
    sent_at: datetime | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class SubjectRow:
    """What is known of one subject of alerts: a gap, a comparison, a source.

    `state` is seen (not told yet), open (told) or resolved, `since` when; `seen_at` is when a look found it last. `size` is its
    size then, `told_size` that when it was told. `members` are turn keys: what holds them later is the same subject.
    """

    kind: str
    subject: str
    state: str
    since: datetime
    seen_at: datetime
    told_at: datetime | None
    told_size: float | None
    size: float
    members: tuple[int, ...] = ()


_ALERT = shape(AlertRow)
_DELIVERY = shape(DeliveryRow)
_SUBJECT = shape(SubjectRow)


class Alerts:
    """Alerts, the outbox, and the memory of what was told."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def raise_alerts(
        self,
        alerts: Sequence[AlertRow],
        subjects: Sequence[SubjectRow] = (),
        *,
        forgotten: Sequence[SubjectRow] = (),
        channels: Iterable[str] = (),
    ) -> int:
        """Keep alerts that are new, each with a delivery on every channel, and the subjects; how many were new.

        Nothing is remembered any more of the forgotten subjects. Turns that were forgotten since they were read are left out.
        """
        with self._database.transaction():
            alerts, subjects = self._remaining(alerts, subjects)
            new = [alert for alert in alerts if self.find(alert.alert_id) is None]
            self._database.insert("alerts", _ALERT.table(new))
            due = [
                DeliveryRow(alert.alert_id, channel, "due", 0, alert.created_at)
                for alert in new
                for channel in channels
            ]
            self._database.insert("deliveries", _DELIVERY.table(due))
            for row in (*subjects, *forgotten):
                self._database.execute(
                    "DELETE FROM alert_subjects WHERE kind = ? AND subject = ?", [row.kind, row.subject]
                )
            self._database.insert("alert_subjects", _SUBJECT.table(subjects))
        return len(new)

    def _remaining(
        self, alerts: Sequence[AlertRow], subjects: Sequence[SubjectRow]
    ) -> tuple[Sequence[AlertRow], Sequence[SubjectRow]]:
        """Both without turns that are gone."""
        named = {key for one in alerts for key in one.content.examples} | {
            key for one in subjects for key in one.members
        }
        lost = gone(self._database, named)
        if not lost:
            return alerts, subjects
        return (
            [replace(one, body=one.body | {"examples": _but(lost, one.content.examples)}) for one in alerts],
            [replace(one, members=_but(lost, one.members)) for one in subjects],
        )

    def read(self, limit: int | None = None) -> list[AlertRow]:
        """The latest first."""
        bound = "" if limit is None else f" LIMIT {int(limit)}"
        return _ALERT.read(self._database.query(f"SELECT * FROM alerts ORDER BY created_at DESC, alert_id{bound}"))

    def of_gaps(self, gap_ids: Collection[str]) -> dict[str, list[AlertRow]]:
        """By gap those that told of it, or lead to its page; the latest first."""
        pages = {f"/gaps?gap={gap_id}": gap_id for gap_id in gap_ids}
        asked = pa.table({"path": pa.array(pages, pa.string()), "gap": pa.array(pages.values(), pa.string())})
        rows = self._database.query(
            "SELECT * FROM alerts WHERE path IN (SELECT path FROM asked)"
            " OR (kind = 'gap' AND subject IN (SELECT gap FROM asked)) ORDER BY created_at DESC, alert_id",
            asked=asked,
        )
        found: dict[str, list[AlertRow]] = {}
        for one in _ALERT.read(rows):
            for gap_id in {one.subject, pages.get(one.path, one.subject)} & set(pages.values()):
                found.setdefault(gap_id, []).append(one)
        return found

    def find(self, alert_id: str) -> AlertRow | None:
        found = _ALERT.read(self._database.query("SELECT * FROM alerts WHERE alert_id = ?", [alert_id]))
        return found[0] if found else None

    def subjects(self, kind: str) -> list[SubjectRow]:
        return _SUBJECT.read(
            self._database.query("SELECT * FROM alert_subjects WHERE kind = ? ORDER BY subject", [kind])
        )

    def deliveries(self, state: str | None = None) -> list[DeliveryRow]:
        """In the order in which they are due."""
        condition, parameters = ("", []) if state is None else (" WHERE state = ?", [state])
        return _DELIVERY.read(
            self._database.query(f"SELECT * FROM deliveries{condition} ORDER BY due_at, alert_id, channel", parameters)
        )

    def settle(self, delivery: DeliveryRow) -> None:
        """Write what became of a delivery."""
        with self._database.transaction():
            self._database.execute(
                "DELETE FROM deliveries WHERE alert_id = ? AND channel = ?", [delivery.alert_id, delivery.channel]
            )
            self._database.insert("deliveries", _DELIVERY.table([delivery]))


def _but(lost: frozenset[int], keys: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(key for key in keys if key not in lost)
