"""What every wire format does: one raw record in, turns and events out, or a reason."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from consumers.times import NOW, Dated, TimesRule
from monitor.records import Coordinates, Event, Turn, streamed

__all__ = ["Decoded", "Decoder", "Defaults", "default_id"]


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
    """What one record held. Both empty: a well-formed record without a user's message."""

    turns: tuple[Turn, ...] = ()
    events: tuple[Event, ...] = ()


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
