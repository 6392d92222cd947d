"""The card of the lookout: how far the watch over new conversations is from an alarm."""

from __future__ import annotations

from typing import Any

import dash
import dash_mantine_components as dmc

from dashboards.components.cards import card
from dashboards.components.job import job_button, job_parts, said, working
from dashboards.context import PageContext
from monitor.alerts.standing import Standing, standing
from monitor.store.jobs import Job

__all__ = ["lookout_card", "register_lookout"]

_WORKING = "Accepting …"

_MEANING = (
    "Every new conversation is compared with those of a reference. Evidence grows while something differs and shrinks while "
    "nothing does; at 1 an alert is sent. When nothing changes, alerts of a change come {often}, of all that watches together."
)


def lookout_card(context: PageContext) -> Any:
    """What it watches, the evidence so far, and what to do when a change is here to stay."""
    found = standing(context.store.lookouts.read(), context.settings)
    rate = context.settings.drift.false_alarms_per_month
    often = "once a month at most" if rate == 1 else f"{rate:g} times a month at most"
    return card("Always on", *_content(found), meaning=_MEANING.format(often=often))


def register_lookout(app: dash.Dash, context: PageContext) -> None:
    """What the button of the card does: what comes from now on is the reference, by a job."""
    job_button(app, context, "lookout", "lookout-accept", "accept_change", _WORKING, _state)


def _state(job: Job) -> Any:
    if job.state == "failed":
        return said(f"It failed: {job.error or ''}", bad=True)
    return said("Accepted: it learns what is usual now.") if job.state == "finished" else working(_WORKING)


def _content(found: Standing) -> list[Any]:
    content: list[Any] = [dmc.Text(found.words.replace("`", ""), size="sm")]
    if found.parts:
        content += [_bar(found), *[_part(name, part) for name, part in found.parts.items()]]
        content += [
            dmc.Text("An alert has come, and the change is here to stay?", size="xs", c="dimmed"),
            dmc.Button("It is usual from now on", id="lookout-accept", size="xs", variant="default", w="fit-content"),
            *job_parts("lookout"),
        ]
    return content


def _bar(found: Standing) -> Any:
    return dmc.Progress(
        value=min(100.0, 100 * found.share),
        color="orange" if found.share > 0.5 else None,
        size="sm",
        **{"aria-label": f"evidence {found.share:.2f} of 1"},
    )


def _part(name: str, part: float) -> Any:
    return dmc.Group(
        [dmc.Text(name.capitalize(), size="sm"), dmc.Text(f"{part:.2f}", size="sm", className="number-cell")],
        justify="space-between",
    )
