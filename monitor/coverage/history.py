"""What happened to a gap, as it is shown: with the alerts that told of it, and other gaps by what their topics are called."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from monitor.coverage.gap_events import ON, GapEvent
from monitor.coverage.gaps import gap_id_of, topic_id_of
from monitor.coverage.life import Life
from monitor.wording import clean

if TYPE_CHECKING:
    from monitor.store.alerts import AlertRow
    from monitor.store.store import Store

__all__ = ["history_of", "labels_of_gaps"]

_LINKS = ("split", *ON, *ON.values())


def labels_of_gaps(store: Store, atlas_id: str, gap_ids: Iterable[str], *, least: int) -> dict[str, str]:
    """What the topics of these gaps are called, or were in the latest atlas that is kept; none of fewer users than `least`."""
    wanted = {one: topic_id_of(one) for one in gap_ids}
    if not wanted:
        return {}
    here = {one.topic_id: one for one in store.atlases.topics(atlas_id)}
    missing = set(wanted.values()) - here.keys()
    topics = here | (store.atlases.former_topics(missing, besides=atlas_id) if missing else {})
    return {
        gap_id: clean(topics[topic_id].label) + (" (a part)" if gap_id != gap_id_of(topic_id) else "")
        for gap_id, topic_id in wanted.items()
        if topic_id in topics and topics[topic_id].users >= least
    }


def history_of(life: Life, labels: Mapping[str, str], alerts: Iterable[AlertRow] = ()) -> list[GapEvent]:
    """The first first. A gap without a label is named by its id."""
    told = [GapEvent(one.created_at, "told", text=one.title) for one in alerts]
    named = [
        replace(one, text=f"“{labels[one.text]}”") if one.kind in _LINKS and one.text in labels else one
        for one in life.events
    ]
    return sorted([*named, *told], key=lambda one: one.at)
