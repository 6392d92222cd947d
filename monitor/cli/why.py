"""`offmap why`, `offmap mark`, `offmap unmark`: what makes a turn near or far, and what a person says to it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from monitor.cli.context import make_encoder, open_store, read_settings
from monitor.cli.options import AsJson, StorePath
from monitor.cli.render import Column, print_json, print_table, say
from monitor.errors import UsageError
from monitor.wording import clean, counted, cut, quoted

if TYPE_CHECKING:
    from monitor.coverage.told import Told
    from monitor.coverage.why import Piece, Why
    from monitor.records import Turn
    from monitor.settings import Settings
    from monitor.store.marks import MarkRow
    from monitor.store.store import Store

__all__ = ["mark", "unmark", "why"]

_WORDS = 8

Tenant = Annotated[
    str | None, typer.Option(metavar="T", help="The turn's tenant; needed where several have a turn of this id.")
]
Who = Annotated[str | None, typer.Option(metavar="WHO", help="Who says so; it is kept with the mark.")]
Turns = Annotated[list[str], typer.Argument(metavar="TURN...", help="The ids of the turns.")]


def why(
    context: typer.Context,
    turn: Annotated[str | None, typer.Argument(metavar="[TURN]", help="The turn's id.")] = None,
    tenant: Tenant = None,
    key: Annotated[
        str | None, typer.Option(metavar="KEY", help="The turn's key in addresses of the app, instead of its id.")
    ] = None,
    as_json: AsJson = False,
    store: StorePath = None,
) -> None:
    """Show what makes a turn near to the eval set, or far.

    The nearest eval items, and how much each word of the turn does to the nearest: the rest is encoded without it.
    """
    settings = read_settings(context, store)
    with open_store(settings) as opened:
        found = _turn(opened, turn, tenant, key)
        from monitor.coverage.told import read_told
        from monitor.coverage.why import explain
        from monitor.encoding.recipe import USER_TEXT
        from monitor.pipeline import compared_vectors
        from monitor.published import published_run, shown_text
        from monitor.turn_marks import hash_of

        run, encoder = published_run(opened), make_encoder(settings)
        # As it is shown: what is redacted is no word that could be told.
        text = USER_TEXT.prepare(shown_text(found.user_text, settings.export.redact))
        made = explain(text, *compared_vectors(opened, encoder, settings), encoder)
        told = read_told(opened, run, found.key, hash_of(found))
    redacted = text != USER_TEXT.prepare(found.user_text)
    if as_json:
        print_json(_document(found, text, redacted, made, told, settings) | {"run": run.run_id})
        return
    _print(text, redacted, made, told, settings)


def mark(
    context: typer.Context,
    turns: Turns,
    covered: Annotated[bool, typer.Option("--covered", help="The eval set covers what the turns say.")] = False,
    noise: Annotated[bool, typer.Option("--noise", help="What the turns say is to count in nothing.")] = False,
    item: Annotated[
        str | None,
        typer.Option(metavar="ID", help="With --covered: the eval item that does, for as long as a set has it."),
    ] = None,
    why: Annotated[str | None, typer.Option(metavar="TEXT", help="The reason, in a line.")] = None,
    who: Who = None,
    tenant: Tenant = None,
    as_json: AsJson = False,
    store: StorePath = None,
) -> None:
    """Say that turns are covered or noise; later runs keep to it.

    A mark is about what a turn says: every turn that says the same, or nearly the same letter by letter, goes with it.
    """
    if covered == noise:
        raise UsageError("say what the turns are: either --covered or --noise")
    if item is not None and not covered:
        raise UsageError(f"--item {cut(item, 40)} goes with --covered: noise is covered by nothing")
    from monitor.turn_marks import TurnMarks, find_turn

    settings = read_settings(context, store)
    with open_store(settings) as opened:
        marks = TurnMarks(opened, who)
        found = [find_turn(opened, one, tenant) for one in turns]
        with opened.transaction():
            made = [
                marks.covered(one, item_id=item, why=why) if covered else marks.noise(one, why=why) for one in found
            ]
    _done(found, made, "covered" if covered else "noise", as_json)


def unmark(
    context: typer.Context,
    turns: Turns,
    who: Who = None,
    tenant: Tenant = None,
    as_json: AsJson = False,
    store: StorePath = None,
) -> None:
    """Take back what was said of turns with `offmap mark`."""
    from monitor.turn_marks import TurnMarks, find_turn

    settings = read_settings(context, store)
    with open_store(settings) as opened:
        marks = TurnMarks(opened, who)
        found = [find_turn(opened, one, tenant) for one in turns]
        with opened.transaction():
            made = [marks.undo(one) for one in found]
    _done(found, made, "", as_json)


def _turn(store: Store, turn: str | None, tenant: str | None, key: str | None) -> Turn:
    if (turn is None) == (key is None):
        raise UsageError("name one turn, by its id (offmap why TURN) or by --key KEY")
    if turn is not None:
        from monitor.turn_marks import find_turn

        return find_turn(store, turn, tenant)
    assert key is not None
    number = int(key) if key.isdecimal() and key.isascii() and len(key) <= 20 else -1
    found = store.turns.fetch([number]) if 0 <= number < 2**64 else []
    if not found:
        raise UsageError(f"no turn has the key {cut(key, 40)!r} (any more): name it by its id")
    return found[0]


def _print(text: str, redacted: bool, made: Why, told: Told, settings: Settings) -> None:
    say(quoted(text, 400))
    say()
    for line in told.sentences(settings.atlas.min_users):
        say(line)
    if not made.near:
        return
    say()
    print_table(
        [
            Column("nearest eval items", shrinks=True),
            Column("label", shrinks=True),
            Column("cosine", "right"),
            Column("asks", shrinks=True),
        ],
        [
            (clean(one.item_id), clean(one.label or "–"), f"{one.cosine:.2f}", quoted(one.text, 160))
            for one in made.near
        ],
    )
    say()
    say(f"Words that make it near to the first: {_words(made.makes_near)}.")
    say(f"Words that make it far from it: {_words(made.makes_far)}.")
    say(
        "A word's number is by how much the cosine changes without it."
        + (" It is of the text as it is shown, redacted." if redacted else "")
    )


def _words(pieces: list[Piece]) -> str:
    return ", ".join(f"{cut(one.text, 60)} ({one.effect:+.2f})" for one in pieces[:_WORDS]) or "none by itself"


def _document(turn: Turn, text: str, redacted: bool, made: Why, told: Told, settings: Settings) -> dict[str, Any]:
    topic = told.topic if told.topic is not None and told.topic.users >= settings.atlas.min_users else None
    one = told.topic_coverage if topic is not None else None
    marked = told.mark.mark if told.mark is not None else None
    return {
        "turn_id": turn.turn_id,
        "text": text,
        "redacted": redacted,
        "novelty": told.novelty,
        "covered": told.covered,
        "says": told.sentences(settings.atlas.min_users),
        "topic": None
        if topic is None
        else {
            "id": topic.topic_id,
            "label": topic.label,
            "coverage": one.coverage if one else None,
            "low": one.low if one else None,
            "high": one.high if one else None,
        },
        "mark": None if marked is None else _mark(marked) | {"applied": told.applied},
        "nearest": [
            {"item": one.item_id, "label": one.label, "text": one.text, "cosine": one.cosine} for one in made.near
        ],
        "words": [{"text": one.text, "effect": None if math.isnan(one.effect) else one.effect} for one in made.pieces],
    }


def _done(turns: list[Turn], made: list[MarkRow], kind: str, as_json: bool) -> None:
    if as_json:
        print_json({"marks": [_mark(row) | {"turn_id": one.turn_id} for one, row in zip(turns, made, strict=True)]})
        return
    what = f"marked as {kind}" if kind else "no longer marked"
    say(f"{counted(len(turns), 'turn')} {what}, and with {'it' if len(turns) == 1 else 'them'} all that say the same.")
    say("It holds from the next analysis on, which offmap serve does by itself; now: offmap analyse")


def _mark(row: MarkRow) -> dict[str, Any]:
    return {
        "id": row.mark_id,
        "created_at": row.created_at,
        "who": row.who,
        "kind": row.kind,
        "item": row.item_id,
        "why": row.why,
        "other": row.other,
    }
