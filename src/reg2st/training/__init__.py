"""Training: from the files of sections to a trained model, and from a model to predictions."""
