"""The published run, as every page needs it: or why there is nothing to show."""

from __future__ import annotations

from dataclasses import dataclass

from monitor.atlas.communities import LEVELS
from monitor.published import of_enough_users
from monitor.store.atlases import TopicRow
from monitor.store.reports import CoverageRow, GapRow, TopicCoverageRow
from monitor.store.runs import PublishedRun
from monitor.store.store import Store

__all__ = ["LEVELS", "Shown", "read_run"]

_MIDDLE = 1


@dataclass(frozen=True, slots=True)
class Shown:
    """What the run says: its report, gaps, topics, and the coverage of each topic.

    Topics of few users, and their gaps, are left out; `few_turns` are in such topics of the middle level.
    """

    run: PublishedRun
    report: CoverageRow
    gaps: tuple[GapRow, ...]
    topics: tuple[TopicRow, ...]
    coverage: dict[str, TopicCoverageRow]
    few_turns: int = 0

    @property
    def days(self) -> str:
        """The analysis, in words."""
        return f"{_day(self.run.window_start)} – {_day(self.run.window_end)}"

    def topic(self, topic_id: str | None) -> TopicRow | None:
        return next((topic for topic in self.topics if topic.topic_id == topic_id), None)

    def gap_of(self, topic_id: str) -> GapRow | None:
        return next((gap for gap in self.gaps if gap.topic_id == topic_id), None)


def read_run(store: Store, *, least: int = 1) -> Shown | None:
    """With topics of at least so many users. None when nothing has been published."""
    run = store.runs.current()
    report = store.reports.coverage(run.report_id) if run else None
    if run is None or report is None:
        return None
    every = store.atlases.topics(run.atlas_id)
    topics, _ = of_enough_users(every, least)
    ids = {topic.topic_id for topic in topics}
    return Shown(
        run,
        report,
        tuple(gap for gap in store.reports.gaps(run.report_id) if gap.topic_id in ids),
        tuple(topics),
        {row.topic_id: row for row in store.reports.topic_coverage(run.report_id)},
        of_enough_users([topic for topic in every if topic.level == _MIDDLE], least)[1],
    )


def _day(moment: object) -> str:
    return f"{moment:%-d %b %Y}"
