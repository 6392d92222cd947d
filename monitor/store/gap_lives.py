"""The life of each gap: what people decided about it, and what each publication saw of it.

Tables `gap_decisions`, `gap_looks`, `gap_sightings` and `gap_links`, which are only added to. They hold ids, numbers and
words of people who decide; no label and no text of a turn. They outlive the runs that they are about.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby

import pyarrow as pa

from monitor.records import short_hash
from monitor.store.database import Database
from monitor.store.rows import shape, values

__all__ = [
    "COVERED_AT_MOST",
    "COVERED_AT_MOST_ELSE",
    "KINDS",
    "MUCH",
    "NEWLY_COVERED",
    "GapChange",
    "GapDecisionRow",
    "GapLink",
    "GapLives",
    "GapLook",
    "GapSighting",
    "OpenGap",
    "held_since",
]

#: What can be decided about a gap. The last of the first four says how it stands, the last `owner` whose it is.
KINDS = ("acknowledge", "plan", "wont_fix", "reopen", "owner", "note")

#: A topic is a gap when its coverage is at most the second, and up to the first where the share of the traffic that is
#: uncovered in it is at least `MUCH`. Of sample traffic, seven seeds, this lists 36 planted gaps of 42 and 13 others
#: (docs/decisions/0031). One that is listed above is held.
COVERED_AT_MOST, COVERED_AT_MOST_ELSE, MUCH = 0.8, 0.65, 0.006

#: A share rises surely when its 90 % interval lies above 1 and so few rises among all topics of the level are chance.
_BY_CHANCE = 0.05

#: The eval set has gained items near a gap when they cover this share of its turns. On the sample traffic (seed 20260302) three
#: items of its own intent cover 0.3 and more, and those of other intents 0.07 at most.
NEWLY_COVERED = 0.1


@dataclass(frozen=True, slots=True)
class GapDecisionRow:
    """One decision. `value` is the owner (empty for nobody) or the address of the ticket, `words` the reason or the note;
    `until` is when a won't-fix ends."""

    decision_id: str
    place: int
    created_at: datetime
    who: str | None
    kind: str
    gap_id: str
    topic_id: str
    value: str | None
    words: str | None
    until: datetime | None


@dataclass(frozen=True, slots=True)
class GapLook:
    """One publication that could say what is covered: it listed gaps, or none."""

    look_id: str
    run_id: str
    published_at: datetime
    eval_set_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GapSighting:
    """A gap as a look listed it. `ratio` is how its topic's share of the conversations changed, `ratio_low` the low end of its
    90 % interval and `p_value` adjusted for all topics; None where nothing can be said.

    `newly_covered` turns are covered by eval items that were not there when the gap opened.
    """

    gap_id: str
    topic_id: str
    level: int
    rank: int
    turns: int
    share: float
    coverage: float
    low: float
    high: float
    ratio: float | None
    ratio_low: float | None
    p_value: float | None
    newly_covered: int


@dataclass(frozen=True, slots=True)
class GapLink:
    """What a gap has to do with another one that is known: it `split` from it, or that one `merged` into it, by the lineage of
    their topics; or it is a `part` of it, or the `whole` of it, since middle topics are gaps as a whole or by fine ones.

    A gap that closed `by_itself`, though no eval item was added near it, is linked to itself."""

    gap_id: str
    event: str
    other: str
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class GapChange:
    """A look at which something about a gap changed, and its last one. `starts` when the look before did not list it; `gone_at`
    is the look after, when that did not; None otherwise.

    `growing`, `closing` and `held` are as of this look, `eval_set_ids` what it compared. It is held when it is listed only
    because it was before.
    """

    gap_id: str
    topic_id: str
    level: int
    seen_at: datetime
    eval_set_ids: tuple[str, ...]
    starts: bool
    growing: bool
    closing: bool
    turns: int
    share: float
    coverage: float
    low: float
    high: float
    gone_at: datetime | None
    held: bool = False


@dataclass(frozen=True, slots=True)
class OpenGap:
    """A gap that the last look listed: as of the look that opened it, and since when it is held, None where it is not."""

    opened: GapChange
    held_since: datetime | None


