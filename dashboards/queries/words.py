"""Words that rise, and words that set a topic apart, remembered for as long as the run is the published one."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from monitor.atlas.keywords import Keyword
from monitor.clock import Clock
from monitor.drift.look import Look, read_look
from monitor.drift.terms import rising_terms, terms_of_topic
from monitor.drift.windows import windows_before
from monitor.published import shown_text
from monitor.records import Window
from monitor.settings import Settings
from monitor.store.runs import PublishedRun
from monitor.store.store import Store
from monitor.wording import clean

__all__ = ["Said", "Words"]

#: Words are counted in so many turns at most, about two seconds of work; of more, every so many conversations are taken.
_MOST_TURNS = 100_000
_REMEMBERED = 64


@dataclass(frozen=True, slots=True)
class Said:
    """The words, the surest first; and what was compared: the windows, where it was some, of one conversation in `every`; of
    a topic all conversations."""

    words: tuple[Keyword, ...]
    every: int
    current: Window | None = None
    reference: Window | None = None


class Words:
    """Asked by several threads; what one works out, the others wait for.

    A word is given when enough users say it for a text of theirs to be shown (`Settings.min_users_of_texts`), and redacted
    as texts are.
    """

    def __init__(self, store: Store, settings: Settings, clock: Clock, *, most_turns: int = _MOST_TURNS) -> None:
        self._store, self._settings, self._clock, self._most = store, settings, clock, most_turns
        self._known: OrderedDict[tuple[str, int, str], Said] = OrderedDict()
        self._lock = threading.Lock()

    def rising(self, run: PublishedRun, limit: int) -> Said:
        """What is said more in the last days of the run than in those before."""
        current, reference = windows_before(min(self._clock(), run.window_end), self._settings.drift)
        both = Window(reference.start, current.end)

        def found() -> Said:
            look = read_look(self._store, self._settings, run)
            # Only the texts of these days are read again.
            look = replace(look, run=replace(run, window_start=both.start, window_end=both.end))
            start, end = (np.datetime64(one, "us").astype(np.int64) for one in (both.start, both.end))
            look, every = self._narrowed(look, (look.created >= start) & (look.created < end))
            words = rising_terms(self._store, self._settings, look, current, reference, limit=None)
            return Said(self._shown(words, limit), every, current, reference)

        return self._remembered(run, f"rising {current} {reference} {limit}", found)

    def of_topic(self, run: PublishedRun, topic_id: str, limit: int) -> Said:
        """What is said more in a topic than outside of it; nothing for a topic that the run does not have."""

        def found() -> Said:
            look = read_look(self._store, self._settings, run)
            place = look.position.get(topic_id)
            if place is None:
                return Said((), 1)
            inside = np.zeros(len(look.keys), bool)
            inside[look.members(place)] = True
            look, every = self._narrowed(look, np.ones(len(look.keys), bool), all_of=inside)
            return Said(self._shown(terms_of_topic(self._store, self._settings, look, place, limit=None), limit), every)

        return self._remembered(run, f"topic {topic_id} {limit}", found)

    def _shown(self, words: list[Keyword], limit: int) -> tuple[Keyword, ...]:
        least, redacted = self._settings.min_users_of_texts, self._settings.export.redact
        enough = [one for one in words if one.users >= least][:limit]
        return tuple(replace(one, term=clean(shown_text(one.term, redacted))) for one in enough)

    def _narrowed(
        self, look: Look, wanted: NDArray[np.bool_], *, all_of: NDArray[np.bool_] | None = None
    ) -> tuple[Look, int]:
        """The wanted turns, of one conversation in so many that they are not too many; but all of `all_of`.

        A part of the others has the rates of the others, so the odds stay what they are, with wider intervals.
        """
        every = max(1, -(-int(wanted.sum()) // self._most))
        part = look.conversation % every == 0
        rows = np.flatnonzero(wanted & (part if all_of is None else part | all_of))
        return replace(
            look,
            keys=look.keys[rows],
            hashes=[look.hashes[row] for row in rows.tolist()],
            created=look.created[rows],
            conversation=look.conversation[rows],
            user=look.user[rows],
            fine=look.fine[rows],
            middle=look.middle[rows],
            covered=look.covered[rows],
        ), every

    def _remembered(self, run: PublishedRun, what: str, found: Callable[[], Said]) -> Said:
        # With the turns that are there: what somebody asked to be forgotten is not remembered here.
        turns = self._store.turns.read(Window(run.window_start, run.window_end), columns=("turn_key",)).num_rows
        key = (run.run_id, turns, what)
        with self._lock:
            if key not in self._known:
                self._known = OrderedDict((one, said) for one, said in self._known.items() if one[:2] == key[:2])
                self._known[key] = found()
                while len(self._known) > _REMEMBERED:
                    self._known.popitem(last=False)
            return self._known[key]
