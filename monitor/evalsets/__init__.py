"""Eval sets: what the product's owner tests."""
