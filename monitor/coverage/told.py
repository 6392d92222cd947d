"""What the published analysis says of one turn, in plain words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from monitor.published import published_report
from monitor.store.marks import COVERED
from monitor.wording import clean, coverage_words, range_of

if TYPE_CHECKING:
    from monitor.store.atlases import TopicRow
    from monitor.store.marks import Marked
    from monitor.store.reports import TopicCoverageRow
    from monitor.store.runs import PublishedRun
    from monitor.store.store import Store

__all__ = ["Told", "mark_on", "read_told"]

_ACTS = {
    "small_talk": "It is small talk, so it counts in nothing.",
    "challenge": "It doubts a reply and has no subject of its own, so it counts in nothing.",
    "followup": "It follows up on what was said before and has no subject of its own, so it counts in nothing.",
    "noise": "It is noise, as somebody marked it, so it counts in nothing.",
}


@dataclass(frozen=True, slots=True)
class Told:
    """`analysed` says whether the analysis had the turn; `novelty`, `covered` and `nearest_item` None where it says nothing.

    `topic` is its middle topic. `mark` is what people say of its text, and `applied` whether the analysis kept to that; it
    `waits` where the next analysis keeps to something else, because of a mark that was made or taken back since.
    """

    analysed: bool
    novelty: float | None
    covered: float | None
    nearest_item: str | None
    act: str | None
    flood: bool
    foreign: str | None
    topic: TopicRow | None
    topic_coverage: TopicCoverageRow | None
    mark: Marked | None
    applied: bool
    waits: bool

    def sentences(self, least: int) -> list[str]:
        """In plain words; a topic of fewer users than `least` isn't named."""
        if not self.analysed:
            said = ["It came after the last analysis, or outside of its window: nothing is said of it yet."]
        elif self.foreign:
            said = [
                f"It is in a language that the encoder does not know ({clean(self.foreign)}), so it counts in nothing."
            ]
        elif self.act:
            said = [_ACTS.get(self.act, "It has no subject of its own, so it counts in nothing.")]
        elif self.flood:
            said = ["It is one of a flood of the same prompt, so it counts in nothing."]
        elif self.novelty is None:
            said = ["No eval set was compared, or it says too little: nothing is said of what is covered."]
        else:
            said = [self._covered(), f"Its novelty is {self.novelty:.2f}: 0 is what an eval item asks, 1 is like none."]
        if (
            self.novelty is not None
            and self.topic is not None
            and self.topic.users >= least
            and self.topic_coverage is not None
        ):
            one = self.topic_coverage
            said.append(
                f"Its topic “{clean(self.topic.label)}” is covered to {range_of(one.coverage, one.low, one.high)}. "
                f"{coverage_words(one.low, one.high)}".strip()
                if one.coverage is not None
                else f"Of its topic “{clean(self.topic.label)}” no coverage is known."
            )
        return said + self._marked()

    def _covered(self) -> str:
        if self.covered is None:
            return "The eval set is too small, or too alike, to say whether it covers this."
        if self.mark is not None and self.applied and self.mark.mark.kind == COVERED:
            return "It counts as covered, as somebody marked it."
        if self.covered >= 0.5:
            return f"The eval set covers it with a probability of {self.covered:.0%}."
        return f"The eval set misses it with a probability of {1 - self.covered:.0%}."

    def _marked(self) -> list[str]:
        if self.mark is None:
            return []
        one = self.mark.mark
        by = f" by {clean(one.who)}" if one.who else ""
        item = f" (item {clean(one.item_id)})" if one.item_id else ""
        reason = f": “{clean(one.why)}”." if one.why else "."
        when = " It holds from the next analysis on." if self.waits else ""
        if not (self.applied or self.waits):
            when = " No set that was compared has that item, so it does not hold."
        return [f"Marked as {one.kind}{item} on {one.created_at:%-d %b %Y}{by}{reason}{when}"]


def mark_on(store: Store, turn_key: int, text_hash: bytes) -> Marked | None:
    """What people say of this text, or of one that it is a near copy of in the published atlas."""
    marks = {one.text_hash: one for one in store.marks.in_force()}
    if text_hash in marks or not marks:
        return marks.get(text_hash)
    run = store.runs.current()
    beside = store.marks.beside(run.atlas_id, turn_key) if run is not None else frozenset()
    return next((one for one in reversed(marks.values()) if one.mark.mark_id in beside), None)


def read_told(store: Store, run: PublishedRun, turn_key: int, text_hash: bytes) -> Told:
    """What the run says of the turn, whose text as it is encoded has the hash."""
    report = published_report(store, run)
    row = store.atlases.assignment(run.atlas_id, turn_key) or {}
    said = store.reports.coverage_of_turn(run.report_id, turn_key) or {}
    topics = {one.topic_id: one for one in store.atlases.topics(run.atlas_id)} if row.get("middle") else {}
    coverage = {one.topic_id: one for one in store.reports.topic_coverage(run.report_id)} if topics else {}
    mark = mark_on(store, turn_key, text_hash)
    kept = store.marks.of_text(mark.text_hash if mark else text_hash) & {
        *orjson.loads(report.parameters).get("marks", ())
    }
    applied = mark is not None and kept == {mark.mark.mark_id}
    dormant = mark is not None and mark.mark.item_id is not None and mark.mark.created_at < report.created_at
    return Told(
        analysed=bool(row),
        novelty=said.get("novelty"),
        covered=said.get("covered"),
        nearest_item=said.get("nearest_item"),
        act=row.get("act"),
        flood=bool(row.get("flood")),
        foreign=row.get("foreign_language"),
        topic=topics.get(row.get("middle", "")),
        topic_coverage=coverage.get(row.get("middle", "")),
        mark=mark,
        applied=applied,
        waits=bool(kept) if mark is None else not (applied or (dormant and not kept)),
    )
