"""`offmap forget`: a turn, a conversation or a user leaves the store, and what leaves it not is named."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

import typer

from monitor.cli.context import open_store, read_settings, utc_now
from monitor.cli.options import AsJson, StorePath
from monitor.cli.render import print_json, say
from monitor.errors import OffmapError, UsageError
from monitor.wording import clean, counted

if TYPE_CHECKING:
    from monitor.store.deletion import Forgotten
    from monitor.store.store import Store

__all__ = ["forget"]


def forget(
    context: typer.Context,
    user: Annotated[str | None, typer.Option(metavar="U", help="Every turn of this user.")] = None,
    conversation: Annotated[str | None, typer.Option(metavar="C", help="Every turn of this conversation.")] = None,
    turn: Annotated[str | None, typer.Option(metavar="T", help="This turn.")] = None,
    tenant: Annotated[
        str | None, typer.Option(metavar="T", help="Only in this tenant; without it in every one.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask; needed where nobody can answer.")] = False,
    as_json: AsJson = False,
    store: StorePath = None,
) -> None:
    """Delete a user, a conversation or a turn for good.

    With all that was made of their turns. A replay of the log cannot bring them back.
    """
    subject = _subject(user, conversation, turn, tenant)
    with open_store(read_settings(context, store)) as opened:
        if not yes:
            _confirm(opened, subject)
        with opened.transaction():  # the store is written anew once
            done = [
                opened.deletion.forget(tenant=tenant, at=utc_now(), **subject.named(form)) for form in subject.forms()
            ]
        copies = _copies(opened.path)
    result = _Result.of(done, copies)
    if as_json:
        print_json(result.document())
    else:
        result.say(subject)


class _Named(TypedDict, total=False):
    user: str
    conversation: str
    turn: str


@dataclass(frozen=True, slots=True)
class _Subject:
    kind: str  # "turn", "conversation" or "user"
    id: str
    tenant: str | None

    def __str__(self) -> str:
        where = f" of tenant {self.tenant}" if self.tenant is not None else ""
        return clean(f"{self.kind} {self.id}{where}")

    def named(self, form: str) -> _Named:
        return (
            {"user": form} if self.kind == "user" else {"turn": form} if self.kind == "turn" else {"conversation": form}
        )

    def forms(self) -> list[str]:
        """The id, and the id as a redacting ingest has stored it."""
        from monitor.redaction import redact_identifier

        return list(dict.fromkeys((self.id, redact_identifier(self.id))))


@dataclass(frozen=True, slots=True)
class _Result:
    turns: int
    events: int
    vectors: int
    dead_letters: int
    later: int
    exports: tuple[str, ...]
    copies: tuple[Path, ...]
    eval_sets: tuple[str, ...]

    @classmethod
    def of(cls, done: list[Forgotten], copies: list[Path]) -> _Result:
        return cls(
            turns=sum(one.turns for one in done),
            events=sum(one.events for one in done),
            vectors=sum(one.vectors for one in done),
            dead_letters=sum(one.dead_letters for one in done),
            later=sum(one.later for one in done),
            exports=tuple(dict.fromkeys(path for one in done for path in one.exports)),
            copies=tuple(copies),
            eval_sets=tuple(dict.fromkeys(name for one in done for name in one.eval_sets)),
        )

    def document(self) -> dict[str, Any]:
        return {
            "turns": self.turns,
            "events": self.events,
            "vectors": self.vectors,
            "dead_letters": self.dead_letters,
            "later": self.later,
            "exports": self.exports,
            "copies": self.copies,
            "eval_sets": self.eval_sets,
        }

    def say(self, subject: _Subject) -> None:
        say(
            f"Forgotten: {counted(self.turns, 'turn')}, {counted(self.events, 'event')}, "
            f"{counted(self.vectors, 'vector')} and {counted(self.dead_letters, 'dead letter')} of {subject}."
        )
        if self.later:
            say(f"{counted(self.later, 'turn')} of the same {subject.kind} are dated after now and stay.")
        if self.exports:
            say("These exports were made before and still hold some of the turns; delete them, or export again:")
            for path in self.exports:
                say(f"  {clean(path)}")
        if self.copies:
            say("These copies of the store and its log were kept and still hold everything; delete them:")
            for copy in self.copies:
                say(f"  {clean(str(copy))}")
        if self.eval_sets:
            say("These eval sets hold an item that asks the same, word for word; whoever made them must look at it:")
            for name in self.eval_sets:
                say(f"  {clean(name)}")
        if self.turns:
            say("Topics and gaps still count them until the next `offmap analyse`.")


def _subject(user: str | None, conversation: str | None, turn: str | None, tenant: str | None) -> _Subject:
    named = [(kind, id_) for kind, id_ in (("user", user), ("conversation", conversation), ("turn", turn)) if id_]
    if len(named) != 1:
        raise UsageError("forget takes exactly one of --user, --conversation and --turn, and it must not be empty")
    return _Subject(*named[0], tenant)


def _confirm(store: Store, subject: _Subject) -> None:
    """Ask. Without a terminal nobody can answer, and that is an error before anything is deleted."""
    if not sys.stdin.isatty():
        raise UsageError(f"forget {subject} deletes for good and nobody can be asked here: add --yes")
    turns = _count(store, subject)
    if not typer.confirm(f"Forget {counted(turns, 'turn')} of {subject} for good?", err=True):
        raise OffmapError("nothing was forgotten")


def _count(store: Store, subject: _Subject) -> int:
    import pyarrow.compute as pc

    column = f"{subject.kind}_id"
    chosen = pc.field(column).isin(subject.forms())
    if subject.tenant is not None:
        # An absent tenant and an empty one are the same tenant.
        chosen &= pc.field("tenant") == subject.tenant if subject.tenant else pc.field("tenant").is_null()
    return store.turns.read(columns=(column, "tenant")).filter(chosen).num_rows


def _copies(store_path: str) -> list[Path]:
    """Copies from before a migration or a restore, logs that were damaged, and what a restore left that was killed: nobody
    deletes from those."""
    from monitor.store.attachment import Attachment

    file = Attachment.parse(store_path).file
    kept = ("before-v*", "replaced-*", "wal.damaged-*", "journal.damaged-*", "restoring*")
    return sorted(path for ending in kept for path in file.parent.glob(f"{_literal(file.name)}.{ending}"))


def _literal(name: str) -> str:
    from glob import escape

    return escape(name)
