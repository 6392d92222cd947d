"""Ids that people decided, around those that the lineage finds."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.atlas.lineage import GREW, Alike, Keys, Lineage, Minted, match_topics
from monitor.store.atlases import LineageRow

__all__ = ["PinnedTopic", "match_around_pins"]


@dataclass(frozen=True, slots=True)
class PinnedTopic:
    """The current topic of this number has this id; `absorbed` ids were merged into it."""

    number: int
    topic_id: str
    absorbed: tuple[str, ...] = ()


def match_around_pins(
    previous: Mapping[int, Mapping[str, Keys]],
    current: Mapping[int, Sequence[NDArray[np.uint64]]],
    pins: Mapping[int, Sequence[PinnedTopic]],
    *,
    minted: Minted,
    alike: Alike | None = None,
    taken: Collection[str] = (),
) -> Lineage:
    """`match_topics` for the topics without a pin, by level; what is pinned, and went into it, takes no part.

    >>> turns = np.array([1, 2, 3], np.uint64)
    >>> found = match_around_pins({0: {"a": turns}}, {0: [turns]}, {0: [PinnedTopic(0, "b", ("a",))]}, minted="t{}{}".format)
    >>> found.ids, [(one.topic_id, one.event, one.other) for one in found.events]
    ({0: ['b']}, [('b', 'born', None), ('b', 'merged', 'a')])
    """
    left = {level: dict(topics) for level, topics in previous.items()}
    rest = {level: list(range(len(topics))) for level, topics in current.items()}
    reserved: set[str] = set()
    events: list[LineageRow] = []
    for level, listed in pins.items():
        for pin in listed:
            rest[level].remove(pin.number)
            reserved.add(pin.topic_id)
        for pin in listed:
            events += _events(pin, previous.get(level, {}), current[level])
        for id_ in (id_ for pin in listed for id_ in (pin.topic_id, *pin.absorbed)):
            left.get(level, {}).pop(id_, None)

    def free(level: int, number: int) -> str:
        """A number whose id a pin has is passed over: those after it are asked for from behind all topics."""
        for offset in range(len(reserved) + 1):
            if (found := minted(level, number + offset * 1_000_000)) not in reserved:
                return found
        raise AssertionError("more ids than are reserved were tried")

    others = {level: [current[level][number] for number in numbers] for level, numbers in rest.items()}

    def alike_of_others(level: int, olds: Sequence[str], news: Sequence[int]) -> NDArray[np.float64]:
        assert alike is not None
        return alike(level, olds, [rest[level][new] for new in news])

    found = match_topics(left, others, minted=free, alike=alike and alike_of_others, taken=taken)
    ids = {level: [""] * len(topics) for level, topics in current.items()}
    for level, numbers in rest.items():
        for number, id_ in zip(numbers, found.ids.get(level, ()), strict=True):
            ids[level][number] = id_
        for pin in pins.get(level, ()):
            ids[level][pin.number] = pin.topic_id
    return Lineage(ids, (*found.events, *events))


def _events(pin: PinnedTopic, previous: Mapping[str, Keys], current: Sequence[NDArray[np.uint64]]) -> list[LineageRow]:
    """What the lineage would say of a topic, in the turns that both atlases hold."""
    new = np.unique(current[pin.number])
    held = np.unique(np.concatenate([np.empty(0, np.uint64), *current]))
    of_old = {id_: np.intersect1d(np.fromiter(keys, np.uint64, len(keys)), held) for id_, keys in previous.items()}
    all_old = sum(len(keys) for keys in of_old.values())
    events = []
    own = of_old.get(pin.topic_id)
    if own is not None and pin.topic_id in previous:
        shared = len(np.intersect1d(own, new))
        compared = np.intersect1d(new, np.concatenate([np.empty(0, np.uint64), *of_old.values()]))
        jaccard = shared / max(len(own) + len(compared) - shared, 1)
        grew = len(new) / max(len(held), 1) >= GREW * len(own) / max(all_old, 1)
        events.append(LineageRow(pin.topic_id, "grew" if grew else "kept", None, jaccard))
    else:
        sources = {id_: len(np.intersect1d(keys, new)) / len(keys) for id_, keys in of_old.items() if len(keys)}
        source = max(sources, key=lambda id_: (sources[id_], id_), default=None)
        # A part of what was split; what was merged into a topic is said below.
        if source is not None and sources[source] > 0 and source not in pin.absorbed:
            events.append(LineageRow(pin.topic_id, "split", source, sources[source]))
        else:
            events.append(LineageRow(pin.topic_id, "born", None, 0.0))
    for id_ in pin.absorbed:
        if id_ in of_old:
            keys = of_old[id_]
            events.append(LineageRow(pin.topic_id, "merged", id_, len(np.intersect1d(keys, new)) / max(len(keys), 1)))
    return events
