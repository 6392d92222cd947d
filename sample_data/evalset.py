"""The eval set: some items for every intent that it covers, and the faults that eval sets gather with the years."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sample_data.catalogue import LANGUAGES, Catalogue, Intent, normalised
from sample_data.dialogue import Line
from sample_data.scenario import Scenario
from sample_data.serving import LoggedTurn

__all__ = ["STALE_LABEL", "STALE_PROMPTS", "EvalItem", "build_evalset"]

STALE_LABEL = "broadband_bundle"
# Brightloop Broadband was sold with the electricity until it was closed; nobody asks about it any more.
STALE_PROMPTS = (
    "How do I add Brightloop Broadband to my electricity contract?",
    "The broadband router from Brightloop shows a red globe. What should I do?",
    "What download speed does the Fibre 150 bundle guarantee?",
    "Can I keep my landline number when I take the energy and internet bundle?",
    "My internet has been down since the engineer installed the broadband box.",
    "Is the 10 % bundle discount paid on the broadband or on the energy part?",
    "How long is the minimum term of the broadband bundle?",
    "Where do I return the Brightloop WiFi router after cancelling the internet?",
)
STALE_REFERENCE = (
    "You can manage Brightloop Broadband under Account, then Bundles. The router light explains most faults."
)


@dataclass(frozen=True, slots=True)
class EvalItem:
    item_id: str
    prompt: str
    reference: str | None
    label: str
    tags: tuple[str, ...] = ()

    def row(self) -> dict[str, object]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Draft:
    prompt: str
    reference: str
    label: str
    tags: tuple[str, ...] = ()


def build_evalset(
    catalogue: Catalogue, scenario: Scenario, turns: Sequence[LoggedTurn], rng: random.Random
) -> tuple[EvalItem, ...]:
    """Items of the covered intents, and as many duplicates, stale and copied items as the scenario plants."""
    covered = [intent for name, intent in catalogue.intents.items() if name not in scenario.missing]
    written = _written(covered, scenario.evals.items, rng)
    duplicates = [
        _Draft(draft.prompt, draft.reference, draft.label, ("duplicate",))
        for draft in rng.sample(written, scenario.evals.duplicates)
    ]
    stale = [_Draft(text, STALE_REFERENCE, STALE_LABEL, ("stale",)) for text in STALE_PROMPTS[: scenario.evals.stale]]
    drafts = written + duplicates + stale + _copied(covered, scenario.evals.copied, turns, rng)
    rng.shuffle(drafts)
    return tuple(
        EvalItem(f"e{number:03d}", draft.prompt, draft.reference, draft.label, draft.tags)
        for number, draft in enumerate(drafts, start=1)
    )


def _written(covered: Sequence[Intent], count: int, rng: random.Random) -> list[_Draft]:
    """`count` items over the intents, as evenly as people manage: some intents get three more than others."""
    pools = {intent.name: rng.sample(texts := _tagged(intent), len(texts)) for intent in covered}
    sizes = {intent.name: max(1, count // len(covered) + rng.choice((-1, -1, 0, 1, 1))) for intent in covered}
    names = list(sizes)
    while (missing := count - sum(sizes.values())) != 0:
        sizes[rng.choice(names)] += 1 if missing > 0 else -1
    return [
        _Draft(text, rng.choice(intent.replies), intent.name, tags)
        for intent in covered
        for text, tags in pools[intent.name][: sizes[intent.name]]
    ]


def _tagged(intent: Intent) -> list[tuple[str, tuple[str, ...]]]:
    """The intent's eval texts with their language as a tag where it is not English."""
    return [
        (text, () if language == "en" else (language,)) for language in LANGUAGES for text in intent.evals[language]
    ]


def _copied(covered: Sequence[Intent], count: int, turns: Sequence[LoggedTurn], rng: random.Random) -> list[_Draft]:
    """Utterances that somebody copied from the log into the eval set; each is in the traffic word for word."""
    if count == 0:
        return []
    intents = {intent.name: intent for intent in covered}
    seen: dict[str, Line] = {}
    for turn in turns:
        name = turn.line.intent
        # Long enough to be a question that somebody would copy.
        if name in intents and turn.line.text in intents[name].traffic["en"] and len(turn.line.text.split()) > 4:
            seen.setdefault(normalised(turn.line.text), turn.line)
    lines = [seen[text] for text in rng.sample(sorted(seen), count)]
    return [
        _Draft(line.text, rng.choice(intents[line.intent].replies), line.intent, ("copied_from_traffic",))
        for line in lines
        if line.intent
    ]
