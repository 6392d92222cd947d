"""Buttons of which a page has many: which of them was pressed."""

from __future__ import annotations

import dash

__all__ = ["pressed_button"]


def pressed_button() -> dict[str, str] | None:
    """The id of the button that called, within a callback of buttons that have a mapping as their id; None for none.

    Buttons that are drawn call too, and were not pressed.
    """
    called = dash.ctx.triggered_id
    return dict(called) if isinstance(called, dict) and dash.ctx.triggered[0]["value"] else None
