"""`offmap gap`: how one gap stands, what happened to it, and what somebody decides about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from monitor.cli.context import open_store, read_settings, utc_now
from monitor.cli.options import AsJson, StorePath
from monitor.cli.render import Column, print_json, print_table, say
from monitor.errors import UsageError
from monitor.wording import clean, day

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from monitor.coverage.gap_events import GapEvent
    from monitor.coverage.life import Life
    from monitor.gap_decisions import GapDecisions
    from monitor.store.store import Store

__all__ = ["gap", "history_document", "life_document"]


def gap(
    context: typer.Context,
    gap: Annotated[str, typer.Argument(metavar="GAP", help="The gap's id, from `offmap gaps`.")],
    owner: Annotated[
        str | None, typer.Option(metavar="NAME", help='Whose it is from now on; "" makes it nobody\'s.')
    ] = None,
    acknowledge: Annotated[
        bool, typer.Option("--acknowledge", help="It was seen: no alert unless it grows surely.")
    ] = False,
    planned: Annotated[
        str | None, typer.Option(metavar="URL", help="It will be closed, as the ticket at this address says.")
    ] = None,
    wont_fix: Annotated[
        str | None, typer.Option("--wont-fix", metavar="REASON", help="It will not be closed before --until.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="DATE", help="The last day of --wont-fix; the gap is open again after it.")
    ] = None,
    reopen: Annotated[bool, typer.Option("--reopen", help="It is open again, whatever was decided.")] = False,
    note: Annotated[str | None, typer.Option(metavar="TEXT", help="What whoever looks at it should know.")] = None,
    who: Annotated[str | None, typer.Option(metavar="WHO", help="Who decides; it is kept with the decision.")] = None,
    as_json: AsJson = False,
    store: StorePath = None,
) -> None:
    """Show the life of a gap, or decide something about it.

    Its state, owner and history; with options what is decided is written down first.
    """
    from monitor.coverage.life import read_lives
    from monitor.gap_decisions import GapDecisions

    settings = read_settings(context, store)
    with open_store(settings) as opened:
        decided = GapDecisions(opened, gap, now=utc_now(), who=who)
        _add(decided, owner, acknowledge, planned, wont_fix, until, reopen, note)
        decided.write()
        life = read_lives(opened, now=utc_now()).of(decided.gap_id)
        label, events = _shown(opened, life, settings.atlas.min_users)
    if as_json:
        print_json({"id": life.gap_id, "label": label, **life_document(life), "history": history_document(events)})
        return
    if len(decided):
        say("Noted.")
    _print(life, label, events, settings.gaps.hold_days)


def _add(
    decided: GapDecisions,
    owner: str | None,
    acknowledge: bool,
    planned: str | None,
    wont_fix: str | None,
    until: str | None,
    reopen: bool,
    note: str | None,
) -> None:
    from monitor.gap_decisions import until_day

    given = {
        "--acknowledge": acknowledge,
        "--planned": planned is not None,
        "--wont-fix": wont_fix is not None,
        "--reopen": reopen,
    }
    chosen = [name for name, is_given in given.items() if is_given]
    if len(chosen) > 1:
        raise UsageError(f"{' and '.join(chosen)} cannot be true at once: choose one")
    if (wont_fix is None) != (until is None):
        raise UsageError("--wont-fix REASON and --until DATE go together: when is it to be asked again?")
    if owner is not None:
        decided.owner(owner)
    if acknowledge:
        decided.acknowledge()
    if planned is not None:
        decided.plan(planned)
    if wont_fix is not None and until is not None:
        decided.wont_fix(wont_fix, until_day(until))
    if reopen:
        decided.reopen()
    if note is not None:
        decided.note(note)


def _shown(store: Store, life: Life, least: int) -> tuple[str | None, list[GapEvent]]:
    from monitor.coverage.history import history_of, labels_of_gaps
    from monitor.published import published_run

    others = {one.text for one in life.events if one.text[:1] == "g"}
    labels: Mapping[str, str] = labels_of_gaps(
        store, published_run(store).atlas_id, {life.gap_id, *others}, least=least
    )
    alerts = store.alerts.of_gaps([life.gap_id]).get(life.gap_id, ())
    return labels.get(life.gap_id), history_of(life, labels, alerts)


def _print(life: Life, label: str | None, events: Sequence[GapEvent], hold_days: int) -> None:
    from monitor.coverage.gap_events import held_words, last_day

    say(f"{life.gap_id}  {label or 'a topic that is not shown'}")
    say()
    closed = f" since {day(life.closed_at)}" if life.closed_at else ""
    until = f" until {last_day(life.until)}: {clean(life.reason or '')}" if life.until else ""
    say(f"State:  {life.words}{closed}{until}")
    say(f"Owner:  {clean(life.owner) if life.owner else 'nobody yet'}")
    if life.ticket:
        say(f"Ticket: {clean(life.ticket)}")
    if life.held_since and life.last:
        say(held_words(life.last.coverage, life.held_since, hold_days))
    say()
    if not events:
        say("Nothing is noted of it yet: the next analysis notes what it sees.")
        return
    columns = [Column("when"), Column("what", shrinks=True), Column("who", shrinks=True)]
    rows = [(f"{one.at:%Y-%m-%d %H:%M}", one.words, clean(one.who) if one.who else "–") for one in events]
    print_table(columns, rows)


def life_document(life: Life) -> dict[str, Any]:
    """How a gap stands, as JSON documents have it."""
    return {
        "state": life.state,
        "states": list(life.states),
        "owner": life.owner,
        "ticket": life.ticket,
        "reason": life.reason,
        "until": life.until,
        "opened_at": life.opened_at,
        "closed_at": life.closed_at,
        "held_since": life.held_since,
        "by_itself": life.by_itself,
        "went_into": list(life.went_into),
    }


def history_document(events: Sequence[GapEvent]) -> list[dict[str, Any]]:
    return [
        {"at": one.at, "kind": one.kind, "who": one.who, "text": one.text or None, "sentence": one.words}
        for one in events
    ]
