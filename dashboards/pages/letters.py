"""Dead letters on the page of data: why there are any, the newest, one of them whole; to be read again, or discarded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dash
import dash_mantine_components as dmc
from dash import ALL, Input, Output, State, dcc, html, no_update

from dashboards.components.buttons import pressed_button
from dashboards.components.cards import card, empty, link, page, table, verdict
from dashboards.components.job import follow_job, job_parts, request_job, said, working
from dashboards.context import PageContext
from dashboards.state import Selection
from monitor.payloads import payload_of
from monitor.published import shown_text
from monitor.records import Coordinates, DeadLetter, short_hash
from monitor.store.dead_letters import Chosen
from monitor.store.jobs import Job
from monitor.wording import clean, counted, cut, revealed

__all__ = ["letter_page", "letters_card", "register"]

_PATH = "/data"
_NEWEST, _REASONS, _HEADERS = 10, 12, 40
#: So many letters are discarded by their names: those that were asked about, and none that came since.
_BY_NAME = 2_000
_ALL = "all"
_ASKED = "It is asked for …"


def letters_card(context: PageContext, selection: Selection) -> Any:
    """Everything about dead letters that is on the page of data."""
    return card(
        "Dead letters",
        *_jobs_parts(),
        html.Div(_live(context, selection), id="letters-live"),
        dcc.Store(id="letters-mark", data=_mark(context)),
        meaning="Records that could not be read, each kept whole with its reason. When offmap can read them one day, or the "
        "right format is set, replay stores them as if they came now.",
    )


def letter_page(context: PageContext, selection: Selection, letter_id: str) -> Any:
    """One letter whole."""
    back = link("← data", context.href(_PATH, selection))
    letter = context.store.dead_letters.find(letter_id)
    if letter is None:
        return page(
            "Dead letter",
            "",
            back,
            empty(
                f"There is no dead letter {clean(letter_id)[:40]} (any more)",
                "It may have been replayed or discarded. Those of today are on the page of data.",
            ),
        )
    redacted = context.settings.export.redact
    facts = [
        ["where", _place(letter.coordinates)],
        ["source", clean(letter.coordinates.source)],
        ["received", f"{letter.received_at:%-d %b %Y %H:%M:%S} UTC"],
        ["size", counted(len(letter.payload), "byte")],
        *(
            [f"header {cut(name, 60)}", revealed(shown_text(value, redacted))[:500]]
            for name, value in letter.headers[:_HEADERS]
        ),
    ]
    return page(
        f"Dead letter {letter.letter_id}",
        "A record that could not be read, as it came.",
        back,
        verdict(clean(letter.reason), bad=True),
        dmc.Group(_buttons(letter.letter_id, "sm"), gap="xs"),
        *_jobs_parts(),
        card("Where it comes from", table(["", ""], facts)),
        _payload(letter, redacted),
    )


def register(app: dash.Dash, context: PageContext) -> None:
    _register_asking(app, context)

    follow_job(app, context, "letters", _job_state)

    @app.callback(
        Output("letters-live", "children"),
        Output("letters-mark", "data"),
        Input("data-poll", "n_intervals"),
        Input("letters-poll", "disabled"),
        State("letters-mark", "data"),
        State("url", "search"),
        prevent_initial_call=True,
    )
    def refresh(_: int, __: bool, mark: str, search: str) -> Any:
        now = _mark(context)
        # Buttons that are drawn anew lose the focus: only when there is something new.
        return (no_update, no_update) if now == mark else (_live(context, Selection.parse(search)), now)


def _register_asking(app: dash.Dash, context: PageContext) -> None:
    asked = (
        Output("letters-job", "data", allow_duplicate=True),
        Output("letters-state", "children", allow_duplicate=True),
        Output("letters-modal", "opened", allow_duplicate=True),
    )

    @app.callback(
        *asked,
        Output("letters-asked", "data"),
        Output("letters-question", "children"),
        Input({"letters": "replay", "of": ALL}, "n_clicks"),
        Input({"letters": "discard", "of": ALL}, "n_clicks"),
        prevent_initial_call=True,
    )
    def ask(_: list[int | None], __: list[int | None]) -> Any:
        pressed = pressed_button()
        if pressed is None:
            return (no_update,) * 5
        which = _which(context, str(pressed["of"]))
        if which is None:
            return no_update, said("There are no such letters any more."), False, no_update, no_update
        if pressed["letters"] == "replay":
            return *request_job(context, "replay_letters", which.parameters, _ASKED), False, no_update, no_update
        return no_update, no_update, True, _exactly(context, which), _question(which)

    @app.callback(*asked, Input("letters-yes", "n_clicks"), State("letters-asked", "data"), prevent_initial_call=True)
    def discard(clicks: int | None, parameters: dict[str, Any] | None) -> Any:
        if not clicks or parameters is None:
            return no_update, no_update, no_update
        return *request_job(context, "discard_letters", parameters, _ASKED), False

    @app.callback(
        Output("letters-modal", "opened", allow_duplicate=True),
        Input("letters-no", "n_clicks"),
        prevent_initial_call=True,
    )
    def keep(_: int | None) -> Any:
        return False


@dataclass(frozen=True, slots=True)
class _Which:
    """Letters that a button is for: what follows their number in words, a job's parameters, and how many there are."""

    words: str
    parameters: dict[str, Any]
    chosen: Chosen
    letters: int


