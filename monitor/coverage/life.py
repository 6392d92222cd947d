"""The life of a gap: how it stands, whose it is, and what happened to it. Nothing of this is stored: it is read off what people
decided and what publications saw (docs/decisions/0025).

| state | a gap is so when |
| --- | --- |
| closed | the latest publication does not list it |
| wont_fix | somebody decided so, until a day that has not passed |
| being_closed | its coverage rose surely since it opened, or eval items that are new since then cover a part of it |
| planned, acknowledged | somebody decided so |
| growing | the share of its topic rises surely |
| exported | it was exported since it opened |
| held | it seems covered by now, though nothing was done for it: it is listed because it was before (docs/decisions/0032) |
| reopened, opened | a publication lists it; it was closed before, or not |

Several may hold; the first of them is *the* state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from monitor.coverage.gap_events import ON, GapEvent, state_words
from monitor.store.gap_lives import GapChange, GapDecisionRow, GapLink, held_since
from monitor.store.store import Store

__all__ = ["STATES", "Life", "Lives", "lives_of", "read_lives"]

#: The most telling first.
STATES = (
    *("closed", "wont_fix", "being_closed", "planned", "acknowledged"),
    *("growing", "exported", "held", "reopened", "opened"),
)

#: A gap that was closed for so long is a new case when it opens again: what was acknowledged or planned then is over. For less,
#: an estimate crossed a line by chance, and crossed it back.
_FLICKER = timedelta(days=7)

_STANDING = ("acknowledge", "plan", "wont_fix", "reopen")
_STATE_OF = {"acknowledge": "acknowledged", "plan": "planned", "wont_fix": "wont_fix"}
#: Of gaps that came into another, what hides is not taken over: nobody has looked at the rest of it.
_INTO_ANOTHER = ("merged", "whole")


@dataclass(frozen=True, slots=True)
class Life:
    """How a gap stands. `states` are all that hold, the most telling first. `owner`, `ticket` and `reason` are words of people:
    clean them where they are shown.

    `opened_at` is when a publication first listed it since it was last closed, None where none was noted; `last` is what the
    latest one that did saw. `held_since` is when it came to be held, if it is. A gap that closed may have gone on under the ids
    `went_into`, or have closed `by_itself`: no eval item was added near it, and it may come back.
    """

    gap_id: str
    states: tuple[str, ...] = ("opened",)
    owner: str | None = None
    ticket: str | None = None
    reason: str | None = None
    until: datetime | None = None
    opened_at: datetime | None = None
    closed_at: datetime | None = None
    held_since: datetime | None = None
    last: GapChange | None = None
    went_into: tuple[str, ...] = ()
    by_itself: bool = False
    events: tuple[GapEvent, ...] = ()

    @property
    def state(self) -> str:
        return self.states[0]

    @property
    def hidden(self) -> bool:
        """It is no longer asked to be looked at."""
        return "wont_fix" in self.states

    @property
    def silent(self) -> bool:
        """It raises no alert: somebody is on it and it does not grow surely, or somebody said that it will not be fixed yet."""
        return self.hidden or (not {"acknowledged", "planned"}.isdisjoint(self.states) and "growing" not in self.states)

    @property
    def words(self) -> str:
        """
        >>> Life("g1", ("planned", "growing", "opened")).words
        'planned, growing'
        """
        first = state_words(self.state) + (" by itself" if self.by_itself else "")
        return ", ".join([first, *self.beside])

    @property
    def beside(self) -> list[str]:
        """What is said beside the state, since it asks for a look of its own."""
        return [one for one in ("growing", "held") if one in self.states and self.state not in (one, "closed")]


class Lives:
    """The lives of gaps by id."""

    def __init__(self, lives: Mapping[str, Life]) -> None:
        self._lives = lives

    def of(self, gap_id: str) -> Life:
        """Of a gap of which nothing is noted yet it is an open one's."""
        return self._lives.get(gap_id) or Life(gap_id)

    def __contains__(self, gap_id: str) -> bool:
        return gap_id in self._lives

    @property
    def closed(self) -> list[Life]:
        """The gaps that closed, the latest first; without those that go on under another id."""
        found = [one for one in self._lives.values() if one.closed_at is not None and not one.went_into]
        return sorted(found, key=lambda one: (one.closed_at or datetime.min, one.gap_id), reverse=True)


def read_lives(store: Store, *, now: datetime) -> Lives:
    """The lives of all gaps, as they stand now."""
    return lives_of(
        store.gap_lives.changes(),
        store.gap_lives.decisions(),
        store.gap_lives.links(),
        store.exports.times_of_slices(),
        now=now,
    )


def lives_of(
    changes: Sequence[GapChange],
    decisions: Sequence[GapDecisionRow],
    links: Sequence[GapLink],
    exports: Sequence[tuple[str, datetime]],
    *,
    now: datetime,
) -> Lives:
    """`changes` by gap and time, `decisions` in order, `links` the latest first, `exports` as what and when."""
    record = _Record({}, {}, {}, {}, {})
    for what, at in exports:
        record.exports.setdefault(what, []).append(at)
    for change in changes:
        record.changes.setdefault(change.gap_id, []).append(change)
    for decision in decisions:
        record.decisions.setdefault(decision.gap_id, []).append(decision)
    for link in links:
        record.links.setdefault(link.gap_id, []).append(link)
        record.heirs.setdefault(link.other, []).append(link)
    ids = record.changes.keys() | record.decisions.keys() | record.links.keys()
    return Lives({gap_id: _life(gap_id, record, now) for gap_id in sorted(ids)})


