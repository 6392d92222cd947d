"""Turns and vectors for the tests of exports."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from monitor.encoding.hashing import HashingEncoder
from monitor.records import Turn


def turn_of(number: int, text: str, *, reply: str | None = "Like this.") -> Turn:
    """A turn of its own conversation, a minute after the one before."""
    return Turn(
        turn_id=f"c{number}-0",
        conversation_id=f"c{number}",
        turn_index=0,
        user_text=text,
        assistant_text=reply,
        created_at=datetime(2026, 3, 2, 9) + timedelta(minutes=number),
    )


def encode(texts: Sequence[str]) -> NDArray[np.float32]:
    return HashingEncoder().encode(list(texts))