_DECISION = shape(GapDecisionRow)
_LOOK = shape(GapLook)
_SIGHTING = shape(GapSighting)
_LINK = shape(GapLink)
_CHANGE = shape(GapChange)

#: Coverage that rises surely is none of a gap's doing when other items were added: their estimate is of all traffic together.
#: Only what the windows need goes through them; the rest of a row is joined to the few that changed.
_CHANGED = f"""
WITH looks AS (
    SELECT look_id, published_at, eval_set_ids, row_number() OVER (ORDER BY published_at, look_id) AS n FROM gap_looks
), slim AS (
    SELECT s.gap_id, l.n, s.low, s.high, coalesce(s.ratio_low > 1 AND s.p_value <= {_BY_CHANCE}, false) AS growing,
        s.newly_covered > 0 AS gained, s.newly_covered >= {NEWLY_COVERED} * s.turns AS gained_much,
        hash(l.eval_set_ids) AS compared, s.coverage >
            CASE WHEN s.share * (1 - s.coverage) >= {MUCH} THEN {COVERED_AT_MOST} ELSE {COVERED_AT_MOST_ELSE} END AS held
    FROM gap_sightings s JOIN looks l ON l.look_id = s.look_id
), seen AS (
    SELECT *, coalesce(n - lag(n) OVER w <> 1, true) AS starts, lead(n) OVER w IS DISTINCT FROM n + 1 AS stops
    FROM slim WINDOW w AS (PARTITION BY gap_id ORDER BY n)
), opened AS (
    SELECT *, last_value(CASE WHEN starts THEN high END IGNORE NULLS) OVER w AS high_then,
        last_value(CASE WHEN starts THEN compared END IGNORE NULLS) OVER w AS compared_then
    FROM seen WINDOW w AS (PARTITION BY gap_id ORDER BY n)
), marked AS (
    SELECT *, gained AND gained_much OR low > high_then AND (gained OR compared = compared_then) AS closing FROM opened
), changed AS (
    SELECT gap_id, n, starts, stops, growing, closing, held FROM marked
    WINDOW w AS (PARTITION BY gap_id ORDER BY n)
    QUALIFY starts OR stops OR growing <> lag(growing) OVER w OR closing <> lag(closing) OVER w OR held <> lag(held) OVER w
)
"""
_CHANGES = f"""{_CHANGED}
SELECT s.gap_id, s.topic_id, s.level, l.published_at AS seen_at, l.eval_set_ids, c.starts, c.growing, c.closing, s.turns,
    s.share, s.coverage, s.low, s.high, later.published_at AS gone_at, c.held
FROM changed c JOIN looks l ON l.n = c.n JOIN gap_sightings s ON s.look_id = l.look_id AND s.gap_id = c.gap_id
LEFT JOIN looks later ON c.stops AND later.n = c.n + 1 ORDER BY c.gap_id, c.n
"""

#: Looks before a moment at which nothing changed, and none just before, so that who reads changes misses nothing without them;
#: the last of each day is none of them.
_UNEVENTFUL = f"""{_CHANGED}
SELECT look_id FROM (SELECT *, max(n) OVER (PARTITION BY date_trunc('day', published_at)) AS last_of_day FROM looks)
WHERE published_at < ? AND n < last_of_day AND n NOT IN (SELECT n FROM changed)
    AND n NOT IN (SELECT n + 1 FROM changed WHERE stops)
"""

#: Looks of the last days are all kept; of those before, one a day and those at which something changed.
_KEPT_DAYS = 90


