"""Conversations to read: the turns of a topic with what was said around them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from dashboards.components.texts import Line, Talk
from dashboards.queries.watch_lists import hit_spans
from monitor.published import shown_text
from monitor.records import Turn
from monitor.settings import Settings
from monitor.store.statistics import Filter
from monitor.store.store import Store
from monitor.watch_list import WatchList
from monitor.wording import clean

__all__ = ["TalkPage", "talks_of_topic"]

SIZE = 10
_BEFORE = 2
#: More lists than this are not marked in conversations: every one is a look of its own.
_LISTS = 20


@dataclass(frozen=True, slots=True)
class TalkPage:
    """One page of conversations, of `total` turns."""

    talks: tuple[Talk, ...]
    total: int

    @property
    def pages(self) -> int:
        return max(1, -(-self.total // SIZE))


def talks_of_topic(
    store: Store, settings: Settings, atlas_id: str, level: str, topic: str, chosen: Filter, number: int = 0
) -> TalkPage:
    """Ten turns, the latest first, each with up to two messages before it and its reply."""
    keys, total = store.statistics.members(atlas_id, level, topic, chosen, limit=SIZE, offset=SIZE * max(0, number))
    around = store.statistics.conversation_of(keys)
    rows: list[tuple[int, int]] = list(zip(*(around.column(one).to_pylist() for one in (0, 1)), strict=True))
    place = {key: number for number, (key, _) in enumerate(rows)}
    wanted = {
        near
        for key in keys
        if key in place
        for near, talk in rows[max(0, place[key] - _BEFORE) : place[key] + 1]
        if talk == rows[place[key]][1]
    }
    turns = {turn.key: turn for turn in store.turns.fetch(sorted(wanted))}
    talks = []
    for key in keys:
        if key not in turns or key not in place:
            continue
        before = [
            turns[near]
            for near, talk in rows[max(0, place[key] - _BEFORE) : place[key]]
            if talk == rows[place[key]][1] and near in turns
        ]
        talks.append(_talk(before, turns[key], settings.export.redact))
    return TalkPage(tuple(_with_hits(store, settings.analysis.watch_lists, talks)), total)


def _with_hits(store: Store, lists: Sequence[WatchList], talks: Sequence[Talk]) -> list[Talk]:
    """The talks, with what is on a watch-list in the users' messages."""
    if not lists:
        return list(talks)
    said = [clean(line.text) for talk in talks for line in talk.lines if line.who == "user"]
    found = iter(hit_spans(store, lists[:_LISTS], said))
    return [
        replace(
            talk, lines=tuple(replace(line, hits=next(found)) if line.who == "user" else line for line in talk.lines)
        )
        for talk in talks
    ]


def _talk(before: Sequence[Turn], turn: Turn, redacted: bool) -> Talk:
    lines = []
    for one in before:
        lines.append(Line("user", shown_text(one.user_text, redacted)))
        if one.assistant_text:
            lines.append(Line("reply", shown_text(one.assistant_text, redacted)))
    lines.append(Line("user", shown_text(turn.user_text, redacted), marked=True))
    if turn.assistant_text:
        lines.append(Line("reply", shown_text(turn.assistant_text, redacted)))
    facts = [f"{turn.created_at:%-d %b %Y %H:%M}", turn.model, turn.prompt_version, turn.language, turn.tenant]
    return Talk(" · ".join(str(fact) for fact in facts if fact), tuple(lines), turn.key)
