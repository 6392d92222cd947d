"""Alerts and turns to fill a store with."""

from __future__ import annotations

from datetime import datetime, timedelta

from monitor.records import Turn
from monitor.store.alerts import AlertRow

START = datetime(2026, 3, 2, 6)


def alert(
    number: int = 1, *, examples: tuple[int, ...] = (), title: str = "", text: str = "10% are covered."
) -> AlertRow:
    return AlertRow(
        f"al{number}",
        "gap",
        f"g{number}",
        START + timedelta(seconds=number),
        title or f"Gap: {number}",
        {"text": text, "facts": [["Users", "9"]], "examples": list(examples)},
        f"/gaps?gap=g{number}",
    )


def turn(number: int, text: str, **fields: object) -> Turn:
    values: dict[str, object] = {
        "turn_id": f"t{number}",
        "user_text": text,
        "created_at": START,
        "conversation_id": f"c{number}",
        "user_id": f"u{number}",
    }
    return Turn(**{**values, **fields})  # type: ignore[arg-type]
