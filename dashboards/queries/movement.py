"""Rising and falling topics, as `offmap trends` has them."""

from __future__ import annotations

from dataclasses import dataclass

from dashboards.queries.run import LEVELS, Shown
from monitor.clock import Clock
from monitor.drift.topic_trends import TopicTrend, topic_trends
from monitor.drift.windows import windows_before
from monitor.records import Window
from monitor.settings import Settings
from monitor.store.store import Store

__all__ = ["Moves", "moves"]


@dataclass(frozen=True, slots=True)
class Moves:
    """How the topics of a level moved from the reference to the current window, the surest first."""

    current: Window
    reference: Window
    found: tuple[TopicTrend, ...]

    def of(self, topic_id: str) -> TopicTrend | None:
        return next((one for one in self.found if one.topic.topic_id == topic_id), None)


def moves(store: Store, settings: Settings, shown: Shown, level: int, clock: Clock) -> Moves:
    """Of the topics that are shown. The chance of a move is of all topics, so that what is hidden changes no number."""
    current, reference = windows_before(min(clock(), shown.run.window_end), settings.drift)
    every = [topic for topic in store.atlases.topics(shown.run.atlas_id) if topic.level == level]
    seen = {topic.topic_id for topic in shown.topics}
    found = topic_trends(store, settings, shown.run.atlas_id, LEVELS[level], every, current, reference)
    return Moves(current, reference, tuple(one for one in found if one.topic.topic_id in seen))
