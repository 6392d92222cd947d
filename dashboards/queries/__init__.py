"""Queries: from the store to plain records. Bounded, and the only part of the app that asks the store."""
