"""A progress that remembers what it was told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class Listener:
    """A progress that remembers."""

    def __init__(self) -> None:
        self.totals: list[int | None] = []
        self.done = 0

    @contextmanager
    def task(self, name: str, total: int | None, unit: str) -> Iterator[Listener]:
        self.totals.append(total)
        yield self

    def advance(self, n: int, note: str = "", *, left: int | None = None) -> None:
        self.done += n
