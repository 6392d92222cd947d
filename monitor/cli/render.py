"""What goes to the screen: texts without tricks, numbers for people, tables that fit, JSON for programs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import orjson

from monitor.wording import clean

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Column", "print_json", "print_lines", "print_table", "say", "screen_width", "warn"]

_WIDTH_OF_A_FILE = 100


def say(text: str = "") -> None:
    """One line to stdout, wrapped by the terminal and not by us: commands in it must stay whole."""
    sys.stdout.write(f"{text}\n")


def print_json(document: object) -> None:
    """One JSON document. Not a number becomes null; times are UTC."""
    _write_bytes(orjson.dumps(document, default=_plain, option=_JSON | orjson.OPT_INDENT_2) + b"\n")


def print_lines(records: Iterable[object]) -> None:
    """A line of JSON a record, as they come."""
    for record in records:
        _write_bytes(orjson.dumps(record, default=_plain, option=_JSON | orjson.OPT_APPEND_NEWLINE))


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table. One that may shrink wraps its cells; the others keep their width."""

    title: str
    align: Literal["left", "right"] = "left"
    shrinks: bool = False
    style: str = ""


def print_table(
    columns: Sequence[Column],
    rows: Iterable[Sequence[str]],
    *,
    marked: Callable[[int], str] | None = None,
    leave_out: Sequence[int] = (),
) -> None:
    """A table as wide as the terminal. Cells are texts: nothing in them is markup. `marked` gives a row's style; columns that
    stand in `leave_out` are not printed."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold", expand=False)
    for place, column in enumerate(columns):
        if place in leave_out:
            continue
        table.add_column(
            Text(column.title), justify=column.align, no_wrap=not column.shrinks, overflow="fold", style=column.style
        )
    for place, row in enumerate(rows):
        kept = (cell for column, cell in enumerate(row) if column not in leave_out)
        cells = [Text("\n".join(clean(line) for line in cell.split("\n"))) for cell in kept]
        table.add_row(*cells, style=marked(place) if marked else None)
    console = _console()
    with console.capture() as captured:
        console.print(table)
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


def screen_width() -> int:
    """Columns of the terminal, or of a file that is read on one."""
    return _console().width


def warn(event: str, **facts: object) -> None:
    """A warning to stderr, where it stays out of the result. Facts are numbers, names and paths, never messages."""
    import structlog

    for_people = sys.stderr.isatty()
    stamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
    fields = structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"], bool_as_flag=False)
    logger = structlog.wrap_logger(
        structlog.PrintLogger(sys.stderr),
        processors=[_sentence] if for_people else [structlog.processors.add_log_level, stamp, fields],
    )
    logger.warning(clean(event), **{name: clean(str(fact)) for name, fact in facts.items()})


def _sentence(logger: object, method: str, event: MutableMapping[str, Any]) -> str:
    """A warning as a person reads it."""
    text = event.pop("event")
    facts = ", ".join(f"{name} {fact}" for name, fact in event.items())
    return f"Warning: {text} ({facts})" if facts else f"Warning: {text}"


_JSON = orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY


def _plain(value: object) -> Any:
    if isinstance(value, set | frozenset):
        return sorted(value)
    return str(value)  # paths


def _write_bytes(data: bytes) -> None:
    # JSON is UTF-8 whatever the terminal's encoding is.
    buffer = getattr(sys.stdout, "buffer", None)
    if buffer is None:
        sys.stdout.write(data.decode())
    else:
        sys.stdout.flush()
        buffer.write(data)


def _console() -> Console:
    from rich.console import Console

    known = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console(highlight=False, width=None if known else _WIDTH_OF_A_FILE)
