"""What somebody decides about a topic, on its page: its name, what it is one with, whether it may change, its intent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dash
import dash_mantine_components as dmc
from dash import ALL, Input, Output, State, dcc, html, no_update

from dashboards.components.buttons import pressed_button
from dashboards.components.cards import card, link, table
from dashboards.components.job import job_button, job_parts, said, working
from dashboards.context import PageContext
from dashboards.queries.run import LEVELS, Shown
from dashboards.state import Selection
from monitor.decisions import Decisions, Stated
from monitor.errors import OffmapError
from monitor.store.atlases import PERSON, TopicRow
from monitor.store.jobs import Job
from monitor.wording import clean, cut

__all__ = ["analyse_now", "decided_note", "deciding_card", "register"]

_PATH = "/topics"
_WHO = "app"
#: What the app says of a state; a decision that waits is said with when.
_STATES = {
    "in force": "in force",
    "next analysis": "at the next analysis",
    "undone": "taken back",
    "replaced": "replaced by a later one",
    "dormant": "its topic is gone",
}
_ASKED = "The analysis is asked for …"


def deciding_card(context: PageContext, shown: Shown, topic: TopicRow) -> Any:
    """The controls, and what was decided about this topic."""
    decisions = Decisions(context.store, context.settings).all()
    mine = [one for one in decisions if one.decision.topic_id == topic.topic_id or one.decision.other == topic.topic_id]
    locked = any(one.decision.kind == "lock" and one.state in ("in force", "next analysis") for one in mine)
    others = [
        {"value": one.topic_id, "label": cut(one.label, 60)}
        for one in shown.topics
        if one.level == topic.level and one.topic_id != topic.topic_id
    ]
    return card(
        "Decide",
        dcc.Store(id="decide-topic", data=topic.topic_id),
        _row(
            dmc.TextInput(
                id="decide-name",
                placeholder="a name for it",
                value=topic.label if topic.named_by == PERSON else "",
                size="xs",
                style={"flex": 1},
                **{"aria-label": "name of the topic"},
            ),
            _button("name", "Name"),
        ),
        _row(
            dmc.Select(
                id="decide-into",
                data=others,
                placeholder=f"another {LEVELS[topic.level]} topic",
                searchable=True,
                size="xs",
                style={"flex": 1},
                nothingFoundMessage="no such topic",
                **{"aria-label": "topic to merge it into"},
            ),
            _button("merge", "Merge into"),
        ),
        _row(
            dmc.TextInput(
                id="decide-intent",
                placeholder="an intent's name",
                size="xs",
                style={"flex": 1},
                **{"aria-label": "name of the intent"},
            ),
            _button("promote", "Make an intent"),
        ),
        _row(
            _button("split", "Split in two" if topic.level == len(LEVELS) - 1 else "Split along its parts"),
            _button("unlock", "Unlock") if locked else _button("lock", "Lock"),
        ),
        html.Div(id="decide-state"),
        *([_decided(mine)] if mine else []),
        meaning="A name shows at once. All else shows after the next analysis, which keeps to it, as do those after it. A "
        "locked topic keeps its turns and its id; an intent has the topic's central texts as its examples.",
    )


def decided_note(context: PageContext, selection: Selection) -> list[Any]:
    """What the last press has decided, and when it shows; with a button where that is later."""
    asked = selection.query.get("decided")
    if not asked:
        return []
    found = next(
        (one for one in Decisions(context.store, context.settings).all() if one.decision.decision_id == asked), None
    )
    if found is None:
        return []
    waits = found.state == "next analysis"
    minutes = context.settings.schedule.refit_minutes
    when = f" It shows after the next analysis, within {minutes:g} minutes." if waits else " It shows from now on."
    parts: list[Any] = [dmc.Text(f"{clean(found.sentence)}.{when}", size="sm")]
    if waits:
        parts += analyse_now()
    return [dmc.Alert(dmc.Stack(parts, gap=6, align="flex-start"), color="indigo", className="note")]


def analyse_now() -> list[Any]:
    """A button, and how the analysis goes that it asks for."""
    return [dmc.Button("Analyse now", id="decide-now", size="compact-xs", variant="light"), *job_parts("decide-run")]


def register(app: dash.Dash, context: PageContext) -> None:
    @app.callback(
        Output("url", "href", allow_duplicate=True),
        Output("decide-state", "children"),
        Input({"decide": ALL}, "n_clicks"),
        Input({"undo": ALL}, "n_clicks"),
        State("decide-topic", "data"),
        State("decide-name", "value"),
        State("decide-into", "value"),
        State("decide-intent", "value"),
        State("url", "search"),
        prevent_initial_call=True,
    )
    def decide(
        _: list[int | None],
        __: list[int | None],
        topic: str,
        name: str | None,
        into: str | None,
        intent: str | None,
        search: str,
    ) -> Any:
        pressed = pressed_button()
        if pressed is None:
            return no_update, no_update
        try:
            made = _made(Decisions(context.store, context.settings, who=_WHO), pressed, topic, name, into, intent)
        except OffmapError as error:
            return no_update, said(str(error), bad=True)
        selection = Selection.parse(search)
        return context.href(_PATH, selection, topic=topic, decided=made.decision.decision_id), no_update

    job_button(app, context, "decide-run", "decide-now", "refit", _ASKED, lambda job: _shown(context, job))


def _made(
    decisions: Decisions, pressed: dict[str, str], topic: str, name: str | None, into: str | None, intent: str | None
) -> Stated:
    if "undo" in pressed:
        return decisions.undo(pressed["undo"])
    acts: dict[str, Callable[[], Stated]] = {
        "name": lambda: decisions.name(topic, name or ""),
        "merge": lambda: decisions.merge(topic, into or ""),
        "split": lambda: decisions.split(topic),
        "lock": lambda: decisions.lock(topic),
        "unlock": lambda: decisions.unlock(topic),
        "promote": lambda: decisions.promote(topic, intent or ""),
    }
    return acts[pressed["decide"]]()


def _shown(context: PageContext, job: Job) -> Any:
    if job.state == "failed":
        return said(job.error or "The analysis failed.", bad=True)
    if job.state == "finished":
        return dmc.Group([said("The analysis is done."), link("all topics", context.href(_PATH))], gap="xs")
    return working("It is analysed …")


def _row(*parts: Any) -> Any:
    return dmc.Group(list(parts), gap="xs", wrap="nowrap")


def _button(kind: str, text: str) -> Any:
    return dmc.Button(text, id={"decide": kind}, size="xs", variant="default", style={"flexShrink": 0})


def _decided(decisions: list[Stated]) -> Any:
    rows = []
    for one in reversed(decisions):
        may = one.decision.kind != "undo" and one.state not in ("undone", "replaced")
        undo = (
            dmc.Button("undo", id={"undo": one.decision.decision_id}, size="compact-xs", variant="subtle")
            if may
            else ""
        )
        how = f"{one.decision.created_at:%-d %b}, {_STATES[one.state]}"
        rows.append([html.Div([clean(one.sentence), dmc.Text(how, size="xs", c="dimmed")]), undo])
    return table(["decided", ""], rows[:12], right=(1,))
