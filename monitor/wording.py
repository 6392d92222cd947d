"""How texts, numbers and times read, wherever they are shown: without tricks, short, and the same everywhere."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from monitor.records import Window

__all__ = [
    "attribute_words",
    "clean",
    "counted",
    "coverage_words",
    "cut",
    "day",
    "days_of",
    "number",
    "part_label",
    "percent",
    "quoted",
    "range_of",
    "revealed",
    "share",
    "share_range",
    "short_day",
    "split_words",
    "times",
]

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
#: An interval of coverage that is this wide holds nearly all there is.
_UNTOLD, _HALF = 0.75, 0.5
_SPACES = re.compile(r"\s+")
_LONGEST_VALUE = 40
#: Categories of characters that act or hide; the joiners among them spell words and emoji.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_SEEN = frozenset("\n\t\u200c\u200d")


def clean(text: str) -> str:
    r"""One line of visible text: terminal sequences, controls and direction overrides are gone.

    >>> clean("a\x1b[31mred\x1b[0m\nline \u202edesrever")
    'ared line desrever'
    """
    return _SPACES.sub(" ", _INVISIBLE.sub("", _SEQUENCES.sub("", text))).strip()


def attribute_words(attribute: str, value: str) -> str:
    """What a turn has, as people read it; a value may be anything.

    >>> attribute_words("prompt_version", "v4")
    'prompt version v4'
    """
    return f"{attribute.replace('_', ' ')} {cut(value, _LONGEST_VALUE)}"


def part_label(label: str, attribute: str | None, value: str | None) -> str:
    """What a topic, or the part of it in which an attribute has a value, is called.

    >>> part_label("refunds", "tenant", "uk"), part_label("refunds", None, None)
    ('refunds (tenant uk)', 'refunds')
    """
    return label if attribute is None else f"{label} ({attribute_words(attribute, value or '')})"


def split_words(split: Mapping[str, Any]) -> str:
    """Where a gap comes from; see `monitor.coverage.splits.Split`.

    >>> split_words({"attribute": "tenant", "value": "eu", "share_of_gap": 0.88, "share_of_traffic": 0.4})
    '88% of it comes from tenant eu, which has 40% of the traffic of those weeks'
    """
    return (
        f"{split['share_of_gap']:.0%} of it comes from {attribute_words(split['attribute'], split['value'])}, "
        f"which has {split['share_of_traffic']:.0%} of the traffic of those weeks"
    )


def revealed(text: str) -> str:
    r"""Text of any number of lines in which nothing acts and nothing hides: such a character is written as its escape.

    For who must see exactly what is there; `clean` is for who reads.

    >>> revealed("a\x1b[31m\u202e\n  b")
    'a\\x1b[31m\\u202e\n  b'
    """
    return "".join(map(_revealed, text))


def _revealed(character: str) -> str:
    if character in _SEEN or unicodedata.category(character) not in _HIDDEN:
        return character
    return character.encode("unicode_escape").decode()


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


def share_range(value: float, low: float | None, high: float | None) -> str:
    """A share of the traffic with its interval in points.

    >>> share_range(0.0366, 0.021, 0.0592), share_range(0.0366, None, None)
    ('3.7% (2.1–5.9)', '3.7%')
    """
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return share(value)
    return f"{share(value)} ({low * 100:.1f}–{high * 100:.1f})"


def range_of(value: float | None, low: float | None, high: float | None) -> str:
    """A share with its interval.

    >>> range_of(0.1, 0.04, 0.21), range_of(0.1, None, None)
    ('10% (4–21)', '10%')
    """
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return percent(value)
    return f"{percent(value)} ({low * 100:.0f}–{high * 100:.0f})"


def coverage_words(low: float | None, high: float | None) -> str:
    """What the interval of a topic's coverage says, and what to do where it says nothing; empty where there is none.

    >>> coverage_words(0.0, 0.4), coverage_words(0.6, 1.0), coverage_words(0.2, 0.7)
    ('Most of it is missed.', 'Most of it is covered.', 'It is covered in part.')
    >>> coverage_words(0.05, 0.95)
    'The eval set does not tell whether it is covered: an item that asks this would.'
    """
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return ""
    if high - low >= _UNTOLD:
        return "The eval set does not tell whether it is covered: an item that asks this would."
    if high <= _HALF:
        return "Most of it is missed."
    return "Most of it is covered." if low >= _HALF else "It is covered in part."


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


def days_of(window: Window) -> str:
    """The days of a half-open window, both named.

    >>> days_of(Window(datetime(2026, 3, 1), datetime(2026, 3, 8)))
    '1 Mar – 7 Mar'
    """
    return f"{short_day(window.start)} – {short_day(window.end - timedelta(microseconds=1))}"


def times(ratio: float, low: float, high: float) -> str:
    """How many times as much, with its interval.

    >>> times(1.62, 1.3, 2.04), times(31.2, 12.4, 112.0), times(0.08, 0.03, 0.2)
    ('×1.6 (1.3 to 2.0)', '×31 (12 to 112)', '×0.08 (0.03 to 0.20)')
    """
    return f"×{_few_digits(ratio)} ({_few_digits(low)} to {_few_digits(high)})"


def _few_digits(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"
