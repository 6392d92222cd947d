"""`offmap gaps`: what users ask that the eval set never tests, the worst first."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from monitor.cli.context import open_store, read_settings
from monitor.cli.options import AsJson, StorePath
from monitor.cli.render import Column, print_json, print_table, say, screen_width
from monitor.published import (
    Example,
    compared_items,
    compared_with,
    examples_of,
    few_users,
    foreign_document,
    not_read,
    of_enough_users,
    published_report,
    published_run,
    run_document,
    shown_text,
)
from monitor.wording import clean, counted, quoted, range_of, share_range, short_day

if TYPE_CHECKING:
    from monitor.records import EvalItem
    from monitor.store.atlases import TopicRow
    from monitor.store.reports import CoverageRow, GapRow

__all__ = ["gaps"]

_SHOWN = 15
#: What the other columns of the table take. Of an example two lines are shown, three where the terminal is narrow.
_OTHERS, _LEAST_EXAMPLE = 68, 66
#: A screen of fewer columns has no room for these: growth, first seen.
_NARROW, _LESS = 80, (5, 6)


def gaps(
    context: typer.Context,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help=f"The worst so many: {_SHOWN} in the table, all in --json.")
    ] = None,
    as_json: AsJson = False,
    store: StorePath = None,
) -> None:
    """Rank what users ask that the eval set does not cover."""
    settings = read_settings(context, store)
    redacted = settings.export.redact
    with open_store(settings) as opened:
        run = published_run(opened)
        report = published_report(opened, run)
        least = settings.atlas.min_users
        topics, _ = of_enough_users(opened.atlases.topics(run.atlas_id), least)
        by_id = {topic.topic_id: topic for topic in topics}
        every = opened.reports.gaps(run.report_id)
        found = [gap for gap in every if gap.topic_id in by_id]
        shown = found[: limit or (len(found) if as_json else _SHOWN)]
        examples = examples_of(opened, [gap.examples for gap in shown], redacted=redacted)
        items = compared_items(opened, report.eval_set_ids) if as_json else {}
        foreign = opened.atlases.foreign(run.atlas_id)
    if as_json:
        documents = [
            _document(gap, by_id[gap.topic_id], some, items, redacted)
            for gap, some in zip(shown, examples, strict=True)
        ]
        coverage = {"value": report.value, "low": report.low, "high": report.high}
        languages = foreign_document(foreign)
        print_json(
            {
                "run": run_document(run),
                "verdict": report.verdict,
                "coverage": coverage,
                "languages": languages,
                "gaps": documents,
            }
        )
        return
    say(report.verdict)
    say(clean(f"Window: {compared_with(run)}."))
    if len(found) < len(every):
        say(few_users(sum(gap.turns for gap in every if gap.topic_id not in by_id), least))
    if foreign.by_language:
        say(not_read(foreign))
    if found:
        say()
        _print(shown, examples, by_id)
        say()
        _say_what_next(found, shown, report)


def _print(shown: Sequence[GapRow], examples: Sequence[Sequence[Example]], topics: Mapping[str, TopicRow]) -> None:
    columns = [
        Column("", "right"),
        Column("gap, with an example", shrinks=True),
        Column("turns", "right"),
        Column("share", "right"),
        Column("covered", "right"),
        Column("growth", "right"),
        Column("first seen"),
        Column("id", style="dim"),
    ]
    length = max(2 * (screen_width() - _OTHERS), _LEAST_EXAMPLE)
    rows = []
    for gap, some in zip(shown, examples, strict=True):
        example = f"\n{quoted(some[0].text, length)}" if some else ""
        rows.append(
            (
                f"{'!' if gap.alert else ''}{gap.rank}",
                clean(gap.label) + example,
                f"{gap.turns:,}",
                share_range(
                    topics[gap.topic_id].share, topics[gap.topic_id].share_low, topics[gap.topic_id].share_high
                ),
                range_of(gap.coverage, gap.low, gap.high),
                _growth(gap.growth),
                short_day(gap.first_seen),
                gap.gap_id,
            )
        )
    print_table(columns, rows, leave_out=_LESS if screen_width() < _NARROW else ())


def _growth(value: float) -> str:
    """How the share of the last week compares with the four weeks before; a dash when there are not two weeks yet."""
    return f"×{value:.1f}" if math.isfinite(value) else "–"


def _say_what_next(found: Sequence[GapRow], shown: Sequence[GapRow], report: CoverageRow) -> None:
    alerts = sum(gap.alert for gap in found)
    say("Covered: the share of a topic's turns that the eval set tests, with its interval in points.")
    say("Growth: the topic's share of the traffic in the last week over that in the four weeks before.")
    if alerts:
        say(
            f"{counted(alerts, 'gap')} marked ! would leave enough uncovered to alert on even at the interval's high end."
        )
    if len(shown) < len(found):
        say(f"{len(found) - len(shown):,} more: offmap gaps --limit {len(found)}")
    say()
    worst = found[0].gap_id
    say("Next:")
    say("  offmap gaps --json                      every gap with its examples and its nearest eval items")
    say(f"  offmap turns --topic {found[0].topic_id:<19}the turns of the worst gap")
    say(f"  offmap export --gap {worst} --format openai-chat --out export    the worst gap as a fine-tuning set")


def _document(
    gap: GapRow, topic: TopicRow, examples: Sequence[Example], items: Mapping[str, EvalItem], redacted: bool
) -> dict[str, Any]:
    nearest = [
        {"item_id": item, "prompt": shown_text(items[item].prompt, redacted) if item in items else None}
        for item in gap.nearest_items
    ]
    return {
        "id": gap.gap_id,
        "topic": gap.topic_id,
        "label": gap.label,
        "turns": gap.turns,
        "share": gap.share,
        "share_low": topic.share_low,
        "share_high": topic.share_high,
        "coverage": gap.coverage,
        "priority": gap.priority,
        "first_seen": gap.first_seen,
        "growth": gap.growth,
        "examples": [{"turn_id": one.turn_id, "text": one.text} for one in examples],
        "nearest_eval_items": nearest,
        "rank": gap.rank,
        "conversations": gap.conversations,
        "low": gap.low,
        "high": gap.high,
        "novelty": gap.novelty,
        "alert": gap.alert,
        "risk": gap.risk,
    }
