"""People say of a turn that it is covered, or noise: found, checked, written down, and taken back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from monitor.coverage.told import mark_on
from monitor.encoding.recipe import USER_TEXT, text_hash
from monitor.errors import UsageError
from monitor.published import compared_items, published_report
from monitor.store.marks import COVERED, NOISE, MarkRow
from monitor.wording import clean, cut

if TYPE_CHECKING:
    from monitor.records import Turn
    from monitor.store.store import Store

__all__ = ["TurnMarks", "find_turn", "hash_of"]

_LONGEST, _WHY = 80, 300


@dataclass(frozen=True, slots=True)
class TurnMarks:
    """Marks of one person. Every method writes one mark, or raises `UsageError` and writes none."""

    store: Store
    who: str | None = None

    def covered(self, turn: Turn, *, item_id: str | None = None, why: str | None = None) -> MarkRow:
        """The eval set covers what this turn says; with an item, for as long as it is in a set that is compared."""
        if item_id is not None:
            run = self.store.runs.current()
            known = compared_items(self.store, published_report(self.store, run).eval_set_ids) if run else {}
            if item_id not in known:
                raise UsageError(
                    f"no eval item {cut(item_id, _LONGEST)!r} in the sets that the last analysis compared: "
                    "`offmap why TURN` names the nearest ones"
                )
        return self._add(COVERED, turn, item_id, why)

    def noise(self, turn: Turn, *, why: str | None = None) -> MarkRow:
        """What this turn says counts in nothing."""
        return self._add(NOISE, turn, None, why)

    def undo(self, turn: Turn) -> MarkRow:
        """Take back what was said of this turn's text."""
        found = mark_on(self.store, turn.key, hash_of(turn))
        if found is None:
            raise UsageError(f"turn {cut(turn.turn_id, _LONGEST)!r} is not marked: there is nothing to take back")
        return self.store.marks.undo(found.mark, who=self._who)

    def _add(self, kind: str, turn: Turn, item_id: str | None, why: str | None) -> MarkRow:
        reason = clean(why)[:_WHY] or None if why else None
        return self.store.marks.add(kind, turn.key, hash_of(turn), who=self._who, item_id=item_id, why=reason)

    @property
    def _who(self) -> str | None:
        return clean(self.who)[:_LONGEST] or None if self.who else None


def hash_of(turn: Turn) -> bytes:
    """Of what the user wrote, as it is encoded."""
    return text_hash(USER_TEXT.prepare(turn.user_text))


def find_turn(store: Store, turn_id: str, tenant: str | None) -> Turn:
    """The turn of this id, whose tenant is named only where several have one. Raises `UsageError`."""
    if tenant is not None:
        found = store.turns.find(turn_id, tenant)
        if found is not None:
            return found
        raise UsageError(f"no turn {cut(turn_id, _LONGEST)!r} of tenant {cut(tenant, _LONGEST)!r} in the store")
    called = store.turns.called(turn_id)
    if len(called) == 1:
        return called[0]
    if called:
        tenants = ", ".join(cut(one.tenant or "(none)", 40) for one in called[:6])
        raise UsageError(
            f"{len(called)} tenants have a turn {cut(turn_id, _LONGEST)!r}: choose with --tenant, {tenants}"
        )
    raise UsageError(f"no turn {cut(turn_id, _LONGEST)!r} in the store: `offmap turns --json` lists their ids")
