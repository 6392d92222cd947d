"""What people decide about topics: checked, written down with the turns that prove it, and said in words.

Names show at once. What changes topics waits for the next analysis, which keeps to it from then on (docs/decisions/0017).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monitor.errors import UsageError
from monitor.evidence import LEVELS, MOST_PARTS, TopicTexts, joined
from monitor.published import published_run
from monitor.records import short_hash
from monitor.store.curation import DecisionRow, Evidence, in_force, shaping
from monitor.wording import clean, counted

if TYPE_CHECKING:
    from monitor.settings import Settings
    from monitor.store.atlases import TopicRow
    from monitor.store.store import Store

__all__ = ["Decisions", "Stated", "find_topic_called"]

_LONGEST = 80
#: Texts that are examples of an intent.
_EXAMPLES = 20
#: A spreadsheet takes a cell that begins so for a formula.
_FORMULA = ("=", "+", "-", "@")


@dataclass(frozen=True, slots=True)
class Stated:
    """A decision and how it stands: `in force`, `next analysis`, `undone`, `replaced` (by a later one of its kind) or `dormant`
    (its topic is not in the atlas).

    `into` is what the topic is called that another is merged into.
    """

    decision: DecisionRow
    state: str
    into: str = ""

    @property
    def sentence(self) -> str:
        one, what = self.decision, clean(self.decision.label)
        said = {
            "name": f"“{what}” is called “{clean(one.name or '')}”",
            "merge": f"“{what}” is merged into " + (f"“{clean(self.into)}”" if self.into else str(one.other)),
            "split": f"“{what}” is split in {len(one.topics)}: {', '.join(one.topics)}",
            "lock": f"“{what}” keeps its turns and its id",
            "promote": f"“{what}” is the intent “{clean(one.name or '')}”",
            "undo": f"{one.other} is taken back",
        }
        return said[one.kind]


class Decisions:
    """Decisions on the topics of the published atlas. Every method writes one, or raises `UsageError` and writes none.

    A topic is named by its id, or by its label where no other has it.
    """

    def __init__(self, store: Store, settings: Settings, *, who: str | None = None) -> None:
        self._store, self._settings = store, settings
        self._who = clean(who)[:_LONGEST] or None if who else None
        self._run = published_run(store)
        self._topics = store.atlases.topics(self._run.atlas_id)
        self._texts = TopicTexts(store, self._run.atlas_id, self._topics)

    def name(self, topic: str, text: str) -> Stated:
        """Call a topic something, at once and after every refit. The label that was found is kept beside it."""
        found = find_topic_called(self._topics, topic)
        name = _name(text, "a topic's name")
        for other in self._topics:
            # What a model calls it gives way to a person's word.
            called = other.local_label if other.named_by_model else other.label
            if other.level == found.level and other.topic_id != found.topic_id and _same(called, name):
                raise UsageError(
                    f"the {LEVELS[found.level]} topic {other.topic_id} is called {name!r} already: choose another name, or "
                    f"make them one with `offmap topics merge {found.topic_id} {other.topic_id}`"
                )
        return self._write("name", found, name=name)

    def merge(self, topic: str, into: str) -> Stated:
        """Make two topics of one level one: the second one's id, name and place above stay."""
        gone, target = (self._shaped(one) for one in (topic, into))
        if gone.topic_id == target.topic_id:
            raise UsageError(f"topic {gone.topic_id} cannot be merged into itself: name another as the second")
        if gone.level != target.level:
            raise UsageError(
                f"{gone.topic_id} is a {LEVELS[gone.level]} topic and {target.topic_id} a {LEVELS[target.level]} one: "
                f"only topics of one level are merged; `offmap topics --level {LEVELS[gone.level]}` lists them"
            )
        self._refuse(gone, "lock", f"it is locked: `offmap topics unlock {gone.topic_id}` first")
        for one in (gone, target):
            self._refuse(one, "split", "it is to be split by {id}: undo that first, or wait for the next analysis")
        evidence = joined([self._texts.kept(gone), self._texts.kept(target)])
        ids = (gone.topic_id, target.topic_id)
        return self._write("merge", gone, other=target.topic_id, topics=ids, evidence=evidence)

    def split(self, topic: str, parts: int | None = None) -> Stated:
        """Make a topic several: above the fine level along its finer topics, else by its texts (in 2, or `parts`)."""
        found = self._shaped(topic)
        if parts is not None and not 2 <= parts <= MOST_PARTS:
            raise UsageError(f"--parts {parts}: a topic is split in 2 to {MOST_PARTS}")
        self._refuse(found, "lock", f"it is locked: `offmap topics unlock {found.topic_id}` first")
        pieces = self._texts.by_text(found, parts or 2) if found.level == 2 else self._texts.by_child(found, parts)
        made = str(len(self._store.curation.read()))
        ids = [found.topic_id] + [
            "t" + short_hash(found.topic_id, self._run.atlas_id, made, str(part), length=8)
            for part in range(1, len(pieces))
        ]
        return self._write("split", found, topics=tuple(ids), evidence=joined(pieces))

    def lock(self, topic: str) -> Stated:
        """Let a topic keep its turns and its id through every refit."""
        found = self._shaped(topic)
        self._refuse(found, "lock", "it is locked already")
        return self._write("lock", found, topics=(found.topic_id,), evidence=self._texts.kept(found))

    def unlock(self, topic: str) -> Stated:
        """Take a lock back."""
        found = find_topic_called(self._topics, topic)
        locks = [one for one in self._standing() if (one.kind, one.topic_id) == ("lock", found.topic_id)]
        if not locks:
            raise UsageError(f"topic {found.topic_id} is not locked: `offmap topics decisions` lists what is decided")
        return self.undo(locks[-1].decision_id)

    def promote(self, topic: str, intent: str) -> Stated:
        """Make an intent of a topic: its most central texts are the intent's examples."""
        found, name = find_topic_called(self._topics, topic), _name(intent, "an intent's name")
        for one in self._standing():
            if one.kind == "promote" and one.topic_id != found.topic_id and _same(one.name or "", name):
                raise UsageError(
                    f"the intent {name!r} is topic {one.topic_id} by decision {one.decision_id}: choose another name, or undo "
                    f"that with `offmap topics undo {one.decision_id}`"
                )
        for known, where in self._known_intents():
            if _same(known, name):
                raise UsageError(
                    f"the intent {name!r} has examples in {where}: choose another name, or add examples there"
                )
        return self._write("promote", found, name=name, evidence=self._texts.kept(found, _EXAMPLES, central=True))

    def undo(self, decision_id: str) -> Stated:
        """Take a decision back. Taking back is not taken back: decide again."""
        known = {one.decision_id: one for one in self._store.curation.read()}
        if decision_id not in known:
            near = get_close_matches(decision_id, list(known), n=1, cutoff=0.6)
            hint = f"did you mean {near[0]}?" if near else "`offmap topics decisions` lists them"
            raise UsageError(f"no decision {decision_id!r}; {hint}")
        found = known[decision_id]
        if found.kind == "undo":
            raise UsageError(f"decision {decision_id} takes back {found.other}: decide that again instead")
        by = next((one for one in known.values() if one.kind == "undo" and one.other == decision_id), None)
        if by is not None:
            raise UsageError(f"decision {decision_id} was taken back by {by.decision_id} already")
        row = replace(
            found, who=self._who, kind="undo", name=None, other=decision_id, topics=(), atlas_id=self._run.atlas_id
        )
        return self._stated(self._store.curation.add(row))

    def all(self) -> list[Stated]:
        """Every decision with how it stands, the first first."""
        decisions = self._store.curation.read()
        standing = {one.decision_id for one in in_force(decisions)}
        undone = {one.other for one in decisions if one.kind == "undo"}
        applied, labels = set(self._applied()), {one.topic_id: one.label for one in self._topics}
        found = []
        for one in decisions:
            waits = shaping([one]) and one.decision_id not in applied
            if one.kind == "undo":
                state = "next analysis" if one.other in applied else "in force"
            elif one.decision_id in undone:
                state = "undone"
            elif one.decision_id not in standing:
                state = "replaced"
            elif waits:
                state = "next analysis"
            else:
                ids = {one.topic_id} if one.kind in ("name", "lock") else {one.other} if one.other else set(one.topics)
                state = "in force" if one.kind == "promote" or ids & labels.keys() else "dormant"
            found.append(Stated(one, state, labels.get(one.other or "", "") if one.kind == "merge" else ""))
        return found

    def _applied(self) -> Sequence[str]:
        """Ids of the decisions that the published atlas was made with."""
        import orjson

        atlas = self._store.atlases.load(self._run.atlas_id)
        listed: Sequence[str] = orjson.loads(atlas.parameters).get("decisions", ()) if atlas else ()
        return listed

    def _standing(self) -> list[DecisionRow]:
        return self._store.curation.in_force()

    def _shaped(self, topic: str) -> TopicRow:
        """A topic that is still there after the next analysis, as far as is decided."""
        found = find_topic_called(self._topics, topic)
        self._refuse(found, "merge", "it is to be merged into {other} by {id}: name that one, or undo the decision")
        return found

    def _refuse(self, topic: TopicRow, kind: str, why: str) -> None:
        """Raise when a decision of the kind about the topic stands; a merge or a split, when it is not applied yet."""
        for one in self._standing():
            if (
                one.kind == kind
                and one.topic_id == topic.topic_id
                and (kind == "lock" or one.decision_id not in self._applied())
            ):
                reason = why.format(id=one.decision_id, other=one.other)
                raise UsageError(f"topic {topic.topic_id} ({clean(topic.label)}): {reason}")

    def _known_intents(self) -> list[tuple[str, str]]:
        if self._settings.analysis.intents_file:
            from monitor.atlas.intents import load_intents

            file = self._settings.analysis.intents_file
            return [(name, f"the intents file {file}") for name, _ in load_intents(Path(file))]
        found = []
        for name in sorted({one.name for one in self._store.eval_sets.summaries()}):
            labels = {item.label for item in self._store.eval_sets.load(name).items if item.label}
            found += [(label, f"the eval set {name}") for label in sorted(labels)]
        return found

    def _write(
        self,
        kind: str,
        topic: TopicRow,
        *,
        name: str | None = None,
        other: str | None = None,
        topics: tuple[str, ...] = (),
        evidence: Evidence | None = None,
    ) -> Stated:
        row = DecisionRow(
            decision_id="",
            place=0,
            created_at=self._run.published_at,
            who=self._who,
            kind=kind,
            topic_id=topic.topic_id,
            level=topic.level,
            label=topic.label,
            name=name,
            other=other,
            topics=topics or (topic.topic_id,),
            atlas_id=self._run.atlas_id,
        )
        return self._stated(self._store.curation.add(row, evidence or Evidence((), (), ())))

    def _stated(self, row: DecisionRow) -> Stated:
        return next(one for one in self.all() if one.decision.decision_id == row.decision_id)


