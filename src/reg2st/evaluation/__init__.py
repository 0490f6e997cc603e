"""Scores and what they mean: metrics, aggregates, tests, ceilings and controls."""
