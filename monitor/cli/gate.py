"""`offmap gate`: an eval set in a team's CI. What it would cover of the published traffic, and whether that is enough."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from monitor.cli.context import make_encoder, open_store, read_settings, utc_now
from monitor.cli.options import AsJson, StorePath
from monitor.cli.progress import progress_to
from monitor.cli.render import print_json, say
from monitor.errors import UsageError
from monitor.published import of_enough_users, published_report, published_run
from monitor.wording import clean, counted

if TYPE_CHECKING:
    from monitor.coverage.gate import Gate
    from monitor.coverage.interval import Interval
    from monitor.pipeline import Weighed
    from monitor.records import EvalSet
    from monitor.store.reports import CoverageRow
    from monitor.store.store import Store

__all__ = ["BELOW", "gate"]

#: The exit code of an eval set that covers too little: neither a failure (1) nor wrong use (2).
BELOW = 3

#: Changes of fewer points than this are said with a decimal.
_SMALL = 2


def gate(
    context: typer.Context,
    min_coverage: Annotated[
        float, typer.Option("--min-coverage", min=0, max=1, metavar="F", help="The least coverage, such as 0.8.")
    ],
    eval_set: Annotated[
        list[str] | None,
        typer.Option("--eval-set", metavar="NAME", help="The eval set's last version; several count as their union."),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", metavar="FILE", help="An eval set that is not imported, as a change of it proposes."),
    ] = None,
    certain: Annotated[
        bool, typer.Option("--certain", help="Ask it of the interval's low end rather than of the estimate.")
    ] = False,
    summary: Annotated[
        Path | None,
        typer.Option("--summary", metavar="FILE", help="Append the result as Markdown, as to $GITHUB_STEP_SUMMARY."),
    ] = None,
    as_json: AsJson = False,
    store: StorePath = None,
) -> None:
    """Exit with 3 when an eval set covers too little of the traffic.

    Compares it with the traffic of the last analysis, and publishes nothing. Exit code 0 says that it covers enough.
    """
    settings = read_settings(context, store)
    if not eval_set and file is None:
        raise UsageError("nothing to compare: name an eval set with --eval-set NAME, or a file with --file FILE")
    with open_store(settings) as opened:
        run = published_run(opened)
        published = published_report(opened, run)
        sets = [opened.eval_sets.load(name) for name in eval_set or ()]
        if file is not None:
            sets.append(_of_file(file))
        from monitor.pipeline import compared_sets, weigh

        before = compared_sets(opened, published)
        weighed = weigh(
            opened, make_encoder(settings), settings, sets, before=before, progress=progress_to(quiet=as_json)
        )
        report = weighed.report
        interval = settings.coverage.interval
        found = _decided(opened, published, weighed, interval, least=min_coverage, certain=certain)
        shown, _ = of_enough_users(opened.atlases.topics(published.atlas_id), settings.atlas.min_users)
    names = {topic.topic_id: topic.label for topic in shown}
    title = " + ".join(one.name for one in sets)
    # What the change is one of: another eval set's coverage is no "before" of this one's.
    on = "" if {one.name for one in sets} == set(run.eval_sets) else " + ".join(run.eval_sets)
    if summary is not None:
        with summary.open("a", encoding="utf-8") as lines:
            lines.write(_markdown(found, title, on, report.verdict, names, interval))
    if as_json:
        print_json(_document(found, title, on, report.verdict, names))
    else:
        say(clean(_headline(found, title, on)))
        say(clean(" ".join(filter(None, [_of_itself(found, interval), report.verdict]))))
        for change in found.topics:
            name = names.get(change.topic_id, "(too few users to name it)")
            moved = f"  {change.before:>4.0%} -> {change.now:>4.0%}  {name} ({change.share:.1%} of the traffic)"
            say(clean(f"{moved}, {_points(change.now - change.before, change.change)}"))
    if not found.passes:
        raise typer.Exit(BELOW)


def _of_file(path: Path) -> EvalSet:
    from monitor.evalsets.importer import read_items
    from monitor.records import EvalSet

    draft = read_items(path)
    return EvalSet(path.name, draft.version, utc_now(), draft.items)


def _decided(
    opened: Store, published: CoverageRow, weighed: Weighed, interval: float, *, least: float, certain: bool
) -> Gate:
    from monitor.coverage.change import change_between
    from monitor.coverage.gate import NOT_KNOWN, decide_gate
    from monitor.coverage.slices import MIDDLE

    report = weighed.report
    middle = {one.topic_id: one.share for one in opened.atlases.topics(published.atlas_id) if one.level == MIDDLE}
    before = {
        row.topic_id: row.coverage
        for row in opened.reports.topic_coverage(published.report_id)
        if row.coverage is not None
    }
    now = [
        (row.topic_id, middle[row.topic_id], row.coverage)
        for row in report.topics
        if row.topic_id in middle and row.coverage is not None
    ]
    value = float("nan") if published.value is None else published.value
    change, changes = NOT_KNOWN, {}
    if report.coverage is not None and weighed.before is not None:
        found = change_between(weighed.before, report.coverage, interval)
        # As it is on the same traffic: turns may be marked or forgotten since the analysis.
        value, change = weighed.before.traffic.value, found.traffic
        ids = [row.topic_id for row in report.topics]
        before = {one: topic.value for one, topic in zip(ids, weighed.before.topics, strict=True)}
        changes = dict(zip(ids, found.topics, strict=True))
    return decide_gate(
        report.traffic, value, now, before, change=change, topic_changes=changes, least=least, certain=certain
    )


def _headline(found: Gate, title: str, on: str) -> str:
    """`on` names what the last analysis compared, where that was something else."""
    asked = f"{found.least:.0%} is asked{' of the low end' if found.certain else ''}"
    if math.isnan(found.coverage.value):
        return f"Failed: nothing can be said of {title}, and {asked}."
    known = not math.isnan(found.before)
    change = f", {_points(found.coverage.value - found.before, found.change)}" if known else ""
    change += f" on {on}, which the last analysis compared" if change and on else ""
    return (
        f"{'Passed' if found.passes else 'Failed'}: {title} covers {found.coverage.value:.0%} "
        f"({found.coverage.low:.0%} to {found.coverage.high:.0%}){change}; {asked}."
    )


def _points(change: float, interval: Interval) -> str:
    """A change of coverage in points, with its interval where one is known.

    >>> from monitor.coverage.interval import Interval
    >>> _points(0.04, Interval(0.04, 0.01, 0.07)), _points(-0.004, Interval(-0.004, -0.012, 0.003))
    ('+4 points (+1 to +7)', '-0.4 points (-1.2 to +0.3)')
    """
    least, most = 100 * interval.low, 100 * interval.high
    if least == most == 0:
        return "no change"
    if math.isnan(least):
        return f"{_signed(100 * change)} points"
    digits = 1 if max(-least, most) < _SMALL else 0
    return f"{_signed(100 * change, digits)} points ({_signed(least, digits)} to {_signed(most, digits)})"


def _signed(points: float, digits: int = 0) -> str:
    """
    >>> _signed(3.7), _signed(-0.2), _signed(-0.24, 1)
    ('+4', '0', '-0.2')
    """
    return f"{points:+.{digits}f}" if round(points, digits) else "0"


def _of_itself(found: Gate, interval: float) -> str:
    """What is said of a change that may be none; empty where it is one, or nothing is known."""
    change = found.change
    if found.changed is not False or change.low == change.high:
        return ""
    ends = f"{_signed(100 * change.low, 1)} to {_signed(100 * change.high, 1)} points"
    return f"The change is within what an estimate moves by itself: its {interval:.0%} interval, {ends}, holds 0."


def _markdown(found: Gate, title: str, on: str, verdict: str, names: dict[str, str], interval: float) -> str:
    lines = ["### offmap gate", "", f"**{_plain(_headline(found, title, on))}**", ""]
    lines += [_plain(one) for one in (_of_itself(found, interval), verdict) if one] + [""]
    if found.topics:
        lines += ["| topic | share | before | now | change |", "| --- | ---: | ---: | ---: | ---: |"]
        for change in found.topics:
            name = _plain(names.get(change.topic_id, "(too few users to name it)"))
            points = _plain(_points(change.now - change.before, change.change))
            lines.append(f"| {name} | {change.share:.1%} | {change.before:.0%} | {change.now:.0%} | {points} |")
        lines += ["", f"{counted(len(found.topics), 'topic')} changed by ten points or more, the heaviest first.", ""]
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """Words that users wrote, as words: no markup, link, image, mention or cell of a table."""
    kept = "".join(" " if letter in "\r\n" else letter for letter in clean(text))
    return "".join(f"\\{letter}" if letter in r"\`*_{}[]<>()#+!|~@" else letter for letter in kept)


def _document(found: Gate, title: str, on: str, verdict: str, names: dict[str, str]) -> dict[str, Any]:
    from monitor.coverage.gate import is_change

    def known(value: float) -> float | None:
        return None if math.isnan(value) else value

    return {
        "passes": found.passes,
        "eval_set": title,
        "min_coverage": found.least,
        "certain": found.certain,
        "coverage": {name: known(getattr(found.coverage, name)) for name in ("value", "low", "high")},
        "before": known(found.before),
        "change": {name: known(getattr(found.change, name)) for name in ("value", "low", "high")},
        "changed": found.changed,
        "before_of": on or title,
        "verdict": verdict,
        "topics": [
            {
                "id": one.topic_id,
                "label": names.get(one.topic_id),
                "share": one.share,
                "before": one.before,
                "now": one.now,
                "change": {name: known(getattr(one.change, name)) for name in ("value", "low", "high")},
                "changed": is_change(one.change),
            }
            for one in found.topics
        ],
    }