def _which(context: PageContext, name: str) -> _Which | None:
    """What a button's name means now; None when that is nothing."""
    letters = context.store.dead_letters
    parameters: dict[str, Any] = {}
    if name == _ALL:
        chosen, words = Chosen(), ""
        parameters = {"all": True}
    elif name.startswith("dl"):
        chosen, words = Chosen(ids=(name,)), f" {name}"
        parameters = {"ids": [name]}
    else:
        found = next((one.reason for one in letters.reasons() if short_hash(one.reason) == name), None)
        if not found:
            return None
        chosen, words = Chosen(reason=found), f" with the reason “{clean(found)[:300]}”"
        parameters = {"reason": found}
    count = letters.count(chosen)
    return _Which(words, parameters, chosen, count) if count else None


def _exactly(context: PageContext, which: _Which) -> dict[str, Any]:
    """The letters by their names, unless there are too many: what comes while somebody decides was not asked about."""
    if which.letters > _BY_NAME:
        return which.parameters
    places = context.store.dead_letters.places(which.chosen).to_pylist()
    return {"ids": [Coordinates(row["source"], row["partition"], row["position"]).letter_id for row in places]}


def _question(which: _Which) -> str:
    """What a person decides, with its number."""
    more = ", and those that come until it is done" if which.letters > _BY_NAME else ""
    they, them = ("It is", "it") if which.letters == 1 else ("They are", "them")
    what = f"Discard {counted(which.letters, 'dead letter')}{which.words}{more}?"
    return (
        f"{what} {they} deleted for good. A later offmap may be able to read {them}: to keep {them} costs only space."
    )


def _jobs_parts() -> Sequence[Any]:
    """What a button needs beside it: the question, and how its job goes."""
    return (
        *job_parts("letters"),
        dcc.Store(id="letters-asked"),
        dmc.Modal(
            dmc.Stack(
                [
                    dmc.Text(id="letters-question", size="sm"),
                    dmc.Group(
                        [
                            dmc.Button("Keep", id="letters-no", variant="default", size="sm"),
                            dmc.Button("Discard", id="letters-yes", color="red", size="sm"),
                        ],
                        justify="flex-end",
                    ),
                ]
            ),
            id="letters-modal",
            title="Discard for good?",
            opened=False,
            centered=True,
        ),
    )


def _buttons(of: str, size: str = "compact-xs") -> list[Any]:
    return [
        dmc.Button("Replay", id={"letters": "replay", "of": of}, size=size, variant="light"),
        dmc.Button("Discard", id={"letters": "discard", "of": of}, size=size, variant="subtle", color="red"),
    ]