def find_topic_called(topics: Sequence[TopicRow], text: str) -> TopicRow:
    """The topic of this id, of this label, or found with this label. Raises `UsageError` naming what is near."""
    for topic in topics:
        if topic.topic_id == text:
            return topic
    called = [one for one in topics if _same(one.label, text)] or [
        one for one in topics if _same(one.local_label, text)
    ]
    if len(called) == 1:
        return called[0]
    if called:
        which = ", ".join(f"{one.topic_id} ({LEVELS[one.level]})" for one in called)
        raise UsageError(f"{counted(len(called), 'topic')} are called {clean(text)!r}: name one by its id, {which}")
    near: list[Any] = get_close_matches(text, [one.topic_id for one in topics], n=1, cutoff=0.6)
    by_label = {one.label.casefold(): one for one in topics}
    near += [by_label[label].topic_id for label in get_close_matches(text.casefold(), list(by_label), n=1, cutoff=0.6)]
    labels = {one.topic_id: clean(one.label) for one in topics}
    hint = f"did you mean {near[0]} ({labels[near[0]]})?" if near else "`offmap topics` lists them"
    raise UsageError(f"no topic {clean(text)!r} in the published atlas; {hint}")


def _name(text: str, what: str) -> str:
    """A name that is one visible line, and nothing else anywhere that it is shown. Raises `UsageError`."""
    name = text.strip()
    if not name:
        raise UsageError(f"{what} must not be empty")
    if clean(name) != name:
        raise UsageError(
            f"{what} must be one line of visible characters, such as {clean(name)[:_LONGEST] or 'Refunds'!r}"
        )
    if len(name) > _LONGEST:
        raise UsageError(f"{what} has at most {_LONGEST} characters, and {name[:20] + '…'!r} has {len(name)}")
    if name.startswith(_FORMULA):
        raise UsageError(f"{what} must not begin with {name[0]}, which a spreadsheet takes for a formula: {name!r}")
    return name


def _same(one: str, other: str) -> bool:
    return one.strip().casefold() == other.strip().casefold()
