"""Another mix of tenants, or other behaviour: what the lookout calls a change, and how windows fare, on CLINC150 and BANKING77.

    python benchmarks/mixes.py           # writes benchmarks/results/mixes.json

Five tenants, the smallest with a twenty-fifth of the traffic, ask for intents of their own preference (log-normal). A reference
of 1,500 or 5,000 conversations is followed by 500 like it; then either only the mix changes (the smallest tenant gets ten times
as much, or the largest leaves), or a tenant comes that was not there, or people ask for something else: in all tenants, in one,
or with a new prompt version; or both. The budget is one false alarm in 5,000. Of the replays that alarm within 1,500
conversations: how often is the change called rightly? Texts are drawn with replacement on either side. What was chosen was
chosen on CLINC150 with seeds 0 to 39; seeds here are from 1000 on, and BANKING77 chose nothing.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from always_on import BATCH, BUDGET, FIRST_SEED, NEGATIVE, ROOT, _given
from coverage import Texts, data_folder, load_banking, load_clinc
from drift import exact_interval

from monitor.atlas.affinity import topic_graph
from monitor.atlas.communities import leiden_communities
from monitor.drift.comparison import compare_windows
from monitor.drift.detector import Change, Detector
from monitor.drift.explanation import LEAST_SINCE, Explanation, Kind, Side, explain
from monitor.drift.landmarks import Landmarks, Placed
from monitor.drift.look import Attribute, Look
from monitor.records import Window
from monitor.settings import DriftSettings, Settings
from monitor.store import Store
from monitor.store.atlases import AtlasRow, TopicRow
from monitor.store.drift import DriftRow
from monitor.store.runs import PublishedRun

RESULT = ROOT / "benchmarks" / "results" / "mixes.json"
SIZES = (1_500, 5_000)
BEGINS, AFTER = 500, 1_500
TENANTS = np.array([0.42, 0.27, 0.17, 0.10, 0.04])
SMALLEST, SECOND, STRANGER = 4, 1, 5
#: How far the preferences of tenants lie apart.
SPREAD = 1.5
OLD, NEW = 0, 1


@dataclass(frozen=True)
class Asked:
    """Conversations [c]: intent, tenant, prompt version, and a model that has nothing to do with it."""

    intent: np.ndarray
    tenant: np.ndarray
    version: np.ndarray
    model: np.ndarray

    def attributes(self) -> dict[str, np.ndarray]:
        return {"tenant": self.tenant, "model": self.model, "prompt_version": self.version}


class Town:
    """Who asks what: intents by number, the first three of which nobody asks for at first, and the next three may grow."""

    def __init__(self, intents: int, rng: np.random.Generator) -> None:
        self.rng, self.intents = rng, intents
        self.preferences = rng.lognormal(0, SPREAD, (len(TENANTS) + 1, intents))
        self.preferences[:, :3] = 0
        self.preferences /= self.preferences.sum(axis=1, keepdims=True)

    def asked(self, number: int, tenants: np.ndarray = TENANTS) -> Asked:
        shares = np.resize(np.append(tenants, 0.0), len(TENANTS) + 1) if len(tenants) == len(TENANTS) else tenants
        tenant = self.rng.choice(len(shares), number, p=shares / shares.sum())
        intent = np.zeros(number, np.int64)
        for one in np.unique(tenant):
            mine = tenant == one
            intent[mine] = self.rng.choice(self.intents, mine.sum(), p=self.preferences[one])
        return Asked(intent, tenant, np.full(number, OLD), self.rng.integers(2, size=number))

    def other(self, asked: Asked, where: np.ndarray, share: float, first: int) -> None:
        """A share of those asks for the three intents from `first` on; in place."""
        rows = np.flatnonzero(where & (self.rng.random(len(where)) < share))
        asked.intent[rows] = first + self.rng.integers(3, size=len(rows))


Scenario = Callable[[Town, int], Asked]
Right = Callable[[Explanation | None], bool]


def tenant_grows(town: Town, number: int) -> Asked:
    return town.asked(number, TENANTS * np.where(np.arange(len(TENANTS)) == SMALLEST, 10, 1))


def tenant_leaves(town: Town, number: int) -> Asked:
    return town.asked(number, TENANTS * (np.arange(len(TENANTS)) > 0))


def tenant_comes(town: Town, number: int) -> Asked:
    return town.asked(number, np.append(TENANTS, 0.4))


def new_everywhere(town: Town, number: int) -> Asked:
    asked = town.asked(number)
    town.other(asked, np.ones(number, bool), 0.2, 0)
    return asked


def grown_everywhere(town: Town, number: int) -> Asked:
    asked = town.asked(number)
    town.other(asked, np.ones(number, bool), 0.2, 3)
    return asked


def new_in_a_tenant(town: Town, number: int) -> Asked:
    asked = town.asked(number)
    town.other(asked, asked.tenant == SECOND, 0.5, 0)
    return asked


def new_with_version(town: Town, number: int) -> Asked:
    asked = town.asked(number)
    asked.version[town.rng.random(number) < 0.5] = NEW
    town.other(asked, asked.version == NEW, 0.4, 0)
    return asked


def new_beside_version(town: Town, number: int) -> Asked:
    asked = town.asked(number)
    asked.version[town.rng.random(number) < 0.5] = NEW
    town.other(asked, np.ones(number, bool), 0.2, 0)
    return asked


def new_and_tenant_grows(town: Town, number: int) -> Asked:
    asked = tenant_grows(town, number)
    town.other(asked, np.ones(number, bool), 0.2, 0)
    return asked


def is_mix(said: Explanation | None) -> bool:
    return said is not None and not said.new and said.attribute == "tenant" and said.within is None


def is_stranger(said: Explanation | None) -> bool:
    return said is not None and (said.attribute, said.value) == ("tenant", STRANGER)


def is_version(said: Explanation | None) -> bool:
    return said is not None and said.new and (said.attribute, said.value) == ("prompt_version", NEW)


def is_plain(said: Explanation | None) -> bool:
    return said is None


def is_no_mix_alone(said: Explanation | None) -> bool:
    return said is None or said.within is not None


SCENARIOS: tuple[tuple[Scenario, Right], ...] = (
    (tenant_grows, is_mix),
    (tenant_leaves, is_mix),
    (tenant_comes, is_stranger),
    (new_everywhere, is_plain),
    (grown_everywhere, is_plain),
    (new_in_a_tenant, is_plain),
    (new_with_version, is_version),
    (new_beside_version, is_plain),
    (new_and_tenant_grows, is_no_mix_alone),
)


@dataclass
class World:
    town: Town
    reference: Asked
    placed: Placed
    marks: Landmarks
    edges: np.ndarray
    rows: list[np.ndarray]
    vectors: np.ndarray

    @property
    def topics(self) -> int:
        return int(self.marks.topics.max()) + 1

    def coming(self, scenario: Scenario) -> tuple[Asked, Placed]:
        before, after = self.town.asked(BEGINS), scenario(self.town, AFTER)
        asked = Asked(*(np.concatenate([getattr(one, part) for one in (before, after)]) for part in _PARTS))
        rows = np.array([self.town.rng.choice(self.rows[intent]) for intent in asked.intent.tolist()])
        return asked, self.marks.place(self.vectors[rows], np.arange(len(rows), dtype=np.uint64) + 100_000)


_PARTS = ("intent", "tenant", "version", "model")


def world(texts: Texts, size: int, seed: int) -> World:
    rng = np.random.default_rng(seed)
    labels = texts.labels.astype(str)
    names = rng.permutation(np.unique(labels))
    town = Town(len(names), rng)
    asked = town.asked(size)
    texts_of = [np.flatnonzero(labels == name) for name in names]
    rows = np.array([rng.choice(texts_of[intent]) for intent in asked.intent.tolist()])
    vectors, own = texts.vectors[rows], np.arange(size, dtype=np.uint64)
    topics = leiden_communities(topic_graph(vectors, k=15), resolutions=(0.0, 0.0, 0.0), seed=1).middle.astype(np.int64)
    marks = Landmarks.of(vectors, topics, own)
    placed = marks.place(vectors, own)
    return World(town, asked, placed, marks, placed.edges(), texts_of, texts.vectors)


@dataclass(frozen=True)
class Alarm:
    at: int
    change: Change
    said: Explanation | None


def alarms(worlds: list[World], scenario: Scenario) -> list[Alarm | None]:
    """The first alarm of each world; None where none came in time, or one before the change."""
    topics = max(one.topics for one in worlds)
    streams = [one.coming(scenario) for one in worlds]
    rng = np.random.default_rng(1)
    negative = rng.random((len(worlds), BEGINS + AFTER)) < NEGATIVE
    of_topic = np.stack([placed.topics for _, placed in streams])
    bins = np.stack([placed.bins(one.edges) for one, (_, placed) in zip(worlds, streams, strict=True)])
    counts = np.concatenate([one.placed.counts(one.edges, topics) for one in worlds])
    detector = Detector.of(counts, np.array([NEGATIVE * len(one.placed.topics) for one in worlds]).round())
    found: dict[int, Alarm | None] = {}
    for turn in range(BEGINS + AFTER):
        detector.update(of_topic[:, turn], bins[:, turn], negative[:, turn], time=1.0, at=float(turn))
        for row in np.flatnonzero(sum(detector.evidence().values()) >= BUDGET).tolist():
            if row in found:
                continue
            change = detector.change(row)
            asked, _ = streams[row]
            said = explained(worlds[row], asked, of_topic[row], bins[row], negative[row], change, turn)
            found[row] = Alarm(turn - BEGINS + 1, change, said) if turn >= BEGINS else None
        if len(found) == len(worlds):
            break
    return [found.get(row) for row in range(len(worlds))]


def explained(
    one: World, asked: Asked, topics: np.ndarray, bins: np.ndarray, negative: np.ndarray, change: Change, turn: int
) -> Explanation | None:
    """As the lookout asks for it."""
    fresh = turn + 1 - int(change.since)
    begun, none = turn + 1 - max(fresh, LEAST_SINCE), np.zeros(len(one.placed.topics), bool)
    failed = none.copy()
    failed[: round(NEGATIVE * len(none))] = True
    reference = side(one.placed.topics, one.placed.bins(one.edges), failed, one.reference)
    came = side(topics, bins, negative, asked)
    place = np.arange(len(topics))
    before = joined(reference, came.among(place < begun))
    since = came.among((place >= begun) & (place <= turn))
    return explain(before, since, Kind(change.family, change.topic), topics=one.topics, fresh=fresh)


def side(topics: np.ndarray, bins: np.ndarray, negative: np.ndarray, asked: Asked) -> Side:
    return Side(topics, bins, negative, np.zeros(len(topics), np.int64), asked.attributes())


def joined(one: Side, other: Side) -> Side:
    parts = ("topics", "bins", "negative", "seasons")
    arrays = [np.concatenate([getattr(one, part), getattr(other, part)]) for part in parts]
    both = {name: np.concatenate([one.attributes[name], other.attributes[name]]) for name in one.attributes}
    return Side(*arrays, both)


def called(said: Explanation | None) -> str:
    if said is None:
        return "nothing beside the change"
    if said.new:
        return f"comes with a new {said.attribute}"
    return f"mix of {said.attribute}" + (", and something within" if said.within else "")


def lookout_row(texts: Texts, size: int, scenario: Scenario, right: Right, worlds: list[World]) -> dict:
    found: list[Alarm] = []
    for start in range(0, len(worlds), BATCH):
        found += [one for one in alarms(worlds[start : start + BATCH], scenario) if one is not None]
    names = [called(one.said) for one in found]
    return {
        "data": texts.name,
        "reference": size,
        "change": scenario.__name__,
        "replays": len(worlds),
        "alarms": len(found),
        "median_delay": round(float(np.median([one.at for one in found]))) if found else None,
        "called_rightly": round(float(np.mean([right(one.said) for one in found])), 3) if found else None,
        "called": {name: names.count(name) for name in sorted(set(names))},
    }


def lookout_rows(texts: Texts, sizes: Sequence[int], replays: int, first: int, tell: Callable[[dict], None]) -> None:
    for size in sizes:
        worlds = [world(texts, size, seed) for seed in range(first, first + replays)]
        worlds.sort(key=lambda one: one.topics)
        for scenario, right in SCENARIOS:
            tell(lookout_row(texts, size, scenario, right, worlds))


WINDOW_REFERENCE, WINDOW_TURNS = 1_500, 400
MONDAY = datetime(2026, 3, 2)
LEVEL = 0.05


def window_rows(texts: Texts, draws: int, first: int, tell: Callable[[dict], None]) -> None:
    """The verdict over windows, through the product's own `compare_windows`: how often it is an alarm, and what it says."""
    cases: list[tuple[str, Callable[[np.random.Generator, int], Windows]]] = [
        ("nothing", lambda rng, intents: by_tenant(rng, intents, grows=False, new=0.0)),
        ("tenant_grows", lambda rng, intents: by_tenant(rng, intents, grows=True, new=0.0)),
        ("new_5%", lambda rng, intents: by_tenant(rng, intents, grows=False, new=0.05)),
        ("new_5%_and_tenant_grows", lambda rng, intents: by_tenant(rng, intents, grows=True, new=0.05)),
        ("weekend_of_2_days", lambda rng, intents: by_day(rng, intents, 2, new=0.0)),
        ("ten_days_with_two_weekends", lambda rng, intents: by_day(rng, intents, 10, new=0.0)),
        ("new_5%_in_ten_days", lambda rng, intents: by_day(rng, intents, 10, new=0.05)),
        ("ten_days_compared_with_all", lambda rng, intents: by_day(rng, intents, 10, new=0.0, like=False)),
    ]
    for name, case in cases:
        number = draws // 2 if "new" in name else draws  # a level takes more draws than a power
        found = [window_draw(texts, case, seed) for seed in range(first, first + number)]
        alarm = [one.alarm for one in found]
        tell(
            {
                "data": texts.name,
                "windows": name,
                "draws": number,
                "alarms": round(float(np.mean(alarm)), 3),
                "interval_95": exact_interval(alarm),
                "differs": round(float(np.mean([(one.p_value or 1) <= LEVEL for one in found])), 3),
                "said_to_be_the_mix": round(float(np.mean([one.verdict.startswith("Other ") for one in found])), 3),
            }
        )


