"""`offmap evalset import | list | show | health`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from monitor.cli.context import open_store, read_settings, utc_now
from monitor.cli.options import AsJson, StorePath
from monitor.cli.render import Column, print_json, print_table, say, warn
from monitor.wording import clean, counted, cut, day

if TYPE_CHECKING:
    from monitor.records import EvalItem

__all__ = ["app", "health", "import_", "list_", "show"]

app = typer.Typer(help="Import and show eval sets.", no_args_is_help=True)


@app.command("import")
def import_(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="JSONL, JSON or CSV: a prompt (or messages) an item.")],
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", help="The eval set's name; a new version when it exists.")
    ],
    as_json: AsJson = False,
    store: StorePath = None,
) -> None:
    """Store a file as a version of an eval set.

    The same items again are the same version.
    """
    from monitor.evalsets.importer import import_eval_set

    with open_store(read_settings(context, store), create=True) as opened:
        imported = import_eval_set(opened, file, name, utc_now)
    eval_set = imported.eval_set
    labels = len({item.label for item in eval_set.items if item.label is not None})
    if imported.skipped:
        warn("items without a prompt were left out", file=file, items=len(imported.skipped), first=imported.skipped[0])
    if as_json:
        print_json(
            {
                "name": eval_set.name,
                "version": eval_set.version,
                "new": imported.new,
                "items": len(eval_set.items),
                "labels": labels,
                "duplicates": imported.duplicates,
                "skipped": imported.skipped,
            }
        )
        return
    shown = clean(eval_set.name)
    what = f"{counted(len(eval_set.items), 'item')} with {counted(labels, 'label')}"
    state = "imported" if imported.new else "was there already"
    say(f"Eval set {shown}, version {eval_set.version}: {what}; {state}.")
    if imported.duplicates:
        say(f"{counted(imported.duplicates, 'repeated item')} counted once.")
    say(f"Next: offmap analyse --eval-set {shown}")


@app.command("list")
def list_(context: typer.Context, as_json: AsJson = False, store: StorePath = None) -> None:
    """List every version of every eval set."""
    with open_store(read_settings(context, store)) as opened:
        summaries = opened.eval_sets.summaries()
    if as_json:
        print_json({"eval_sets": summaries})
        return
    if not summaries:
        say("There is no eval set yet: offmap evalset import FILE --name NAME")
        return
    columns = [
        Column("name", shrinks=True),
        Column("version"),
        Column("items", "right"),
        Column("labels", "right"),
        Column("imported"),
    ]
    print_table(
        columns,
        [(one.name, one.version, f"{one.items:,}", f"{one.labels:,}", day(one.created_at)) for one in summaries],
    )


@app.command("show")
def show(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The eval set.")],
    version: Annotated[str | None, typer.Option(metavar="VERSION", help="The latest when none is named.")] = None,
    as_json: AsJson = False,
    store: StorePath = None,
) -> None:
    """Show the items of an eval set."""
    from monitor.published import shown_text

    settings = read_settings(context, store)
    with open_store(settings) as opened:
        eval_set = opened.eval_sets.load(name, version)
    if as_json:
        print_json(
            {
                "name": eval_set.name,
                "version": eval_set.version,
                "created_at": eval_set.created_at,
                "items": [_document(item) for item in eval_set.items],
            }
        )
        return
    redact = settings.export.redact
    items = counted(len(eval_set.items), "item")
    say(f"{clean(eval_set.name)}, version {eval_set.version}, imported {day(eval_set.created_at)}: {items}")
    say()
    columns = [Column("item", shrinks=True), Column("label", shrinks=True), Column("prompt", shrinks=True)]
    print_table(
        columns,
        [(item.item_id, item.label or "–", cut(shown_text(item.prompt, redact), 200)) for item in eval_set.items],
    )


@app.command("health")
def health(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The eval set.")],
    version: Annotated[str | None, typer.Option(metavar="VERSION", help="The latest when none is named.")] = None,
    subset: Annotated[
        Path | None,
        typer.Option("--subset", metavar="FILE", help="Write the items of the smallest subset as JSONL."),
    ] = None,
    as_json: AsJson = False,
    store: StorePath = None,
) -> None:
    """Say what repeats, contradicts itself or is not asked for.

    Examines the eval set against the traffic of the last analysis, and publishes nothing.
    """
    from monitor.cli.evalset_health import examined, print_health, write_subset
    from monitor.published import of_enough_users, published_run

    settings = read_settings(context, store)
    with open_store(settings) as opened:
        run = published_run(opened)
        eval_set = opened.eval_sets.load(name, version)
        found = examined(opened, settings, eval_set, quiet=as_json)
        shown, _ = of_enough_users(opened.atlases.topics(run.atlas_id), settings.atlas.min_users)
        compared = opened.eval_health.read()
    if subset is not None:
        write_subset(subset, eval_set, found)
    if as_json:
        print_json({"eval_set": eval_set.name, "version": eval_set.version, "run": run.run_id, **found.document()})
        return
    labels = {topic.topic_id: topic.label for topic in shown}
    print_health(found, eval_set, labels, compared, redact=settings.export.redact)
    if subset is not None:
        say(clean(f"The {counted(len(found.needed), 'item')} of the smallest subset are in {subset}."))


def _document(item: EvalItem) -> dict[str, object]:
    # The eval set as it was imported: it is the caller's own, and a program wants it back whole.
    return {
        "item_id": item.item_id,
        "prompt": item.prompt,
        "reference": item.reference,
        "label": item.label,
        "tags": item.tags,
        "messages": item.messages,
    }
