"""`offmap selftest`: would offmap find what the eval set covers, if it did not cover it?"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from monitor.cli.context import make_encoder, open_store, read_settings
from monitor.cli.options import AsJson, StorePath
from monitor.cli.progress import progress_to
from monitor.cli.render import Column, print_json, print_table, say
from monitor.errors import InputError
from monitor.published import of_enough_users, published_run
from monitor.wording import clean, counted

if TYPE_CHECKING:
    from monitor.coverage.selftest import SelfTest

__all__ = ["selftest"]


def selftest(
    context: typer.Context,
    eval_set: Annotated[
        list[str] | None,
        typer.Option("--eval-set", metavar="NAME", help="These eval sets; without it those of the last analysis."),
    ] = None,
    as_json: AsJson = False,
    store: StorePath = None,
) -> None:
    """Hide what the eval set covers and see whether it is found.

    Kinds are the labels of its items, or without labels the topics they lie in. Without each the eval set is
    compared with the traffic of the last analysis, and nothing is published.
    """
    settings = read_settings(context, store)
    with open_store(settings) as opened:
        run = published_run(opened)
        names = eval_set or list(run.eval_sets)
        if not names:
            raise InputError("the last analysis compared no eval set: name one with --eval-set NAME")
        sets = [opened.eval_sets.load(name) for name in names]
        from monitor.coverage.selftest import self_test
        from monitor.pipeline import published_sides

        production, items, vectors, _ = published_sides(
            opened, make_encoder(settings), settings, sets, progress=progress_to(quiet=as_json)
        )
        least = settings.coverage.min_eval_items
        if len(items) < least:
            raise InputError(
                f"{counted(len(items), 'distinct item')} in {' + '.join(names)}, too few to say what they cover: "
                f"at least {least} are needed (setting coverage.min_eval_items)"
            )
        found = self_test(production, items, vectors, settings)
        shown, _ = of_enough_users(opened.atlases.topics(run.atlas_id), settings.atlas.min_users)
    labels = {topic.topic_id: topic.label for topic in shown}
    if as_json:
        print_json(_document(found, labels))
        return
    for line in _words(found, settings.schedule.refit_minutes):
        say(clean(line))
    say()
    rows = [
        (
            one.name,
            str(one.items),
            f"{one.share:.1%}",
            labels.get(one.topic_id, "(too few users)"),
            _outcome(one.alone, one.rank),
        )
        for one in found.hidden
    ]
    columns = (
        Column("hidden", shrinks=True),
        Column("items", "right"),
        Column("share", "right"),
        Column("topic", shrinks=True),
        Column("found"),
    )
    print_table(columns, rows)


def _words(found: SelfTest, refit_minutes: float) -> list[str]:
    from monitor.coverage.selftest import NEW_SHARE
    from monitor.coverage.selftest_words import about_finding, about_sharing, about_smallest, found_by_topic

    lines = [about_finding(found.found, len(found.hidden), found.labelled)]
    if not found.hidden:
        return lines
    sharing = about_sharing(*found_by_topic((one.alone, one.found) for one in found.hidden))
    lines += [sharing] if sharing else []
    if found.labelled:
        lines.append(about_smallest(found.smallest, found.hours, NEW_SHARE, refit_minutes))
    if found.untested:
        lines.append(f"Not tested, since no turn asks for them: {', '.join(found.untested)}.")
    if found.listed:
        lines.append(f"Not tested, since their topic is on the list of gaps already: {', '.join(found.listed)}.")
    return lines


def _outcome(alone: bool, rank: int | None) -> str:
    if rank is not None:
        return f"as gap {rank}"
    return "no" if alone else "no, shared"


def _document(found: SelfTest, labels: dict[str, str]) -> dict[str, Any]:
    def known(value: float) -> float | None:
        return None if math.isnan(value) else value

    from monitor.coverage.selftest import NEW_SHARE
    from monitor.coverage.selftest_words import finding_interval

    low, high = finding_interval(found.found, len(found.hidden)) if found.hidden else (None, None)
    return {
        "found": found.found,
        "tested": len(found.hidden),
        "labelled": found.labelled,
        "found_low": low,
        "found_high": high,
        "smallest_share": known(found.smallest),
        "hours": known(found.hours),
        "new_share": NEW_SHARE,
        "untested": list(found.untested),
        "listed": list(found.listed),
        "hidden": [
            {
                "name": one.name,
                "items": one.items,
                "topic": one.topic_id,
                "label": labels.get(one.topic_id),
                "share": one.share,
                "alone": one.alone,
                "found": one.found,
                "rank": one.rank,
            }
            for one in found.hidden
        ],
    }
