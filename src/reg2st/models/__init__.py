"""Models: from tensors of a section to predicted expression, without files or paths."""
