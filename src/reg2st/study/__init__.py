"""What to compute: the config, sample sheets, folds, runs, and every path of a study."""
