"""`offmap init` writes the settings file and makes the store; `offmap config` lists every setting, and makes keys."""

from __future__ import annotations

import secrets
from hashlib import sha256
from pathlib import Path

import orjson
import typer

from monitor.cli.context import config_file, described_settings, open_store, read_settings, settings_before_init
from monitor.cli.options import AsJson, StorePath
from monitor.cli.render import Column, print_json, print_table, say
from monitor.settings import Settings, describe

__all__ = ["app", "config_text", "init", "key", "show"]

app = typer.Typer(help="Show the settings.", no_args_is_help=True)


def init(context: typer.Context, as_json: AsJson = False, store: StorePath = None) -> None:
    """Write offmap.toml and create the store.

    The file holds every setting with its meaning and default. What exists already is left as it is.
    """
    file = config_file(context)
    written = not file.exists()
    if written:
        settings = settings_before_init(context, store)
        _write_new(file, config_text(settings.store.path))
    else:
        settings = read_settings(context, store)
    with open_store(settings, create=True) as opened:
        turns = opened.turns.count()
    if as_json:
        print_json({"config": str(file), "written": written, "store": settings.store.path, "turns": turns})
        return
    say(f"{file} written: every setting with its default." if written else f"{file} is there already: left as it is.")
    say(f"The store {settings.store.path} is ready and holds {turns:,} turns.")
    if not turns:
        say("Next: offmap ingest FILE    (offmap ingest FILE --dry-run shows how a log is read)")


@app.command("show")
def show(context: typer.Context, as_json: AsJson = False, store: StorePath = None) -> None:
    """List each setting, its value and its source.

    Secrets are masked.
    """
    settings = described_settings(context, store)
    if as_json:
        print_json(
            {
                "settings": [
                    {
                        "name": one.name,
                        "value": one.shown if one.secret else one.plain,
                        "source": one.source,
                        "meaning": one.meaning,
                        "secret": one.secret,
                    }
                    for one in settings
                ]
            }
        )
        return
    columns = [
        Column("setting"),
        Column("value", shrinks=True),
        Column("from", shrinks=True),
        Column("meaning", shrinks=True),
    ]
    print_table(columns, [(one.name, one.shown, one.source, one.meaning) for one in settings])


@app.command("key")
def key(as_json: AsJson = False, store: StorePath = None) -> None:
    """Make a key for turns over HTTP, and its hash.

    The key goes to whoever sends, the hash into the setting ingest.keys. offmap keeps neither.
    """
    made = secrets.token_urlsafe(32)
    digest = sha256(made.encode()).hexdigest()
    if as_json:
        print_json({"key": made, "sha256": digest})
        return
    say(f"Key, for whoever sends:  {made}")
    say(f"Hash, for ingest.keys:   {digest}")


def config_text(store_path: str) -> str:
    """A settings file that says nothing but the store's path, with every other setting as a comment."""
    lines = [
        "# Settings of offmap. A line that is commented out shows the default.",
        "# Every setting is also a variable: encoder.threads is OFFMAP_ENCODER_THREADS. Variables win over this file.",
    ]
    section = ""
    for setting in describe(Settings(), {}):
        group, _, key = setting.name.partition(".")
        if group != section:
            section = group
            lines += ["", f"[{section}]"]
        lines.append(f"# {setting.meaning}")
        if setting.name == "store.path":
            lines.append(f"{key} = {_toml(store_path)}")
        elif setting.secret:
            lines.append(f"# better as the variable OFFMAP_{setting.name.replace('.', '_').upper()} than here")
        else:
            lines.append(f"# {key} = {_toml(setting.value)}")
    return "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    # For texts, numbers, flags and lists of texts TOML writes what JSON writes.
    return orjson.dumps(value).decode()


def _write_new(file: Path, text: str) -> None:
    """Write a file that does not exist, and never over one that appeared meanwhile."""
    with file.open("x", encoding="utf-8") as stream:
        stream.write(text)