@dataclass(frozen=True)
class Windows:
    """Conversations: intent, tenant, when (days since the Monday), and where the current window begins."""

    asked: Asked
    days: np.ndarray
    begins: float
    ends: float


def by_tenant(rng: np.random.Generator, intents: int, *, grows: bool, new: float) -> Windows:
    """Four weeks before and one week of which the smallest tenant has ten times as much, and all ask for something new."""
    town = Town(intents, rng)
    before = town.asked(WINDOW_REFERENCE)
    after = tenant_grows(town, WINDOW_TURNS) if grows else town.asked(WINDOW_TURNS)
    town.other(after, np.ones(WINDOW_TURNS, bool), new, 0)
    days = np.concatenate([rng.random(WINDOW_REFERENCE) * 28, 28 + rng.random(WINDOW_TURNS) * 7])
    return Windows(together(before, after), days, 28.0, 35.0)


def by_day(rng: np.random.Generator, intents: int, length: int, *, new: float, like: bool = True) -> Windows:
    """Four fifths of what is asked on Saturdays and Sundays is of ten intents of their own. The window ends on a Sunday; where
    not `like`, the days before it are shuffled, so that none has its like."""
    town = Town(intents, rng)
    town.preferences[:] = town.preferences[0]
    ends, number = 42.0, round(WINDOW_REFERENCE / 28 * length)
    begins = ends - length
    days = np.concatenate([begins - 28 + rng.random(WINDOW_REFERENCE) * 28, begins + rng.random(number) * length])
    asked = town.asked(len(days))
    weekend = (np.floor(days) % 7 >= 5) & (rng.random(len(days)) < 0.8)
    asked.intent[weekend] = intents - 1 - rng.integers(10, size=weekend.sum())
    town.other(asked, days >= begins, new, 0)
    if not like:
        days[:WINDOW_REFERENCE] = rng.permutation(days[:WINDOW_REFERENCE])
    return Windows(asked, days, begins, ends)