class GapLives:
    """Added to, never edited. Only deletion takes something: words that nobody has written any more leave reasons and notes. Of
    what was seen long ago at most one look a day is kept beside those at which something changed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def decide(self, decisions: Sequence[GapDecisionRow]) -> list[GapDecisionRow]:
        """Write decisions at the end of the log, all or none; `decision_id`, `place` and `created_at` are made here."""
        with self._database.transaction():
            place = int(self._database.value("SELECT coalesce(max(place), 0) FROM gap_decisions"))
            now = self._database.clock()
            made = []
            for number, one in enumerate(decisions, place + 1):
                id_ = short_hash("gap", str(number), now.isoformat(), one.kind, one.gap_id, str(one.value), length=8)
                made.append(replace(one, decision_id=f"d{id_}", place=number, created_at=now))
            self._database.insert("gap_decisions", _DECISION.table(made))
        return made

    def decisions(self) -> list[GapDecisionRow]:
        """All of them, the first first."""
        return _DECISION.read(
            self._database.query("SELECT * FROM gap_decisions ORDER BY place, created_at, decision_id")
        )

    def note(self, look: GapLook, sightings: Sequence[GapSighting], links: Sequence[GapLink] = ()) -> bool:
        """Keep what a publication saw; its `look_id` is made here. False, and nothing written, when the last look was of the
        same run: the same analysis again is no news."""
        with self._database.transaction():
            last = self._database.value("SELECT run_id FROM gap_looks ORDER BY published_at DESC, look_id DESC LIMIT 1")
            if last == look.run_id:
                return False
            look = replace(look, look_id="l" + short_hash(look.run_id, look.published_at.isoformat()))
            self._database.insert("gap_looks", _LOOK.table([look]))
            self._database.insert("gap_sightings", _SIGHTING.table(sightings, look_id=look.look_id))
            self._database.insert("gap_links", _LINK.table(links))
            self._thin(look.published_at - timedelta(days=_KEPT_DAYS))
        return True

    def _thin(self, before: datetime) -> None:
        """Take old looks that tell nothing: every gap's first and last one, and what changed between, stay."""
        old = self._database.query(
            "SELECT count(*) AS looks, count(DISTINCT date_trunc('day', published_at)) AS days FROM gap_looks"
            " WHERE published_at < ?",
            [before],
        ).to_pylist()[0]
        if old["looks"] == old["days"]:
            return
        gone = self._database.query(_UNEVENTFUL, [before])
        if gone.num_rows:
            for table in ("gap_looks", "gap_sightings"):
                self._database.execute(
                    f"DELETE FROM {table} WHERE look_id IN (SELECT look_id FROM uneventful)", uneventful=gone
                )

    def changes(self) -> list[GapChange]:
        """By gap, from the first look to the last."""
        return _CHANGE.read(self._database.query(_CHANGES))

    def open(self) -> dict[str, OpenGap]:
        """The gaps that the last look listed, by id."""
        found: dict[str, OpenGap] = {}
        for gap_id, group in groupby(self.changes(), key=lambda one: one.gap_id):
            changes = list(group)
            if changes[-1].gone_at is None:
                opened = next(one for one in reversed(changes) if one.starts)
                found[gap_id] = OpenGap(opened, held_since(changes))
        return found

    def links(self) -> list[GapLink]:
        """The latest first."""
        return _LINK.read(self._database.query("SELECT * FROM gap_links ORDER BY seen_at DESC, gap_id, event, other"))

    def known(self) -> set[str]:
        """Every gap that a look listed or that somebody decided about."""
        found = self._database.query("SELECT gap_id FROM gap_sightings UNION SELECT gap_id FROM gap_decisions")
        return set(values(found, 0))

    def newly_covered(
        self, report_id: str, atlas_id: str, level: str, items: Sequence[str], *, least: float = 0.5
    ) -> dict[str, int]:
        """By topic of the level, its turns that are rather covered than not and to which one of these eval items is nearest."""
        assert level in ("middle", "fine")
        found = self._database.query(
            f"SELECT a.{level} AS topic, count(*) AS turns FROM turn_coverage c JOIN assignments a USING (turn_key)"
            f" WHERE c.report_id = ? AND a.atlas_id = ? AND c.covered >= ? AND a.{level} IS NOT NULL"
            " AND c.nearest_item IN (SELECT item FROM new_items) GROUP BY topic",
            [report_id, atlas_id, least],
            new_items=pa.table({"item": pa.array(items, pa.string())}),
        )
        return dict(zip(values(found, "topic"), values(found, "turns"), strict=True))


def held_since(changes: Sequence[GapChange]) -> datetime | None:
    """Since when a gap with these changes is held without a break, None where it is not, or closed."""
    since: datetime | None = None
    for one in changes:
        before = None if one.starts else since
        since = (before or one.seen_at) if one.held and one.gone_at is None else None
    return since
