"""When conversations start, and about what: weekly and daily seasons, and the popularity of intents."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sample_data.scenario import END, START, Scenario

__all__ = ["Arrival", "arrivals", "demand", "draw_starts", "season"]

# Without the last two hours, so that every conversation ends within the window.
HOURS = tuple(START + timedelta(hours=hour) for hour in range((END - START) // timedelta(hours=1) - 2))
WEEKEND = 0.6
# Quiet nights, a peak before noon and one after work (UTC).
BY_HOUR = (4, 2, 1, 1, 2, 6, 18, 38, 62, 84, 96, 92, 76, 74, 78, 80, 82, 90, 100, 96, 74, 48, 24, 10)
SMALL_TALK_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class Arrival:
    """A customer starts a conversation; `intent` is None for small talk and nothing else."""

    at: datetime
    intent: str | None


def season(moment: datetime) -> float:
    """Relative traffic of the hour that the moment lies in."""
    return BY_HOUR[moment.hour] * (WEEKEND if moment.weekday() >= 5 else 1.0)


def draw_starts(count: int, weight: Callable[[datetime], float], rng: random.Random) -> list[datetime]:
    """`count` moments of the window: an hour by its weight, then any second of the hour."""
    hours = rng.choices(HOURS, [weight(hour) for hour in HOURS], k=count)
    return [hour + timedelta(seconds=rng.randrange(3600)) for hour in hours]


def demand(names: Sequence[str], scenario: Scenario, rng: random.Random) -> dict[str, int]:
    """Conversations that each intent opens: planted ones as planned, the others a floor plus a log-normal share.

    The floor keeps every intent visible; the skew is what real products have.
    """
    fixed = scenario.fixed_demand
    others = [name for name in names if name not in fixed]
    weights = [rng.lognormvariate(0.0, 1.1) for _ in others]
    small_talk = round(scenario.conversations * SMALL_TALK_SHARE)
    left = scenario.conversations - small_talk - sum(fixed.values()) - scenario.least_conversations * len(others)
    shares = {name: left * weight / sum(weights) for name, weight in zip(others, weights, strict=True)}
    return {name: fixed.get(name) or scenario.least_conversations + round(shares[name]) for name in names}


def _weight_of(intent: str, scenario: Scenario) -> Callable[[datetime], float]:
    return lambda hour: season(hour) * scenario.activity(intent, hour)


def arrivals(demanded: dict[str, int], scenario: Scenario, rng: random.Random) -> list[Arrival]:
    """All customers' conversations in order of time."""
    drawn: list[Arrival] = []
    for name, count in demanded.items():
        starts = draw_starts(count, _weight_of(name, scenario), rng)
        drawn += [Arrival(at, name) for at in starts]
    small_talk = scenario.conversations - sum(demanded.values())
    drawn += [Arrival(at, None) for at in draw_starts(small_talk, season, rng)]
    return sorted(drawn, key=lambda arrival: (arrival.at, arrival.intent or ""))
