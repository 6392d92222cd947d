"""A job that a page asks for: what the page needs beside its button, and how the job goes until it ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dash
import dash_mantine_components as dmc
from dash import Input, Output, dcc, html, no_update

from dashboards.context import PageContext
from monitor.errors import OffmapError
from monitor.store.jobs import Job
from monitor.wording import clean

__all__ = ["follow_job", "job_button", "job_parts", "request_job", "said", "working"]

_ENDED = ("finished", "failed")
_POLL_MS = 700


def job_parts(name: str) -> Sequence[Any]:
    """The job's id, its clock, and the place that says how it goes: `NAME-job`, `NAME-poll` and `NAME-state`."""
    return (
        dcc.Store(id=f"{name}-job"),
        dcc.Interval(id=f"{name}-poll", interval=_POLL_MS, disabled=True),
        html.Div(id=f"{name}-state"),
    )


def request_job(context: PageContext, kind: str, parameters: Mapping[str, Any], asked: str) -> tuple[Any, Any]:
    """Ask for it: for `NAME-job` and `NAME-state`. `asked` is what is said until it is known how it goes."""
    try:
        return context.service.request(kind, parameters), working(asked)
    except OffmapError as error:
        return None, said(str(error), bad=True)


def job_button(
    app: dash.Dash, context: PageContext, name: str, button: str, kind: str, asked: str, shown: Callable[[Job], Any]
) -> None:
    """What a button does that asks for a job without parameters: see `request_job` and `follow_job`."""

    @app.callback(
        Output(f"{name}-job", "data"),
        Output(f"{name}-state", "children", allow_duplicate=True),
        Input(button, "n_clicks"),
        prevent_initial_call=True,
    )
    def ask(clicks: int | None) -> Any:
        return request_job(context, kind, {}, asked) if clicks else (no_update, no_update)

    follow_job(app, context, name, shown)


def follow_job(app: dash.Dash, context: PageContext, name: str, shown: Callable[[Job], Any]) -> None:
    """Say how the job goes, `shown(job)`, until it has ended; then ask no more."""

    @app.callback(
        Output(f"{name}-state", "children"),
        Output(f"{name}-poll", "disabled"),
        Input(f"{name}-poll", "n_intervals"),
        Input(f"{name}-job", "data"),
        prevent_initial_call=True,
    )
    def follow(_: int, job_id: str | None) -> Any:
        if not job_id:
            return no_update, True
        job = context.store.jobs.find(job_id)
        if job is None:
            return said("That job is not known any more: press the button again."), True
        return shown(job), job.state in _ENDED


def said(text: str, *, bad: bool = False) -> Any:
    return dmc.Text(clean(text), size="sm", **({"c": "orange"} if bad else {}))


def working(text: str) -> Any:
    return dmc.Group([dmc.Loader(size="xs"), dmc.Text(text, size="sm")], gap="xs")
