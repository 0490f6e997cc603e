"""Models: tensors of one section in, predicted expression out. No file, path or dataset."""
