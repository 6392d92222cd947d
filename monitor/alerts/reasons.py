"""Who an alarm of the lookout comes from, as the store knows its conversations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.alerts.lookouts import Because
from monitor.atlas.attributes import ATTRIBUTES, attributes_of
from monitor.atlas.corpus import numbered_users
from monitor.drift.conversations import Conversations
from monitor.drift.detector import Change
from monitor.drift.explanation import Kind, Side, explain
from monitor.settings import Settings
from monitor.store.store import Store

__all__ = ["least_users", "reason"]


def least_users(settings: Settings) -> int:
    """What fewer users have is not named."""
    return max(settings.alerts.min_users, settings.atlas.min_users)


def reason(
    store: Store,
    settings: Settings,
    change: Change,
    conversations: tuple[Conversations, Conversations],
    seasons: tuple[NDArray[np.int64], NDArray[np.int64]],
    *,
    edges: NDArray[np.float64],
    topics: Sequence[str],
    fresh: int,
) -> Because | None:
    """Whether other tenants, languages, models or prompt versions explain a change, of conversations before and since, of which
    the last `fresh` are since the change. A conversation has what its first turn has. `edges` are those of the bins, `topics`
    the labels of the reference's topics, empty for one that is not named."""
    before, since = conversations
    keys = np.concatenate([before.first, since.first])
    turns = store.turns.some(keys, ("turn_key", "conversation_key", "user_id", *ATTRIBUTES))
    stored = turns.column("turn_key").to_numpy().astype(np.uint64)
    rows = np.where(np.isin(keys, stored), np.searchsorted(stored, keys), -1)
    attributes = attributes_of(store, turns, rows, keys)
    parts = slice(len(before)), slice(len(before), None)
    sides = [
        Side(
            one.topics,
            np.searchsorted(edges, one.novelty, side="left").astype(np.int64),
            one.negative,
            season,
            {name: attribute.of_turns[part] for name, attribute in attributes.items()},
        )
        for one, season, part in zip(conversations, seasons, parts, strict=True)
    ]
    found = explain(sides[0], sides[1], Kind(change.family, change.topic), topics=len(topics), fresh=fresh)
    if found is None:
        return None
    attribute = attributes[found.attribute]
    value = attribute.values[found.value] if found.value >= 0 else ""
    users = numbered_users(turns)[rows[(attribute.of_turns == found.value) & (rows >= 0)]]
    first_seen = None
    if found.new and found.attribute != "language":
        first_seen = store.lookouts.first_seen(found.attribute, value, settings.analysis.environments)
    beside = found.within.kind.topic if found.within is not None else -1
    return Because(
        found,
        value,
        shown=len(np.unique(users)) >= least_users(settings),
        first_seen=first_seen,
        beside=topics[beside] if beside >= 0 else "",
    )
