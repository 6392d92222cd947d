"""Drift: did the traffic change?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

import dash
import dash_mantine_components as dmc
from dash import Input, Output, State, html, no_update

from dashboards.components.cards import card, chart, empty, link, page, table, verdict
from dashboards.components.descriptors import descriptors_card
from dashboards.components.job import follow_job, job_parts, request_job, said, working
from dashboards.components.lookout import lookout_card, register_lookout
from dashboards.context import PageContext
from dashboards.figures.drift import Split, dumbbell, parts
from dashboards.pages.movement import moved_card
from dashboards.queries.run import Shown, read_run
from dashboards.state import Selection
from monitor.drift.comparison import PINNED
from monitor.drift.statement import since_when
from monitor.store.drift import DriftRow
from monitor.store.jobs import Job
from monitor.wording import clean, share, short_day

__all__ = ["PATH", "TITLE", "layout", "register"]

PATH, TITLE, ICON = "/drift", "Drift", "⇄"

_TOPICS, _PAST, _VALUES = 12, 8, 5
_WORKING = "Comparing …"


def layout(context: PageContext, selection: Selection) -> Any:
    question = "Did the traffic change, and which topics carry the change?"
    store = context.store
    shown = read_run(store, least=context.settings.atlas.min_users)
    if shown is None:
        return page(
            TITLE,
            question,
            empty("Nothing is analysed yet", "Windows are compared after the first analysis.", "offmap analyse"),
        )
    asked = selection.query.get("report")
    row = store.drift.find(asked) if asked else store.drift.latest()
    content: list[Any] = []
    if asked and row is None:
        content.append(dmc.Alert("There is no such comparison any more; this is the latest.", color="orange"))
        row = store.drift.latest()
    if row is None:
        content.append(
            empty("No comparison yet", "The schedule compares the last days with those before.", "offmap drift")
        )
    else:
        content += _report(context, selection, shown, row)
    content.append(lookout_card(context))
    content.append(
        dmc.SimpleGrid(
            [_choose(context, shown.run.window_end.date()), _past(context, selection)], cols={"base": 1, "md": 2}
        )
    )
    return page(TITLE, question, *content)


def register(app: dash.Dash, context: PageContext) -> None:
    @app.callback(
        Output("drift-job", "data"),
        Output("drift-state", "children", allow_duplicate=True),
        Input("drift-compare", "n_clicks"),
        Input("drift-html", "n_clicks"),
        State("drift-current", "value"),
        State("drift-reference", "value"),
        State("drift-against", "value"),
        prevent_initial_call=True,
    )
    def ask(compare: int | None, report: int | None, current: Any, reference: Any, against: str) -> Any:
        kind = "drift_html" if dash.ctx.triggered_id == "drift-html" else "drift"
        if not (compare or report):
            return no_update, no_update
        try:
            parameters = _parameters(current, reference, against)
        except ValueError as error:
            return None, said(str(error), bad=True)
        return request_job(context, kind, parameters, _WORKING)

    follow_job(app, context, "drift", partial(_job_state, context))
    register_lookout(app, context)


def _parameters(current: Any, reference: Any, against: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, days in (("current", current), ("reference", reference)):
        if days and all(days):
            first, last = (date.fromisoformat(str(day)[:10]) for day in days)
            found[name] = f"{first}/{last + timedelta(days=1)}"
        elif days and any(days):
            raise ValueError(f"Choose both days of the {name} window.")
    if against:
        found.pop("reference", None)
        found["against"] = against
    return found


def _report(context: PageContext, selection: Selection, shown_run: Shown, row: DriftRow) -> list[Any]:
    content: list[Any] = [verdict(clean(row.verdict), bad=row.alarm)]
    if row.p_value is None:
        return [*content, *descriptors_card(row)]
    before = row.reference if row.reference_start is None else _days(row.reference_start, row.reference_end)
    after = _days(row.current_start, row.current_end)
    moved = [one for one in row.body["topics"] if one["moved"]]
    known = {one["topic"] for one in moved}
    # A part of a topic that moved says nothing more.
    shown = [one for one in moved or row.body["topics"] if one["level"] < 2 or one.get("parent") not in known]
    shown = sorted(shown[:_TOPICS], key=lambda one: -one["contribution"])
    names = [
        [
            link(clean(one["label"]), context.href("/topics", selection, topic=one["topic"]))
            if one["label"]
            else "(too few users)",
            share(one["before"]),
            share(one["after"]),
            since_when(one, ""),
            f"{one['contribution']:.0%}",
            f"{one['p_value']:.3f}",
        ]
        for one in shown
    ]
    content += [
        card(
            "Topics that moved" if moved else "No topic moved for sure; the largest changes",
            chart(dumbbell(shown, before, after)),
            table(["topic", "before", "after", "since", "part", "p"], names, right=(1, 2, 3, 4, 5)),
            meaning="Shares before and after; the bar is the change's 90% interval. Part is of the whole change, and p is "
            "corrected for all topics.",
        ),
        *moved_card(context, shown_run, row),
        *_carried(context, row),
        *_mixes(row),
        *descriptors_card(row),
        _tests(context, row),
    ]
    return content


def _carried(context: PageContext, row: DriftRow) -> list[Any]:
    """What carries the change, by topics, by words and by who was there; nothing where nothing changed."""
    if row.p_value is None or row.p_value > context.settings.drift.false_alarm:
        return []
    topics = [one for one in row.body["topics"] if one["level"] == 1] or row.body["topics"]
    ranked = sorted(topics, key=lambda one: -one["contribution"])[:_TOPICS]
    named = [(clean(one["label"] or "(too few users to name it)"), one["contribution"]) for one in ranked]
    bars = [Split("topics", named)]
    terms = row.body.get("terms", [])
    if terms:
        bars.append(Split("words", [(clean(one["term"]), one["contribution"]) for one in terms], "all other words"))
    for mix in row.body.get("mixes", []):
        name = mix["attribute"].replace("_", " ") + "s"
        bars.append(Split(name, [(clean(one["value"]), one["contribution"]) for one in mix["values"]]))
    return [
        card(
            "What carries the change",
            chart(parts(bars)),
            *_words(context, terms),
            meaning="The whole change is 100%. Each bar splits it another way; what nobody carries for sure is grey.",
        )
    ]


def _words(context: PageContext, terms: Sequence[Mapping[str, Any]]) -> list[Any]:
    """The words that carry it, and how many turns say them."""
    if not terms:
        return []
    rows = [
        [clean(one["term"]), share(one["before"]), share(one["after"]), f"{one['contribution']:.0%}"] for one in terms
    ]
    rest = max(0.0, 1 - sum(one["contribution"] for one in terms))
    few = context.settings.min_users_of_texts
    return [
        table(["word", "before", "after", "part"], rows, right=(1, 2, 3)),
        dmc.Text(
            f"Before and after: the share of turns that say the word. Part: of the change; all other words {rest:.0%}. "
            f"A turn's part is shared among its words. A word of fewer than {few} users is not named.",
            size="xs",
            c="dimmed",
        ),
    ]


def _mixes(row: DriftRow) -> list[Any]:
    """Who was there, before and now."""
    rows = [
        [
            f"{mix['attribute'].replace('_', ' ')} {clean(one['value'])}{_in_use(one)}",
            share(one["before"]),
            share(one["after"]),
            "" if place else f"{mix['p_value']:.3f}",
        ]
        for mix in row.body.get("mixes", [])
        for place, one in enumerate(mix["values"][:_VALUES])
    ]
    if not rows:
        return []
    return [
        card(
            "Who was there",
            table(["", "before", "after", "p of the mix"], rows, right=(1, 2, 3)),
            meaning="Where the mix changed, the comparison is repeated within tenants, languages, models or prompt versions: "
            "what is the same within them is no new behaviour.",
        )
    ]


def _in_use(value: Mapping[str, Any]) -> str:
    """Since when a model or a prompt version is in use, where it came into use lately."""
    return f", since {short_day(datetime.fromisoformat(value['since']))}" if value.get("since") else ""


def _tests(context: PageContext, row: DriftRow) -> Any:
    tests = [
        [
            test["name"],
            "–" if test["p_value"] is None else f"{test['p_value']:.3f}",
            f"{test['effect']:.3f}",
            "" if test.get("low") is None else f"{test['low']:.3f} – {test['high']:.3f}",
            test["meaning"],
        ]
        for test in row.body["tests"]
    ]
    return card(
        "How it was tested",
        table(["test", "p", "effect", "90%", "what it sees"], tests, right=(1, 2, 3), wide=(4,)),
        dmc.Text(
            f"Verdict: p = {row.p_value:.3f}, of all tests together. An alarm needs p up to "
            f"{context.settings.drift.false_alarm} and a change that matters; an alert waits until the budget allows it.",
            size="xs",
            c="dimmed",
        ),
        meaning="Whole conversations are permuted between the windows: p is how often chance alone gives as much.",
    )


def _choose(context: PageContext, end: date) -> Any:
    drift = context.settings.drift
    border = end - timedelta(days=drift.current_days)
    names = sorted({one.name for one in context.store.eval_sets.summaries()})
    against = [
        {"value": "", "label": "the window before"},
        *([{"value": PINNED, "label": f"the pinned reference, {drift.pinned}"}] if drift.pinned else []),
        *({"value": name, "label": f"eval set {name}"} for name in names),
    ]
    return card(
        "Compare",
        dmc.DatePickerInput(
            id="drift-current", type="range", label="Current window", size="sm", value=[str(border), str(end)]
        ),
        dmc.DatePickerInput(
            id="drift-reference",
            type="range",
            label="Reference window",
            size="sm",
            value=[str(border - timedelta(days=drift.reference_days)), str(border - timedelta(days=1))],
        ),
        dmc.Select(id="drift-against", label="Against", data=against, value="", size="sm"),
        dmc.Group(
            [
                dmc.Button("Compare", id="drift-compare", size="sm"),
                dmc.Button("Evidently report (HTML)", id="drift-html", size="sm", variant="default"),
            ]
        ),
        *job_parts("drift"),
        meaning="Any two windows of the analysed traffic, or a window against an eval set. Days are UTC.",
    )


def _past(context: PageContext, selection: Selection) -> Any:
    rows = [
        [
            link(_days(row.current_start, row.current_end), context.href(PATH, selection, report=row.report_id)),
            row.reference if row.reference_start is None else _days(row.reference_start, row.reference_end),
            "–" if row.p_value is None else f"{row.p_value:.3f}",
            "changed" if row.alarm else "steady" if row.p_value is not None else "too few",
        ]
        for row in context.store.drift.read(_PAST)
    ]
    body: Any = (
        table(["current", "against", "p", ""], rows, right=(2,))
        if rows
        else dmc.Text("None yet.", size="sm", c="dimmed")
    )
    return card("Comparisons", body, meaning="The latest comparisons, of the schedule and of people.")


def _job_state(context: PageContext, job: Job) -> Any:
    if job.state == "failed":
        return said(f"It failed: {job.error or ''}", bad=True)
    if job.state != "finished":
        return working(_WORKING)
    if job.kind == "drift_html":
        return html.A(
            "Download the report", href=context.href(f"/downloads/{job.job_id}"), className="link", download=""
        )
    report = (job.result or {}).get("id")
    return link("Open the comparison", context.href(PATH, report=str(report)))


def _days(start: Any, end: Any) -> str:
    return f"{short_day(start)} – {short_day(end - timedelta(microseconds=1))}"
