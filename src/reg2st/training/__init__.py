"""Training a model from the files of sections, and predicting with it."""
