"""A chart over time, with since when a model or a prompt version is in use."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import plotly.graph_objects as go

from dashboards.components.cards import chart
from dashboards.context import PageContext
from dashboards.figures.marks import marked

__all__ = ["timeline"]


def timeline(context: PageContext, figure: go.Figure, times: Sequence[datetime]) -> Any:
    """The figure as a chart; `times` are where its bars or points begin."""
    return chart(marked(figure, context.store.statistics.releases(), times))
