"""The eval items that traffic is compared with: every distinct text that the eval sets ask, once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.encoding.recipe import Recipe
from monitor.records import EvalItem, EvalSet

__all__ = ["Asker", "ComparedItems", "askers_of", "distinct_items"]

#: An item's id and its label.
Asker = tuple[str, str | None]


@dataclass(frozen=True, slots=True)
class ComparedItems:
    """Distinct prepared texts [m], with the id of the first item that asks each, its label, and its place among all texts.

    What nearly repeats another is among them still: `monitor.coverage.repeats.without_repeats`.
    """

    texts: Sequence[str]
    ids: Sequence[str]
    labels: Sequence[str | None]
    places: Sequence[int]

    def __len__(self) -> int:
        return len(self.texts)

    def only(self, chosen: NDArray[np.bool_]) -> ComparedItems:
        """Those that are chosen [m]."""
        rows = np.flatnonzero(chosen).tolist()
        return ComparedItems(
            [self.texts[row] for row in rows],
            [self.ids[row] for row in rows],
            [self.labels[row] for row in rows],
            [self.places[row] for row in rows],
        )


def distinct_items(eval_sets: Iterable[EvalSet], recipe: Recipe) -> ComparedItems:
    """The union of the eval sets. Of an item that is a conversation every user message counts, since each is tested."""
    found: dict[str, tuple[str, str | None, int]] = {}
    for eval_set in eval_sets:
        for item in eval_set.items:
            for text in _asked(item):
                prepared = recipe.prepare(text)
                if prepared:
                    found.setdefault(prepared, (item.item_id, item.label, len(found)))
    ordered = sorted(found)
    first = [found[text] for text in ordered]
    return ComparedItems(ordered, [one[0] for one in first], [one[1] for one in first], [one[2] for one in first])


def askers_of(eval_sets: Iterable[EvalSet], recipe: Recipe, texts: Sequence[str]) -> list[list[Asker]]:
    """All items that ask each of the prepared texts [m], once each: `distinct_items` keeps the first."""
    found: dict[str, dict[Asker, None]] = {}
    for eval_set in eval_sets:
        for item in eval_set.items:
            for text in _asked(item):
                found.setdefault(recipe.prepare(text), {})[item.item_id, item.label] = None
    return [list(found.get(text, {})) for text in texts]


def _asked(item: EvalItem) -> list[str]:
    messages = [message["content"] for message in item.messages if message.get("role") == "user"]
    return [item.prompt, *(content for content in messages if isinstance(content, str))]
