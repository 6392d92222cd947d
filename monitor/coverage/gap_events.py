"""Things that happen to a gap, in words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from monitor.wording import clean, day

__all__ = ["ON", "GapEvent", "held_words", "last_day", "state_words"]

#: What a gap that closed is told to have become, by the event of the link to it.
ON = {"merged": "merged_into", "part": "in_part", "whole": "in_whole"}


@dataclass(frozen=True, slots=True)
class GapEvent:
    """Something that happened to a gap. `kind` is a state, a decision's kind, a link's event, `expired`, `told`,
    `held_no_more`, or one of `ON`; `text` is the owner, ticket, reason, note, other gap or alert, and `until` a won't-fix's
    end."""

    at: datetime
    kind: str
    who: str | None = None
    text: str = ""
    until: datetime | None = None

    @property
    def words(self) -> str:
        """
        >>> GapEvent(datetime(2026, 3, 1), "wont_fix", text="out of scope", until=datetime(2026, 5, 2)).words
        "won't fix until 2026-05-01: out of scope"
        """
        text = clean(self.text)
        said = {
            "reopen": "made open again",
            "acknowledge": "acknowledged",
            "plan": f"planned: {text}",
            "wont_fix": f"won't fix{f' until {last_day(self.until)}' if self.until else ''}: {text}",
            "owner": f"owner: {text}" if text else "owner: nobody any more",
            "note": f"note: {text}",
            "expired": "the won't-fix ended",
            "split": f"its topic split from that of {text}",
            "merged": f"the topic of {text} came in",
            "merged_into": f"goes on in {text}, into which its topic went",
            "by_itself": "no eval item was added near it, so it may come back",
            "in_part": f"goes on as its part {text}",
            "in_whole": f"goes on as a part of {text}",
            "part": f"listed apart, before as a part of {text}",
            "whole": f"listed as a whole, with {text} in it",
            "held": "seems covered, though no eval item was added for it: it stays listed",
            "held_no_more": "seems uncovered again",
            "told": f"alert: {text}",
        }
        return said.get(self.kind) or state_words(self.kind)


def held_words(coverage: float, since: datetime, hold_days: int) -> str:
    """Why a gap that seems covered is listed, and for how long.

    >>> held_words(0.74, datetime(2026, 3, 1), 28).partition(". ")[2]
    'It stays listed until 2026-03-29, or until items for it come.'
    """
    until = day(since + timedelta(days=hold_days))
    return (
        f"It was a gap, and is estimated at {coverage:.0%} covered now though no eval item was added for it. "
        f"It stays listed until {until}, or until items for it come."
    )


def state_words(state: str) -> str:
    """A state as people read it.

    >>> state_words("wont_fix"), state_words("being_closed")
    ("won't fix", 'being closed')
    """
    return "won't fix" if state == "wont_fix" else state.replace("_", " ")


def last_day(until: datetime) -> str:
    """The last day before a moment."""
    return day(until - timedelta(microseconds=1))