def _live(context: PageContext, selection: Selection) -> Any:
    letters = context.store.dead_letters
    reasons = letters.reasons()
    if not reasons:
        return dmc.Text("Every record could be read: there are no dead letters.", size="sm", c="dimmed")
    total = sum(one.letters for one in reasons)
    why = [
        [
            clean(one.reason)[:300],
            counted(one.letters, "letter"),
            f"{one.newest:%-d %b %H:%M}",
            dmc.Group(_buttons(short_hash(one.reason)), gap=4, wrap="nowrap", justify="flex-end"),
        ]
        for one in reasons[:_REASONS]
    ]
    newest = [
        [
            f"{letter.received_at:%-d %b %H:%M}",
            _place(letter.coordinates),
            clean(letter.reason)[:160],
            link("open", context.href(_PATH, selection, letter=letter.letter_id)),
        ]
        for letter in letters.read(_NEWEST)
    ]
    more = f" The {_REASONS} most frequent of {len(reasons)} reasons are shown." if len(reasons) > _REASONS else ""
    return dmc.Stack(
        [
            dmc.Group(
                [
                    dmc.Text(f"{counted(total, 'record')} could not be read.{more}", size="sm"),
                    dmc.Group([dmc.Text("All:", size="xs", c="dimmed"), *_buttons(_ALL)], gap=4),
                ],
                justify="space-between",
            ),
            table(["reason", "how many", "newest", ""], why, right=(1, 2, 3)),
            dmc.Text(
                f"The newest {len(newest)}" if len(newest) < total else "Each of them", size="xs", fw=600, mt="xs"
            ),
            table(["when", "where", "why", ""], newest),
        ],
        gap="xs",
    )


def _payload(letter: DeadLetter, redacted: bool) -> Any:
    payload = payload_of(letter, redacted=redacted)
    notes = [f"The first {payload.shown:,} of {payload.characters:,} characters."] if payload.cut else []
    if redacted:
        notes.append("Redacted as the settings say.")
    notes.append(f"offmap deadletters show {letter.letter_id} shows it all.")
    body: Any = html.Pre(payload.text, className="payload") if payload.text else dmc.Text("Nothing of it was kept.")
    return card(
        "What is in it",
        body,
        dmc.Text(" ".join(notes), size="xs", c="dimmed"),
        meaning="The record as text. Characters that act or hide are written as escapes, such as \\u202e.",
    )


def _mark(context: PageContext) -> str:
    """Changes when the letters do."""
    return short_hash(*(f"{one.letters} {one.newest} {one.reason}" for one in context.store.dead_letters.reasons()))


def _place(at: Coordinates) -> str:
    if at.source.startswith("file:"):
        # A log that grows is known by bytes (`consumers.growing`), a file by its records.
        where = f"byte {at.position:,}" if at.partition == "lines" else f"record {at.position + 1:,}"
        return f"file {cut(at.source.removeprefix('file:'), 9)} {where}"
    return f"{cut(at.source.removeprefix('kafka:'), 40)} / {at.partition} offset {at.position:,}"


def _job_state(job: Job) -> Any:
    verb = "replay" if job.kind == "replay_letters" else "discard"
    if job.state == "failed":
        return said(f"The {verb} failed: {job.error or ''}", bad=True)
    if job.state != "finished":
        return working("It is being done …" if job.state == "running" else "It is waiting …")
    result = job.result or {}
    if verb == "discard":
        return said(f"Discarded: {counted(int(result.get('discarded', 0)), 'dead letter')}.")
    read, left = int(result.get("read", 0)), int(result.get("left", 0))
    stored = f": {counted(int(result.get('turns', 0)), 'new turn')}" if read else ""
    stay = f" {counted(left, 'stays, with its', 'stay, each with its')} reason of today." if left else ""
    return said(f"{counted(read, 'record')} could be read now{stored}.{stay}")
