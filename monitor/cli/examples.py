"""Turns and eval items that are shown as examples: fetched at once, and redacted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from monitor.records import EvalItem
    from monitor.store.store import Store

__all__ = ["Example", "compared_items", "examples_of", "shown_text"]


@dataclass(frozen=True, slots=True)
class Example:
    """A turn as it is shown: its user's message, redacted."""

    turn_id: str
    conversation_id: str
    text: str


def shown_text(text: str, redacted: bool) -> str:
    """A text as it may leave: the setting `export.redact` decides."""
    if not redacted:
        return text
    from monitor.redaction import redact

    return redact(text)


def examples_of(store: Store, groups: Sequence[Sequence[int]], *, redacted: bool) -> list[list[Example]]:
    """The turns of each group of turn keys. Turns that were forgotten are left out."""
    wanted = list(dict.fromkeys(key for group in groups for key in group))
    found = {
        turn.key: Example(turn.turn_id, turn.conversation_id, shown_text(turn.user_text, redacted))
        for turn in store.turns.fetch(wanted)
    }
    return [[found[key] for key in group if key in found] for group in groups]


def compared_items(store: Store, eval_set_ids: Iterable[str]) -> Mapping[str, EvalItem]:
    """The items of the eval sets that a report compared, in those versions, by item id."""
    from monitor.records import short_hash

    wanted = set(eval_set_ids)
    found: dict[str, EvalItem] = {}
    for summary in store.eval_sets.summaries():
        if short_hash(summary.name, summary.version) in wanted:
            for item in store.eval_sets.load(summary.name, summary.version).items:
                found.setdefault(item.item_id, item)
    return found
