"""What is planted where: every constant of the story that the traffic tells."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

__all__ = ["END", "START", "Birth", "EvalPlan", "Scenario", "Shift", "WorsePrompt", "stream", "week_start"]

START = datetime(2026, 3, 2)  # a Monday, so that week n starts on a Monday too
END = START + timedelta(weeks=8)

# Conversations of each intent that the eval set misses: 1.2 to 3 % of the production turns each.
MISSING = {
    "bereavement_account": 125,
    "voice_assistant_pairing": 190,
    "heat_pump_defrost_noise": 215,
    "ev_roaming_card": 160,
    "balcony_solar_kit": 170,
    "energy_voucher": 145,
}
SHIFTED = "power_outage_report"
WORSE_TOPIC = "solar_export_payment"
# Popular enough for their planted facts to be seen; the same in the control.
FIXED_DEMAND = {**MISSING, SHIFTED: 220, WORSE_TOPIC: 210}


def stream(seed: int, name: str) -> random.Random:
    """A random generator of its own for each part, so that a change in one part leaves the others as they were."""
    return random.Random(f"{seed}/{name}")


def week_start(week: int) -> datetime:
    """Start of a week, counted from 1.

    >>> week_start(5)
    datetime.datetime(2026, 3, 30, 0, 0)
    """
    return START + timedelta(weeks=week - 1)


FLOOD_START = week_start(3)
STAGING_START = week_start(5)
ROLLOUT_START = week_start(4)


@dataclass(frozen=True, slots=True)
class Birth:
    """An intent that nobody asks before `at`; it takes `ramp` to become as popular as it gets."""

    at: datetime
    ramp: timedelta

    def activity(self, moment: datetime) -> float:
        if moment < self.at:
            return 0.0
        return min(1.0, 0.15 + 0.85 * ((moment - self.at) / self.ramp))


@dataclass(frozen=True, slots=True)
class Shift:
    """A covered intent that becomes `factor` times as popular at `at`."""

    intent: str
    at: datetime
    factor: float


@dataclass(frozen=True, slots=True)
class WorsePrompt:
    """A prompt version that answers one intent badly this often."""

    intent: str
    prompt_version: str
    bad_share: float


@dataclass(frozen=True, slots=True)
class EvalPlan:
    """Size of the eval set: items written for intents, and the planted faults beside them."""

    items: int
    duplicates: int = 0
    copied: int = 0
    stale: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One variant of the story. At scale 1 it has about 6,000 conversations; a smaller scale divides all counts."""

    seed: int
    variant: str
    scale: float
    evals: EvalPlan
    missing: tuple[str, ...] = ()
    births: Mapping[str, Birth] = field(default_factory=dict)
    shift: Shift | None = None
    worse_prompt: WorsePrompt | None = None
    flood_turns: int = 0
    flood_conversations: int = 0
    staging_turns: int = 0
    flood_start: datetime = FLOOD_START
    staging_start: datetime = STAGING_START
    rollout_start: datetime = ROLLOUT_START

    @classmethod
    def planted(cls, seed: int, scale: float = 1.0) -> Scenario:
        rng = stream(seed, "scenario")
        births = {
            "balcony_solar_kit": Birth(week_start(5) + timedelta(days=rng.randrange(3)), timedelta(days=2)),
            "energy_voucher": Birth(week_start(6) + timedelta(days=rng.randrange(3)), timedelta(days=10)),
        }
        return cls(
            seed=seed,
            variant="planted",
            scale=scale,
            evals=EvalPlan(items=282 if scale == 1.0 else 126, duplicates=6, copied=4, stale=8),
            missing=tuple(MISSING),
            births=births,
            shift=Shift(SHIFTED, week_start(7), 3.0),
            worse_prompt=WorsePrompt(WORSE_TOPIC, "v4", 0.7),
            flood_turns=round(500 * scale),
            flood_conversations=max(1, round(40 * scale)),
            staging_turns=round(350 * scale),
        )

    @classmethod
    def control(cls, seed: int, scale: float = 1.0) -> Scenario:
        """The same product and popularity, and nothing to find: all intents are covered and stay as they are."""
        evals = EvalPlan(items=300 if scale == 1.0 else 144)
        return cls(seed=seed, variant="control", scale=scale, evals=evals)

    @property
    def conversations(self) -> int:
        """Conversations of customers, without the flood and staging."""
        return round((5820 if self.flood_turns else 6000) * self.scale)

    @property
    def least_conversations(self) -> int:
        """So many are opened by any intent, so that it can be seen."""
        return max(1, round(60 * self.scale))

    @property
    def fixed_demand(self) -> Mapping[str, int]:
        return {name: max(1, round(count * self.scale)) for name, count in FIXED_DEMAND.items()}

    def activity(self, intent: str, moment: datetime) -> float:
        """How popular the intent is at the moment, relative to its usual popularity."""
        if intent in self.births:
            return self.births[intent].activity(moment)
        if self.shift and intent == self.shift.intent and moment >= self.shift.at:
            return self.shift.factor
        return 1.0

    def bad_reply_share(self, intent: str, prompt_version: str) -> float:
        """4 % of all replies miss the point, as in any product; the worse prompt version far more of one topic's."""
        worse = self.worse_prompt
        if worse and (intent, prompt_version) == (worse.intent, worse.prompt_version):
            return worse.bad_share
        return 0.04
