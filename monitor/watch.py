"""One look at the traffic: analyse it, find what surges, and tell what is new.

`offmap analyse`, the schedule of `offmap serve` and `offmap replay` all look through this one function. What it tells is in
the outbox when it returns; nothing is sent here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from monitor.alerts.budget import KIND, allowed
from monitor.alerts.comparisons import comparison_findings
from monitor.alerts.findings import find_surges_of, gap_findings, surge_findings, watch_list_findings
from monitor.alerts.rules import Decision, Finding, Policy, adopt, decide, sum_up
from monitor.atlas.assembly import microseconds, moment
from monitor.clock import Clock
from monitor.coverage.life import read_lives
from monitor.drift.comparison import PINNED, compare_windows
from monitor.drift.descriptors import described
from monitor.drift.look import Look, read_look
from monitor.encoding.encoder import Encoder
from monitor.naming.naming import Naming, name_topics
from monitor.pipeline import Analysis, analyse
from monitor.progress import Progress
from monitor.records import Window
from monitor.settings import Settings
from monitor.store.alerts import AlertRow
from monitor.store.atlases import AtlasRow
from monitor.store.drift import DriftRow
from monitor.store.store import Store

__all__ = ["Watched", "watch"]


#: A surge that was told lately is what a change consists of: the reference reaches so far back.
_EXPLAINED = timedelta(days=35)


@dataclass(frozen=True, slots=True)
class Watched:
    """What one look did: the analysis that it published, its comparisons, the alerts that it raised, and what a model called
    its topics, None where none is asked."""

    analysis: Analysis
    drift: tuple[DriftRow, ...]
    alerts: tuple[AlertRow, ...]
    naming: Naming | None = None


def watch(
    store: Store,
    encoder: Encoder,
    settings: Settings,
    *,
    eval_sets: Sequence[str] = (),
    window: Window | None = None,
    channels: Sequence[str] = (),
    progress: Progress | None = None,
    clock: Clock,
) -> Watched:
    """Analyse, compare the last days with those before and with the eval sets, and tell; each alert gets a delivery on every
    channel. Errors are those of `analyse`."""
    before = _atlas_of_last_look(store)
    analysis = analyse(store, encoder, settings, eval_sets=eval_sets, window=window, progress=progress, clock=clock)
    naming = name_topics(
        store,
        settings,
        atlas_id=analysis.run.atlas_id,
        run_id=analysis.run.run_id,
        progress=progress,
        clock=clock,
    )

    def look_once() -> _Seen:
        look = read_look(store, settings, analysis.run)
        drift = [described(store, settings, compare_windows(store, settings, look, clock=clock), strict=False)]
        if settings.drift.pinned:
            drift.append(compare_windows(store, settings, look, against=PINNED, clock=clock))
        windows = tuple(drift)
        drift += [compare_windows(store, settings, look, against=name, clock=clock) for name in eval_sets]
        # Seen through another encoder, the turns of the last look are no news.
        old = before.window_end if before is not None and before.encoder != look.atlas.encoder else None
        return _Seen(look, tuple(drift), _decide(store, settings, look, windows, clock(), old))

    seen = look_once()
    with store.transaction():
        # What was forgotten meanwhile may be quoted in what is to be told. Nobody else writes now, and so nobody forgets.
        if store.turns.gone(seen.look.keys):
            seen = look_once()
        for row in seen.drift:
            store.drift.write(row)
        said = seen.decision
        store.alerts.raise_alerts(said.alerts, said.subjects, forgotten=said.forgotten, channels=channels)
    return Watched(analysis, seen.drift, said.alerts, naming)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one look found, before it is told."""

    look: Look
    drift: tuple[DriftRow, ...]
    decision: Decision


def _atlas_of_last_look(store: Store) -> AtlasRow | None:
    """By the last comparison and not by the published run: a run may have been published whose look was killed."""
    last = store.drift.latest()
    return store.atlases.load(last.atlas_id) if last is not None else None


def _decide(
    store: Store, settings: Settings, look: Look, windows: Sequence[DriftRow], at: datetime, old: datetime | None
) -> Decision:
    """`windows` are the comparisons with other windows; `old` is when the look before ended, where that one saw the traffic
    through another encoder, else None."""
    if not len(look.keys):
        return Decision((), (), ())
    # The traffic's own time: a log that ended in spring is looked at as it was then.
    now = min(at, look.run.window_end)
    if now - moment(int(look.created.min())) < timedelta(days=settings.alerts.settle_days):
        return Decision((), (), ())
    policy = Policy(settings.alerts.growth, max(settings.alerts.min_users, settings.atlas.min_users))
    lives = read_lives(store, now=at)
    gaps = gap_findings(look, lives)
    allowance = allowed(store.alerts.subjects(KIND), settings, comparisons=len(windows), now=now, at=at)
    # What a history holds is summed up once coverage says something: the eval set may come weeks after the traffic.
    if look.report is not None and look.report.value is not None and not store.alerts.subjects("history"):
        decision = sum_up(gaps, now=now, at=at, policy=policy, path="/gaps")
    else:
        known = [row for kind in ("gap", "drift", "watch_list") for row in store.alerts.subjects(kind)]
        surges = find_surges_of(look, store, settings, end=microseconds(now))
        told = surge_findings(look, surges, store, lives, level=allowance.surges)
        explained = any(one.telling and one.users >= policy.min_users for one in told) or any(
            row.subject[:1] == "s" and now - row.seen_at < _EXPLAINED for row in known
        )
        found = [
            *told,
            *watch_list_findings(store, settings, now=now, level=allowance.watch_lists),
            *([] if explained else comparison_findings(look, windows, level=allowance.comparisons)),
            *gaps,
        ]
        if old is not None:
            known = [*adopt([one for one in found if _is_old(one, look, old)], known, now=now, policy=policy)]
        decision = decide(found, known, now=now, at=at, policy=policy)
    return replace(decision, subjects=(*decision.subjects, *allowance.spent))


def _is_old(finding: Finding, look: Look, old: datetime) -> bool:
    """Whether half of the finding's turns came before `old`. A watch-list counts words, which no encoder sees."""
    if finding.kind == "watch_list":
        return False
    rows = np.isin(look.keys, np.array(finding.members, np.uint64))
    return not rows.any() or bool((look.created[rows] < microseconds(old)).mean() >= 0.5)
