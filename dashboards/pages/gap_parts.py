"""What the pages say of a gap's parts: where it comes from, which turns are its own, and what its priority is made of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import dash_mantine_components as dmc

from dashboards.components.cards import card
from dashboards.state import Selection
from monitor.coverage.gaps import priority_parts
from monitor.store.atlases import TopicRow
from monitor.store.reports import GapRow
from monitor.wording import attribute_words, clean, share, share_range, split_words

__all__ = ["label_in_list", "of_part", "share_of", "times_words", "where_from", "why_so_high"]


def label_in_list(gap: GapRow, topic: TopicRow | None) -> str:
    """What is told of a part comes first: a list cuts the end of a name."""
    if gap.attribute is None or topic is None:
        return clean(gap.label)
    return f"{attribute_words(gap.attribute, gap.value or '')}: {clean(topic.label)}"


def share_of(gap: GapRow, topic: TopicRow | None) -> str:
    """Share of the traffic, with its interval, which is of whole topics."""
    whole = topic is not None and gap.attribute is None
    return share_range(topic.share, topic.share_low, topic.share_high) if topic and whole else share(gap.share)


def of_part(selection: Selection, gap: GapRow) -> Selection:
    """The selection, of which a gap that is a part of a topic leaves the turns of its value."""
    if gap.attribute is None:
        return selection
    return replace(selection, filters={**selection.filters, gap.attribute: (gap.value or "",)})


def where_from(gap: GapRow) -> list[Any]:
    """What a gap is a part of, and which values hold most of it."""
    said: list[Any] = []
    if gap.attribute is not None:
        said.append(
            dmc.Text(
                f"Only what comes from {attribute_words(gap.attribute, gap.value or '')}: the rest of this topic is covered. "
                "The figures below are of these turns.",
                size="sm",
            )
        )
    for one in gap.splits or ():
        rest = one["failures_of_rest"]
        of_rest = "" if rest is None else f", and in {rest:.0%} of the rest of this gap"
        failing = f"Replies fail in {one['failures']:.0%} of those turns{of_rest}."
        said.append(dmc.Text(f"{split_words(one)}. {failing}", size="sm"))
    return [card("Where it comes from", *said)] if said else []


def why_so_high(gap: GapRow) -> str:
    """Each part of the priority, in words."""
    parts = priority_parts(gap.share, gap.high, gap.risk, gap.growth)
    return (
        f"Priority {gap.priority:.4f} = {parts['traffic']:.2%} of the traffic × {parts['surely_uncovered']:.0%} surely "
        f"uncovered × {parts['risk']:.2f} for failing replies × {parts['growth']:.2f} for growth."
    )


def times_words(value: float, low: float | None, high: float | None) -> str:
    """How many times, with its interval where one is known.

    >>> times_words(1.26, 0.8, 2.04), times_words(1.26, None, None), times_words(float("nan"), float("nan"), float("nan"))
    ('×1.3 (0.8 to 2.0)', '×1.3', '–')
    """
    if value != value:
        return "–"
    known = low is not None and high is not None and low == low
    return f"×{value:.1f}" + (f" ({low:.1f} to {high:.1f})" if known else "")
