"""Tables of a study, made from tidy scores and run records alone."""
