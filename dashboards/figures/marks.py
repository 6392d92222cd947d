"""Marks on charts over time: since when a model or a prompt version is in use, when a version of the eval set came in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import plotly.graph_objects as go

from dashboards.theme import NEUTRAL, safe
from monitor.store.statistics import Release
from monitor.wording import clean, cut

__all__ = ["Mark", "drawn_marks", "marked"]

_NAME = 24

#: Names of marks that are near to one another stand on so many lines, or they would lie upon each other.
_LINES = 3


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment with its name, and what is said when one points at it."""

    when: datetime
    name: str
    detail: str = ""


def drawn_marks(figure: go.Figure, marks: Sequence[Mark]) -> go.Figure:
    """The figure with a dotted line at each."""
    for number, mark in enumerate(marks):
        figure.add_vline(x=mark.when, line={"color": NEUTRAL, "width": 1, "dash": "dot"})
        figure.add_annotation(
            text=safe(cut(clean(mark.name), _NAME)),
            hovertext=safe(clean(mark.detail)),
            x=mark.when,
            y=1,
            yref="paper",
            yshift=-14 * (number % _LINES),
            xanchor="left",
            xshift=3,
            showarrow=False,
            font={"size": 10, "color": NEUTRAL},
        )
    return figure


def marked(figure: go.Figure, releases: Sequence[Release], times: Sequence[datetime]) -> go.Figure:
    """The figure with the releases within its times; those of one day share a mark."""
    if not times:
        return figure
    by_day: dict[datetime, list[Release]] = {}
    for one in releases:
        if min(times) < one.since <= max(times):
            by_day.setdefault(one.since.replace(hour=0, minute=0, second=0, microsecond=0), []).append(one)
    return drawn_marks(
        figure,
        [
            Mark(
                day,
                ", ".join(one.value for one in ones),
                "; ".join(f"{one.field.replace('_', ' ')} {one.value}" for one in ones),
            )
            for day, ones in by_day.items()
        ],
    )
