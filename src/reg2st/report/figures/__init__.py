"""Figures of a study, made from tidy scores, predictions and run records alone."""
