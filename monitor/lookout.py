"""The lookout: every conversation that comes is compared with a reference, and a change is told as soon as it is sure.

It pins a reference of the traffic so far, and takes each conversation once, some minutes after its first turn. Its state and
the alert are written in one transaction, with where it stands: a process that dies goes on from there, and no conversation
counts twice. What it bets is in `monitor.drift.bets`, what it makes of it in `monitor.drift.detector`, and why in
docs/decisions/0026. The reference stays through refits: it would take up a slow change otherwise, and never tell it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from monitor.alerts.arrivals import Arrivals
from monitor.alerts.budget import MONTH, lookout_limit
from monitor.alerts.lookouts import Seen, changed
from monitor.alerts.reasons import least_users, reason
from monitor.clock import Clock
from monitor.drift.bets import FAR
from monitor.drift.conversations import Conversations
from monitor.drift.detector import FAMILIES, FEWEST, Change, Detector
from monitor.drift.explanation import LEAST_SINCE
from monitor.drift.landmarks import Landmarks, Placed
from monitor.drift.rhythm import LEAST_HOURS, Rhythm
from monitor.drift.seasons import hour_of_week
from monitor.settings import Settings
from monitor.store.atlases import AtlasRow
from monitor.store.lookouts import LookoutRow
from monitor.store.rows import values
from monitor.store.store import Store

__all__ = ["Lookout"]

#: The reference is of so many days before, and pinned anew after as long.
_REFERENCE = timedelta(days=28)
#: Turns of the reference that others are compared with; of more, whole conversations are drawn.
_MOST_TURNS = 8_000
#: However slow the traffic, so many conversations come between false alarms in the mean.
_LEAST_RUN = 1_000
#: A pause of the traffic counts as no more than this.
_PAUSE = timedelta(days=1)
_EXAMPLES = 3
#: What stands in the state beside the detector's, for as long as the reference does: which season each hour of the week is in,
#: in the calendar of which zone, and how many hours the reference spans; and since when what comes says what is usual.
_OF_REFERENCE = ("season_of_hour", "zone", "hours", "usual_since")


def _stays(row: LookoutRow) -> timedelta:
    """How long a reference stays: one that has no whole week, until there is one."""
    return _REFERENCE if row.state.get("hours", LEAST_HOURS) >= LEAST_HOURS else timedelta(hours=LEAST_HOURS)


class Lookout:
    """Looks at what has come since the last time. One a store: the process that leads has it."""

    def __init__(self, store: Store, settings: Settings, *, clock: Clock, channels: Sequence[str] = ()) -> None:
        self._store, self._settings, self._clock, self._channels = store, settings, clock, channels
        self._marks: tuple[datetime, Landmarks] | None = None

    def look(self) -> str:
        """Take the conversations that have come; in a few words what came of it, `""` for nothing.

        It waits while turns have no topic yet, and where the traffic is too short to say what is usual.
        """
        run = self._store.runs.current()
        atlas = self._store.atlases.load(run.atlas_id) if run is not None else None
        if run is None or atlas is None:
            return ""
        environments = self._settings.analysis.environments
        if self._store.atlases.unassigned(
            atlas.atlas_id, run.window_start, environments=environments, limit=1
        ).num_rows:
            return ""
        now = self._clock()
        until = now - timedelta(minutes=self._settings.drift.conversation_minutes)
        row = self._store.lookouts.read()
        if row is None or row.encoder != atlas.encoder or (now - row.pinned_at > _stays(row) and self._usual(row)):
            changed_at = row.since if row is not None and (row.alarms or not row.encoder) else None
            return self._pin(atlas, now, until, changed_at)
        if until <= row.after:
            return ""
        arrivals = Arrivals(self._store, self._settings, atlas)
        turns = arrivals.turns(row.after, until)
        if not turns.num_rows:
            return ""
        marks = self._landmarks(row, arrivals)
        if marks is None:  # all of it was forgotten
            return self._pin(atlas, now, until, None)
        return self._take(arrivals, row, arrivals.read(turns, marks), marks, until)

    def _usual(self, row: LookoutRow) -> bool:
        """Whether nothing is in suspense: a reference that is pinned anew would take up a change that is under way."""
        return sum(row.evidence.values()) < 0.1 * self.limit

    @property
    def _zone(self) -> str:
        return self._settings.analysis.time_zone

    @property
    def limit(self) -> float:
        """Months of evidence that are an alarm."""
        return lookout_limit(self._settings)

    def _take(
        self, arrivals: Arrivals, row: LookoutRow, coming: Conversations, marks: Landmarks, until: datetime
    ) -> str:
        detector, edges = Detector.from_state(row.state), np.array(row.edges)
        known = {name: row.state[name] for name in _OF_REFERENCE if name in row.state}
        seasons = Rhythm.of_list(known.get("season_of_hour")).of_hour[
            _hours(coming.began, known.get("zone", self._zone))
        ]
        bins = np.searchsorted(edges, coming.novelty, side="left").astype(np.int64)
        last, told, since, watched = row.last_at, [], row.since, row.conversations
        most = min(_PAUSE / MONTH, self.limit / _LEAST_RUN)
        for at, began in enumerate(coming.began):
            step = slice(at, at + 1)
            time = min(max(0.0, (began - last) / MONTH), most)
            last = max(last, began)
            detector.update(
                coming.topics[step],
                bins[step],
                coming.negative[step],
                time=time,
                at=_seconds(began),
                season=seasons[step],
            )
            watched += 1
            if sum(float(one[0]) for one in detector.evidence().values()) >= self.limit:
                change = detector.change()
                examples = self._examples(change, coming, bins, at)
                seen = self._seen(arrivals.atlas, row, change, examples, watched, since)
                seen = self._explained(arrivals, replace(row, state=known, since=since), seen, marks, began, until)
                told.append(changed(seen, self._clock()))
                detector, since, watched = detector.restarted(), began, 0
                known["usual_since"] = _seconds(began)
        row = replace(
            row,
            after=until,
            last_at=last,
            since=since,
            conversations=watched,
            alarms=row.alarms + len(told),
            evidence={name: float(one[0]) for name, one in detector.evidence().items()},
            state=detector.state() | known,
        )
        with self._store.transaction(journaled=False):
            self._store.lookouts.write(row)
            self._store.alerts.raise_alerts(told, channels=self._channels)
        return f"{len(coming):,} conversations" + (f", {len(told)} alerts" if told else "")

    def _seen(
        self,
        atlas: AtlasRow,
        row: LookoutRow,
        change: Change,
        examples: tuple[int, ...],
        watched: int,
        since: datetime,
    ) -> Seen:
        labels = self._labels(atlas)
        topic = row.topics[change.topic] if change.topic >= 0 else ""
        return Seen(
            change=change,
            began=_from_seconds(change.since),
            topic=topic if topic in labels else "",
            label=labels.get(topic, ""),
            per_month=self._settings.drift.false_alarms_per_month,
            watched=watched,
            watching_since=since,
            examples=examples,
        )

    def _explained(
        self, arrivals: Arrivals, row: LookoutRow, seen: Seen, marks: Landmarks, last: datetime, until: datetime
    ) -> Seen:
        """With why: whether other tenants, languages, models or prompt versions explain it. Asked at an alarm only."""
        usual_since = row.state.get("usual_since")
        start = row.since if row.alarms else row.pinned_at - _REFERENCE  # of an earlier version, which did not note it
        if usual_since is not None:
            start = _from_seconds(usual_since)
        turns = arrivals.turns(None, until, since=start)
        turns = turns.filter(pc.less_equal(turns.column("began_at"), pa.scalar(last, pa.timestamp("us"))))
        border = pa.scalar(_border(turns.filter(turns.column("subject")), seen.began), pa.timestamp("us"))
        recent = pc.greater_equal(turns.column("began_at"), border)
        parts = [_drawn(turns.filter(one)) for one in (pc.invert(recent), recent)]
        if not all(pc.any(one.column("subject")).as_py() for one in parts):
            return seen
        before, since = (arrivals.read(one, marks) for one in parts)
        seasons = Rhythm.of_list(row.state.get("season_of_hour")).of_hour
        of_hour = [seasons[_hours(one.began, row.state.get("zone", self._zone))] for one in (before, since)]
        labels = self._labels(arrivals.atlas)
        because = reason(
            self._store,
            self._settings,
            seen.change,
            (before, since),
            (of_hour[0], of_hour[1]),
            edges=np.array(row.edges),
            topics=[labels.get(one, "") for one in row.topics],
            fresh=sum(one >= seen.began for one in since.began),
        )
        return replace(seen, because=because)

    def _labels(self, atlas: AtlasRow) -> dict[str, str]:
        """Of the topics that users enough know, by id."""
        topics, least = self._store.atlases.topics(atlas.atlas_id), least_users(self._settings)
        return {one.topic_id: one.label for one in topics if one.users >= least}

    def _examples(self, change: Change, coming: Conversations, bins: NDArray[np.int64], at: int) -> tuple[int, ...]:
        """Of those that came together: the farthest of what is far, or else the latest of what changed."""
        since = np.array([_seconds(one) >= change.since for one in coming.began[: at + 1]], bool)
        if change.family == "novelty":
            rows = np.flatnonzero(since & (bins[: at + 1] >= FAR))
            rows = rows[np.argsort(coming.novelty[rows], kind="stable")]
        else:
            of_it = coming.negative if change.family == "negative" else coming.topics == change.topic
            rows = np.flatnonzero(since & of_it[: at + 1])
        return tuple(int(key) for key in coming.first[rows[::-1][:_EXAMPLES]])

    def _pin(self, atlas: AtlasRow, now: datetime, until: datetime, changed_at: datetime | None) -> str:
        """Landmarks of the last weeks; what is usual is what came after the last change that is known."""
        span = self._store.turns.span()
        if span is None or span.end - span.start < timedelta(days=self._settings.alerts.settle_days):
            return ""
        arrivals = Arrivals(self._store, self._settings, atlas)
        turns = _drawn(arrivals.turns(None, until, since=span.end - _REFERENCE))
        subjects = turns.filter(turns.column("subject"))
        if len(pc.unique(subjects.column("conversation_key"))) < FEWEST:
            return ""
        names = sorted({one or "" for one in values(subjects, "middle")})
        place = {name: number for number, name in enumerate(names)}
        topics = np.array([place[one or ""] for one in values(subjects, "middle")], np.int64)
        marks = arrivals.landmarks(subjects, topics)
        usual = arrivals.read(turns, marks)
        placed = Placed(usual.keys, usual.novelty, usual.topics)
        edges = placed.edges()
        since = np.array([changed_at is None or one >= changed_at for one in usual.began], bool)
        hours = (max(usual.began) - min(usual.began)) / timedelta(hours=1)
        of_week = _hours(usual.began, self._zone)
        rhythm = Rhythm.none()
        if hours >= LEAST_HOURS:
            rhythm = Rhythm.find(usual.topics, of_week, seed=self._settings.atlas.seed)
        of_season = [since & (rhythm.of_hour[of_week] == one) for one in range(rhythm.seasons)]
        detector = Detector.of(
            np.stack([placed.among(one).counts(edges, len(names)) for one in of_season], axis=1),
            np.array([[usual.negative[one].sum() for one in of_season]], np.float64),
        )
        usual_since = (
            min(one for one, kept in zip(usual.began, since.tolist(), strict=True) if kept) if since.any() else until
        )
        if not detector.betting[0]:
            detector, usual_since = detector.restarted(), until
        row = LookoutRow(
            pinned_at=now,
            encoder=atlas.encoder,
            recipe=atlas.recipe,
            after=until,
            last_at=max(usual.began),
            since=max(usual.began),
            reference=len(usual),
            conversations=0,
            alarms=0,
            edges=tuple(edges.tolist()),
            topics=tuple(names),
            evidence=dict.fromkeys(FAMILIES, 0.0),
            state=detector.state()
            | {
                "season_of_hour": rhythm.of_hour.tolist(),
                "zone": self._zone,
                "hours": round(hours, 1),
                "usual_since": _seconds(usual_since),
            },
        )
        reference = pa.table(
            {"turn_key": subjects.column("turn_key").combine_chunks(), "topic": pa.array(topics, pa.int64())}
        )
        self._store.lookouts.pin(row, reference)
        self._marks = (row.pinned_at, marks)
        return f"watching from {len(usual):,} conversations on"

    def _landmarks(self, row: LookoutRow, arrivals: Arrivals) -> Landmarks | None:
        if self._marks is None or self._marks[0] != row.pinned_at:
            reference = self._store.lookouts.reference(row.recipe)
            if not reference.num_rows:
                return None
            topics = reference.column("topic").to_numpy().astype(np.int64)
            self._marks = (row.pinned_at, arrivals.landmarks(reference, topics))
        return self._marks[1]


def _drawn(turns: pa.Table) -> pa.Table:
    """Of many turns whole conversations, drawn by their keys, which are hashes."""
    if turns.num_rows <= _MOST_TURNS:
        return turns
    keys = np.sort(turns.column("conversation_key").to_numpy().astype(np.uint64))
    return turns.filter(pa.array(turns.column("conversation_key").to_numpy() < keys[_MOST_TURNS]))


def _hours(moments: Sequence[datetime], zone: str) -> NDArray[np.int64]:
    """Hour of the week of each, in the calendar of a zone."""
    return hour_of_week(np.array(moments, "datetime64[us]").astype(np.int64), zone)


def _border(turns: pa.Table, began: datetime) -> datetime:
    """Since when who asks is looked at: since the change, or earlier where few conversations came since."""
    latest: list[datetime] = sorted(
        values(turns.group_by("conversation_key").aggregate([("began_at", "min")]), "began_at_min")
    )[-LEAST_SINCE:]
    return min([began, *latest[:1]])


def _seconds(at: datetime) -> float:
    return at.replace(tzinfo=UTC).timestamp()


def _from_seconds(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
