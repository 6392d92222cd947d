"""What the published run says, for the commands that show it."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

from monitor.errors import OffmapError, UsageError

if TYPE_CHECKING:
    from monitor.store.atlases import TopicRow
    from monitor.store.reports import CoverageRow
    from monitor.store.runs import PublishedRun
    from monitor.store.store import Store

__all__ = ["compared_with", "find_topic", "published_report", "published_run", "run_document"]


def published_run(store: Store) -> PublishedRun:
    """The run that readers see. Raises `OffmapError` when there is none."""
    run = store.runs.current()
    if run is None:
        raise OffmapError("nothing has been analysed yet: run `offmap analyse --eval-set NAME`")
    return run


def published_report(store: Store, run: PublishedRun) -> CoverageRow:
    report = store.reports.coverage(run.report_id)
    if report is None:
        raise OffmapError(f"run {run.run_id} has no report any more: run `offmap analyse` again")
    return report


def find_topic(topics: Sequence[TopicRow], topic_id: str) -> TopicRow:
    """The topic with this id. Raises `UsageError` naming the nearest id."""
    by_id = {topic.topic_id: topic for topic in topics}
    if topic_id in by_id:
        return by_id[topic_id]
    nearest = get_close_matches(topic_id, list(by_id), n=1, cutoff=0.6)
    hint = f"did you mean {nearest[0]}?" if nearest else "`offmap topics` lists them"
    raise UsageError(f"no topic {topic_id!r} in the published atlas; {hint}")


def run_document(run: PublishedRun) -> dict[str, object]:
    """The run as JSON documents name it."""
    return {
        "id": run.run_id,
        "published_at": run.published_at,
        "window": {"start": run.window_start, "end": run.window_end},
        "eval_sets": run.eval_sets,
    }


def compared_with(run: PublishedRun) -> str:
    """The window and the eval sets of a run, in words."""
    sets = ", ".join(run.eval_sets) or "no eval set"
    return f"{run.window_start:%Y-%m-%d} to {run.window_end:%Y-%m-%d}, compared with {sets}"