@dataclass(frozen=True, slots=True)
class _Record:
    """Everything that is known, by gap; `heirs` are links to it."""

    changes: dict[str, list[GapChange]]
    decisions: dict[str, list[GapDecisionRow]]
    links: dict[str, list[GapLink]]
    heirs: dict[str, list[GapLink]]
    exports: dict[str, list[datetime]]


@dataclass(frozen=True, slots=True)
class _Standing:
    """The decisions that say how a gap stands and whose it is: its own, else those of gaps that it came from."""

    status: GapDecisionRow | None = None
    owner: GapDecisionRow | None = None


def _life(gap_id: str, record: _Record, now: datetime) -> Life:
    changes = record.changes.get(gap_id, [])
    starts = [one for one in changes if one.starts]
    last = changes[-1] if changes else None
    opened_at = starts[-1].seen_at if starts else None
    closed_at = last.gone_at if last is not None else None
    standing = _standing(gap_id, record, now, frozenset())
    status = standing.status
    if status is not None and _is_over(status, changes, now):
        status = None
    held = held_since(changes)
    holds = {
        "closed": closed_at is not None,
        "being_closed": closed_at is None and last is not None and last.closing,
        "growing": closed_at is None and last is not None and last.growing,
        "exported": any(opened_at is None or at >= opened_at for at in record.exports.get(gap_id, ())),
        "held": held is not None,
        "reopened": closed_at is None and len(starts) > 1,
        "opened": closed_at is None and len(starts) <= 1,
    }
    if status is not None and status.kind in _STATE_OF:
        holds[_STATE_OF[status.kind]] = True
    return Life(
        gap_id=gap_id,
        states=tuple(state for state in STATES if holds.get(state)),
        owner=(standing.owner.value or None) if standing.owner is not None else None,
        ticket=status.value if status is not None and status.kind == "plan" else None,
        reason=status.words if status is not None and status.kind == "wont_fix" else None,
        until=status.until if status is not None and status.kind == "wont_fix" else None,
        opened_at=opened_at,
        closed_at=closed_at,
        held_since=held,
        last=last,
        went_into=tuple(dict.fromkeys(link.gap_id for link in _heirs(gap_id, record) if link.seen_at == closed_at)),
        by_itself=closed_at is not None
        and any(link.event == "by_itself" and link.seen_at == closed_at for link in record.links.get(gap_id, ())),
        events=_events(gap_id, record, standing, now),
    )


def _standing(gap_id: str, record: _Record, until: datetime, above: frozenset[str]) -> _Standing:
    """As of a moment. A gap's own decisions come first; what came from others is what stood there when it came."""
    own = [one for one in record.decisions.get(gap_id, ()) if one.created_at <= until]
    status = next((one for one in reversed(own) if one.kind in _STANDING), None)
    owner = next((one for one in reversed(own) if one.kind == "owner"), None)
    for link in record.links.get(gap_id, ()):
        if status is not None and owner is not None:
            break
        if link.seen_at > until or link.other in above or link.other == gap_id:
            continue
        other = _standing(link.other, record, link.seen_at, above | {gap_id})
        hides = other.status is not None and other.status.kind == "wont_fix" and link.event in _INTO_ANOTHER
        status = status or (None if hides else other.status)
        owner = owner or other.owner
    return _Standing(status, owner)


def _is_over(status: GapDecisionRow, changes: Sequence[GapChange], now: datetime) -> bool:
    """Whether a decision no longer says how the gap stands."""
    if status.kind == "wont_fix":
        return status.until is not None and status.until <= now
    gone: datetime | None = None
    for one in changes:
        if one.starts and gone is not None and one.seen_at - gone >= _FLICKER and status.created_at < one.seen_at:
            return True
        gone = one.gone_at
    return False


def _heirs(gap_id: str, record: _Record) -> list[GapLink]:
    """Links by which the gap went on under another id: it closed at the look that found them."""
    closings = {one.gone_at for one in record.changes.get(gap_id, ()) if one.gone_at is not None}
    return [link for link in record.heirs.get(gap_id, ()) if link.event in ON and link.seen_at in closings]


def _events(gap_id: str, record: _Record, standing: _Standing, now: datetime) -> tuple[GapEvent, ...]:
    """The first first."""
    found: list[GapEvent] = []
    before: GapChange | None = None
    for number, one in enumerate(record.changes.get(gap_id, ())):
        if one.starts:
            found.append(GapEvent(one.seen_at, "reopened" if number else "opened"))
        was = None if one.starts else before
        if one.growing and not (was is not None and was.growing):
            found.append(GapEvent(one.seen_at, "growing"))
        if one.closing and not (was is not None and was.closing):
            found.append(GapEvent(one.seen_at, "being_closed"))
        if one.held != (was is not None and was.held):
            found.append(GapEvent(one.seen_at, "held" if one.held else "held_no_more"))
        if one.gone_at is not None:
            found.append(GapEvent(one.gone_at, "closed"))
        before = one
    found += [GapEvent(at, "exported") for at in record.exports.get(gap_id, ())]
    found += [
        GapEvent(one.seen_at, one.event, text=one.other if one.other != gap_id else "")
        for one in record.links.get(gap_id, ())
    ]
    found += [GapEvent(link.seen_at, ON[link.event], text=link.gap_id) for link in _heirs(gap_id, record)]
    found += [_decided(row) for row in record.decisions.get(gap_id, ())]
    # What came from other gaps is told as well: it is why this one stands as it does.
    found += [_decided(one) for one in (standing.status, standing.owner) if one is not None and one.gap_id != gap_id]
    status = standing.status
    if status is not None and status.until is not None and status.until <= now:
        found.append(GapEvent(status.until, "expired"))
    return tuple(sorted(found, key=lambda one: one.at))


def _decided(row: GapDecisionRow) -> GapEvent:
    return GapEvent(row.created_at, row.kind, row.who, row.words or row.value or "", row.until)
