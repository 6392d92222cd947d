"""`offmap drift`: whether the traffic changed, and which topics carry it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from monitor.cli.context import open_store, read_settings, utc_now
from monitor.cli.options import AsJson, Current, Reference, StorePath, parse_window
from monitor.cli.render import Column, print_json, print_table, say
from monitor.errors import OffmapError, UsageError
from monitor.published import published_run
from monitor.wording import clean, share

if TYPE_CHECKING:
    from monitor.store.drift import DriftRow

__all__ = ["drift"]

_SHOWN = 10


def drift(
    context: typer.Context,
    current: Current = None,
    reference: Reference = None,
    against: Annotated[
        str | None, typer.Option(metavar="NAME", help="Compare with this eval set instead of a window.")
    ] = None,
    pinned: Annotated[bool, typer.Option("--pinned", help="Compare with the window of drift.pinned.")] = False,
    also: Annotated[
        list[str] | None, typer.Option(metavar="TEST", help="Add a test: energy, classifier or evidently.")
    ] = None,
    descriptors: Annotated[
        bool, typer.Option("--descriptors", help="Add lengths, latency, cost, refusals, feedback, languages.")
    ] = False,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write Evidently's report of the descriptors as HTML.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="Topics, and words, that are listed.")] = _SHOWN,
    as_json: AsJson = False,
    store: StorePath = None,
) -> None:
    """Say whether the traffic changed, and what carries the change.

    Permutation tests with one verdict; topics are corrected for how many there are.
    """
    from monitor.drift.comparison import PINNED, compare_windows
    from monitor.drift.family import ON_REQUEST
    from monitor.drift.look import read_look

    if (against is not None) + (reference is not None) + pinned > 1:
        raise UsageError("drift takes one of --reference, --pinned and --against")
    for name in also or ():
        if name not in ON_REQUEST:
            raise UsageError(f"--also {name}: there is no such test; choose from {', '.join(ON_REQUEST)}")
    against = PINNED if pinned else against
    settings = read_settings(context, store)
    with open_store(settings) as opened:
        look = read_look(opened, settings, published_run(opened))
        chosen = parse_window(current, "--current"), parse_window(reference, "--reference")
        row = compare_windows(
            opened,
            settings,
            look,
            current=chosen[0],
            reference=chosen[1],
            against=against,
            also=tuple(also or ()),
            clock=utc_now,
        )
        if descriptors or html is not None:
            from monitor.drift.descriptors import described, described_windows

            row = described(opened, settings, row)
            if html is not None:
                from monitor.drift.descriptor_report import write_report

                write_report(opened, settings, *described_windows(row, settings), html)
        with opened.transaction():
            if opened.turns.gone(look.keys):
                raise OffmapError("turns were forgotten while they were compared: run `offmap drift` again")
            opened.drift.write(row)
    if as_json:
        print_json(_document(row, html))
    else:
        _print(row, limit)
        if html is not None:
            say(f"Report of the descriptors: {clean(str(html))}")


def _print(row: DriftRow, limit: int) -> None:
    say(clean(row.verdict))
    if row.body["topics"]:
        say()
        columns = [
            Column("topic", shrinks=True),
            Column("before", "right"),
            Column("after", "right"),
            Column("change, 90 %", "right"),
            Column("p", "right"),
            Column("part", "right"),
        ]
        rows = [
            (
                f"{'! ' if one['moved'] else ''}{clean(one['label'] or '(too few users to name it)')}",
                share(one["before"]),
                share(one["after"]),
                f"{100 * one['change_low']:+.1f} to {100 * one['change_high']:+.1f}",
                f"{one['p_value']:.3f}",
                f"{one['contribution']:.0%}",
            )
            for one in row.body["topics"][:limit]
        ]
        print_table(columns, rows)
        say()
        say("Change: in points of the traffic. p: the chance of so large a change of any topic when nothing changed.")
        say("Part: of the whole change; what no topic carries is left over. Topics marked ! moved.")
    for mix in row.body.get("mixes", []):
        name = mix["attribute"].replace("_", " ")
        values = ", ".join(
            f"{clean(one['value'])} {share(one['before'])} to {share(one['after'])} (part {one['contribution']:.0%})"
            for one in mix["values"][:limit]
        )
        say(f"{name}: {values}; p of the mix {mix['p_value']:.3f}")
    terms = row.body.get("terms", [])
    if terms:
        words = ", ".join(
            f"{clean(one['term'])} {share(one['before'])} to {share(one['after'])} (part {one['contribution']:.0%})"
            for one in terms[:limit]
        )
        rest = max(0.0, 1 - sum(one["contribution"] for one in terms[:limit]))
        say(f"words, by turns that say them: {words}; all other words (part {rest:.0%})")
    for test in row.body["tests"]:
        p = "" if test["p_value"] is None else f"p {test['p_value']:.3f}, "
        reach = "" if test["low"] is None else f" ({test['low']:.3f} to {test['high']:.3f})"
        say(f"{test['name']}: {p}effect {test['effect']:.3f}{reach}: {test['meaning']}")
    _print_descriptors(row)


def _print_descriptors(row: DriftRow) -> None:
    from monitor.drift.statement import descriptor_values

    found = row.body.get("descriptors", [])
    if not found:
        return
    say()
    if row.reference_start is None and (window := row.body.get("described")):
        say(f"An eval set has no replies: before is the window {window['start'][:10]} to {window['end'][:10]}.")
    columns = [
        Column("descriptor", shrinks=True),
        Column("before", "right"),
        Column("now", "right"),
        Column("change", "right"),
    ]
    rows = []
    for one in found:
        name, before, now, change = descriptor_values(one)
        rows.append((f"{'! ' if one.get('sure') else ''}{name}", before, now, change))
    print_table(columns, rows)
    say("! surely changed. Changes are intervals that hold all together in 95 of 100 comparisons.")


def _document(row: DriftRow, html: Path | None) -> dict[str, object]:
    reference = None
    if row.reference_start is not None:
        reference = {"start": row.reference_start, "end": row.reference_end}
    document = {
        "id": row.report_id,
        "verdict": row.verdict,
        "p_value": row.p_value,
        "effect": row.effect,
        "alarm": row.alarm,
        "reference": reference or row.reference,
        "current": {"start": row.current_start, "end": row.current_end},
        **row.body,
    }
    return document if html is None else {**document, "path": str(html.resolve())}
