"""The app that operations teams open: queries (store to records), figures (records to plotly), pages (layout, callbacks)."""

from dashboards.app import make_app

__all__ = ["make_app"]
