"""What every wire format does: one raw record in, turns and events out, or a reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Protocol

from consumers.times import NOW, Dated, TimesRule
from monitor.errors import RecordError
from monitor.records import Coordinates, Event, Turn, streamed

__all__ = ["Decoded", "Decoder", "Defaults", "Pieces", "default_id"]


@streamed
class Defaults:
    """What a record does not say: the rule for times, and the moment when it was read."""

    now: datetime
    times: TimesRule = NOW

    def dated(
        self,
        value: Any,
        conversation_id: str,
        turn_index: int,
        metadata: Mapping[str, Any] | None,
        *,
        name: str = "created_at",
    ) -> Dated:
        """The time of a turn whose format has times: the record's own where it is one (`TimesRule.dated`)."""
        return self.times.dated(value, conversation_id, turn_index, metadata, self.now, name=name)


@streamed
class Decoded:
    """What one record held. Both empty: a well-formed record without a user's message.

    `fault` is why a part of it could not be read where the rest could, and `refused` the number of its spans or items that
    are left out for it. Such a record is kept as a dead letter beside the rows of its rest.
    """

    turns: tuple[Turn, ...] = ()
    events: tuple[Event, ...] = ()
    fault: str = ""
    refused: int = 0


class Pieces:
    """The traces of one record, each read for itself: a bad one takes none of its neighbours with it."""

    def __init__(self) -> None:
        self._turns: list[Turn] = []
        self._events: list[Event] = []
        self._fault, self._refused = "", 0

    @contextmanager
    def one(self, size: int = 1) -> Iterator[None]:
        """Read one within it: its `RecordError` refuses that one, of so many spans or items."""
        try:
            yield
        except RecordError as error:
            self.refuse(str(error), size)

    def refuse(self, reason: str, size: int = 1) -> None:
        self._fault = self._fault or reason
        self._refused += size

    def add(self, decoded: Decoded) -> None:
        self._turns += decoded.turns
        self._events += decoded.events

    def decoded(self) -> Decoded:
        """Everything that could be read. Raises the first `RecordError` where nothing could."""
        if not self._fault:
            return Decoded(tuple(self._turns), tuple(self._events))
        if not self._turns and not self._events:
            raise RecordError(self._fault)
        return Decoded(
            tuple(self._turns),
            tuple(self._events),
            f"{self._fault}; the other traces of the record are stored",
            self._refused,
        )


class Decoder(Protocol):
    """One wire format. A pure function of the record, its place and the defaults."""

    @property
    def name(self) -> str:
        """The format's name, as `--format` takes it."""

    def matches(self, record: Any) -> bool:
        """Whether a record looks like this format; cheap, and never raises."""

    def decode(self, record: Any, at: Coordinates, defaults: Defaults) -> Decoded:
        """Turns and events of a record. Raises `RecordError` with a reason that quotes nobody's message."""


def default_id(at: Coordinates) -> str:
    """The id of a record that has none: where it stands, so that two people who ask the same count twice.

    >>> default_id(Coordinates("file:0123456789abcdef", "offmap", 7))
    '0123456789ab-7'
    """
    kind, _, digest = at.source.partition(":")
    place = digest[:12] if kind == "file" and digest else f"{at.source}-{at.partition}"
    return f"{place}-{at.position}"
