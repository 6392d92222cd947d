"""`offmap lookout`: how the lookout over new conversations stands, and that a change is accepted."""

from __future__ import annotations

from typing import Annotated

import typer

from monitor.cli.context import open_store, read_settings, utc_now
from monitor.cli.options import AsJson, StorePath
from monitor.cli.render import print_json, say

__all__ = ["lookout"]


def lookout(
    context: typer.Context,
    accept: Annotated[bool, typer.Option("--accept", help="What comes from now on is usual: begin anew.")] = False,
    as_json: AsJson = False,
    store: StorePath = None,
) -> None:
    """Say how far the watch over new conversations is from an alarm.

    `offmap serve` compares every conversation with a reference, and tells when new subjects come, a topic is asked more often,
    or more replies go wrong. When nothing changed, it has half of drift.false_alarms_per_month.
    """
    from monitor.alerts.standing import standing

    settings = read_settings(context, store)
    with open_store(settings) as opened:
        accepted = accept and opened.lookouts.accept(utc_now())
        row = opened.lookouts.read()
    found = standing(row, settings)
    if as_json:
        print_json(
            {
                "watching": row is not None and bool(row.encoder),
                "accepted": accepted,
                "since": row.since if row else None,
                "conversations": row.conversations if row else 0,
                "reference": row.reference if row else 0,
                "alarms": row.alarms if row else 0,
                "evidence": found.share if found.parts else None,
                "parts": dict(found.parts),
            }
        )
        return
    say(found.words)
    for name, part in found.parts.items():
        say(f"  {name}: {part:.2f}")
    if found.parts:
        say("At 1 it is told: offmap alerts list. Is a change here to stay? offmap lookout --accept")
