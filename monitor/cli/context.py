"""What a command needs of the world: settings, the store, the encoder, the clock. Each is made when it is asked for."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import typer

from monitor.clock import utc_now
from monitor.errors import StoreBusyError
from monitor.settings import CONFIG_FILE, Setting, Settings, describe, load

if TYPE_CHECKING:
    from monitor.encoding.encoder import Encoder
    from monitor.store.store import Store

__all__ = [
    "Caller",
    "caller_of",
    "config_file",
    "described_settings",
    "make_encoder",
    "open_store",
    "read_settings",
    "settings_before_init",
    "utc_now",
]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: the environment, whether Ctrl-C was pressed, and the settings file when `--config` names one."""

    environment: Mapping[str, str]
    interrupted: Callable[[], bool]
    config: Path | None = None


def caller_of(context: typer.Context) -> Caller:
    return cast(Caller, context.obj)


def read_settings(context: typer.Context, store: str | None) -> Settings:
    """The settings with `--store` on top."""
    caller = caller_of(context)
    return load(caller.environment, file=caller.config, overrides=_overrides(store))[0]


def described_settings(context: typer.Context, store: str | None) -> list[Setting]:
    """Every setting, its value and where it came from."""
    caller = caller_of(context)
    return describe(*load(caller.environment, file=caller.config, overrides=_overrides(store)))


def config_file(context: typer.Context) -> Path:
    """Where the settings file is, or would be."""
    caller = caller_of(context)
    return caller.config or Path(caller.environment.get("OFFMAP_CONFIG") or CONFIG_FILE)


def settings_before_init(context: typer.Context, store: str | None) -> Settings:
    """The settings when the file does not exist yet: environment and command line alone."""
    environment = {name: value for name, value in caller_of(context).environment.items() if name != "OFFMAP_CONFIG"}
    # An empty file named outright keeps an offmap.toml of the working folder out.
    return load(environment, file=Path(os.devnull), overrides=_overrides(store))[0]


def open_store(settings: Settings, *, create: bool = False) -> Store:
    """The store of the settings; a context manager. Commands that only read do not create one.

    A store that `offmap serve` holds is reached through it.
    """
    from monitor.store.store import Store

    path = settings.store.path
    try:
        opened = Store.open(
            path, memory_limit=settings.store.memory_limit, threads=settings.store.threads, create=create
        )
        if news := opened.recovery.news:
            from monitor.cli.render import warn

            warn(news)
        return opened
    except StoreBusyError:
        shared = Store.connect(path)
        if shared is None:
            raise
        return shared


def make_encoder(settings: Settings) -> Encoder:
    from monitor.encoding import encoder

    return encoder.make_encoder(settings.encoder)


def _overrides(store: str | None) -> dict[str, object]:
    return {} if store is None else {"store.path": store}
