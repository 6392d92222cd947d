"""Where a stream comes from: a protocol, its errors, and the twin in memory. Only `consumers.kafka` knows a broker."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from monitor.errors import OffmapError
from monitor.records import streamed

__all__ = ["LogRestarted", "Memory", "Message", "Source", "SourceAway"]


class SourceAway(OffmapError):
    """The source does not answer, or lacks what is asked for: nothing is lost, and it is tried again."""


class LogRestarted(OffmapError):
    """The log ends before the place where the store stands: it was deleted and made again, or cut."""


@streamed
class Message:
    """One message. `value` is None for a tombstone of a compacted topic."""

    partition: int
    offset: int
    at: datetime
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()
    key: bytes | None = None


class Source(Protocol):
    """A log in partitions that this consumer has been given.

    A partition that is given to it is read from where `start` says; one that is taken away is named in `revoked`.
    """

    def log_id(self) -> str | None:
        """What the log is called, beside its name: one that is deleted and made again has another. None when unknown."""

    def poll(self, seconds: float, most: int) -> Sequence[Message]:
        """The next messages, of one partition in order. Raises `SourceAway` and `LogRestarted`."""

    def ends(self) -> Mapping[int, int]:
        """Of each partition the position after its last message, as far as it is known."""

    def knows_ends(self) -> bool:
        """Is the end known of every partition that is ours, and is there one?"""

    def revoked(self) -> frozenset[int]:
        """Partitions that were taken away since the last call: what was read of them must not be stored."""

    def lost(self) -> Mapping[int, int]:
        """Of each partition how many messages the log has dropped before they were read; each is told once."""

    def seek(self, partition: int, position: int) -> None:
        """Read on from there, if the partition is still ours."""

    def pause(self, paused: bool) -> None:
        """Give out nothing, and stay in the group, until told otherwise; what is given later is paused too."""

    def commit(self, positions: Mapping[int, int]) -> None:
        """Tell others how far we are. The store knows better: an error here is none."""

    def close(self) -> None: ...


@dataclass(slots=True)
class Memory:
    """Messages in memory, by partition."""

    messages: Mapping[int, Sequence[Message]]
    start: Callable[[int], int]
    committed: dict[int, int] = field(default_factory=dict)
    taken: set[int] = field(default_factory=set)
    name: str | None = None
    first: Mapping[int, int] = field(default_factory=dict)
    paused: bool = False
    _gone: dict[int, int] = field(default_factory=dict)
    _next: dict[int, int] = field(default_factory=dict)

    def log_id(self) -> str | None:
        return self.name

    def poll(self, seconds: float, most: int) -> Sequence[Message]:
        if self.paused:
            return []
        for partition, messages in self.messages.items():
            position = self._next.get(partition, -1)
            if position < 0:
                position = self._begin(partition)
            found = [one for one in messages if one.offset >= position][:most]
            if found:
                self._next[partition] = found[-1].offset + 1
                return found
        return []

    def ends(self) -> Mapping[int, int]:
        return {partition: messages[-1].offset + 1 for partition, messages in self.messages.items() if messages}

    def knows_ends(self) -> bool:
        return bool(self.ends())

    def _begin(self, partition: int) -> int:
        position = self.start(partition)
        if position > self.ends().get(partition, 0):
            raise LogRestarted(f"partition {partition} ends before {position}")
        first = self.first.get(partition, 0)
        if 0 < position < first:
            self._gone[partition] = first - position
        self._next[partition] = max(position, first)
        return self._next[partition]

    def revoked(self) -> frozenset[int]:
        gone, self.taken = frozenset(self.taken), set()
        return gone

    def lost(self) -> Mapping[int, int]:
        gone, self._gone = self._gone, {}
        return gone

    def seek(self, partition: int, position: int) -> None:
        self._next[partition] = position

    def pause(self, paused: bool) -> None:
        self.paused = paused

    def commit(self, positions: Mapping[int, int]) -> None:
        self.committed.update(positions)

    def close(self) -> None:
        pass
