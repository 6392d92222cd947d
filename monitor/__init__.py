"""offmap's domain: from a stored turn to a ranked gap. Knows neither Kafka nor Dash.

`Client` sends turns to a running offmap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from monitor.client import Client, ClientStats

__all__ = ["Client", "ClientStats", "__version__"]

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """The client, when it is asked for: importing the package starts and registers nothing."""
    if name in ("Client", "ClientStats"):
        from monitor import client

        return getattr(client, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
