"""`offmap gaps`: what users ask that the eval set never tests, the worst first."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from monitor.cli.context import open_store, read_settings, utc_now
from monitor.cli.gap import history_document, life_document
from monitor.cli.options import AsJson, StorePath
from monitor.cli.render import Column, print_json, print_table, say, screen_width
from monitor.errors import UsageError
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
from monitor.wording import clean, counted, cut, day, quoted, range_of, share, share_range, short_day, split_words

if TYPE_CHECKING:
    from monitor.coverage.life import Life, Lives
    from monitor.records import EvalItem
    from monitor.store.alerts import AlertRow
    from monitor.store.atlases import TopicRow
    from monitor.store.reports import GapRow

__all__ = ["gaps"]

_SHOWN = 15
#: What the other columns of the table take. Of an example two lines are shown, three where the terminal is narrow.
_OTHERS, _LEAST_EXAMPLE = 68, 66
#: A screen of fewer columns has no room for these: growth, first seen.
_NARROW, _LESS = 80, (5, 6)
#: Of gaps that closed so many are in the table, the latest.
_CLOSED = 10
_LONGEST_OWNER = 18


def gaps(
    context: typer.Context,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help=f"The worst so many: {_SHOWN} in the table, all in --json.")
    ] = None,
    state: Annotated[
        str | None,
        typer.Option(
            metavar="STATE",
            help="opened, reopened, held, exported, growing, acknowledged, planned, being_closed, wont_fix, closed: only such.",
        ),
    ] = None,
    every_gap: Annotated[
        bool, typer.Option("--all", help="Also those that will not be fixed yet, and those that closed.")
    ] = False,
    as_json: AsJson = False,
    store: StorePath = None,
) -> None:
    """Rank what users ask that the eval set does not cover."""
    from monitor.coverage.history import labels_of_gaps
    from monitor.coverage.life import read_lives

    wanted = _wanted(state)
    settings = read_settings(context, store)
    redacted = settings.export.redact
    with open_store(settings) as opened:
        run = published_run(opened)
        report = published_report(opened, run)
        least = settings.atlas.min_users
        topics, _ = of_enough_users(opened.atlases.topics(run.atlas_id), least)
        by_id = {topic.topic_id: topic for topic in topics}
        every = opened.reports.gaps(run.report_id)
        lives = read_lives(opened, now=utc_now())
        of_enough = [gap for gap in every if gap.topic_id in by_id]
        found = [gap for gap in of_enough if _is_asked_for(lives.of(gap.gap_id), wanted, every_gap)]
        closed = lives.closed if wanted == "closed" or (every_gap and wanted is None) else []
        shown = found[: limit or (len(found) if as_json else _SHOWN)]
        examples = examples_of(opened, [gap.examples for gap in shown], redacted=redacted)
        items = compared_items(opened, report.eval_set_ids) if as_json else {}
        foreign = opened.atlases.foreign(run.atlas_id)
        others = {one.text for gap in shown for one in lives.of(gap.gap_id).events if one.text[:1] == "g"}
        named = {*(one.gap_id for one in closed), *others}
        labels = labels_of_gaps(opened, run.atlas_id, named, least=least)
        alerts = opened.alerts.of_gaps([gap.gap_id for gap in shown]) if as_json else {}
    if as_json:
        documents = [
            _document(gap, by_id[gap.topic_id], some, items, redacted) | _life(lives, gap.gap_id, labels, alerts)
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
                "closed": [_closed(one, labels) for one in closed],
            }
        )
        return
    say(report.verdict)
    say(clean(f"Window: {compared_with(run)}."))
    if len(of_enough) < len(every):
        say(few_users(sum(gap.turns for gap in every if gap.topic_id not in by_id), least))
    if foreign.by_language:
        say(not_read(foreign))
    if found:
        say()
        _print(shown, examples, by_id, lives)
    if closed:
        say()
        _print_closed(closed, labels)
    hidden = 0 if every_gap or wanted else sum(lives.of(gap.gap_id).hidden for gap in of_enough)
    if hidden:
        say()
        say(f"{counted(hidden, 'gap')} will not be fixed yet, as somebody decided: offmap gaps --all lists them too.")
    if found:
        say()
        held = any("held" in lives.of(gap.gap_id).states for gap in shown)
        _say_what_next(found, shown, settings.gaps.hold_days if held else 0)


def _wanted(state: str | None) -> str | None:
    """The state that is asked for. Raises `UsageError`."""
    if state is None:
        return None
    from monitor.coverage.life import STATES

    wanted = state.replace("-", "_")
    if wanted not in STATES:
        raise UsageError(f"--state {clean(state)[:40]}: a gap is {', '.join(reversed(STATES))}")
    return wanted


def _is_asked_for(life: Life, wanted: str | None, every_gap: bool) -> bool:
    if wanted is not None:
        return wanted in life.states
    return every_gap or not life.hidden


def _print(
    shown: Sequence[GapRow], examples: Sequence[Sequence[Example]], topics: Mapping[str, TopicRow], lives: Lives
) -> None:
    columns = [
        Column("", "right"),
        Column("gap, with an example", shrinks=True),
        Column("turns", "right"),
        Column("share", "right"),
        Column("covered", "right"),
        Column("growth", "right"),
        Column("first seen"),
        Column("id, state"),
    ]
    length = max(2 * (screen_width() - _OTHERS), _LEAST_EXAMPLE)
    rows = []
    for gap, some in zip(shown, examples, strict=True):
        example = f"\n{quoted(some[0].text, length)}" if some else ""
        rows.append(
            (
                f"{'!' if gap.alert else ''}{gap.rank}",
                "\n".join([clean(gap.label), *map(split_words, gap.splits or ())]) + example,
                f"{gap.turns:,}",
                _share(gap, topics[gap.topic_id]),
                range_of(gap.coverage, gap.low, gap.high),
                _growth(gap.growth),
                short_day(gap.first_seen),
                f"{gap.gap_id}\n{_stands(lives.of(gap.gap_id))}",
            )
        )
    print_table(columns, rows, leave_out=_LESS if screen_width() < _NARROW else ())


def _share(gap: GapRow, topic: TopicRow) -> str:
    """With its interval, which is of whole topics."""
    return share_range(topic.share, topic.share_low, topic.share_high) if gap.attribute is None else share(gap.share)


def _stands(life: Life) -> str:
    """How a gap stands, and below whose it is."""
    return life.words + (f"\n{cut(life.owner, _LONGEST_OWNER)}" if life.owner else "")


def _print_closed(closed: Sequence[Life], labels: Mapping[str, str]) -> None:
    columns = [
        Column("closed"),
        Column("how"),
        Column("gap", shrinks=True),
        Column("turns", "right"),
        Column("owner", shrinks=True),
        Column("id", style="dim"),
    ]
    rows = [
        (
            day(one.closed_at) if one.closed_at else "–",
            "by itself" if one.by_itself else "items added",
            labels.get(one.gap_id, "a topic that is not shown"),
            f"{one.last.turns:,}" if one.last and one.gap_id in labels else "–",
            clean(one.owner) if one.owner else "–",
            one.gap_id,
        )
        for one in closed[:_CLOSED]
    ]
    print_table(columns, rows)
    if len(closed) > _CLOSED:
        say(f"{len(closed) - _CLOSED:,} that closed before are in offmap gaps --all --json.")


def _growth(value: float) -> str:
    """How the share of the last week compares with the four weeks before; a dash when there are not two weeks yet."""
    return f"×{value:.1f}" if math.isfinite(value) else "–"


def _say_what_next(found: Sequence[GapRow], shown: Sequence[GapRow], held_days: int) -> None:
    alerts = sum(gap.alert for gap in found)
    say("Covered: the share of a topic's turns that the eval set tests, with its interval in points.")
    say("Growth: the topic's share of the traffic in the last week over that in the four weeks before.")
    if alerts:
        say(f"{counted(alerts, 'gap')} marked ! leave enough uncovered to alert on.")
    if held_days:
        say(
            "Held: it was a gap and seems covered now, though no eval item was added for it; listed until items for it come,"
        )
        say(f"      for at most {counted(held_days, 'day')} (setting gaps.hold_days).")
    if len(shown) < len(found):
        say(f"{len(found) - len(shown):,} more: offmap gaps --limit {len(found)}")
    say()
    worst = found[0].gap_id
    say("Next:")
    say("  offmap gaps --json                      every gap with its examples and its nearest eval items")
    say(f"  offmap gap {worst:<29}its history, and what is to become of it: --owner, --planned, --wont-fix")
    say(f"  offmap turns --topic {found[0].topic_id:<19}the turns of the worst gap")
    say(f"  offmap export --gap {worst} --format openai-chat --out export    the worst gap as a fine-tuning set")


def _document(
    gap: GapRow, topic: TopicRow, examples: Sequence[Example], items: Mapping[str, EvalItem], redacted: bool
) -> dict[str, Any]:
    from monitor.coverage.gaps import priority_parts

    nearest = [
        {"item_id": item, "prompt": shown_text(items[item].prompt, redacted) if item in items else None}
        for item in gap.nearest_items
    ]
    part = gap.attribute is not None
    return {
        "id": gap.gap_id,
        "topic": gap.topic_id,
        "attribute": gap.attribute,
        "value": gap.value,
        "label": gap.label,
        "turns": gap.turns,
        "share": gap.share,
        "share_low": None if part else topic.share_low,
        "share_high": None if part else topic.share_high,
        "coverage": gap.coverage,
        "priority": gap.priority,
        "priority_parts": priority_parts(gap.share, gap.high, gap.risk, gap.growth),
        "splits": [dict(one) | {"words": split_words(one)} for one in gap.splits or ()],
        "first_seen": gap.first_seen,
        "growth": gap.growth,
        "growth_low": gap.growth_low,
        "growth_high": gap.growth_high,
        "examples": [{"turn_id": one.turn_id, "text": one.text} for one in examples],
        "nearest_eval_items": nearest,
        "rank": gap.rank,
        "conversations": gap.conversations,
        "low": gap.low,
        "high": gap.high,
        "novelty": gap.novelty,
        "alert": gap.alert,
        "risk": gap.risk,
        "risk_low": gap.risk_low,
        "risk_high": gap.risk_high,
    }


def _life(
    lives: Lives, gap_id: str, labels: Mapping[str, str], alerts: Mapping[str, Sequence[AlertRow]]
) -> dict[str, Any]:
    from monitor.coverage.history import history_of

    life = lives.of(gap_id)
    return life_document(life) | {"history": history_document(history_of(life, labels, alerts.get(gap_id, ())))}


def _closed(life: Life, labels: Mapping[str, str]) -> dict[str, Any]:
    """A gap that the latest publication does not list, with what was last seen of it."""
    last = life.last if life.gap_id in labels else None  # of a topic of few users nothing is said
    seen = {
        "turns": last.turns if last else None,
        "share": last.share if last else None,
        "coverage": last.coverage if last else None,
    }
    return {"id": life.gap_id, "label": labels.get(life.gap_id), **seen, **life_document(life)}
