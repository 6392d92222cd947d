"""Customers' conversations: their users, languages and prompt versions around the dialogue, and the two decoys."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sample_data.arrivals import Arrival, draw_starts, season
from sample_data.catalogue import Acts
from sample_data.dialogue import Line, Scene, Stage
from sample_data.phrasing import Phrasing
from sample_data.scenario import Scenario

__all__ = ["Conversation", "Users", "customers", "flood", "staging"]

FOREIGN_SHARE = 0.06
TENANTS = {"eu": 40, "uk": 42, "us": 18}
APPS = {"mobile": 55, "website": 35, "help-centre": 10}
FLOOD_REPLY = (
    "1. Open the Brightloop app and choose Devices, then Gateway. "
    "2. Tap Restart and keep the gateway plugged in. "
    "3. Wait two minutes until the light is steady green."
)


@dataclass(frozen=True, slots=True)
class Conversation:
    """Lines that belong together. `pace` is the mean time between a reply and the next message."""

    at: datetime
    lines: tuple[Line, ...]
    language: str
    prompt_version: str
    user_id: str
    tenant: str
    app: str
    environment: str = "production"
    pace: timedelta = timedelta(seconds=45)


class Users:
    """The customers of each tenant; a few of them write often."""

    def __init__(self, count: int, rng: random.Random) -> None:
        ids = [f"u{number}" for number in rng.sample(range(10_000, 100_000), count)]
        self._by_tenant: dict[str, list[str]] = {}
        for tenant, parts in TENANTS.items():
            size = max(1, count * parts // 100)
            self._by_tenant[tenant], ids = ids[:size], ids[size:]

    def draw(self, tenant: str, rng: random.Random) -> str:
        users = self._by_tenant[tenant]
        return users[int(len(users) * rng.random() ** 1.7)]

    def rarest(self, tenant: str) -> str:
        return self._by_tenant[tenant][-1]


def _prompt_version(at: datetime, scenario: Scenario, rng: random.Random) -> str:
    """Half of the conversations get v4 from the start of the roll-out."""
    return "v4" if rng.random() < 0.5 and at >= scenario.rollout_start else "v3"


def customers(drawn: Sequence[Arrival], users: Users, stage: Stage, rng: random.Random) -> list[Conversation]:
    """One conversation for each arrival."""
    written = []
    for arrival in drawn:
        language = rng.choice(("de", "es", "fr")) if rng.random() < FOREIGN_SHARE else "en"
        tenant = rng.choices(tuple(TENANTS), tuple(TENANTS.values()))[0] if language == "en" else "eu"
        version = _prompt_version(arrival.at, stage.scenario, rng)
        intent = stage.catalogue.intents[arrival.intent] if arrival.intent else None
        conversation = Conversation(
            at=arrival.at,
            lines=Scene(stage, arrival.at, language, version).play(intent),
            language=language,
            prompt_version=version,
            user_id=users.draw(tenant, rng),
            tenant=tenant,
            app=rng.choices(tuple(APPS), tuple(APPS.values()))[0],
        )
        written.append(conversation)
    return written


def _parts(total: int, count: int) -> list[int]:
    """`total` split into `count` nearly equal parts.

    >>> _parts(7, 3)
    [3, 2, 2]
    """
    return [total // count + (part < total % count) for part in range(count)]


def flood(acts: Acts, scenario: Scenario, users: Users, rng: random.Random) -> list[Conversation]:
    """One user's script that sends the same prompt around the clock: many turns, no new need."""
    if not scenario.flood_turns:
        return []
    written = []
    starts = draw_starts(scenario.flood_conversations, lambda hour: float(hour >= scenario.flood_start), rng)
    for at, size in zip(starts, _parts(scenario.flood_turns, scenario.flood_conversations), strict=True):
        texts = [
            acts.flood_prompt + (f" (run {rng.randrange(1, 400)})" if rng.random() < 0.2 else "") for _ in range(size)
        ]
        conversation = Conversation(
            at=at,
            lines=tuple(Line(text, FLOOD_REPLY, "flood") for text in texts),
            language="en",
            prompt_version=_prompt_version(at, scenario, rng),
            user_id=users.rarest("uk"),
            tenant="uk",
            app="website",
            pace=timedelta(minutes=4),
        )
        written.append(conversation)
    return written


def staging(acts: Acts, scenario: Scenario, phrasing: Phrasing, rng: random.Random) -> list[Conversation]:
    """The team tries an unreleased product in its staging environment, in office hours."""

    def office_hours(hour: datetime) -> float:
        open_ = hour >= scenario.staging_start and hour.weekday() < 5 and 8 <= hour.hour < 18
        return season(hour) if open_ else 0.0

    if not scenario.staging_turns:
        return []
    by_text = [(text, language) for language, texts in acts.staging.items() for text in texts]
    written = []
    sizes = _parts(scenario.staging_turns, max(1, round(scenario.staging_turns / 2.5)))
    for at, size in zip(draw_starts(len(sizes), office_hours, rng), sizes, strict=True):
        chosen = [rng.choice(by_text) for _ in range(size)]
        conversation = Conversation(
            at=at,
            lines=tuple(
                Line(phrasing.varied(text, language), rng.choice(acts.staging_replies), "staging")
                for text, language in chosen
            ),
            language="en",
            prompt_version="v4",
            user_id=rng.choice(("qa1", "qa2", "qa3")),
            tenant="eu",
            app="mobile",
            environment="staging",
        )
        written.append(conversation)
    return written
