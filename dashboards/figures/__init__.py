"""Figures: pure functions from records to plotly figures, readable on light and dark."""
