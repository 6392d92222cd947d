"""What happens to the other gaps when eval items of one missing intent are added? A part of `benchmarks/gaps.py`.

*A change*: one or three turns of a listed missing intent become eval items, three draws of each, and the traffic is compared
again, as if nothing had been listed before (every gap is judged by the bar) and as the product does. *Working through*: three
items, or one, are added for the worst gap that is right, then for the worst of what is listed now, until none is left; a gap
that leaves the list before its turn came is never tested.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from benchmarks.gaps import Case, most_of, right, rows_of
from monitor.coverage.gaps import is_held
from monitor.coverage.listed import Listed
from monitor.coverage.report import Report, compare
from monitor.settings import Settings
from monitor.store.reports import GapRow

__all__ = ["ADDED", "after_a_change", "table", "worked_through"]

ADDED, DRAWS = (1, 3), 3


def after_a_change(case: Case, rng: np.random.Generator) -> Counter:
    """Counts by what was added, how the list is made, and what a gap is: how many there were, and stayed."""
    before = compare(case.production, case.items, case.vectors, Settings()).gaps
    kinds = {gap.gap_id: kind(case, gap) for gap in before}
    counts: Counter = Counter()
    for gap in before:
        about = kinds[gap.gap_id]
        if about == "wrong":
            continue
        for added in ADDED:
            for _ in range(DRAWS):
                now = with_items(case, gap, added, rng)
                for name, listed in (("bar", None), ("held", Listed("", dict.fromkeys(kinds, ("0",)), texts(case)))):
                    report = compare(now.production, now.items, now.vectors, Settings(), listed)
                    stay = {one.gap_id for one in report.gaps}
                    counts[added, name, "appeared", "gaps"] += len(stay - set(kinds))
                    for one, of_kind in kinds.items():
                        what = "own" if of_kind == about else "wrong" if of_kind == "wrong" else "others"
                        counts[added, name, what, "gaps"] += 1
                        counts[added, name, what, "stay"] += one in stay
    return counts


def worked_through(case: Case, added: int, *, hold: bool, rng: np.random.Generator) -> Counter:
    """How many missing intents were listed at first, got items, and left the list before; and what is listed at the end."""
    report = compare(case.production, case.items, case.vectors, Settings())
    opened, asked = {one.gap_id: ("0",) for one in report.gaps}, {("0",): texts(case)["0",]}
    first = {kind(case, gap) for gap in report.gaps} - {"wrong"}
    counts, served = Counter(listed_at_first=len(first), wrong_at_first=count_wrong(case, report)), set()
    while True:
        open_ = [gap for gap in report.gaps if kind(case, gap) not in {"wrong", *served}]
        if not open_:
            break
        served.add(kind(case, open_[0]))
        case = with_items(case, open_[0], added, rng)
        version = (str(len(served)),)
        asked[version] = frozenset(case.items.texts)
        listed = Listed("", {one.gap_id: opened[one.gap_id] for one in report.gaps}, asked) if hold else None
        report = compare(case.production, case.items, case.vectors, Settings(), listed)
        opened = {one.gap_id: opened.get(one.gap_id, version) for one in report.gaps}
    counts["got_items"] = len(served & first)
    counts["wrong_at_end"] = count_wrong(case, report)
    counts["wrong_at_end_held"] = sum(
        is_held(gap.share, gap.coverage) for gap in report.gaps if kind(case, gap) == "wrong"
    )
    return counts


def kind(case: Case, gap: GapRow) -> str:
    """The missing intent that most turns of a gap are of; "wrong" when most are of covered ones."""
    rows = rows_of(case.production, gap)
    about = most_of(case, rows)
    return about if right(case, rows) and about in case.missing else "wrong"


def count_wrong(case: Case, report: Report) -> int:
    return sum(kind(case, gap) == "wrong" for gap in report.gaps)


def texts(case: Case) -> dict[tuple[str, ...], frozenset[str]]:
    return {("0",): frozenset(case.items.texts)}


def with_items(case: Case, gap: GapRow, added: int, rng: np.random.Generator) -> Case:
    """The eval set with so many texts more of the intent that most turns of the gap are of."""
    corpus = case.production.corpus
    rows = rows_of(case.production, gap)
    about = most_of(case, rows)
    chosen = rng.choice(np.unique(corpus.text_of[rows[case.intents[rows] == about]]), added, replace=False)
    known = len(case.items)
    items = replace(
        case.items,
        texts=[*case.items.texts, *(corpus.texts[text] for text in chosen)],
        places=[*case.items.places, *range(known, known + added)],
        ids=[*case.items.ids, *(f"new-{known + number}" for number in range(added))],
        labels=[*case.items.labels, *[about] * added],
    )
    vectors = np.concatenate([case.vectors, case.production.network.vectors[chosen]])
    return replace(case, items=items, vectors=vectors)


def table(changes: Counter, through: dict[tuple[int, str], Counter]) -> dict:
    """As it is written to the results."""
    made: dict = {"changes": [], "worked_through": []}
    for added in ADDED:
        for name in ("bar", "held"):
            row: dict = {"items_added": added, "list": name, "appeared": changes[added, name, "appeared", "gaps"]}
            for what in ("own", "others", "wrong"):
                row[what] = changes[added, name, what, "gaps"]
                row[f"{what}_left"] = row[what] - changes[added, name, what, "stay"]
            made["changes"].append(row)
            made["worked_through"].append({"items_added": added, "list": name, **through[added, name]})
    return made
