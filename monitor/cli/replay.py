"""`offmap replay`: what would have been seen, and told when."""

from __future__ import annotations

import re
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from monitor.cli.context import make_encoder, open_store, read_settings
from monitor.cli.options import AsJson, StorePath, parse_window
from monitor.cli.render import print_json, say
from monitor.errors import UsageError
from monitor.wording import clean, counted, percent

if TYPE_CHECKING:
    from monitor.service.replay import Day

__all__ = ["replay"]

_UNITS = {"m": 60, "h": 3600, "d": 86_400}


def replay(
    context: typer.Context,
    eval_set: Annotated[
        list[str] | None, typer.Option("--eval-set", metavar="NAME", help="Compare with this eval set; all by default.")
    ] = None,
    every: Annotated[str, typer.Option(metavar="TIME", help="Simulated time between two looks: 30m, 6h, 1d.")] = "1d",
    speed: Annotated[
        float | None, typer.Option(min=1, metavar="N", help="At most N simulated seconds a second; as fast as it goes.")
    ] = None,
    window: Annotated[str | None, typer.Option(metavar="START/END", help="Only turns of this time (UTC).")] = None,
    into: Annotated[
        str | None, typer.Option(metavar="PATH", help="A new store that keeps what was seen; thrown away by default.")
    ] = None,
    as_json: AsJson = False,
    store: StorePath = None,
) -> None:
    """Replay the history of a store with a simulated clock.

    Day by day as `offmap serve` would have seen it. Nothing is sent, and the store itself is not changed.
    """
    from monitor.service.replay import replay as run
    from monitor.store.store import Store

    settings = read_settings(context, store)
    interval, chosen = _interval(every), parse_window(window)
    with tempfile.TemporaryDirectory(prefix="offmap-replay-") as folder, open_store(settings) as history:
        for name in eval_set or ():
            history.eval_sets.load(name)
        names = eval_set or sorted({one.name for one in history.eval_sets.summaries()})
        days: list[Day] = []
        with Store.open(into or str(Path(folder) / "replay.duckdb")) as target:
            for day in run(
                history,
                target,
                make_encoder(settings),
                settings,
                eval_sets=names,
                every=interval,
                window=chosen,
                speed=speed,
            ):
                days.append(day)
                if not as_json:
                    _say(day)
    alerts = sum(len(day.alerts) for day in days)
    if as_json:
        print_json({"looks": [_document(day) for day in days], "alerts": alerts})
        return
    say()
    say(f"{counted(len(days), 'look')}, {counted(alerts, 'alert')}.")
    if into:
        say(clean(f"What was seen is in {into}: offmap alerts list --store {into}"))


def _say(day: Day) -> None:
    for alert in day.alerts:
        say(clean(f"{day.at:%Y-%m-%d %H:%M}  {alert.title}"))
        say(clean(f"{'':<18}{alert.content.text}"))
        if alert.kind == "history":
            for name, value in alert.content.facts:
                say(f"{'':<18}{clean(f'{name}: {value}')}")
    if not day.alerts and day.at.weekday() == 0 and day.at.hour == 0:
        say(f"{day.at:%Y-%m-%d %H:%M}  {counted(day.turns, 'turn')}, {percent(day.coverage)} covered")


def _document(day: Day) -> dict[str, Any]:
    return {
        "at": day.at,
        "turns": day.turns,
        "coverage": day.coverage,
        "gaps": day.gaps,
        "alerts": [
            {
                "id": alert.alert_id,
                "kind": alert.kind,
                "subject": alert.subject,
                "title": alert.title,
                "text": alert.content.text,
                "path": alert.path,
                "examples": [str(key) for key in alert.content.examples],
            }
            for alert in day.alerts
        ],
    }


def _interval(text: str) -> timedelta:
    found = re.fullmatch(r"(\d+)([mhd])", text)
    if not found or not int(found[1]):
        raise UsageError(f"--every {text!r}: a number and a unit, such as 30m, 6h or 1d")
    return timedelta(seconds=int(found[1]) * _UNITS[found[2]])
