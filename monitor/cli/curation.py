"""`offmap topics name | merge | split | lock | unlock | promote | decisions | undo`: what people decide about topics."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from monitor.cli.context import open_store, read_settings
from monitor.cli.options import AsJson, Level, StorePath
from monitor.cli.render import Column, print_json, print_table, say
from monitor.wording import clean, day

if TYPE_CHECKING:
    from monitor.decisions import Decisions, Stated

__all__ = ["add_to"]

Topic = Annotated[str, typer.Argument(metavar="TOPIC", help="A topic's id, or its label.")]
Who = Annotated[str | None, typer.Option(metavar="WHO", help="Who decides; it is kept with the decision.")]

#: What people read of a state.
_STATES = {
    "in force": "in force",
    "next analysis": "at the next analysis",
    "undone": "taken back",
    "replaced": "replaced by a later one",
    "dormant": "its topic is gone",
}


def name(
    context: typer.Context,
    topic: Topic,
    text: Annotated[str, typer.Argument(metavar="NAME", help="What it is called from now on: one line.")],
    who: Who = None,
    as_json: AsJson = False,
    store: StorePath = None,
) -> None:
    """Call a topic by a name, at once and after every refit."""
    _decide(context, store, as_json, who, lambda decisions: decisions.name(topic, text))


def merge(
    context: typer.Context,
    topic: Topic,
    into: Annotated[str, typer.Argument(metavar="INTO", help="The topic that it becomes part of; its id stays.")],
    who: Who = None,
    as_json: AsJson = False,
    store: StorePath = None,
) -> None:
    """Make two topics of one level one, from the next analysis on."""
    _decide(context, store, as_json, who, lambda decisions: decisions.merge(topic, into))


def split(
    context: typer.Context,
    topic: Topic,
    parts: Annotated[
        int | None,
        typer.Option(metavar="N", help="How many; without it a fine topic in 2, others along their finer topics."),
    ] = None,
    who: Who = None,
    as_json: AsJson = False,
    store: StorePath = None,
) -> None:
    """Make several topics of one, from the next analysis on."""
    _decide(context, store, as_json, who, lambda decisions: decisions.split(topic, parts))


def lock(
    context: typer.Context, topic: Topic, who: Who = None, as_json: AsJson = False, store: StorePath = None
) -> None:
    """Let a topic keep its turns and its id in every refit."""
    _decide(context, store, as_json, who, lambda decisions: decisions.lock(topic))


def unlock(
    context: typer.Context, topic: Topic, who: Who = None, as_json: AsJson = False, store: StorePath = None
) -> None:
    """Let a topic change again."""
    _decide(context, store, as_json, who, lambda decisions: decisions.unlock(topic))


def promote(
    context: typer.Context,
    topic: Topic,
    intent: Annotated[str, typer.Option(metavar="NAME", help="The intent's name; no other may have it.")],
    who: Who = None,
    as_json: AsJson = False,
    store: StorePath = None,
) -> None:
    """Make an intent of a topic, with its central texts as examples."""
    _decide(context, store, as_json, who, lambda decisions: decisions.promote(topic, intent))


def undo(
    context: typer.Context,
    decision: Annotated[str, typer.Argument(metavar="ID", help="The decision's id, from `offmap topics decisions`.")],
    who: Who = None,
    as_json: AsJson = False,
    store: StorePath = None,
) -> None:
    """Take a decision back."""
    _decide(context, store, as_json, who, lambda decisions: decisions.undo(decision))


def decisions(context: typer.Context, as_json: AsJson = False, store: StorePath = None) -> None:
    """List what was decided about topics, and how it stands."""
    from monitor.decisions import Decisions

    settings = read_settings(context, store)
    with open_store(settings) as opened:
        found = Decisions(opened, settings).all()
    if as_json:
        print_json({"decisions": [_document(one) for one in found]})
        return
    if not found:
        say('Nothing is decided about topics yet: offmap topics name TOPIC "NAME" is a beginning.')
        return
    columns = [
        Column("decision", style="dim"),
        Column("when"),
        Column("what", shrinks=True),
        Column("topic", style="dim"),
        Column("how it stands", shrinks=True),
        Column("who", shrinks=True),
    ]
    rows = [
        (
            one.decision.decision_id,
            day(one.decision.created_at),
            one.sentence,
            one.decision.topic_id,
            _STATES[one.state],
            clean(one.decision.who or "–"),
        )
        for one in found
    ]
    print_table(columns, rows)


_COMMANDS = (name, merge, split, lock, unlock, promote, decisions, undo)


def add_to(app: typer.Typer) -> None:
    """The commands, below `offmap topics`."""
    for command in _COMMANDS:
        app.command(command.__name__)(command)


def _decide(
    context: typer.Context, store: str | None, as_json: bool, who: str | None, what: Callable[[Decisions], Stated]
) -> None:
    from monitor.decisions import Decisions

    settings = read_settings(context, store)
    with open_store(settings) as opened:
        made = what(Decisions(opened, settings, who=who))
    if as_json:
        print_json(_document(made))
        return
    say(f"{made.sentence}.")
    if made.state == "next analysis":
        say("It shows after the next analysis, which offmap serve does by itself; now: offmap analyse")
    if made.decision.kind != "undo":
        say(f"To take it back: offmap topics undo {made.decision.decision_id}")


def _document(one: Stated) -> dict[str, Any]:
    row = one.decision
    return {
        "id": row.decision_id,
        "created_at": row.created_at,
        "who": row.who,
        "kind": row.kind,
        "topic": row.topic_id,
        "level": Level.of(row.level).value,
        "label": row.label,
        "name": row.name,
        "other": row.other,
        "sentence": one.sentence,
        "topics": row.topics,
        "state": one.state,
    }
