"""Drift: whether a window differs from the one before it, or from the eval set, and which topics carry the change."""
