"""Options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from monitor.errors import UsageError

if TYPE_CHECKING:
    from monitor.records import Window

__all__ = ["AsJson", "AsLines", "Current", "Level", "Reference", "StorePath", "parse_window", "window_document"]

Current = Annotated[
    str | None, typer.Option(metavar="START/END", help="The window that is looked at: the last days by default.")
]
Reference = Annotated[
    str | None, typer.Option(metavar="START/END", help="The window to compare with: the days before by default.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document for programs, instead of a table.")]
AsLines = Annotated[bool, typer.Option("--json", help="A line of JSON a record for programs, instead of a table.")]
StorePath = Annotated[
    str | None,
    typer.Option("--store", metavar="PATH", help="The store; overrides OFFMAP_STORE and the settings file."),
]


class Level(StrEnum):
    """The three levels of topics, as words."""

    broad = "broad"
    middle = "middle"
    fine = "fine"

    @property
    def number(self) -> int:
        return list(Level).index(self)

    @classmethod
    def of(cls, number: int) -> Level:
        return list(cls)[number]


def parse_window(text: str | None, option: str = "--window") -> Window | None:
    """Read the window of an option. Raises `UsageError`."""
    if text is None:
        return None
    from monitor.records import Window

    try:
        return Window.parse(text)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{option} {text}: {error}") from None


def window_document(window: Window) -> dict[str, object]:
    """A window as JSON documents have it."""
    return {"start": window.start, "end": window.end}
