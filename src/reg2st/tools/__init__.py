"""Commands beside the workflow: doctor and estimate."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
"""The folder of the workflow, its constraints and resources."""
