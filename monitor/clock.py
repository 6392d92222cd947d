"""The time, as everything here takes it: a function that is passed in, so that a replay and a test bring their own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

__all__ = ["Clock", "utc_now"]

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The clock of the machine, as naive UTC."""
    return datetime.now(UTC).replace(tzinfo=None)
