"""One turn with what the published analysis says of it, as the page Why? shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from monitor.coverage.told import Told, read_told
from monitor.coverage.why import pieces_of
from monitor.encoding.recipe import USER_TEXT
from monitor.published import compared_items, shown_text
from monitor.records import Turn
from monitor.settings import Settings
from monitor.store.store import Store
from monitor.turn_marks import hash_of

__all__ = ["Asked", "read_asked"]


@dataclass(frozen=True, slots=True)
class Asked:
    """A turn: its text as it is shown, in one line and in pieces; what is said of it; and the compared items' prompts by id.

    `may_be_shown` where enough users ask about its topic.
    """

    turn: Turn
    run_id: str
    text: str
    pieces: Sequence[str]
    redacted: bool
    told: Told
    items: Mapping[str, str]
    may_be_shown: bool


def read_asked(store: Store, settings: Settings, key: str) -> Asked | None:
    """The turn whose key is written in an address; None where there is none, or nothing is analysed."""
    number = int(key) if key.isascii() and key.isdecimal() and len(key) <= 20 else -1
    found = store.turns.fetch([number]) if 0 <= number < 2**64 else []
    run = store.runs.current()
    if not found or run is None:
        return None
    turn, redact = found[0], settings.export.redact
    text = USER_TEXT.prepare(shown_text(turn.user_text, redact))
    told = read_told(store, run, turn.key, hash_of(turn))
    report = store.reports.coverage(run.report_id)
    items = compared_items(store, report.eval_set_ids) if report else {}
    return Asked(
        turn=turn,
        run_id=run.run_id,
        text=text,
        pieces=[text[start:end] for start, end in pieces_of(text)],
        redacted=text != USER_TEXT.prepare(turn.user_text),
        told=told,
        items={id_: shown_text(item.prompt, redact) for id_, item in items.items()},
        may_be_shown=told.topic is not None and told.topic.users >= settings.min_users_of_texts,
    )
