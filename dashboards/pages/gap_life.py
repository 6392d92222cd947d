"""The life of a gap on its page: how it stands, whose it is, what happened to it, and what somebody decides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import dash
import dash_mantine_components as dmc
from dash import ALL, Input, Output, State, dcc, html, no_update

from dashboards.components.buttons import pressed_button
from dashboards.components.cards import card, empty, link, page, table
from dashboards.components.job import said
from dashboards.context import PageContext
from dashboards.queries.run import Shown
from dashboards.state import Selection
from monitor.coverage.gap_events import GapEvent, held_words, last_day
from monitor.coverage.history import history_of, labels_of_gaps
from monitor.coverage.life import Life, Lives
from monitor.errors import OffmapError
from monitor.gap_decisions import GapDecisions, until_day
from monitor.wording import clean, counted, cut, short_day

__all__ = ["closed_page", "folded", "life_card", "register", "standing"]

_PATH = "/gaps"
_WHO = "app"
_CLOSED = 30
#: What the day of a won't-fix is until somebody chooses another.
_ASKED_AGAIN = timedelta(days=90)
_BY_ITSELF = (
    "No eval item was added near it since it opened. Coverage is an estimate and traffic changes, so it may come back."
)
_COLOURS = {
    "closed": "green",
    "being_closed": "teal",
    "planned": "indigo",
    "acknowledged": "indigo",
    "growing": "orange",
    "held": "cyan",
    "wont_fix": "gray",
}


def standing(life: Life) -> Any:
    """How a gap stands, as badges."""
    shown = [life.state, *life.beside]
    words = life.words.split(", ")
    return dmc.Group(
        [
            dmc.Badge(word, color=_COLOURS.get(state, "blue"), variant="light", size="sm", tt="none")
            for state, word in zip(shown, words, strict=True)
        ],
        gap=4,
    )


def life_card(context: PageContext, shown: Shown, life: Life) -> Any:
    """How the gap stands, the controls, and its history."""
    facts: list[Any] = [
        dmc.Group(
            [
                standing(life),
                dmc.Text(f"owner: {clean(life.owner)}" if life.owner else "owner: nobody yet", size="sm"),
            ],
            gap="sm",
        )
    ]
    if life.ticket:
        facts.append(_ticket(life.ticket))
    if life.until and life.reason:
        facts.append(dmc.Text(f"Until {last_day(life.until)}: {clean(life.reason)}", size="sm"))
    if life.held_since and life.last:
        said = held_words(life.last.coverage, life.held_since, context.settings.gaps.hold_days)
        facts.append(dmc.Text(said, size="sm"))
    return card(
        "What becomes of it",
        *facts,
        dcc.Store(id="gap-life-id", data=life.gap_id),
        *_controls(context, life),
        html.Div(id="gap-life-state"),
        _history(context, shown, life),
        meaning="A gap that somebody acknowledged or planned raises no alert again unless it grows surely. One that will not "
        "be fixed is not listed among the worst and raises none, until its day has passed.",
    )


def folded(context: PageContext, selection: Selection, shown: Shown, lives: Lives) -> list[Any]:
    """Gaps that will not be fixed yet, and gaps that closed: one press away."""
    found = []
    hidden = [gap for gap in shown.gaps if lives.of(gap.gap_id).hidden]
    if hidden:
        rows = []
        for gap in hidden:
            life = lives.of(gap.gap_id)
            until = last_day(life.until) if life.until else "–"
            name = link(clean(gap.label), context.href(_PATH, selection, gap=gap.gap_id))
            rows.append([name, html.Span(until, style={"whiteSpace": "nowrap"}), clean(life.reason or "")])
        found.append(
            _fold(f"{counted(len(rows), 'gap')} that will not be fixed yet", table(["gap", "until", "why"], rows))
        )
    closed = lives.closed[:_CLOSED]
    labels = labels_of_gaps(
        context.store,
        shown.run.atlas_id,
        [one.gap_id for one in closed],
        least=context.settings.atlas.min_users,
    )
    # Of a topic of few users, or one that nobody remembers, there is nothing to say.
    rows = [
        [
            link(labels[one.gap_id], context.href(_PATH, selection, gap=one.gap_id)),
            short_day(one.closed_at) if one.closed_at else "–",
            "by itself" if one.by_itself else "items were added",
            clean(one.owner) if one.owner else "–",
        ]
        for one in closed
        if one.gap_id in labels
    ]
    if rows:
        found.append(
            _fold(f"{counted(len(rows), 'gap')} that closed lately", table(["gap", "closed", "how", "owner"], rows))
        )
    return found


def closed_page(context: PageContext, selection: Selection, shown: Shown, life: Life) -> Any:
    """A gap that the latest analysis does not list: what was last seen of it, and its history."""
    back = link("← all gaps", context.href(_PATH, selection))
    label = labels_of_gaps(
        context.store, shown.run.atlas_id, [life.gap_id], least=context.settings.atlas.min_users
    ).get(life.gap_id)
    went_on = [
        link(f"{name} →", context.href(_PATH, selection, gap=gap_id)) for gap_id, name in _names(context, shown, life)
    ]
    last = life.last
    seen = (
        f"When it was listed last it had {counted(last.turns, 'turn')}, and {last.coverage:.0%} of them were covered."
        if last and label  # of a topic of few users nothing is said
        else ""
    )
    when = f"It closed on {short_day(life.closed_at)}: " if life.closed_at else ""
    return page(
        label or "A gap that closed",
        f"Gap {clean(life.gap_id)}",
        back,
        empty(f"{when}the latest analysis does not list it", seen),
        *([dmc.Text(_BY_ITSELF, size="sm", c="dimmed")] if life.by_itself and not life.went_into else []),
        *([dmc.Group([dmc.Text("It goes on as", size="sm"), *went_on], gap="xs")] if went_on else []),
        life_card(context, shown, life),
    )


def _names(context: PageContext, shown: Shown, life: Life) -> list[tuple[str, str]]:
    """What the gaps are called that it went on as; those of few users are left out."""
    least = context.settings.atlas.min_users
    return list(labels_of_gaps(context.store, shown.run.atlas_id, life.went_into, least=least).items())


def register(app: dash.Dash, context: PageContext) -> None:
    @app.callback(
        Output("url", "href", allow_duplicate=True),
        Output("gap-life-state", "children"),
        Input({"gap-decide": ALL}, "n_clicks"),
        State("gap-life-id", "data"),
        State("gap-owner", "value"),
        State("gap-ticket", "value"),
        State("gap-reason", "value"),
        State("gap-until", "value"),
        State("gap-note", "value"),
        State("url", "search"),
        prevent_initial_call=True,
    )
    def decide(
        _: list[int | None],
        gap: str,
        owner: str | None,
        ticket: str | None,
        reason: str | None,
        until: str | None,
        note: str | None,
        search: str,
    ) -> Any:
        pressed = pressed_button()
        if pressed is None:
            return no_update, no_update
        try:
            decided = GapDecisions(context.store, gap, now=context.clock(), who=_WHO)
            _acts(decided, owner, ticket, reason, until, note)[pressed["gap-decide"]]()
            made = decided.write()
        except OffmapError as error:
            return no_update, said(str(error), bad=True)
        # The decision's id in the address makes it another one, so that the page is drawn anew.
        return context.href(_PATH, Selection.parse(search), gap=gap, decided=made[-1].decision_id), no_update


def _acts(
    decided: GapDecisions,
    owner: str | None,
    ticket: str | None,
    reason: str | None,
    until: str | None,
    note: str | None,
) -> Mapping[str, Callable[[], None]]:
    return {
        "owner": lambda: decided.owner(owner or ""),
        "acknowledge": decided.acknowledge,
        "plan": lambda: decided.plan(ticket or ""),
        "wont_fix": lambda: decided.wont_fix(reason or "", until_day(until or "")),
        "reopen": decided.reopen,
        "note": lambda: decided.note(note or ""),
    }


def _controls(context: PageContext, life: Life) -> list[Any]:
    decided = not {"acknowledged", "planned", "wont_fix"}.isdisjoint(life.states)
    closed = life.closed_at is not None
    stands = _button("reopen", "Open again") if decided else _button("acknowledge", "Acknowledge")
    day = (context.clock() + _ASKED_AGAIN).date()
    until_closed = [
        _row(_text("gap-ticket", "https:// … of a ticket", "address of the ticket"), _button("plan", "Plan")),
        _row(
            _text("gap-reason", "why it will not be fixed", "reason not to fix it"),
            dmc.DateInput(
                id="gap-until",
                value=day.isoformat(),
                minDate=context.clock().date().isoformat(),
                valueFormat="YYYY-MM-DD",
                size="xs",
                w=110,
                **{"aria-label": "last day of the won't-fix"},
            ),
            _button("wont_fix", "Won't fix"),
        ),
    ]
    return [
        _row(
            _text("gap-owner", "whose it is", "owner of the gap", clean(life.owner or "")),
            _button("owner", "Set owner"),
            *([] if closed else [stands]),
        ),
        # They are there in any case: the callback reads them.
        html.Div(dmc.Stack(until_closed, gap="xs"), style={"display": "none"} if closed else {}),
        _row(_text("gap-note", "a note", "note"), _button("note", "Add note")),
    ]


def _history(context: PageContext, shown: Shown, life: Life) -> Any:
    others = {one.text for one in life.events if one.text[:1] == "g"}
    labels = labels_of_gaps(context.store, shown.run.atlas_id, others, least=context.settings.atlas.min_users)
    alerts = context.store.alerts.of_gaps([life.gap_id]).get(life.gap_id, ())
    events = history_of(life, labels, alerts)
    if not events:
        return dmc.Text("Nothing is noted of it yet: the next analysis notes what it sees.", size="sm", c="dimmed")
    return table(["when", "what"], [[f"{one.at:%-d %b %H:%M}", _event(one)] for one in reversed(events)])


def _event(event: GapEvent) -> Any:
    who = dmc.Text(clean(event.who), size="xs", c="dimmed") if event.who and event.who != _WHO else ""
    if event.kind == "plan":
        return html.Div(["planned: ", _ticket(event.text), who])
    return html.Div([event.words, who])


def _ticket(address: str) -> Any:
    """A link that leaves the app and takes nothing along. What is no address of the web is text."""
    if not address.startswith(("https://", "http://")):
        return html.Span(clean(address))
    return html.A(
        cut(address, 80),
        href=address,
        target="_blank",
        rel="noopener noreferrer nofollow",
        className="link",
        style={"overflowWrap": "anywhere", "fontSize": "0.875rem"},
    )


def _fold(title: str, *content: Any) -> Any:
    return dmc.Paper(
        html.Details([html.Summary(title, className="fold"), *content]), withBorder=True, p="md", radius="md"
    )


def _row(*parts: Any) -> Any:
    return dmc.Group(list(parts), gap="xs")


def _text(id: str, placeholder: str, meaning: str, value: str = "") -> Any:
    return dmc.TextInput(
        id=id,
        placeholder=placeholder,
        value=value,
        size="xs",
        style={"flex": "1 1 140px"},
        **{"aria-label": meaning},
    )


def _button(kind: str, text: str) -> Any:
    return dmc.Button(text, id={"gap-decide": kind}, size="xs", variant="default", style={"flexShrink": 0})
