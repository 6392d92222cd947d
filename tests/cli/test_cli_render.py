"""What goes to the screen."""

from __future__ import annotations

import contextlib
import io
import json
import math
from collections.abc import Sequence
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.cli.render import Column, print_json, print_lines, print_table
from monitor.wording import clean, cut, percent


def printed(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        print_table(columns, rows)
    return out.getvalue()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b[38;2;1;2;3mtrue colour", "true colour"),
        ("\x9b31mC1", "C1"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://evil.example\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bPdevice\x1b\\after", "after"),
        ("\x1bcreset", "reset"),
        ("\x1b(0lines", "lines"),
        ("lonely \x1b", "lonely"),
        ("\u202eevil\u202c", "evil"),
        ("one\r\ntwo\tthree\u2028four", "one two three four"),
        ("\ud800half", "half"),
        ("[red]markup[/red] <b>html</b>", "[red]markup[/red] <b>html</b>"),
        ("emoji 👩‍👩‍👧 and עברית and हिन्दी", "emoji 👩‍👩‍👧 and עברית and हिन्दी"),
    ],
)
def test_clean(text: str, shown: str) -> None:
    assert clean(text) == shown


@given(st.text(st.characters(exclude_categories=[])))
def test_nothing_that_steers_a_terminal_is_left(text: str) -> None:
    shown = clean(text)
    assert not [c for c in shown if ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or c in "\u202a\u202b\u202c\u202d\u202e\u2028"]
    assert clean(shown) == shown
    assert shown.encode().decode() == shown  # no half of a surrogate pair


@given(st.text(), st.integers(1, 40))
def test_cut_keeps_the_length(text: str, length: int) -> None:
    assert len(cut(text, length)) <= length


def test_cells_are_no_markup() -> None:
    table = printed([Column("[bold]title[/bold]", shrinks=True)], [["[red]x[/red]"], ["[/]"], [":smile:"]])
    assert table.split("\n")[:4] == ["[bold]title[/bold]", "[red]x[/red]", "[/]", ":smile:"]


def test_a_cell_may_have_lines_of_its_own() -> None:
    assert printed([Column("a"), Column("b")], [["x\ny", "1"]]) == "a  b\nx  1\ny\n"


def test_json_has_no_nan_and_utc_times() -> None:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        print_json({"nan": math.nan, "inf": math.inf, "at": datetime(2026, 3, 1, 9, 30)})
        print_lines([{"a": math.nan}, {"a": "ü"}])
    document, *lines = out.getvalue().rsplit("\n", 3)[:3]
    assert json.loads(document) == {"nan": None, "inf": None, "at": "2026-03-01T09:30:00Z"}
    assert lines == ['{"a":null}', '{"a":"ü"}']


@pytest.mark.parametrize("value", [0.0, 0.0004, 0.0005, 0.0094, 0.0095, 0.0099, 0.5, 0.9999, 1.0, math.nan])
def test_a_percentage_is_short(value: float) -> None:
    assert len(percent(value)) <= 4 and percent(value) != "0.0%" and percent(value) != "1.0%"
