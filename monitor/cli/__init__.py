"""The command line, and the composition root: only here settings, store, encoder and pipeline meet."""

from monitor.cli.app import main

__all__ = ["main"]
