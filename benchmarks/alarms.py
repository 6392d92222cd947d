"""False alarms of all that watches for a change together, in months in which nothing changes; and what the budget costs.

    python benchmarks/alarms.py           # writes benchmarks/results/alarms.json

100 conversations a day, 35 days before the month and 30 in it, with and without a rhythm of the day and the week
(`benchmarks/rhythm.py` draws both). Looked at every twelve hours and compared every day, on the same conversations: as one
budget of one false alarm a month (ours), and as each look on its own at 1 in 100, without seasons and with the whole budget for
the lookout, as offmap did before it had one budget. What a look finds goes through the rules that tell it once. Looks of a
service come every half an hour: those of one budget spend no more then, those on their own find more.

Then what it costs: a new intent begins in such a month, and is told at the first look in which its surge is below 1 in 100, or
below what a service may spend that looks every half an hour (every fourth of its looks is made here). And whether p-values
beyond those that 499 permutations count are true: the Gumbel distribution's beside the share of 20,000 permutations.
Seeds are from 1000 on, of the last but one from 2000: with those before the parts of the budget were chosen, on CLINC150, where
half of the surges' was spent by every look and fewer were told. BANKING77 chose nothing.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import numpy as np
from always_on import FIRST_SEED, ROOT, _given
from coverage import Texts, data_folder, load_banking, load_clinc
from rhythm import Traffic, World, begin_anew, hour_of, padded, world

from monitor.alerts.budget import Allowance, allowed, lookout_limit
from monitor.alerts.rules import Finding, Policy, decide
from monitor.atlas.timeline import DAY
from monitor.drift import surges
from monitor.drift.detector import Detector
from monitor.drift.family import run_tests
from monitor.drift.pool import pooled
from monitor.drift.rhythm import Rhythm
from monitor.drift.sample import Sample
from monitor.drift.shares import share_changes
from monitor.drift.surges import find_surges
from monitor.drift.tails import adjusted_for_all
from monitor.drift.verdict import combined
from monitor.settings import Settings
from monitor.store.alerts import AlertBody, SubjectRow

RESULT = ROOT / "benchmarks" / "results" / "alarms.json"
PACE, BEFORE, DAYS, SPAN = 100, 35, 30, 35.0
HOURS_BETWEEN, PERMUTATIONS = 12, 299
START = datetime(2026, 1, 5)
KINDS = ("surges", "comparisons", "lookout")
#: A day's conversations about the new intent.
PLANTED = (4, 8, 16)
DELAYS_FROM = 2_000


@dataclass
class Month:
    """Conversations in the order of their times, in days; `topic` and `season` of each."""

    moments: np.ndarray
    vectors: np.ndarray
    topic: np.ndarray
    season: np.ndarray
    p_values: dict[float, float] = field(default_factory=dict)
    found: dict[tuple[float, bool], list[surges.Surge]] = field(default_factory=dict)

    def between(self, start: float, end: float) -> np.ndarray:
        return np.flatnonzero((self.moments >= start) & (self.moments < end))

    def surges(self, end: float, *, seasons: bool, level: float) -> list[surges.Surge]:
        rows = self.between(end - SPAN, end)
        kinds = self.season[rows] if seasons else np.zeros(len(rows), np.int64)
        key = end, bool(kinds.any())
        if key not in self.found:
            self.found[key] = find_surges(
                self.vectors[rows],
                (self.moments[rows] * DAY).astype(np.int64),
                rows,
                season=kinds,
                end=int(end * DAY),
                span_days=SPAN,
                rng=np.random.default_rng(1),
                permutations=PERMUTATIONS,
                level=level,
            )
        return self.found[key]

    def comparison(self, end: float, level: float) -> float:
        """The p-value of the last week against the four before; 1 where the change has no size."""
        if end in self.p_values:
            return self.p_values[end]
        sides = [self.between(end - 7, end), self.between(end - 35, end - 7)]
        now, before = (Sample(self.vectors[rows], self.topic[rows][None], rows) for rows in sides)
        pool = pooled(before, now, rng=np.random.default_rng(1), permutations=PERMUTATIONS)
        tests = run_tests(pool)
        moved = any(one.p_value <= level and abs(one.change) >= 0.005 for one in share_changes(pool))
        self.p_values[end] = combined(tests) if moved or tests["shares"].effect >= 0.05 else 1.0
        return self.p_values[end]


def month(texts: Texts, drawn: World, traffic: Traffic) -> Month:
    moments = traffic.times(0, BEFORE + DAYS)
    rows = traffic.drawn(moments, 1)
    hours = hour_of(moments)
    lately = moments >= DAYS
    found = Rhythm.find(drawn.topic[rows][lately], hours[lately], seed=1)
    return Month(moments, texts.vectors[rows], drawn.topic[rows], found.of_hour[hours])


def told(one: Month, *, budget: bool, settings: Settings) -> dict[str, int]:
    """Alerts of surges and comparisons in the month."""
    known: list[SubjectRow] = []
    spent: dict[str, SubjectRow] = {}
    count = dict.fromkeys(KINDS, 0)
    policy = Policy(growth=2.0, min_users=5)
    for step in range(int(DAYS * 24 / HOURS_BETWEEN) + 1):
        end = BEFORE + step * HOURS_BETWEEN / 24
        now = START + timedelta(days=end)
        may = Allowance(0.01, 0.01, 0.01)
        if budget:
            may = allowed([*spent.values()], settings, comparisons=1, now=now, at=now)
            spent |= {row.subject: row for row in may.spent}
        inside = one.between(end - SPAN, end)
        findings = [
            finding(f"s{inside[each.centre]}", inside[list(each.members)], each.share, each.p_value <= may.surges)
            for each in one.surges(end, seasons=budget, level=0.01)
        ]
        explained = any(each.telling for each in findings) or any(row.subject[:1] == "s" for row in known)
        # A week that has gone on for half a day is nearly the same one.
        p_value = one.comparison(end, 0.01) if step % 2 == 0 else 1.0
        if p_value <= 0.01 and not explained:
            findings.append(finding("traffic", np.zeros(0, np.int64), 0.05, p_value <= may.comparisons))
        decision = decide(findings, known, now=now, at=now, policy=policy)
        for alert in decision.alerts:
            count["surges" if alert.subject[:1] == "s" else "comparisons"] += 1
        changed = {row.subject: row for row in decision.subjects}
        gone = {row.subject for row in decision.forgotten}
        known = [row for row in ({row.subject: row for row in known} | changed).values() if row.subject not in gone]
    return count


def finding(key: str, members: np.ndarray, size: float, telling: bool) -> Finding:
    of_turns = tuple(members.tolist())
    users = len(of_turns) or 100
    return Finding("drift", key, key, AlertBody(""), "/", size, users, of_turns, sure=True, telling=telling)


def looked_out(drawn: World, limit: float) -> int:
    """Alarms of the lookout in a month of conversations of the same traffic, with a reference of two weeks."""
    moments, topic, bin_, negative, season = drawn.coming(DAYS, "")
    detector, count = Detector.of(*padded([drawn], True)), 0
    steps = np.diff(moments, prepend=moments[0]).clip(0, 1) / DAYS
    for at in range(len(moments)):
        cut = slice(at, at + 1)
        detector.update(topic[cut], bin_[cut], negative[cut], time=float(steps[at]), at=float(at), season=season[cut])
        if sum(float(each[0]) for each in detector.evidence().values()) >= limit:
            count += 1
            begin_anew(detector, 0)
    return count


def nothing_changed(texts: Texts, rhythm: bool, replays: int) -> dict:
    settings = Settings()
    counts: dict[str, list[dict[str, int]]] = {"one_budget": [], "each_on_its_own": []}
    seasons = []
    for seed in range(FIRST_SEED, FIRST_SEED + replays):
        started = time.process_time()
        drawn = world(texts, PACE, rhythm, seed)
        one = month(texts, drawn, drawn.traffic)
        seasons.append(int(one.season.max()) + 1)
        ours, before = told(one, budget=True, settings=settings), told(one, budget=False, settings=settings)
        state = drawn.traffic.rng.bit_generator.state
        ours["lookout"] = looked_out(drawn, lookout_limit(settings))
        drawn.traffic.rng.bit_generator.state = state
        before["lookout"] = looked_out(drawn, 1.0)
        counts["one_budget"].append(ours)
        counts["each_on_its_own"].append(before)
        print(texts.name, rhythm, seed, ours, before, f"{time.process_time() - started:.0f} s", flush=True)
    found: dict = {"data": texts.name, "rhythm": rhythm, "months": replays, "seasons_found": sorted(seasons)}
    for name, rows in counts.items():
        of_kind = {kind: round(float(np.mean([row[kind] for row in rows])), 2) for kind in KINDS}
        total = [sum(row.values()) for row in rows]
        found[name] = of_kind | {
            "a_month": round(float(np.mean(total)), 2),
            "months_with_one": round(float(np.mean([each > 0 for each in total])), 2),
        }
    return found


def delays(texts: Texts, replays: int) -> list[dict]:
    """Conversations about a new intent until its surge is told."""
    settings = Settings()
    found = []
    for a_day in PLANTED:
        until: dict[str, list[float]] = {"one_budget": [], "each_on_its_own": []}
        for seed in range(DELAYS_FROM, DELAYS_FROM + replays):
            drawn = world(texts, PACE, False, seed)
            one = month(texts, drawn, drawn.traffic)
            rng = np.random.default_rng(seed)
            new = rng.choice(drawn.traffic.rows[1][5], 200)
            begins = BEFORE + float(rng.random())
            come = begins + np.cumsum(rng.exponential(1 / a_day, 200))
            order = np.argsort(np.concatenate([one.moments, come]), kind="stable")
            both = Month(
                np.concatenate([one.moments, come])[order],
                np.concatenate([one.vectors, texts.vectors[new]])[order],
                np.zeros(len(order), np.int64),
                np.zeros(len(order), np.int64),
            )
            is_new = (np.arange(len(order)) >= len(one.moments))[order]
            waiting = set(until)
            spent: dict[str, SubjectRow] = {}
            for step in range(1, 7 * 48):
                end = begins + step / 48
                now = START + timedelta(days=end)
                may = allowed([*spent.values()], settings, comparisons=1, now=now, at=now)
                spent |= {row.subject: row for row in may.spent}
                if step % 4 != 1:
                    continue
                levels = {"one_budget": may.surges, "each_on_its_own": 0.01}
                inside = both.between(end - SPAN, end)
                if is_new[inside].sum() < 5:
                    continue
                seen = [
                    each.p_value
                    for each in both.surges(end, seasons=False, level=0.01)
                    if is_new[inside[list(each.members)]].mean() > 0.5
                ]
                for name in [name for name in waiting if min(seen, default=1.0) <= levels[name]]:
                    until[name].append(float(is_new[inside].sum()))
                    waiting.remove(name)
                if not waiting:
                    break
            for name in waiting:
                until[name].append(np.inf)
        row: dict = {"data": texts.name, "conversations_a_day": PACE, "new_a_day": a_day, "replays": replays}
        for name, values in until.items():
            middle = float(np.median(values))
            row[name] = {
                "median_conversations": round(middle) if np.isfinite(middle) else None,
                "seen_in_a_week": round(float(np.isfinite(values).mean()), 2),
            }
        print(json.dumps(row), flush=True)
        found.append(row)
    return found


def tails(texts: Texts, replays: int, permutations: int = 20_000) -> dict:
    """The Gumbel distribution's p-value where 20,000 permutations say 1 in 100 to 1 in 5,000, over theirs."""
    at = (0.01, 0.002, 0.0005, 0.0002)
    ratios = []
    for seed in range(FIRST_SEED, FIRST_SEED + replays):
        drawn = world(texts, PACE, False, seed)
        one = month(texts, drawn, drawn.traffic)
        rows = one.between(0, SPAN)
        with patch.object(surges, "adjusted_for_all", side_effect=adjusted_for_all) as asked:
            find_surges(
                one.vectors[rows],
                (one.moments[rows] * DAY).astype(np.int64),
                rows,
                end=int(SPAN * DAY),
                span_days=SPAN,
                rng=np.random.default_rng(1),
                permutations=permutations,
                level=1.0,  # or it ends as soon as nothing can be found any more
            )
        many = asked.call_args.args[1]
        where = np.quantile(many, at)
        for few in np.random.default_rng(seed).permutation(many)[: 499 * 8].reshape(8, 499):
            ratios.append(adjusted_for_all(where, few) / at)
    return {
        "data": texts.name,
        "permutations": permutations,
        "ratio": {
            f"{level:g}": [round(float(one), 2) for one in np.quantile(np.array(ratios)[:, place], (0.05, 0.5, 0.95))]
            for place, level in enumerate(at)
        },
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replays", type=int, default=8, help="months of each kind of traffic")
    parser.add_argument("--vectors", type=Path, help="folder with clinc.npz and banking.npz, rather than encoding here")
    parser.add_argument("--part", choices=("months", "delays", "tails"), help="renew this part of the result only")
    arguments = parser.parse_args()
    folder = arguments.vectors
    sets = (
        (load_clinc(data_folder()), load_banking(data_folder()))
        if folder is None
        else (_given(folder / "clinc.npz", "CLINC150"), _given(folder / "banking.npz", "BANKING77"))
    )
    result: dict = {"budget": "one false alarm in 30 days", "seeds_from": FIRST_SEED}
    if arguments.part and RESULT.exists():
        result = json.loads(RESULT.read_text("utf-8"))
    parts = {
        "tails": lambda texts: [tails(texts, 3)],
        "delays": lambda texts: delays(texts, arguments.replays),
        "months": lambda texts: [nothing_changed(texts, rhythm, arguments.replays) for rhythm in (False, True)],
    }
    for name, part in parts.items():
        if arguments.part in (None, name):
            result[name] = []
            for texts in sets:
                result[name] += part(texts)
                RESULT.write_text(json.dumps(result, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
