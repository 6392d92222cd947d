"""Times for logs that have none, by a rule that the person states (`--times`) and the result repeats.

| rule | a turn without a time gets |
|---|---|
| `now` | the moment when its record is read |
| `at:TIME` | that time |
| `spread:START/END` | a moment between the two, by the hash of its conversation; its turns follow a minute apart |
| `field:NAME` | the time in that metadata field; `a.b` reaches into objects |

All but `now` give the same record the same time again.

A log that has times can still miss one, or hold one that nobody means: 1970, or the year 2096. Such a record is not
lost for it. Its turn gets the rule's time, and `time_note` in its metadata says what stood there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from consumers.fields import shown
from monitor.errors import RecordError, UsageError
from monitor.records import Window, key_of, parse_time, streamed

__all__ = ["NOW", "Dated", "Reading", "TimesRule", "read_time"]

_EARLIEST = datetime(2000, 1, 1)  # no log of a language model is older: such a time is an empty field or a wrong unit
_AHEAD = timedelta(days=2)  # a clock that is off by a zone or a day is still a clock


@streamed
class Reading:
    """A record's own time, or None and why it cannot be used."""

    at: datetime | None
    fault: str = ""


@streamed
class Dated:
    """A turn's time, and its metadata with a note when the time is not the record's own."""

    at: datetime
    metadata: Mapping[str, Any] | None


def read_time(name: str, value: Any, now: datetime) -> Reading:
    """The time in a record's field, unless it is missing, no time, before 2000 or more than two days after `now`.

    >>> read_time("startTime", 0, datetime(2026, 3, 10))
    Reading(at=None, fault='startTime: 0 is before the year 2000')
    """
    if value is None or value == "":
        return Reading(None, f"{name}: missing")
    try:
        moment = parse_time(value)
    except (ValueError, OverflowError):
        return Reading(None, f"{name}: {shown(value)} is no time")
    if _EARLIEST <= moment <= now + _AHEAD:
        return Reading(moment)
    word = value.isoformat() if isinstance(value, datetime) else shown(value)
    why = "before the year 2000" if moment < _EARLIEST else "more than two days ahead"
    return Reading(None, f"{name}: {word} is {why}")


@dataclass(frozen=True, slots=True)
class TimesRule:
    """One rule. `text` is how the person wrote it."""

    text: str = "now"
    at: datetime | None = None
    window: Window | None = None
    field: str | None = None

    def __str__(self) -> str:
        return self.text

    @classmethod
    def parse(cls, text: str) -> TimesRule:
        """Read a rule as the command line gives it. Raises `UsageError`.

        >>> TimesRule.parse("at:2026-03-01").at
        datetime.datetime(2026, 3, 1, 0, 0)
        """
        kind, separator, rest = text.partition(":")
        try:
            if text == "now":
                return NOW
            if kind == "at" and separator:
                return cls(text, at=parse_time(rest))
            if kind == "spread" and separator:
                return cls(text, window=Window.parse(rest))
            if kind == "field" and rest.strip():
                return cls(text, field=rest.strip())
        except (ValueError, OverflowError) as error:
            raise UsageError(f"--times {text}: {error}") from None
        raise UsageError(
            f"--times {text!r} is no rule: use now, at:TIME, spread:START/END or field:NAME, "
            "such as spread:2026-03-01/2026-03-08"
        )

    def time_of(
        self, conversation_id: str, turn_index: int, metadata: Mapping[str, Any] | None, now: datetime
    ) -> datetime:
        """The time of a turn that has none. Raises `RecordError` when the rule's field has none either."""
        if self.at is not None:
            return self.at
        if self.window is not None:
            return _spread(self.window, conversation_id, turn_index)
        if self.field is not None:
            return _from_field(self.field, metadata)
        return now

    def dated(
        self,
        value: Any,
        conversation_id: str,
        turn_index: int,
        metadata: Mapping[str, Any] | None,
        now: datetime,
        *,
        name: str = "created_at",
    ) -> Dated:
        """A turn's own time where `value` is one, else the rule's and a note.

        A missing time that a person's rule fills needs no note: the result repeats the rule.
        """
        reading = read_time(name, value, now)
        if reading.at is not None:
            return Dated(reading.at, metadata)
        at = self.time_of(conversation_id, turn_index, metadata, now)
        if value is None and self.text != NOW.text:
            return Dated(at, metadata)
        instead = "the record's arrival" if self.text == NOW.text else f"--times {self}"
        return Dated(at, {**(metadata or {}), "time_note": f"{reading.fault}; {instead} stands in"})


NOW = TimesRule()


def _spread(window: Window, conversation_id: str, turn_index: int) -> datetime:
    """The conversation's moment by its hash, plus a minute a turn; near the window's end the turns move closer."""
    start = window.start + (window.end - window.start) * (key_of(conversation_id) / 2**64)
    rest = window.end - start
    return start + min(timedelta(minutes=turn_index), rest * (turn_index / (turn_index + 1)))


def _from_field(name: str, metadata: Mapping[str, Any] | None) -> datetime:
    value: Any = metadata
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    if value is None:
        raise RecordError(f"{name}: the rule --times field:{name} found no such field in this record")
    try:
        return parse_time(value)
    except (ValueError, OverflowError):
        raise RecordError(f"{name}: expected a time for --times field:{name}, got {shown(value)}") from None
