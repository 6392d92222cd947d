"""What the lookout tells: in words, what changed, since when, and against what. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from monitor.drift.detector import Change
from monitor.records import short_hash
from monitor.store.alerts import AlertRow
from monitor.wording import counted, share, short_day

__all__ = ["Seen", "changed"]

_NAMES = {"novelty": "New subjects", "topics": "Asked more often", "negative": "More replies go wrong"}
_OF = {
    "novelty": "are far from anything in the reference",
    "topics": "are about it",
    "negative": "hold a sign that a reply failed, such as a thumb down or the question asked again",
}


@dataclass(frozen=True, slots=True)
class Seen:
    """A change with what is said beside it. `label` and `topic` are empty where it is of no topic, or of one that too few users
    know; `examples` are turn keys."""

    change: Change
    began: datetime
    topic: str
    label: str
    per_month: float
    watched: int
    watching_since: datetime
    examples: tuple[int, ...]


def changed(seen: Seen, at: datetime) -> AlertRow:
    """The alert. It has the same id when it is raised again by a process that died before."""
    change = seen.change
    hits = change.hits / max(change.conversations, 1)
    title = _NAMES[change.family]
    if change.family == "topics":
        title = f"{title}: {seen.label}" if seen.label else "One subject is asked more often"
    about = "are about one subject" if change.family == "topics" and not seen.label else _OF[change.family]
    if change.family == "novelty" and change.topic >= 0:
        about += f", nearest to {seen.label}" if seen.label else ", and of one kind"
    text = (
        f"Of the {counted(change.conversations, 'conversation')} since {_moment(seen.began)} {share(hits)} {about}; "
        f"{share(change.usual)} are usual."
    )
    facts = [("Seems to have begun", _moment(seen.began))]
    if change.family == "novelty" and seen.label:
        facts.append(("Nearest topic", seen.label))
    facts += [
        ("How sure", f"with nothing changed, a change is told {_often(seen.per_month)} at most, in the mean"),
        ("Watched", f"{counted(seen.watched, 'conversation')} since {_moment(seen.watching_since)}"),
        ("From now on", "it learns what is usual from the next 300 conversations, and watches again"),
    ]
    query = f"?{urlencode({'topic': seen.topic})}" if seen.topic else ""
    return AlertRow(
        alert_id="al" + short_hash("lookout", change.family, seen.watching_since.isoformat(), str(seen.watched)),
        kind="lookout",
        subject=change.family,
        created_at=at,
        title=title,
        body={"text": text, "facts": [list(one) for one in facts], "examples": list(seen.examples)},
        path=f"/topics{query}" if query else "/drift",
    )


def _moment(at: datetime) -> str:
    return f"{at:%H:%M} on {short_day(at)} (UTC)"


def _often(per_month: float) -> str:
    if per_month == 1:
        return "once a month"
    return f"{per_month:g} times a month" if per_month > 1 else f"once in {1 / per_month:g} months"
