"""Commands beside the workflow: doctor and estimate."""
