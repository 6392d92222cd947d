"""Why?: what makes a turn near to the eval set, or far, and what somebody says to it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import dash
import dash_mantine_components as dmc
from dash import ALL, Input, Output, State, dcc, html, no_update

from dashboards.components.buttons import pressed_button
from dashboards.components.cards import card, empty, link, page, table, verdict
from dashboards.components.job import follow_job, request_job, said, working
from dashboards.context import PageContext
from dashboards.pages.deciding import analyse_now
from dashboards.queries.why import Asked, read_asked
from dashboards.state import Selection
from monitor.coverage.why import NOTABLE, Piece
from monitor.errors import OffmapError
from monitor.store.jobs import Job
from monitor.turn_marks import TurnMarks
from monitor.wording import clean, cut

__all__ = ["PATH", "TITLE", "layout", "register"]

PATH, TITLE = "/why", "Why?"
_WHO = "app"
_POLL_MS = 700
_LISTED = 6


def layout(context: PageContext, selection: Selection) -> Any:
    question = "What makes this turn near to the eval set, or far?"
    asked = read_asked(context.store, context.settings, selection.query.get("turn", ""))
    if asked is None:
        return page(TITLE, question, empty("There is no such turn (any more)", "It may have been forgotten."))
    if not asked.may_be_shown:
        why = f"Nothing is shown of what fewer than {context.settings.min_users_of_texts} users ask, or of what has no topic."
        return page(TITLE, question, empty("What this turn says is not shown", why))
    topic = asked.told.topic
    back = link(f"← {cut(topic.label, 60)}", context.href("/topics", selection, topic=topic.topic_id)) if topic else ""
    first, *rest = asked.told.sentences(context.settings.atlas.min_users)
    return page(
        TITLE,
        question,
        back,
        verdict(first),
        dmc.Grid(
            [
                dmc.GridCol(_words(asked), span={"base": 12, "md": 7}),
                dmc.GridCol(_say(context, asked, rest), span={"base": 12, "md": 5}),
            ]
        ),
    )


def register(app: dash.Dash, context: PageContext) -> None:
    @app.callback(
        Output("why-job", "data"),
        Output("why-state", "children", allow_duplicate=True),
        Input("why-turn", "data"),
        prevent_initial_call="initial_duplicate",
    )
    def look(key: str | None) -> Any:
        asked = read_asked(context.store, context.settings, key or "")
        if asked is None or not asked.may_be_shown:
            return no_update, no_update
        parameters = {"turn": str(asked.turn.key)}
        for known in context.store.jobs.read(kind="why", parameters=parameters, most=1):
            if known.state in ("queued", "running") or _is_of(known, asked):
                return known.job_id, no_update
        job, state = request_job(context, "why", parameters, "The words are being left out, one at a time …")
        return job, [_plain(asked), state]

    follow_job(app, context, "why", partial(_job_state, context))

    @app.callback(
        Output("url", "href", allow_duplicate=True),
        Output("why-marking", "children"),
        Input({"why-mark": ALL}, "n_clicks"),
        State("why-turn", "data"),
        State("why-reason", "value"),
        State("url", "search"),
        prevent_initial_call=True,
    )
    def mark(_: list[int | None], key: str, reason: str | None, search: str) -> Any:
        pressed = pressed_button()
        if pressed is None:
            return no_update, no_update
        asked = read_asked(context.store, context.settings, key)
        if asked is None or not asked.may_be_shown:
            return no_update, said("There is no such turn (any more).", bad=True)
        marks, kind = TurnMarks(context.store, _WHO), pressed["why-mark"]
        try:
            if kind == "undo":
                made = marks.undo(asked.turn)
            elif kind == "covered":
                made = marks.covered(asked.turn, why=reason)
            else:
                made = marks.noise(asked.turn, why=reason)
        except OffmapError as error:
            return no_update, said(str(error), bad=True)
        return context.href(PATH, Selection.parse(search), turn=key, marked=made.mark_id), no_update


def _words(asked: Asked) -> Any:
    return card(
        "What the user asked",
        dcc.Store(id="why-turn", data=str(asked.turn.key)),
        dcc.Store(id="why-job"),
        dcc.Interval(id="why-poll", interval=_POLL_MS, disabled=True),
        html.Div([_plain(asked), working("One moment …")], id="why-state"),
        meaning="Each word is left out, and the rest is compared with the nearest eval item again: what the word "
        "changes is its effect. It shows what the encoder reads, and is no proof of what the user meant.",
    )


def _plain(asked: Asked) -> Any:
    return html.Div(clean(asked.text), className="said why-text", dir="auto")


def _is_of(job: Job, asked: Asked) -> bool:
    """Whether this finished job is about the turn, as the latest analysis and the settings have it."""
    result = job.result or {}
    return (
        job.kind == "why"
        and job.parameters.get("turn") == str(asked.turn.key)
        and result.get("run") == asked.run_id
        and len(result.get("effects", ())) == len(asked.pieces)
    )


def _job_state(context: PageContext, job: Job) -> Any:
    asked = read_asked(context.store, context.settings, str(job.parameters.get("turn", "")))
    if asked is None or not asked.may_be_shown:
        return said("There is no such turn (any more).", bad=True)
    if job.state == "failed":
        return [_plain(asked), said(f"It failed: {job.error or ''}", bad=True)]
    if job.state != "finished":
        return [_plain(asked), working("The words are being left out, one at a time …")]
    if not _is_of(job, asked):
        return [_plain(asked), said("There is a newer analysis: open this page again.", bad=True)]
    result = job.result or {}
    effects = [float("nan") if one is None else float(one) for one in result["effects"]]
    pieces = [Piece(text, effect) for text, effect in zip(asked.pieces, effects, strict=True)]
    near = [(str(item), float(cosine)) for item, cosine in result["near"]]
    return _explained(asked, pieces, near)


def _explained(asked: Asked, pieces: Sequence[Piece], near: Sequence[tuple[str, float]]) -> Any:
    if not near:
        return [_plain(asked), said("No eval set was compared, so there is nothing to be near to.")]
    most = max((abs(one.effect) for one in pieces if one.effect == one.effect), default=0.0)
    words: list[Any] = []
    for one in pieces:
        words += [_word(one, most), " "]
    rows = [[_item(item, asked), f"{cosine:.2f}"] for item, cosine in near]
    parts = [
        html.Div(words, className="said why-text", dir="auto"),
        _list("Makes it near", [one for one in pieces if one.effect >= NOTABLE]),
        _list("Makes it far", [one for one in pieces if one.effect <= -NOTABLE]),
        dmc.Text(
            "The number is by how much the likeness to the first item below changes without the word."
            + (" Redacted parts are measured as they are shown." if asked.redacted else ""),
            size="xs",
            c="dimmed",
        ),
    ]
    return dmc.Stack([*parts, table(["nearest eval items", "likeness"], rows, right=(1,))], gap="xs")


def _word(piece: Piece, most: float) -> Any:
    if not abs(piece.effect) >= NOTABLE:
        return html.Span(clean(piece.text))
    way = "near" if piece.effect > 0 else "far"
    strength = {"--strength": f"{0.15 + 0.45 * abs(piece.effect) / most:.2f}"}
    return html.Span(clean(piece.text), className=f"word {way}", style=strength, title=f"{way}: {piece.effect:+.2f}")


def _list(title: str, pieces: Sequence[Piece]) -> Any:
    found = sorted(pieces, key=lambda one: -abs(one.effect))[:_LISTED]
    text = ", ".join(f"{cut(one.text, 40)} {one.effect:+.2f}" for one in found) or "no word by itself"
    return dmc.Text([html.B(f"{title}: "), text], size="sm")


def _item(item_id: str, asked: Asked) -> Any:
    prompt = asked.items.get(item_id, "")
    return html.Div([html.Span(clean(item_id), className="item-id"), html.Span(cut(prompt, 200))], className="item")


def _say(context: PageContext, asked: Asked, rest: Sequence[str]) -> Any:
    mark = asked.told.mark
    buttons = [_button("undo", "Take the mark back")] if mark else []
    if mark is None or mark.mark.kind != "covered":
        buttons.append(_button("covered", "Mark as covered"))
    if mark is None or mark.mark.kind != "noise":
        buttons.append(_button("noise", "Mark as noise"))
    waits = asked.told.waits
    minutes = context.settings.schedule.refit_minutes
    when = f"The next analysis is within {minutes:g} minutes."
    if mark is None:
        when = f"The mark is taken back: it shows after the next analysis, within {minutes:g} minutes."
    return card(
        "What offmap says of it",
        *[dmc.Text(one, size="sm") for one in rest],
        dmc.TextInput(
            id="why-reason",
            placeholder="your reason, if you like",
            size="xs",
            **{"aria-label": "reason"},
        ),
        dmc.Group(buttons, gap="xs"),
        html.Div(id="why-marking"),
        *(
            [dmc.Stack([dmc.Text(when, size="xs", c="dimmed"), *analyse_now()], gap=6, align="flex-start")]
            if waits
            else []
        ),
        meaning="Do you disagree? Marked as covered, it counts as covered in every later analysis; marked as noise, it counts "
        "in nothing. A mark is about what is said: it holds for every turn that says the same, or nearly so letter by letter.",
    )


def _button(kind: str, text: str) -> Any:
    return dmc.Button(text, id={"why-mark": kind}, size="xs", variant="default")
