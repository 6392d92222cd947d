"""Sortable tables, by ag-grid. Cells are values, never code or markup."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dash_ag_grid as dag

__all__ = ["column", "grid", "share_column"]


def column(
    field: str, title: str, meaning: str, *, width: int = 110, number: bool = False, shown: str = ""
) -> dict[str, Any]:
    """A column. `shown` is the field with the text of a number, which sorts by its value."""
    found: dict[str, Any] = {
        "field": field,
        "headerName": title,
        "headerTooltip": meaning,
        "width": width,
        "minWidth": int(width * 0.85),
        "sortable": True,
    }
    if number:
        found |= {"type": "rightAligned"}
    if shown:
        found["valueFormatter"] = {"function": f"params.data.{shown}"}
    return found


def share_column() -> dict[str, Any]:
    """A topic's share, sorted by its value and shown with its interval."""
    return column(
        "share",
        "share",
        "Share of all turns with a subject, with its 90% interval in points.",
        number=True,
        shown="share_text",
        width=124,
    )


def grid(
    id: Any, columns: Sequence[dict[str, Any]], rows: Sequence[dict[str, Any]], *, height: int | None = None
) -> Any:
    """Rows of plain values. Without a height it is as high as its rows."""
    options: dict[str, Any] = {
        "rowHeight": 34,
        "headerHeight": 34,
        "tooltipShowDelay": 300,
        "suppressCellFocus": True,
        "rowSelection": {"mode": "singleRow", "checkboxes": False, "enableClickSelection": True},
        "animateRows": False,
    }
    if height is None:
        options["domLayout"] = "autoHeight"
    return dag.AgGrid(
        id=id,
        columnDefs=list(columns),
        rowData=list(rows),
        dashGridOptions=options,
        getRowId="params.data.id",
        columnSize="responsiveSizeToFit",
        style={"height": height, "width": "100%"},
        dangerously_allow_code=False,
    )