def together(one: Asked, other: Asked) -> Asked:
    return Asked(*(np.concatenate([getattr(part, name) for part in (one, other)]) for name in _PARTS))


def window_draw(texts: Texts, case: Callable[[np.random.Generator, int], Windows], seed: int) -> DriftRow:
    rng = np.random.default_rng(seed)
    labels = texts.labels.astype(str)
    names = rng.permutation(np.unique(labels))
    drawn = case(rng, len(names))
    pools = {intent: np.flatnonzero(labels == names[intent]) for intent in np.unique(drawn.asked.intent).tolist()}
    rows = np.array([rng.choice(pools[intent]) for intent in drawn.asked.intent.tolist()])
    vectors, number = texts.vectors[rows], len(rows)
    found = leiden_communities(topic_graph(vectors, k=15), resolutions=(0.0, 0.0, 0.0), seed=1)
    middles, fines = int(found.middle.max()) + 1, int(found.fine.max()) + 1
    topics = [TopicRow(f"m{one}", 1, None, f"m{one}", (), 1, 1, 99, 0.0, (), MONDAY) for one in range(middles)]
    topics += [TopicRow(f"f{one}", 2, None, f"f{one}", (), 1, 1, 99, 0.0, (), MONDAY) for one in range(fines)]
    created = np.int64(MONDAY.replace(tzinfo=UTC).timestamp() * 1e6) + (drawn.days * 86_400e6).astype(np.int64)
    windows = [MONDAY + timedelta(days=one) for one in (drawn.begins - 28, drawn.begins, drawn.ends)]
    end = windows[2]
    hashes = [one.to_bytes(16, "big") for one in range(number)]
    look = Look(
        run=PublishedRun("r", "a", "p", end, MONDAY, end, (), "{}"),
        atlas=AtlasRow("a", end, MONDAY, end, "mini", "text", "leiden", "{}", number, number, "f"),
        report=None,
        topics=topics,
        gaps=[],
        keys=np.arange(number, dtype=np.uint64),
        hashes=hashes,
        created=created,
        conversation=np.arange(number),
        user=np.arange(number),
        fine=found.fine.astype(np.int64) + middles,
        middle=found.middle.astype(np.int64),
        covered=np.full(number, np.nan),
        attributes={
            name: Attribute(tuple(f"{name} {one}" for one in range(values.max() + 1)), values)
            for name, values in drawn.asked.attributes().items()
        },
    )
    settings = Settings(drift=DriftSettings(permutations=199, false_alarm=LEVEL))
    with TemporaryDirectory() as folder, Store.open(f"{folder}/s.duckdb", threads=1, clock=lambda: end) as store:
        store.vectors.append("mini", "text", hashes, vectors)
        return compare_windows(
            store,
            settings,
            look,
            current=Window(windows[1], end),
            reference=Window(windows[0], windows[1]),
            clock=lambda: end,
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replays", type=int, default=60)
    parser.add_argument("--draws", type=int, default=60, help="of windows")
    parser.add_argument("--part", choices=("lookout", "windows"), help="renew this part of the result only")
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED, help="below 1000: to choose by, not to report")
    parser.add_argument("--size", type=int, choices=SIZES, action="append", help="only references of so many")
    parser.add_argument("--only", choices=("CLINC150", "BANKING77"), help="one set of texts; nothing is written")
    parser.add_argument("--vectors", type=Path, help="folder with clinc.npz and banking.npz, rather than encoding here")
    arguments = parser.parse_args()
    folder = arguments.vectors
    loaders: dict[str, Callable[[], Texts]] = {
        "CLINC150": lambda: _given(folder / "clinc.npz", "CLINC150") if folder else load_clinc(data_folder()),
        "BANKING77": lambda: _given(folder / "banking.npz", "BANKING77") if folder else load_banking(data_folder()),
    }
    result: dict = {"budget": BUDGET, "seeds_from": arguments.first_seed, "level": LEVEL, "lookout": [], "windows": []}
    if arguments.part and RESULT.exists():
        result |= json.loads(RESULT.read_text("utf-8")) | {arguments.part: []}
    started = time.process_time()

    def tell(part: str, row: dict) -> None:
        result[part].append(row)
        print(json.dumps(row), f"{time.process_time() - started:.0f} s", flush=True)
        if not arguments.only:
            RESULT.write_text(json.dumps(result, indent=2) + "\n")

    for name in [arguments.only] if arguments.only else loaders:
        texts, first = loaders[name](), arguments.first_seed
        if arguments.part != "windows":
            sizes = arguments.size or SIZES
            lookout_rows(texts, sizes, arguments.replays, first, lambda row: tell("lookout", row))
        if arguments.part != "lookout":
            window_rows(texts, arguments.draws, first, lambda row: tell("windows", row))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
