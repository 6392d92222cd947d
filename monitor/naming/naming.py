"""A model names the topics of the published atlas: the step after an analysis, which it cannot fail.

The analysis stays a function of its input: it is published under the labels that were found here, and under the names that a
model gave the same topics before. Only then is the endpoint asked, for topics that have neither; a name that comes stands
beside the label. Where none comes (no answer, one that is not taken, no time left) the label stays, and the result says so.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from monitor.clock import Clock
from monitor.endpoint import Unfit
from monitor.errors import ModelError, SettingError
from monitor.naming.answer import Verdict, judge, read_names
from monitor.naming.chat_api import ChatApi
from monitor.naming.question import Subject, asked_with, make_question
from monitor.progress import Progress, Silent
from monitor.settings import NamingSettings, Settings
from monitor.store.atlases import PERSON, TopicRow
from monitor.store.store import Store
from monitor.store.topic_names import NamingRun, NamingTotals, TopicName
from monitor.wording import counted

__all__ = ["BATCH", "Naming", "carry_names", "cost_of", "name_topics"]

#: Topics of one request: they are told apart better together, and a message can spoil the answer of so many.
BATCH = 8
#: Tokens of an answer: some for each name, and some for a model that thinks first.
_TOKENS_A_NAME, _TOKENS_OF_THOUGHT = 60, 3000
#: An answer that was not taken is asked for again after so long: the endpoint may have a better model by then.
_AGAIN = timedelta(days=7)
#: An endpoint that refuses so many questions about single topics, and takes none, refuses them all.
_REFUSALS = 3


@dataclass(frozen=True, slots=True)
class Naming:
    """What one step did. Of the shown topics `kept` had a name by the model before; it was `asked` for others, of which some
    are `named`; `refused` says why how many answers were not taken. `left` topics are for the next time.

    `cost_usd` is None where no price, or no tokens, are known. `error` is why it ended early.
    """

    model: str
    kept: int
    asked: int
    named: int
    refused: Mapping[str, int]
    left: int
    requests: int
    input_tokens: int
    output_tokens: int
    cost_usd: float | None
    error: str

    @property
    def words(self) -> str:
        """In one line.

        >>> Naming("small-1", 3, 4, 2, {"a secret": 1}, 1, 2, 900, 50, 0.0004, "").words
        'Names by small-1: 2 topics named, 3 kept, 1 answer not taken (1 a secret), 1 left for the next analysis; 2 requests, \
900 tokens in, 50 out, $0.0004'
        """
        facts = [f"{counted(self.named, 'topic')} named", f"{self.kept:,} kept"]
        if self.refused:
            why = ", ".join(f"{count:,} {reason}" for reason, count in self.refused.items())
            facts.append(f"{counted(sum(self.refused.values()), 'answer')} not taken ({why})")
        if self.left:
            facts.append(f"{self.left:,} left for the next analysis")
        return f"Names by {self.model}: {', '.join(facts)}{cost_of(self)}"


def cost_of(counts: Naming | NamingRun | NamingTotals) -> str:
    """What was asked and what it cost, as the end of a sentence; empty where nothing was asked."""
    if not counts.requests:
        return ""
    said = f"; {counted(counts.requests, 'request')}, {counts.input_tokens:,} tokens in, {counts.output_tokens:,} out"
    return said if counts.cost_usd is None else f"{said}, ${counts.cost_usd:.4f}"


def carry_names(store: Store, atlas_id: str, settings: NamingSettings) -> None:
    """Give the topics of an atlas the names that the model gave them before; without a model none has any."""
    asked = {}
    if settings.url and settings.model:
        asked = {one.topic_id: asked_with(one, settings.model) for one in store.atlases.topics(atlas_id)}
    store.topic_names.carry(atlas_id, settings.model, asked)


def name_topics(
    store: Store,
    settings: Settings,
    *,
    atlas_id: str,
    run_id: str,
    progress: Progress | None = None,
    wait: Callable[[float], object] | None = None,
    clock: Clock,
) -> Naming | None:
    """Ask for the names of topics that have none, the broad and the large first, and store them; None when it is off.

    Topics of fewer users than `Settings.min_users_of_texts`, and those that a person named, are not asked for. Nothing that the
    endpoint does raises.
    """
    if not settings.naming.url:
        return None
    topics = store.atlases.topics(atlas_id)
    settled = {
        one.topic_id
        for one in store.topic_names.read(atlas_id)
        if one.name is not None or clock() - one.named_at < _AGAIN
    }
    open_ = [
        one
        for one in topics
        if one.users >= settings.min_users_of_texts and one.named_by != PERSON and one.topic_id not in settled
    ]
    work = _Work(store, settings, atlas_id, clock)
    work.ask(open_[: settings.naming.max_topics], progress or Silent(), wait)
    done = Naming(
        model=settings.naming.model,
        kept=sum(one.named_by not in (None, PERSON) for one in topics),
        asked=work.asked,
        named=work.named,
        refused=dict(sorted(work.refused.items())),
        left=len(open_) - work.named - sum(work.refused.values()),
        requests=work.requests,
        input_tokens=work.input_tokens,
        output_tokens=work.output_tokens,
        cost_usd=_cost(settings.naming, work.input_tokens, work.output_tokens),
        error=work.error,
    )
    if work.requests or work.error:
        store.topic_names.note(_run(done, run_id, clock))
    return done


@dataclass(slots=True)
class _Work:
    """One step while it runs."""

    store: Store
    settings: Settings
    atlas_id: str
    clock: Clock
    asked: int = 0
    named: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    error: str = ""

    def ask(self, topics: Sequence[TopicRow], progress: Progress, wait: Callable[[float], object] | None) -> None:
        if not topics:
            return
        naming = self.settings.naming
        deadline = time.monotonic() + naming.patience_seconds
        batches = deque(topics[start : start + BATCH] for start in range(0, len(topics), BATCH))
        api = None
        try:
            api = ChatApi(naming, deadline=deadline, wait=wait)
            with progress.task("name", len(topics), "topics") as task:
                unfit = 0
                while batches:
                    if time.monotonic() >= deadline:
                        self.error = f"no time was left, setting naming.patience_seconds = {naming.patience_seconds:g}"
                        break
                    batch = batches.popleft()
                    try:
                        settled = self._ask(api, batch)
                    except Unfit as error:
                        settled = False
                        if len(batch) == 1:
                            unfit += 1
                            if unfit >= _REFUSALS and not self.named:
                                raise ModelError(
                                    f"{api.where} does not take a question ({error}): check naming.model"
                                ) from None
                            self.refused["refused by the endpoint"] += 1
                            self.asked += 1
                            settled = True
                    if settled:
                        task.advance(len(batch))
                    elif len(batch) > 1:
                        # One of their messages may have spoilt it: alone, the others have their names.
                        batches.extendleft([one] for one in reversed(batch))
                    else:
                        self._settle([Verdict(batch[0].topic_id, None, "no names in JSON")], batch, {})
                        task.advance(1)
        except (ModelError, SettingError) as error:
            self.error = str(error)
        finally:
            self.requests = api.requests if api is not None else 0

    def _ask(self, api: ChatApi, batch: Sequence[TopicRow]) -> bool:
        """Whether the answer said something; then it is stored."""
        texts = self._texts(batch)
        subjects = [Subject(one, tuple(texts[one.topic_id].values())) for one in batch]
        question = make_question(subjects)
        said = api.ask(question, tokens=_TOKENS_OF_THOUGHT + _TOKENS_A_NAME * len(batch))
        self.input_tokens += said.input_tokens
        self.output_tokens += said.output_tokens
        answer = read_names(said.content)
        if answer is None:
            return False
        ids = {one.topic_id for one in batch}
        taken = {
            (one.level, label.casefold())
            for one in self.store.atlases.topics(self.atlas_id)
            for label in ((one.label, one.local_label) if one.topic_id not in ids else ())
        }
        verdicts = judge(answer, [(one.topic_id, one.level) for one in batch], taken, mark=question.mark)
        self._settle(verdicts, batch, texts)
        return True

    def _texts(self, batch: Sequence[TopicRow]) -> dict[str, dict[int, str]]:
        """Texts of the most central turns of each topic, by turn key."""
        most = self.settings.naming.examples
        keys = [key for one in batch for key in one.representatives[:most]]
        found = {turn.key: turn.user_text for turn in self.store.turns.fetch(keys)}
        return {one.topic_id: {key: found[key] for key in one.representatives[:most] if key in found} for one in batch}

    def _settle(
        self, verdicts: Sequence[Verdict], batch: Sequence[TopicRow], texts: Mapping[str, Mapping[int, str]]
    ) -> None:
        """Store what was decided: at once, as it was paid for. What was made of a text that was forgotten meanwhile is not
        stored."""

        def write() -> None:
            topics = {one.topic_id: one for one in self.store.atlases.topics(self.atlas_id)}
            there = {turn.key for turn in self.store.turns.fetch([key for one in texts.values() for key in one])}
            made = []
            for one, topic in zip(verdicts, batch, strict=True):
                seen, now = tuple(texts.get(one.topic_id, {})), topics.get(one.topic_id)
                if now is None or (now.local_label, now.keywords) != (topic.local_label, topic.keywords):
                    continue
                if there.issuperset(seen):
                    asked = asked_with(topic, self.settings.naming.model)
                    made.append(
                        TopicName(one.topic_id, self.settings.naming.model, asked, one.name, seen, self.clock())
                    )
            self.store.topic_names.add(self.atlas_id, made)

        self.store.retrying(write)
        self.asked += len(batch)
        self.named += sum(one.name is not None for one in verdicts)
        self.refused.update(one.why for one in verdicts if one.name is None)


def _cost(settings: NamingSettings, input_tokens: int, output_tokens: int) -> float | None:
    if not (settings.input_price or settings.output_price) or not (input_tokens or output_tokens):
        return None
    return (input_tokens * settings.input_price + output_tokens * settings.output_price) / 1e6


def _run(done: Naming, run_id: str, clock: Clock) -> NamingRun:
    return NamingRun(
        run_id=run_id,
        asked_at=clock(),
        model=done.model,
        topics=done.asked,
        named=done.named,
        refused=sum(done.refused.values()),
        requests=done.requests,
        input_tokens=done.input_tokens,
        output_tokens=done.output_tokens,
        cost_usd=done.cost_usd,
        error=done.error or None,
    )
