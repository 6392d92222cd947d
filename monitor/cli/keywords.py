"""`offmap keywords`: the terms that rise in a window, or set a topic apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from monitor.cli.context import open_store, read_settings, utc_now
from monitor.cli.options import AsJson, Current, Reference, StorePath, parse_window, window_document
from monitor.cli.render import Column, print_json, print_table, say
from monitor.errors import UsageError
from monitor.published import find_topic, published_run
from monitor.wording import clean

if TYPE_CHECKING:
    from monitor.atlas.keywords import Keyword

__all__ = ["keywords"]

_SHOWN = 20


def keywords(
    context: typer.Context,
    current: Current = None,
    reference: Reference = None,
    topic: Annotated[
        str | None, typer.Option(metavar="ID", help="The words of this topic, against everything else.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="Words in the list.")] = _SHOWN,
    as_json: AsJson = False,
    store: StorePath = None,
) -> None:
    """List the words that rise, or that set a topic apart.

    By conversations that hold them, with 90 % intervals; words of too few users stay out.
    """
    from monitor.drift.comparison import default_windows
    from monitor.drift.look import read_look
    from monitor.drift.terms import rising_terms, terms_of_topic

    if topic is not None and (current is not None or reference is not None):
        raise UsageError("keywords takes --topic, or --current and --reference, and not both")
    settings = read_settings(context, store)
    with open_store(settings) as opened:
        look = read_look(opened, settings, published_run(opened))
        if topic is not None:
            chosen = find_topic(look.topics, topic)
            found = terms_of_topic(opened, settings, look, look.position[chosen.topic_id], limit=limit)
            document: dict[str, object] = {"topic": chosen.topic_id}
            title = f"{chosen.label}, against everything else"
        else:
            window, usual = default_windows(look, settings, utc_now, parse_window(current, "--current"))
            before = parse_window(reference, "--reference") or usual
            found = rising_terms(opened, settings, look, window, before, limit=limit)
            document = {"current": window_document(window), "reference": window_document(before)}
            title = f"{window}, against {before}"
    if as_json:
        print_json({**document, "keywords": [asdict(one) for one in found]})
    else:
        _print(title, found, settings.alerts.min_users)


def _print(title: str, found: Sequence[Keyword], users: int) -> None:
    say(clean(title))
    say()
    if not found:
        say(f"No word is said more here, or by {users} users (setting alerts.min_users).")
        return
    columns = [
        Column("word", shrinks=True),
        Column("conversations", "right"),
        Column("elsewhere", "right"),
        Column("odds, 90 %", "right"),
        Column("p", "right"),
    ]
    rows = [
        (
            f"{'! ' if one.sure else ''}{clean(one.term)}",
            f"{one.count:,}",
            f"{one.other:,}",
            f"×{one.odds:.1f} ({one.low:.1f} to {one.high:.1f})",
            f"{one.p_value:.2g}",
        )
        for one in found
    ]
    print_table(columns, rows)
    say()
    say("Conversations that hold the word, and how many times as often. Marked !: not by chance, among all words.")
