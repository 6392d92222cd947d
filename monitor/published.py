"""What the published run says, for whoever shows it: the command line, the pages, an alert."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

from monitor.errors import OffmapError, UsageError
from monitor.wording import clean, counted, cut, share

if TYPE_CHECKING:
    from monitor.records import EvalItem
    from monitor.store.atlases import ForeignTurns, LineageRow, TopicRow
    from monitor.store.kept_out import RuleCount
    from monitor.store.reports import CoverageRow
    from monitor.store.runs import PublishedRun
    from monitor.store.store import Store

__all__ = [
    "Became",
    "Example",
    "became",
    "compared_items",
    "compared_with",
    "examples_of",
    "few_users",
    "find_topic",
    "foreign_document",
    "left_out",
    "not_read",
    "of_enough_users",
    "published_report",
    "published_run",
    "run_document",
    "shown_text",
]


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


def of_enough_users(topics: Sequence[TopicRow], least: int) -> tuple[list[TopicRow], int]:
    """The topics that may be shown, and how many turns are in the others. Below a topic of few users all are."""
    shown = [one for one in topics if one.users >= least]
    few = {one.topic_id for one in topics if one.users < least}
    # Of nested ones the outermost count all.
    return shown, sum(one.turns for one in topics if one.topic_id in few and one.parent not in few)


def few_users(turns: int, least: int) -> str:
    """What is not shown, in words; empty for nothing.

    >>> few_users(12, 5)
    '12 turns are in topics of fewer than 5 users, which are not shown (setting atlas.min_users).'
    """
    if not turns:
        return ""
    are = "is" if turns == 1 else "are"
    few = f"topics of fewer than {least} users, which are not shown (setting atlas.min_users)"
    return f"{counted(turns, 'turn')} {are} in {few}."


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


def left_out(counts: Sequence[RuleCount]) -> str:
    """What rules kept out, in words; empty for nothing.

    >>> from monitor.store.kept_out import RuleCount
    >>> left_out([RuleCount('app = "playground"', 1200), RuleCount("eval_runs = true", 1)])
    'Kept out by rule: 1,200 turns with app = "playground", 1 turn with eval_runs = true.'
    """
    parts = [f"{counted(one.turns, 'turn')} with {cut(one.rule, 100)}" for one in counts]
    return f"Kept out by rule: {', '.join(parts)}." if parts else ""


def not_read(foreign: ForeignTurns) -> str:
    """The traffic in languages that the encoder does not know, in words; empty where there is none.

    >>> from monitor.store.atlases import ForeignTurns
    >>> not_read(ForeignTurns(1000, {"de": 30, "fr": 10})).partition(":")[0]
    '4.0% of the traffic is in languages that the encoder does not know (de 3.0%, fr 1.0%)'
    """
    if not foreign.by_language:
        return ""
    named = [f"{clean(code)} {share(turns / foreign.turns)}" for code, turns in foreign.by_language.items()]
    more = f", and {counted(len(named) - 6, 'other')}" if len(named) > 6 else ""
    return (
        f"{share(foreign.share)} of the traffic is in languages that the encoder does not know ({', '.join(named[:6])}{more}): "
        "it has no topics, and no part in coverage and drift."
    )


def foreign_document(foreign: ForeignTurns) -> dict[str, object]:
    """The same as JSON documents have it: turns with a subject, the share that is not known, and turns by language."""
    return {"turns": foreign.turns, "unknown_share": foreign.share, "unknown": dict(foreign.by_language)}


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


@dataclass(frozen=True, slots=True)
class Became:
    """What became of a topic since the atlas before, as it is shown.

    `topic` is as it is now; of one that died as it was. `other` is what the other topic of a merger or a split is called, its
    id where it has too few users or its atlas is gone. `examples` are the turns that prove it.
    """

    row: LineageRow
    topic: TopicRow
    other: str | None
    examples: tuple[Example, ...]

    @property
    def words(self) -> str:
        """
        >>> from types import SimpleNamespace as Row
        >>> [Became(Row(event=one), None, "parcels", ()).words for one in ("grew", "merged", "split")]
        ['grew', 'parcels came in', 'split from parcels']
        """
        event = self.row.event
        return {"merged": f"{self.other} came in", "split": f"split from {self.other}"}.get(event, event)


def became(
    store: Store, atlas_id: str, topics: Sequence[TopicRow], *, least: int, redacted: bool, died: bool = True
) -> list[Became]:
    """What became of these topics of an atlas, in their order, and with `died` then the topics that died, the largest first.

    Nothing is said of topics that died where fewer than `least` people were in them, or their atlas is no longer kept; then
    nobody can tell.
    """
    by_id = {one.topic_id: one for one in topics}
    events = [one for one in store.atlases.lineage(atlas_id) if one.topic_id in by_id or (died and one.event == "died")]
    wanted = {one.other or one.topic_id for one in events if one.other or one.event == "died"}
    former = store.atlases.former_topics(wanted, besides=atlas_id) if wanted else {}
    names = {id_: clean(name) for id_, name in store.curation.names().items()}
    names |= {id_: clean(one.label) for id_, one in (*former.items(), *by_id.items()) if one.users >= least}
    dead = {id_: one for id_, one in former.items() if one.users >= least}
    place = {one.topic_id: number for number, one in enumerate(topics)}
    listed = [one for one in events if one.event != "died"]
    listed.sort(key=lambda one: place[one.topic_id])
    ended = [one for one in events if one.event == "died" and one.topic_id in dead]
    listed += sorted(ended, key=lambda one: (dead[one.topic_id].level, -dead[one.topic_id].turns, one.topic_id))
    examples = examples_of(store, [one.turns for one in listed], redacted=redacted)
    return [
        Became(
            one,
            dead[one.topic_id] if one.event == "died" else by_id[one.topic_id],
            None if one.other is None else names.get(one.other, one.other),
            tuple(some),
        )
        for one, some in zip(listed, examples, strict=True)
    ]


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
