"""The published run, as every page needs it: or why there is nothing to show."""

from __future__ import annotations

from dataclasses import dataclass

from monitor.atlas.communities import LEVELS
from monitor.store.atlases import TopicRow
from monitor.store.reports import CoverageRow, GapRow, TopicCoverageRow
from monitor.store.runs import PublishedRun
from monitor.store.store import Store

__all__ = ["LEVELS", "Shown", "read_run"]


@dataclass(frozen=True, slots=True)
class Shown:
    """What the run says: its report, gaps, topics, and the coverage of each topic."""

    run: PublishedRun
    report: CoverageRow
    gaps: tuple[GapRow, ...]
    topics: tuple[TopicRow, ...]
    coverage: dict[str, TopicCoverageRow]

    @property
    def days(self) -> str:
        """The analysis, in words."""
        return f"{_day(self.run.window_start)} – {_day(self.run.window_end)}"

    def topic(self, topic_id: str | None) -> TopicRow | None:
        return next((topic for topic in self.topics if topic.topic_id == topic_id), None)

    def gap_of(self, topic_id: str) -> GapRow | None:
        return next((gap for gap in self.gaps if gap.topic_id == topic_id), None)


def read_run(store: Store) -> Shown | None:
    """None when nothing has been published."""
    run = store.runs.current()
    report = store.reports.coverage(run.report_id) if run else None
    if run is None or report is None:
        return None
    return Shown(
        run,
        report,
        tuple(store.reports.gaps(run.report_id)),
        tuple(store.atlases.topics(run.atlas_id)),
        {row.topic_id: row for row in store.reports.topic_coverage(run.report_id)},
    )


def _day(moment: object) -> str:
    return f"{moment:%-d %b %Y}"
