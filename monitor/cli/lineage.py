"""What became of topics since the analysis before, as `offmap topics --lineage` prints it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from monitor.cli.options import Level
from monitor.cli.render import Column, print_table, say, screen_width
from monitor.published import Became
from monitor.wording import clean, counted, quoted

__all__ = ["lineage_document", "print_lineage"]

#: The order of the lines, and what an event's turns say of it.
_PROVES = {
    "born": "was in no such topic before",
    "split": "came from there",
    "merged": "came along",
    "grew": "was in it, and still is",
    "died": "was in it",
}
#: What the other columns of the table take, and how much of an example is shown at least.
_OTHERS, _LEAST_EXAMPLE = 66, 40


def lineage_document(found: Sequence[Became]) -> list[dict[str, Any]]:
    """As JSON documents have it; the topics that stayed as they were too."""
    return [
        {
            "topic": one.row.topic_id,
            "level": Level.of(one.topic.level).value,
            "label": one.topic.label,
            "event": one.row.event,
            "other": one.row.other,
            "other_label": one.other if one.other != one.row.other else None,
            "shared": one.row.shared,
            "turns": [{"turn_id": some.turn_id, "text": some.text} for some in one.examples],
        }
        for one in found
    ]


def print_lineage(found: Sequence[Became]) -> None:
    """How many of each kind, then what changed with an example each."""
    changed = sorted(
        (one for one in found if one.row.event in _PROVES), key=lambda one: list(_PROVES).index(one.row.event)
    )
    counts = Counter(one.row.event for one in found)
    stayed = counted(counts["kept"], "topic stayed as it was", "topics stayed as they were")
    said = ", ".join(f"{counts[event]:,} {event}" for event in _PROVES if counts[event])
    say(f"Since the analysis before: {said or 'no topic changed'}; {stayed}.")
    if not changed:
        return
    say()
    length = max(2 * (screen_width() - _OTHERS), _LEAST_EXAMPLE)
    rows = [
        (
            clean(one.topic.label),
            Level.of(one.topic.level).value,
            clean(one.words),
            f"{quoted(one.examples[0].text, length)} {_PROVES[one.row.event]}" if one.examples else "–",
            one.row.topic_id,
        )
        for one in changed
    ]
    columns = [
        Column("topic", shrinks=True),
        Column("level"),
        Column("what became of it", shrinks=True),
        Column("a turn that proves it", shrinks=True),
        Column("id", style="dim"),
    ]
    one_level = len({one.topic.level for one in changed}) == 1
    print_table(columns, rows, leave_out=(1,) if one_level else ())
    say()
    say("Up to five turns of each: offmap topics --lineage --json")
