"""`Retry-After`: how long a server asks to be left alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from email.utils import parsedate_to_datetime

__all__ = ["asked_pause"]


def asked_pause(value: str | None, now: datetime) -> float | None:
    """The header's value, seconds or a date, as seconds from `now` (aware); None where it says nothing. It may be negative.

    >>> from datetime import UTC
    >>> now = datetime(2026, 1, 1, tzinfo=UTC)
    >>> asked_pause("3", now), asked_pause("Thu, 01 Jan 2026 00:01:00 GMT", now), asked_pause("soon", now)
    (3.0, 60.0, None)
    """
    convert: tuple[Callable[[str], float], ...] = (
        float,
        lambda text: (parsedate_to_datetime(text) - now).total_seconds(),
    )
    for one in convert:
        try:
            seconds = one(value or "")
        except (TypeError, ValueError, OverflowError):
            continue
        return seconds if seconds == seconds else None
    return None
