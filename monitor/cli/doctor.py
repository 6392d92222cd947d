"""`offmap doctor`: environment, settings, encoder and store, each with what to do about it."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import typer

from monitor.cli.context import make_encoder, open_store, read_settings
from monitor.cli.options import AsJson, StorePath
from monitor.cli.render import print_json, say
from monitor.errors import OffmapError, SettingError, StoreBusyError
from monitor.settings import Settings
from monitor.wording import clean, counted

if TYPE_CHECKING:
    from monitor.store.store import Store

__all__ = ["Check", "doctor"]

_EXTRAS = {
    "ducklake": "stores on DuckLake",
    "postgres": "DuckLake with its catalog in PostgreSQL",
    "models": "any other encoder, also on a GPU",
    "bertopic": "topics by UMAP and HDBSCAN",
    "reports": "Evidently reports",
}
_LEAST_FREE = 1e9


@dataclass(frozen=True, slots=True)
class Check:
    """One line. WARN does not keep anything from working, FAIL does."""

    name: str
    state: Literal["OK", "WARN", "FAIL"]
    detail: str
    remedy: str = ""


def doctor(context: typer.Context, as_json: AsJson = False, store: StorePath = None) -> None:
    """Check the installation and say what to do.

    Environment, settings, encoder and store. Exit code 1 when something fails.
    """
    checks: list[Check] = []
    for check in _all_checks(context, store):
        checks.append(check)
        if not as_json:  # said at once: loading the model takes a moment
            say(f"{check.state:<5} {check.name:<9} {clean(check.detail)}")
            if check.remedy:
                say(f"{'':<15} -> {clean(check.remedy)}")
    failed = [check for check in checks if check.state == "FAIL"]
    if as_json:
        print_json({"ok": not failed, "checks": checks})
    if failed:
        raise OffmapError(f"{counted(len(failed), 'check')} failed: {', '.join(check.name for check in failed)}")


def _all_checks(context: typer.Context, store: str | None) -> Iterator[Check]:
    yield _python()
    yield from _packages()
    try:
        settings = read_settings(context, store)
    except SettingError as error:
        yield from _extras(None)
        yield Check("settings", "FAIL", str(error), "the encoder and the store are checked once the settings are right")
        return
    yield from _extras(settings)
    yield Check("settings", "OK", "every setting is known and allowed")
    check, name = _encoder(settings)
    yield check
    yield from _store(settings, name)


def _python() -> Check:
    # An older Python does not get here: pip refuses it, and so does the syntax.
    return Check("python", "OK", f"{'.'.join(map(str, sys.version_info[:3]))} at {sys.executable}")


def _packages() -> Iterator[Check]:
    versions = {name: _version(name) for name in _required(None)}
    yield Check("packages", "OK", ", ".join(f"{name} {version}" for name, version in versions.items() if version))
    missing = [name for name, version in versions.items() if version is None]
    if missing:
        yield Check("packages", "FAIL", f"not installed: {', '.join(missing)}", f"pip install {' '.join(missing)}")


def _extras(settings: Settings | None) -> Iterator[Check]:
    """Each extra; one that is missing is a failure only when a setting needs it."""
    for extra, purpose in _EXTRAS.items():
        missing = [name for name in _required(extra) if _version(name) is None]
        if not missing:
            yield Check("extra", "OK", f"{extra} ({purpose}) is installed")
            continue
        needed = settings is not None and _needs(settings, extra)
        detail = f"{extra} ({purpose}) is not installed: no {', '.join(missing)}"
        yield Check("extra", "FAIL" if needed else "OK", detail, f"pip install 'offmap[{extra}]'")


def _needs(settings: Settings, extra: str) -> bool:
    return {
        "ducklake": settings.store.path.startswith("ducklake:"),
        "postgres": settings.store.path.startswith("ducklake:postgres"),
        "models": settings.encoder.kind == "sentence-transformers",
        "bertopic": settings.atlas.clusterer == "hdbscan",
    }.get(extra, False)


def _required(extra: str | None) -> list[str]:
    """Names of the packages that the core or an extra asks for."""
    from importlib.metadata import requires

    found = []
    for line in requires("offmap") or ():
        requirement, _, marker = line.partition(";")
        of = re.search(r"""extra\s*==\s*["']([\w-]+)["']""", marker)
        if (of[1] if of else None) == extra and (name := re.match(r"[\w.-]+", requirement)):
            found.append(name[0])
    return found


def _version(name: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _encoder(settings: Settings) -> tuple[Check, str]:
    """The check, and the encoder's name where it can be made."""
    try:
        encoder = make_encoder(settings)
        vector = encoder.encode(["where is my parcel"])[0]
    except OffmapError as error:
        return Check("encoder", "FAIL", str(error)), ""
    return Check("encoder", "OK", f"{encoder.name} encodes a sentence into {len(vector)} numbers"), encoder.name


def _switch(store: Store, encoder: str) -> Iterator[Check]:
    """Whether the published atlas was made with another encoder than the settings', and how much is to be encoded anew."""
    from monitor.encoding.recipe import USER_TEXT

    run = store.runs.current()
    atlas = store.atlases.load(run.atlas_id) if run is not None else None
    if atlas is None or not encoder or atlas.encoder == encoder:
        return
    missing, texts = store.vectors.remaining(encoder, USER_TEXT.name)
    yield Check(
        "encoder",
        "WARN",
        f"the published atlas was made with {atlas.encoder} and is shown until an analysis with {encoder} is published; "
        f"{missing:,} of {counted(texts, 'text')} remain to be encoded with it",
        "offmap analyse; `offmap serve` does it by itself",
    )


def _naming(store: Store, settings: Settings) -> Iterator[Check]:
    """How the model that names topics answered the last time. It is not asked here: an answer costs."""
    from monitor.naming.naming import cost_of

    totals = store.topic_names.totals()
    if not settings.naming.url and not totals.runs:
        return
    said = "no topic was named by a model yet"
    if totals.last is not None:
        taken = (
            f"{counted(totals.named, 'topic')} named by a model in all, {counted(totals.refused, 'answer')} not taken"
        )
        said = f"{taken}{cost_of(totals)}; last asked {totals.last.asked_at:%Y-%m-%d %H:%M} UTC"
    if settings.naming.url and totals.last is not None and totals.last.error:
        yield Check("naming", "WARN", f"{said}: {totals.last.error}", "labels that are found here stand meanwhile")
    else:
        yield Check("naming", "OK", said + ("" if settings.naming.url else "; off now, setting naming.url"))


def _store(settings: Settings, encoder: str) -> Iterator[Check]:
    from monitor.store.attachment import Attachment
    from monitor.store.migrations import MIGRATIONS

    path = settings.store.path
    try:
        attachment = Attachment.parse(path)
        file = attachment.file
        if not (attachment.data if attachment.server else file).exists():
            yield Check("store", "WARN", f"{path} does not exist yet", "offmap init")
        else:
            with open_store(settings) as opened:
                run = opened.runs.current()
                facts = [
                    f"schema version {len(MIGRATIONS)}",
                    counted(opened.turns.count(), "turn"),
                    counted(len(opened.eval_sets.summaries()), "eval set version"),
                    counted(opened.dead_letters.count(), "dead letter"),
                    f"last analysed {run.published_at:%Y-%m-%d %H:%M} UTC" if run else "not analysed yet",
                ]
                switch = [*_switch(opened, encoder), *_naming(opened, settings)]
            yield Check("store", "OK", f"{path}: {', '.join(facts)}")
            yield from switch
    except StoreBusyError as error:
        # Another process works with it, so it works; what is in it cannot be seen from here.
        yield Check("store", "WARN", str(error))
    except OffmapError as error:
        yield Check("store", "FAIL", str(error))
        return
    folder = next(parent for parent in file.parents if parent.is_dir())
    free, size = shutil.disk_usage(folder).free, file.stat().st_size if file.exists() else 0
    detail = f"{free / 1e9:.1f} GB free for the store, which has {size / 1e6:.1f} MB"
    if free < max(_LEAST_FREE, size):
        yield Check(
            "disk", "WARN", detail, f"free some space in {folder}: forgetting writes the store anew beside itself"
        )
    else:
        yield Check("disk", "OK", detail)
