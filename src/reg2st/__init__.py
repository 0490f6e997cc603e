"""Predict spatial gene expression from histology: the library behind the workflow."""

__version__ = "0.2.0"
