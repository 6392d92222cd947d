"""Colours and the one template of all figures. They must read on white and on near-black, so neither is drawn."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import plotly.graph_objects as go

__all__ = ["ACCENT", "BAD", "GOOD", "NEUTRAL", "finished", "safe", "topic_colour"]

ACCENT, GOOD, BAD, NEUTRAL = "#4263eb", "#2f9e44", "#e8590c", "#868e96"

#: Twenty colours that differ on both grounds. A topic keeps its colour everywhere: it follows from its id.
_PALETTE = (
    "#4263eb #e8590c #2f9e44 #9c36b5 #1098ad #f08c00 #e03131 #66a80f #ae3ec9 #0c8599 "
    "#f76707 #3b5bdb #74b816 #c2255c #1c7ed6 #d9480f #099268 #862e9c #e67700 #5c7cfa"
).split()

_FONT = "Inter, system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"
_GRID = "rgba(134,142,150,0.18)"


def topic_colour(topic_id: str) -> str:
    """The same colour for the same topic, in every figure and every process."""
    return _PALETTE[blake2b(topic_id.encode(), digest_size=2).digest()[0] % len(_PALETTE)]


def safe(text: str) -> str:
    """Text for a figure: plotly reads some HTML in labels, and what users wrote is none.

    >>> safe("<b>x</b> & y")
    '&lt;b&gt;x&lt;/b&gt; &amp; y'
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def finished(
    figure: go.Figure, *, height: int = 260, legend: bool = False, dates: bool = False, **layout: Any
) -> go.Figure:
    """The figure with the app's template."""
    axis = {"gridcolor": _GRID, "zerolinecolor": _GRID, "linecolor": _GRID, "automargin": True}
    figure.update_layout(
        template="none",
        height=height,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": _FONT, "size": 12, "color": NEUTRAL},
        showlegend=legend,
        legend={"orientation": "h", "y": -0.2},
        hoverlabel={"font": {"family": _FONT, "size": 12}},
        colorway=_PALETTE,
        **layout,
    )
    figure.update_xaxes(**axis)
    if dates:
        figure.update_xaxes(tickformat="%-d %b")
    figure.update_yaxes(**axis)
    return figure
