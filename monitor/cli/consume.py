"""`offmap consume`: read a Kafka topic into the store."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from monitor.cli.context import open_store, read_settings, utc_now
from monitor.cli.interrupts import stop_requests
from monitor.cli.options import AsJson, StorePath
from monitor.cli.progress import progress_to
from monitor.cli.render import print_json, say, warn
from monitor.errors import StoreFullError, UsageError
from monitor.wording import counted

if TYPE_CHECKING:
    from consumers.batches import Commit
    from monitor.health import State
    from monitor.settings import Settings

__all__ = ["consume"]


def consume(
    context: typer.Context,
    bootstrap: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Brokers: kafka.bootstrap.")] = None,
    topic: Annotated[str | None, typer.Option(metavar="NAME", help="Topic: kafka.topic.")] = None,
    group: Annotated[str | None, typer.Option(metavar="NAME", help="Consumer group: kafka.group.")] = None,
    until_end: Annotated[
        bool, typer.Option("--until-end", help="Stop when everything that is in the topic is stored.")
    ] = False,
    as_json: AsJson = False,
    store: StorePath = None,
) -> None:
    """Read a Kafka topic into the store until Ctrl-C or SIGTERM.

    Rows and offsets are one transaction: killed at any moment it loses and doubles nothing. `offmap serve --kafka` does it too.
    """
    settings = _settings(read_settings(context, store), bootstrap, topic, group)
    from consumers.kafka import KafkaSource
    from consumers.letter_topic import KafkaLetters
    from consumers.stream import Stream
    from monitor.store.deletion import ERASE_WITHIN

    stop, started, told = stop_requests(second_ends=True), time.monotonic(), set[str]()

    def on_state(state: State, detail: str) -> None:
        # Said once each: a broker that is away for an hour is one line.
        if state in ("waiting", "failing") and detail not in told and not detail.startswith("joining"):
            told.add(detail)
            warn(detail)

    progress = progress_to(quiet=as_json)
    with open_store(settings, create=True) as opened, progress.task("consume", None, "records") as advance:

        def stored(done: Commit) -> None:
            advance.advance(done.counts.records, f"{done.waiting:,} behind", left=done.waiting)
            with suppress(StoreFullError):  # it is owed until there is room
                opened.erase_due(ERASE_WITHIN)

        stream = Stream(
            opened,
            settings,
            partial(KafkaSource, settings.kafka),
            clock=utc_now,
            stop=stop,
            on_state=on_state,
            on_stored=stored,
            until_end=until_end,
            open_letters=partial(KafkaLetters, settings.kafka, redact=settings.ingest.redact),
        )
        with suppress(KeyboardInterrupt):
            stream.run()
        if until_end:
            opened.erase_due()
        total = opened.turns.count()
    counts, seconds = stream.counts, time.monotonic() - started
    if as_json:
        print_json({"topic": settings.kafka.topic, **asdict(counts), "seconds": seconds, "total": total})
        return
    letters = f", {counted(counts.dead_letters, 'dead letter')}" if counts.dead_letters else ""
    say(
        f"{settings.kafka.topic}: {counted(counts.turns, 'new turn')} of {counted(counts.records, 'record')}{letters}; "
        f"{seconds:.1f} s"
    )
    say(f"The store {settings.store.path} holds {counted(total, 'turn')}.")


def _settings(settings: Settings, bootstrap: str | None, topic: str | None, group: str | None) -> Settings:
    for name, value in (("kafka.bootstrap", bootstrap), ("kafka.topic", topic), ("kafka.group", group)):
        if value is not None:
            settings = settings.with_value(name, value, source="command line")
    if not settings.kafka.bootstrap:
        raise UsageError("consume needs the brokers: give --bootstrap HOST:PORT, or set OFFMAP_KAFKA_BOOTSTRAP")
    return settings
