"""The store: turns, vectors, atlases and reports in a DuckDB file or on DuckLake. Only this package speaks SQL."""

from monitor.store.store import Store

__all__ = ["Store"]
