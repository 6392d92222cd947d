"""Where the streams stood over the last hour, so that it can be said what they have brought since.

Kept in memory: a service that has just started knows nothing of before, and says so.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from monitor.store.dead_letters import Span
from monitor.store.partitions import PartitionRow

__all__ = ["Watermarks"]


class Watermarks:
    """Marks of every partition, a set of them each time that `note` is called."""

    def __init__(self, window: timedelta = timedelta(hours=1)) -> None:
        self._window = window
        self._marks: deque[tuple[datetime, Mapping[tuple[str, str], int]]] = deque()

    def note(self, now: datetime, partitions: Sequence[PartitionRow]) -> None:
        """Where they stand now. Of what is older than the window only the newest is kept."""
        self._marks.append((now, {(row.source, row.partition): row.position for row in partitions}))
        while len(self._marks) > 1 and self._marks[1][0] <= now - self._window:
            self._marks.popleft()

    @property
    def since(self) -> datetime:
        """Since when `spans` knows."""
        return self._marks[0][0]

    @property
    def whole(self) -> bool:
        """Is that as long ago as the window is long?"""
        return self._marks[-1][0] - self.since >= self._window

    def spans(self, partitions: Sequence[PartitionRow]) -> list[Span]:
        """What was read of each partition since then. One that was not known is read from where its log begins."""
        before = self._marks[0][1]
        spans = [
            Span(
                row.source,
                row.partition,
                before.get((row.source, row.partition), row.lost or 0),
                row.position,
            )
            for row in partitions
        ]
        return [span for span in spans if span.records]
