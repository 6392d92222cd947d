"""`offmap trends`: the topics that rise and fall, at the same weekday and hour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from monitor.cli.context import open_store, read_settings, utc_now
from monitor.cli.options import AsJson, Current, Level, Reference, StorePath, parse_window, window_document
from monitor.cli.render import Column, print_json, print_table, say
from monitor.published import published_run
from monitor.wording import clean, share

if TYPE_CHECKING:
    from monitor.drift.topic_trends import TopicTrend

__all__ = ["trends"]

_SHOWN = 20


def trends(
    context: typer.Context,
    current: Current = None,
    reference: Reference = None,
    level: Annotated[Level, typer.Option(help="Which topics.")] = Level.middle,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="Topics in the list.")] = _SHOWN,
    as_json: AsJson = False,
    store: StorePath = None,
) -> None:
    """List the topics that rise and fall, seasons taken out.

    Shares of the conversations that began at like weekdays and hours (setting analysis.time_zone), with 90 % intervals.
    """
    from monitor.drift.topic_trends import topic_trends
    from monitor.drift.windows import windows_before

    settings = read_settings(context, store)
    with open_store(settings) as opened:
        run = published_run(opened)
        topics = [topic for topic in opened.atlases.topics(run.atlas_id) if topic.level == level.number]
        asked = parse_window(current, "--current")
        window, usual = windows_before(min(utc_now(), run.window_end), settings.drift, asked)
        before = parse_window(reference, "--reference") or usual
        every = topic_trends(opened, settings, run.atlas_id, level.value, topics, window, before)
    # Left out at the end: a topic that is not shown must not change the p-values of the others.
    found = [one for one in every if one.topic.users >= settings.atlas.min_users][:limit]
    if as_json:
        document = {"current": window_document(window), "reference": window_document(before)}
        print_json({**document, "level": level.value, "topics": [_document(one) for one in found]})
    else:
        say(clean(f"{window}, against {before}"))
        say()
        _print(found)


def _print(found: Sequence[TopicTrend]) -> None:
    if not found:
        say("The windows have no hour of the week in common: ask for longer ones with --current and --reference.")
        return
    columns = [
        Column("topic", shrinks=True),
        Column("conversations", "right"),
        Column("share", "right"),
        Column("before", "right"),
        Column("change, 90 %", "right"),
        Column("p", "right"),
        Column("id", style="dim"),
    ]
    rows = []
    for one in found:
        moved = one.movement
        mark = ("▲ " if moved.trend.ratio > 1 else "▼ ") if moved.sure else ""
        rows.append(
            (
                f"{mark}{clean(one.topic.label)}",
                f"{moved.now:,}",
                share(moved.now / moved.of_now),
                share(moved.before / moved.of_before),
                f"×{moved.trend.ratio:.2f} ({moved.trend.low:.2f} to {moved.trend.high:.2f})",
                f"{moved.p_value:.2g}",
                one.topic.topic_id,
            )
        )
    print_table(columns, rows)
    say()
    say(
        "Change: of the share of conversations, like weekdays and hours compared. Marked ▲ ▼: not by chance, among all topics."
    )


def _document(one: TopicTrend) -> dict[str, object]:
    moved = one.movement
    return {
        "topic": one.topic.topic_id,
        "label": one.topic.label,
        "conversations": moved.now,
        "share": moved.now / moved.of_now,
        "conversations_before": moved.before,
        "share_before": moved.before / moved.of_before,
        "ratio": moved.trend.ratio,
        "low": moved.trend.low,
        "high": moved.trend.high,
        "p_value": moved.p_value,
        "sure": moved.sure,
    }
