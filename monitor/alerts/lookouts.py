"""What the lookout tells: in words, what changed, since when, and against what. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from monitor.drift.detector import Change
from monitor.drift.explanation import Explanation, Kind
from monitor.records import short_hash
from monitor.store.alerts import AlertRow
from monitor.wording import attribute_words, counted, cut, share, short_day

__all__ = ["Seen", "changed"]

_NAMES = {"novelty": "New subjects", "topics": "Asked more often", "negative": "More replies go wrong"}
_OF = {
    "novelty": "are far from anything in the reference",
    "topics": "are about it",
    "negative": "hold a sign that a reply failed, such as a thumb down or the question asked again",
}


#: How conversations come to have a value, and what the values are called.
_COMES = {"tenant": "from", "language": "in", "model": "from", "prompt_version": "with"}
_VALUES = {"tenant": "tenants", "language": "languages", "model": "models", "prompt_version": "prompt versions"}
_LONGEST_LABEL = 60


@dataclass(frozen=True, slots=True)
class Because:
    """Why, with the words for it: the `value` is `shown` when users enough have it, `beside` is the label of the topic that
    grew within the values, empty for none or one that too few users know."""

    explanation: Explanation
    value: str
    shown: bool
    first_seen: datetime | None = None
    beside: str = ""

    @property
    def who(self) -> str:
        """The value as people read it."""
        attribute = self.explanation.attribute
        if not self.value:
            return f"no {attribute.replace('_', ' ')}"
        return attribute_words(attribute, self.value) if self.shown else f"one {attribute.replace('_', ' ')}"

    @property
    def title(self) -> str:
        """Who comes more, or less."""
        found = self.explanation
        more = "More" if found.value_since >= found.value_before else "Less"
        comes = _COMES[found.attribute] if self.value else "with"
        return f"{more} comes {comes} {self.who}"


@dataclass(frozen=True, slots=True)
class Seen:
    """A change with what is said beside it. `label` and `topic` are empty where it is of no topic, or of one that too few users
    know; `examples` are turn keys; `because` says who it comes from, where that is known."""

    change: Change
    began: datetime
    topic: str
    label: str
    per_month: float
    watched: int
    watching_since: datetime
    examples: tuple[int, ...]
    because: Because | None = None


def changed(seen: Seen, at: datetime) -> AlertRow:
    """The alert. It has the same id when it is raised again by a process that died before."""
    change, because = seen.change, seen.because
    hits = change.hits / max(change.conversations, 1)
    kind = Kind(change.family, change.topic)
    title, about = _title(kind, seen.label), _about(kind, seen.label)
    text = (
        f"Of the {counted(change.conversations, 'conversation')} since {_moment(seen.began)} {share(hits)} {about}; "
        f"{share(change.usual)} are usual."
    )
    subject, topic = change.family, seen.topic
    if because is not None and because.explanation.new:
        title, text = f"{title}, with {because.who}", f"{text} {_comes_with(because)}"
    elif because is not None:
        title, text = _of_mix(because, kind, seen)
        subject, topic = "mix", ""
    facts = [("Seems to have begun", _moment(seen.began))]
    if change.family == "novelty" and seen.label:
        facts.append(("Nearest topic", seen.label))
    facts += [
        ("How sure", f"with nothing changed, a change is told {_often(seen.per_month)} at most, in the mean"),
        ("Watched", f"{counted(seen.watched, 'conversation')} since {_moment(seen.watching_since)}"),
        ("From now on", "it learns what is usual from the next 300 conversations, and watches again"),
    ]
    query = f"?{urlencode({'topic': topic})}" if topic else ""
    return AlertRow(
        alert_id="al" + short_hash("lookout", change.family, seen.watching_since.isoformat(), str(seen.watched)),
        kind="lookout",
        subject=subject,
        created_at=at,
        title=title,
        body={"text": text, "facts": [list(one) for one in facts], "examples": list(seen.examples)},
        path=f"/topics{query}" if query else "/drift",
    )


def _title(kind: Kind, label: str) -> str:
    if kind.family != "topics":
        return _NAMES[kind.family]
    return f"{_NAMES[kind.family]}: {label}" if label else "One subject is asked more often"


def _about(kind: Kind, label: str) -> str:
    about = "are about one subject" if kind.family == "topics" and not label else _OF[kind.family]
    if kind.family == "novelty" and kind.topic >= 0:
        about += f", nearest to {label}" if label else ", and of one kind"
    return about


def _of_mix(because: Because, kind: Kind, seen: Seen) -> tuple[str, str]:
    """Title and text of an alert that is about who asks. What rose comes last: it is what the mix brings."""
    found, values = because.explanation, _VALUES[because.explanation.attribute]
    comes = _COMES[found.attribute] if because.value else "with"
    title = because.title
    text = (
        f"Of the last {counted(found.conversations, 'conversation')} {share(found.value_since)} come {comes} {because.who}; "
        f"{share(found.value_before)} did before. "
    )
    if found.within is None:
        rose = f"{share(found.since)} {_about_it(kind, seen.label)}, {share(found.usual)} before"
        return title, (
            f"{text}Within the {values} nothing else surely changed. What rose most, since {_moment(seen.began)}: {rose}, and "
            f"{share(found.expected)} would be expected of this mix."
        )
    other = found.within
    title += f"; within the {values}: {_title(other.kind, because.beside)}"
    return title, (
        f"{text}That is not all. Within the {values} too, more {_about_it(other.kind, because.beside)}: {share(other.since)}, "
        f"and {share(other.expected)} would be expected of this mix."
    )


def _about_it(kind: Kind, label: str) -> str:
    """What conversations of a kind are, with the topic named."""
    return f"are about {cut(label, _LONGEST_LABEL)}" if kind.family == "topics" and label else _about(kind, label)


def _comes_with(because: Because) -> str:
    found = because.explanation
    seen = "" if because.first_seen is None or not because.shown else f", first seen {_moment(because.first_seen)}"
    before = share(found.value_before) if found.value_before >= 0.0005 else "none"
    return f"It comes with {because.who}{seen}: {share(found.value_since)} of these conversations, {before} of those before."


def _moment(at: datetime) -> str:
    return f"{at:%H:%M} on {short_day(at)} (UTC)"


def _often(per_month: float) -> str:
    if per_month == 1:
        return "once a month"
    return f"{per_month:g} times a month" if per_month > 1 else f"once in {1 / per_month:g} months"
