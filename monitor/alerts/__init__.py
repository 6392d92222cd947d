"""Alerts: what is worth telling, how it reads, and how it gets there."""
