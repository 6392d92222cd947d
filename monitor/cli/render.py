"""What goes to the screen: texts without tricks, numbers for people, tables that fit, JSON for programs."""

from __future__ import annotations

import math
import os
import re
import sys
from collections.abc import Callable, Iterable, MutableMapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import orjson

if TYPE_CHECKING:
    from rich.console import Console

__all__ = [
    "Column",
    "clean",
    "counted",
    "cut",
    "day",
    "number",
    "percent",
    "print_json",
    "print_lines",
    "print_table",
    "quoted",
    "range_of",
    "say",
    "screen_width",
    "share",
    "short_day",
    "warn",
]

_WIDTH_OF_A_FILE = 100
_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()  # whatever the locale

#: Terminal sequences: CSI with its parameters, OSC and its kind up to their end, and the two-character ones.
_SEQUENCES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]{0,4096}(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]"
)
#: What is no character to look at: controls, marks and overrides of direction, halves of surrogate pairs.
_INVISIBLE = re.compile(
    r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufff9-\ufffb]"
)
_SPACES = re.compile(r"\s+")


def clean(text: str) -> str:
    r"""One line of visible text: terminal sequences, controls and direction overrides are gone.

    >>> clean("a\x1b[31mred\x1b[0m\nline \u202edesrever")
    'ared line desrever'
    """
    return _SPACES.sub(" ", _INVISIBLE.sub("", _SEQUENCES.sub("", text))).strip()


def cut(text: str, length: int) -> str:
    """One line of visible text, of at most so many characters.

    >>> cut("where is my parcel", 9)
    'where is…'
    """
    line = clean(text)
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"


def quoted(text: str, length: int) -> str:
    return f"“{cut(text, length)}”"


def percent(value: float | None) -> str:
    """A share as people read it; a dash where nothing is known.

    >>> percent(0.123), percent(0.0042), percent(0.0001), percent(None)
    ('12%', '0.4%', '0%', '–')
    """
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:.1%}" if 0.0005 <= abs(value) < 0.0095 else f"{value:.0%}"


def share(value: float) -> str:
    """A share of the traffic: a topic has a few points of it, so tenths count.

    >>> share(0.0366), share(0.2)
    ('3.7%', '20.0%')
    """
    return f"{value:.1%}"


def range_of(value: float | None, low: float | None, high: float | None) -> str:
    """A share with its interval.

    >>> range_of(0.1, 0.04, 0.21), range_of(0.1, None, None)
    ('10% (4–21)', '10%')
    """
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return percent(value)
    return f"{percent(value)} ({low * 100:.0f}–{high * 100:.0f})"


def number(value: float | None, digits: int = 2) -> str:
    return "–" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def counted(count: int, one: str, many: str | None = None) -> str:
    """A count with its noun.

    >>> counted(1, "turn"), counted(1200, "turn"), counted(2, "reply", "replies")
    ('1 turn', '1,200 turns', '2 replies')
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def day(moment: datetime) -> str:
    """A short date.

    >>> day(datetime(2026, 3, 1, 9, 30))
    '2026-03-01'
    """
    return f"{moment:%Y-%m-%d}"


def short_day(moment: datetime) -> str:
    """A date inside the window that stands above the table.

    >>> short_day(datetime(2026, 3, 1, 9, 30))
    '1 Mar'
    """
    return f"{moment.day} {_MONTHS[moment.month - 1]}"


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
    columns: Sequence[Column], rows: Iterable[Sequence[str]], *, marked: Callable[[int], str] | None = None
) -> None:
    """A table as wide as the terminal. Cells are texts: nothing in them is markup. `marked` gives a row's style."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold", expand=False)
    for column in columns:
        table.add_column(
            Text(column.title), justify=column.align, no_wrap=not column.shrinks, overflow="fold", style=column.style
        )
    for place, row in enumerate(rows):
        cells = [Text("\n".join(clean(line) for line in cell.split("\n"))) for cell in row]
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
