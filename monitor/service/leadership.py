"""Of several services on one store, one keeps the analysis and the alerts up to date, for as long as it lives.

The lease lies in the store and runs out: when its holder is gone or frozen, another one takes over. A store that takes one
process needs none.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from datetime import timedelta

from monitor.clock import Clock
from monitor.errors import StoreError
from monitor.store.store import Store

__all__ = ["Leadership"]

_NAME = "duties"
#: A holder prolongs it when a third has passed.
_LASTS = timedelta(seconds=60)


class Leadership:
    """Ask `held` before each thing that only one may do; from any thread."""

    def __init__(self, store: Store, *, clock: Clock, on_taken: Callable[[], None]) -> None:
        self._store, self._clock, self._on_taken = store, clock, on_taken
        self._owner = uuid.uuid4().hex
        self._lock = threading.Lock()
        # Asked again not before; held until, by our own clock.
        self._again = self._until = clock()
        self._held = not store.many_processes

    def held(self) -> bool:
        """Is it this service's turn? A store that fails answers as it did before, until the lease has run out."""
        if not self._store.many_processes:
            return True
        with self._lock:
            if self._clock() >= self._again:
                self._ask()
            return self._held and self._clock() < self._until

    def _ask(self) -> None:
        started = self._clock()
        self._again = started + _LASTS / 3
        before = self._held and started < self._until
        try:
            taken = self._store.leases.take(_NAME, self._owner, for_=_LASTS)
            if taken and not before:
                self._on_taken()
        except StoreError:
            return
        self._held = taken
        if taken:
            self._until = started + _LASTS

    def give_back(self) -> None:
        """At the end: the next one need not wait. A store that fails lets it run out."""
        with self._lock:
            if self._store.many_processes and self._held:
                self._held = False
                try:
                    self._store.leases.give_back(_NAME, self._owner)
                except StoreError:
                    return
