"""What `offmap evalset health` computes and prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from monitor.cli.context import make_encoder
from monitor.cli.progress import progress_to
from monitor.cli.render import Column, print_table, say
from monitor.coverage.health import Health, unbalanced
from monitor.coverage.health_words import (
    about_balance,
    about_demand,
    about_labels,
    about_repeats,
    about_subset,
    health_verdict,
)
from monitor.published import shown_text
from monitor.wording import clean, cut, day, number, percent

if TYPE_CHECKING:
    from monitor.records import EvalSet
    from monitor.settings import Settings
    from monitor.store.eval_health import EvalHealthRow
    from monitor.store.store import Store

__all__ = ["examined", "print_health", "write_subset"]

#: Rows of each table; `--json` has all.
_SHOWN = 8


def examined(store: Store, settings: Settings, eval_set: EvalSet, *, quiet: bool) -> Health:
    """The eval set against the traffic of the published run."""
    from monitor.coverage.examination import examine
    from monitor.coverage.items import askers_of
    from monitor.encoding.recipe import EVAL_PROMPT
    from monitor.pipeline import published_sides

    production, items, vectors, strange = published_sides(
        store, make_encoder(settings), settings, [eval_set], progress=progress_to(quiet=quiet)
    )
    askers = askers_of([eval_set], EVAL_PROMPT, items.texts)
    return examine(production, items, vectors, askers, settings, left_out=strange)


def write_subset(path: Path, eval_set: EvalSet, health: Health) -> None:
    """The needed items as they were imported, a line each, so that `offmap evalset import` takes the file."""
    by_id = {item.item_id: item for item in eval_set.items}
    with path.open("wb") as lines:
        for id_ in health.needed:
            item = by_id[id_]
            row: dict[str, Any] = {
                "item_id": item.item_id,
                "reference": item.reference,
                "label": item.label,
                "tags": list(item.tags),
                **({"messages": list(item.messages)} if item.messages else {"prompt": item.prompt}),
            }
            lines.write(orjson.dumps(row) + b"\n")


def print_health(
    health: Health,
    eval_set: EvalSet,
    topics: Mapping[str, str],
    compared: Sequence[EvalHealthRow],
    *,
    redact: bool,
) -> None:
    """In sentences, each with its table. `topics` are the labels of those that may be shown."""
    prompts = {item.item_id: cut(shown_text(item.prompt, redact), 80) for item in eval_set.items}

    def asked(item: str) -> str:
        return f"{clean(item)}: {prompts.get(item, '')}"

    say(clean(health_verdict(health)))
    _part(about_repeats(health))
    for group in health.repeats[:_SHOWN]:
        say(f"  {' = '.join(asked(item) for item in group[:4])}{' …' if len(group) > 4 else ''}")
    _part(about_labels(health))
    for pair in health.conflicts[:_SHOWN]:
        first, second = (clean(label) for label in pair.labels)
        say(f"  {first} or {second}? {asked(pair.first)} | {asked(pair.second)}")
    for doubt in health.doubts[:_SHOWN]:
        say(f"  {clean(doubt.label)}, or rather {clean(doubt.likely)}? {asked(doubt.item)}")
    _part(about_demand(health))
    if health.least_asked_kinds:
        say()
        print_table(
            (Column("label", shrinks=True), Column("items", "right"), Column("no turn near", "right")),
            [(one.label, str(one.items), str(one.unasked)) for one in health.least_asked_kinds[:_SHOWN]],
        )
    _part(about_subset(health))
    _part(about_balance(health))
    far = [one for one in unbalanced(health.balance) if one.topic in topics][:_SHOWN]
    if far:
        say()
        print_table(
            (Column("topic", shrinks=True), Column("of the turns", "right"), Column("items", "right")),
            [(topics[one.topic], percent(one.share), f"{one.items} ({percent(one.items_share)})") for one in far],
        )
    own = [row for row in compared if row.names == (eval_set.name,)]
    if len(own) > 1:
        _part("Versions that were compared, the latest last:")
        say()
        _print_versions(own)


def _print_versions(rows: Sequence[EvalHealthRow]) -> None:
    columns = [
        Column("compared"),
        *(Column(name, "right") for name in ("items", "different", "labels", "as varied as", "covered")),
    ]
    print_table(
        columns,
        [
            (
                day(row.made_at),
                f"{row.items:,}",
                f"{row.items - row.repeated:,}",
                f"{row.labels:,}",
                number(row.diversity, 0),
                percent(row.value),
            )
            for row in rows
        ],
    )


def _part(sentence: str) -> None:
    say()
    say(clean(sentence))
