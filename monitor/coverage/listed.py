"""Gaps that are held: listed because they were before, though they seem covered now and nothing was done for them.

The estimate of one topic hangs on that of all traffic together, so eval items of one subject raise the coverage of others, and
some of these cross the bar. Such a gap is not closed (docs/decisions/0032): only what came for it judges it anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from monitor.coverage.estimate import Coverage
from monitor.coverage.gaps import gap_id_of
from monitor.coverage.items import ComparedItems, distinct_items
from monitor.coverage.parts import Estimator
from monitor.coverage.production import Production
from monitor.encoding.recipe import EVAL_PROMPT
from monitor.records import short_hash
from monitor.store.atlases import LineageRow
from monitor.store.gap_lives import NEWLY_COVERED
from monitor.store.store import Store

__all__ = ["Listed", "OwnItems", "read_listed"]

#: A turn is rather covered than not from this probability on.
_COVERED = 0.5


@dataclass(frozen=True, slots=True)
class Listed:
    """The gaps that the last look listed, but those that were held for long enough: what a comparison is told of those before.

    `opened` has the ids of the eval sets that were compared when each opened, `texts` what their items ask, by those ids;
    `atlas_id` is the atlas of that look.
    """

    atlas_id: str = ""
    opened: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    texts: Mapping[tuple[str, ...], frozenset[str]] = field(default_factory=dict)

    def __contains__(self, gap_id: str) -> bool:
        return gap_id in self.opened

    @property
    def made_of(self) -> list[Any]:
        """What it consists of, in JSON; empty when no gap was listed."""
        gaps = [[gap_id, list(self.opened[gap_id])] for gap_id in sorted(self.opened)]
        return [self.atlas_id, gaps] if gaps else []

    def texts_of(self, gap_id: str) -> frozenset[str]:
        """What was asked by eval items when the gap opened."""
        return self.texts.get(self.opened[gap_id], frozenset())

    def with_pieces(self, atlas_id: str, lineage: Iterable[LineageRow]) -> Listed:
        """For an atlas that is not that of the look: the pieces of a listed topic were listed with it."""
        if atlas_id == self.atlas_id or not self.opened:
            return self
        pieces = {
            gap_id_of(one.topic_id): self.opened[gap_id_of(one.other)]
            for one in lineage
            if one.event == "split" and one.other is not None and gap_id_of(one.other) in self.opened
        }
        return Listed(self.atlas_id, pieces | dict(self.opened), self.texts)


@dataclass(frozen=True, slots=True)
class OwnItems:
    """What tells whether something was done for a topic: what each item asks [m] and in which topic it is at home on each
    level [l, m], -1 for none; the rows [c] of the turns that count, whether each is rather covered than not, its nearest item,
    and whether people say that it is covered."""

    texts: NDArray[np.object_]
    homes: NDArray[np.int64]
    rows: NDArray[np.int64]
    covered: NDArray[np.bool_]
    nearest: NDArray[np.int64]
    marked: NDArray[np.bool_]

    @classmethod
    def of(cls, coverage: Coverage, estimator: Estimator, production: Production, items: ComparedItems) -> OwnItems:
        novelty, counted = estimator.novelty, production.counted
        return cls(
            np.array(items.texts, object),
            novelty.item_topics,
            counted,
            coverage.covered >= _COVERED,
            novelty.nearest_items[estimator.traffic.texts],
            production.surely_covered[counted],
        )

    def came(self, before: frozenset[str], topic: int, level: int, rows: NDArray[np.int64]) -> bool:
        """Whether an item that does not ask what was asked `before` is at home in the topic (its position; of the level's row
        in `homes`), or such items cover a tenth of its turns (`rows` of the corpus), or people marked a tenth as covered."""
        new = np.array([text not in before for text in self.texts.tolist()], bool)
        own = np.searchsorted(self.rows, rows)
        newly = self.covered[own] & new[self.nearest[own]]
        return bool(
            (self.homes[level][new] == topic).any()
            or newly.mean() >= NEWLY_COVERED
            or self.marked[own].mean() >= NEWLY_COVERED
        )


def read_listed(store: Store, report_of: Callable[[Listed], str], *, hold_days: int, now: datetime) -> Listed:
    """The gaps that the last look listed, of those that are held the ones that have been for less than `hold_days`.

    When the published run is the very analysis that is to come, it is what that one was told: an analysis that is done again
    finds what it found. `report_of` gives the id of the report that would be made of a list.
    """
    run = store.runs.current()
    report = store.reports.coverage(run.report_id) if run is not None else None
    if run is None or report is None or not hold_days:
        return Listed()
    listed = _from(orjson.loads(report.parameters).get("listed") or [])
    if report_of(listed) != run.report_id:
        over = now - timedelta(days=hold_days)
        gaps = store.gap_lives.open()
        asked = {gap_id: one for gap_id, one in gaps.items() if one.held_since is None or one.held_since > over}
        listed = Listed(run.atlas_id, {gap_id: one.opened.eval_set_ids for gap_id, one in asked.items()})
    return Listed(listed.atlas_id, listed.opened, {ids: _texts(store, ids) for ids in set(listed.opened.values())})


def _from(made_of: list[Any]) -> Listed:
    return Listed(made_of[0], {gap_id: tuple(ids) for gap_id, ids in made_of[1]}) if made_of else Listed()


def _texts(store: Store, eval_set_ids: tuple[str, ...]) -> frozenset[str]:
    """What the items of these versions of eval sets ask, as far as they are still stored."""
    versions = [(one.name, one.version) for one in store.eval_sets.summaries()]
    sets = [store.eval_sets.load(*one) for one in versions if short_hash(*one) in eval_set_ids]
    return frozenset(distinct_items(sets, EVAL_PROMPT).texts)
