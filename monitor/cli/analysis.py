"""`offmap analyse`: run the pipeline and say what it found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from monitor.cli.context import make_encoder, open_store, read_settings, utc_now
from monitor.cli.options import AsJson, StorePath, parse_window
from monitor.cli.progress import progress_to
from monitor.cli.render import print_json, say, warn
from monitor.published import compared_with, left_out, run_document
from monitor.wording import clean, counted

if TYPE_CHECKING:
    from monitor.watch import Watched

__all__ = ["analyse"]


def analyse(
    context: typer.Context,
    eval_set: Annotated[
        list[str] | None,
        typer.Option("--eval-set", metavar="NAME", help="Compare with this eval set; several count as their union."),
    ] = None,
    window: Annotated[
        str | None,
        typer.Option(metavar="START/END", help="Only turns of this time, such as 2026-03-01/2026-03-08 (UTC)."),
    ] = None,
    as_json: AsJson = False,
    store: StorePath = None,
) -> None:
    """Map the traffic and compare it with eval sets.

    Publishes topics, coverage and gaps, all at once at the end. Killed and run again, it goes on.
    """
    settings = read_settings(context, store)
    chosen = parse_window(window)
    with open_store(settings) as opened:
        # Asked before the model is loaded: an answer to a misspelt name should not take seconds.
        for name in eval_set or ():
            opened.eval_sets.load(name)
        known = sorted({summary.name for summary in opened.eval_sets.summaries()})
        from monitor.alerts.delivery import deliver_due
        from monitor.alerts.slack import channels_of, notifiers_of
        from monitor.watch import watch

        watched = watch(
            opened,
            make_encoder(settings),
            settings,
            eval_sets=eval_set or (),
            window=chosen,
            channels=channels_of(settings),
            progress=progress_to(quiet=as_json),
            clock=utc_now,
        )
        done = watched.analysis
        delivered = None
        if opened.shared_by is None:  # otherwise `offmap serve` sends: two senders would send twice
            delivered = deliver_due(opened, notifiers_of(settings), settings, clock=utc_now)
    if as_json:
        print_json(_document(watched))
        return
    say(done.verdict)
    say()
    fresh = f"{done.encoded:,} encoded now" if done.encoded else "all encoded before"
    kept = ", atlas unchanged" if done.reused else ""
    say(clean(f"Window: {compared_with(done.run)}."))
    say(
        f"{counted(done.turns, 'turn')}, {counted(done.texts, 'distinct text')} ({fresh}), "
        f"{counted(done.topics, 'topic')}, {counted(done.gaps, 'gap')}{kept}; {done.seconds:.1f} s"
    )
    if done.kept_out:
        say(clean(left_out(done.kept_out)))
    if watched.naming is not None:
        say(clean(watched.naming.words))
        if watched.naming.error:
            warn("topics were not all named; labels that were found here stand for them", reason=watched.naming.error)
    if not eval_set and known:
        say(clean(f"The store has an eval set: offmap analyse --eval-set {known[0]}"))
    if watched.drift and watched.drift[0].alarm:
        say(clean(watched.drift[0].verdict))
    if watched.alerts:
        say(f"{counted(len(watched.alerts), 'alert')} raised: offmap alerts list")
    if delivered is not None and delivered.reason:
        warn("alerts were not delivered", reason=delivered.reason)
    say(f"Next: offmap {'gaps' if done.gaps else 'topics'}")


def _document(watched: Watched) -> dict[str, object]:
    done = watched.analysis
    return {
        "run": run_document(done.run),
        "verdict": done.verdict,
        "turns": done.turns,
        "texts": done.texts,
        "encoded": done.encoded,
        "topics": done.topics,
        "gaps": done.gaps,
        "reused": done.reused,
        "seconds": done.seconds,
        "kept_out": done.kept_out,
        "naming": watched.naming,
        "alerts": [{"id": alert.alert_id, "kind": alert.kind, "title": alert.title} for alert in watched.alerts],
        "drift": [{"reference": row.reference, "verdict": row.verdict, "alarm": row.alarm} for row in watched.drift],
    }
