"""Conversations for the tests of signals."""

from __future__ import annotations

from datetime import datetime, timedelta

from monitor.records import Turn


def conversation(*texts: str, reply: str = "It is 12 a month.", name: str = "c1") -> list[Turn]:
    """Turns with these user messages, in order, each with the same reply."""
    start = datetime(2026, 3, 2, 9)
    return [
        Turn(
            turn_id=f"{name}-{number}",
            conversation_id=name,
            turn_index=number,
            user_text=text,
            assistant_text=reply,
            created_at=start + timedelta(minutes=number),
        )
        for number, text in enumerate(texts)
    ]
