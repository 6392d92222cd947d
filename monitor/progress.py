"""Progress of long steps, told to whoever shows it.

A step says how much there is and how much is done; a terminal draws bars, `serve` feeds a page, a test listens.
`Silent` is the twin that shows nothing: the default everywhere below the command line.

>>> with Silent().task("encode", total=3, unit="texts") as advance:
...     advance.advance(3)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

__all__ = ["Advance", "Progress", "Silent"]


class Advance(Protocol):
    """One running task."""

    def advance(self, n: int, note: str = "", *, left: int | None = None) -> None:
        """`n` more units are done. `note` says more in a few words; `left` is how many there are yet, where the total grows."""


class Progress(Protocol):
    """Shows tasks. `total` is None when nobody knows it."""

    def task(self, name: str, total: int | None, unit: str) -> AbstractContextManager[Advance]: ...


class Silent:
    """Shows nothing."""

    @contextmanager
    def task(self, name: str, total: int | None, unit: str) -> Iterator[Advance]:
        yield self

    def advance(self, n: int, note: str = "", *, left: int | None = None) -> None:
        pass
