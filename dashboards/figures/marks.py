"""Marks on charts over time: since when a model or a prompt version is in use, when a version of the eval set came in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

import plotly.graph_objects as go

from dashboards.theme import NEUTRAL, safe
from monitor.store.statistics import Release
from monitor.wording import clean, cut

__all__ = ["Mark", "drawn_marks", "marked", "release_marks"]

_NAME = 24

#: Names of marks that are near to one another stand on so many lines, of so many pixels, or they would lie upon each other.
_LINES, _LINE = 3, 14
#: Pixels of a letter, of the plot on a phone, and of a figure that says nothing of its height.
_LETTER, _PHONE, _HEIGHT = 6, 270, 450
#: From this part of the plot on a name stands left of its line: to the right it would leave the figure.
_TURNS = 0.7

#: What shares a mark, and from how long a chart on.
_GRAINS = (
    (timedelta(days=1), timedelta(days=3)),
    (timedelta(hours=1), timedelta(hours=6)),
    (timedelta(minutes=1), timedelta(0)),
)


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment with its name, and what is said when one points at it."""

    when: datetime
    name: str
    detail: str = ""


def drawn_marks(figure: go.Figure, marks: Sequence[Mark], times: Sequence[datetime] = ()) -> go.Figure:
    """The finished figure with a dotted line at each, and its name above the plot, where nothing else is drawn; the figure
    grows by the lines of names. `times` are what the chart reaches over; without them, the marks' own."""
    listed = sorted(marks, key=lambda mark: mark.when)
    if not listed:
        return figure
    names = [cut(clean(mark.name), _NAME) for mark in listed]
    first = min([listed[0].when, *times])
    whole = max([listed[-1].when, *times]) - first
    places = [(mark.when - first) / whole if whole else 0.0 for mark in listed]
    lines = _lines(places, names)
    for mark, name, place, line in zip(listed, names, places, lines, strict=True):
        figure.add_vline(x=mark.when, line={"color": NEUTRAL, "width": 1, "dash": "dot"})
        figure.add_annotation(
            text=safe(name),
            hovertext=safe(clean(mark.detail)),
            x=mark.when,
            y=1,
            yref="paper",
            yanchor="bottom",
            yshift=_LINE * line,
            xanchor="right" if place > _TURNS else "left",
            showarrow=False,
            font={"size": 10, "color": NEUTRAL},
        )
    above = _LINE * (max(lines) + 1)
    layout = figure.layout
    return figure.update_layout(height=(layout.height or _HEIGHT) + above, margin={"t": (layout.margin.t or 0) + above})


def _lines(places: Sequence[float], names: Sequence[str]) -> list[int]:
    """On which line over the plot each name stands: on the lowest with room for it on a phone, or the one with most."""
    taken: list[list[tuple[float, float]]] = [[] for _ in range(_LINES)]
    found = []
    for place, name in zip(places, names, strict=True):
        wide = (len(name) * _LETTER + 2 * _LETTER) / _PHONE
        start = place - wide if place > _TURNS else place
        over = [sum(max(0.0, min(start + wide, to) - max(start, since)) for since, to in line) for line in taken]
        line = over.index(min(over))
        taken[line].append((start, start + wide))
        found.append(line)
    return found


def release_marks(releases: Sequence[Release], times: Sequence[datetime]) -> list[Mark]:
    """The releases within the times of a chart, which are where its bars or points begin; those of one day, or on a chart of
    hours or minutes of one of these, share a mark."""
    drawn = sorted(set(times))
    if not drawn:
        return []
    first, last = drawn[0], drawn[-1]
    grain = next(grain for grain, least in _GRAINS if last - first >= least)
    # What is drawn last goes on for as long as the others.
    end = last + max(grain, min((after - before for before, after in pairwise(drawn)), default=grain))
    together: dict[datetime, list[Release]] = {}
    for one in releases:
        if first < one.since < end:
            begun = one.since - (one.since - datetime.min) % grain
            together.setdefault(min(begun, last), []).append(one)
    return [
        Mark(
            when,
            ", ".join(one.value for one in ones),
            "; ".join(f"{one.field.replace('_', ' ')} {one.value}" for one in ones),
        )
        for when, ones in together.items()
    ]


def marked(figure: go.Figure, releases: Sequence[Release], times: Sequence[datetime]) -> go.Figure:
    """The figure with the releases within its times."""
    return drawn_marks(figure, release_marks(releases, times), times)
