"""`offmap serve`: the one process that an operations team runs."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from monitor.cli.context import caller_of, open_store, read_settings, utc_now
from monitor.cli.interrupts import stop_requests
from monitor.cli.options import StorePath
from monitor.cli.render import say, warn
from monitor.errors import StoreBusyError, UsageError

if TYPE_CHECKING:
    from monitor.settings import Settings
    from monitor.store.store import Store

__all__ = ["serve"]

#: Half a second each.
_TRIES = 6


def serve(
    context: typer.Context,
    host: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Where to listen: serve.host.")] = None,
    port: Annotated[
        int | None, typer.Option(metavar="PORT", help="On which port: serve.port; 0 takes a free one.")
    ] = None,
    kafka: Annotated[bool, typer.Option("--kafka", help="Read the topic of the kafka settings too.")] = False,
    store: StorePath = None,
) -> None:
    """Run the service: pages, schedule, alerts and consumer.

    Other commands work on the same store while it runs. Ctrl-C or SIGTERM ends it.
    """
    from monitor.service.budget import Budget
    from monitor.service.service import Service

    settings = read_settings(context, store)
    for name, value in (("serve.host", host), ("serve.port", port)):
        if value is not None:
            settings = settings.with_value(name, value, source="command line")
    if kafka and not settings.kafka.bootstrap:
        raise UsageError("--kafka needs the brokers: set OFFMAP_KAFKA_BOOTSTRAP or kafka.bootstrap to HOST:PORT")
    environment = {**os.environ, **caller_of(context).environment}
    budget = Budget.of_this_machine()
    os.environ.update(budget.service_environment(environment))  # before what reads it is loaded
    settings = budget.applied(settings)
    with _store(settings) as opened:
        if opened.shared_by is not None:
            raise StoreBusyError(
                f"the store {settings.store.path} is served already, at {opened.shared_by}: stop that one first, "
                "or name another store with --store"
            )
        environment |= {**budget.worker_environment(environment), "OFFMAP_STORE": settings.store.path}
        service = Service(opened, settings, environment, clock=utc_now, kafka=kafka)
        asked = stop_requests(second_ends=False)
        service.start()
        say(f"offmap serves {settings.store.path} at {service.url}")
        say("Ctrl-C ends it. Other offmap commands work on the same store while it runs.")
        with suppress(KeyboardInterrupt):
            while not asked.wait(0.5):
                pass
        late = service.stop()
        if late:
            warn("did not end in time", parts=", ".join(late))


def _store(settings: Settings) -> Store:
    """The store; a process that is just ending may hold it for a moment more."""
    for _ in range(_TRIES):
        try:
            return open_store(settings, create=True)
        except StoreBusyError:
            time.sleep(0.5)
    return open_store(settings, create=True)
