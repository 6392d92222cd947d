"""What people wrote, as text: never markup, redacted as the settings say, without invisible characters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dash_mantine_components as dmc
from dash import html

from monitor.wording import clean

__all__ = ["Line", "Talk", "conversations"]

_LONGEST = 2_000


@dataclass(frozen=True, slots=True)
class Line:
    """One message. `marked` is the one that the conversation is shown for."""

    who: str
    text: str
    marked: bool = False


@dataclass(frozen=True, slots=True)
class Talk:
    """Part of one conversation."""

    title: str
    lines: tuple[Line, ...]


def _conversation(talk: Talk) -> Any:
    lines = [
        html.Div(
            [html.Span(line.who, className="who"), html.Span(_shown(line.text), className="said")],
            className=f"line {line.who}{' marked' if line.marked else ''}",
        )
        for line in talk.lines
    ]
    return dmc.Paper(
        [dmc.Text(talk.title, size="xs", c="dimmed", mb=4), *lines],
        withBorder=True,
        p="sm",
        radius="md",
        className="talk",
    )


def conversations(talks: Sequence[Talk]) -> Any:
    return dmc.Stack([_conversation(talk) for talk in talks], gap="xs")


def _shown(text: str) -> str:
    line = clean(text)
    return line if len(line) <= _LONGEST else line[:_LONGEST] + "…"
