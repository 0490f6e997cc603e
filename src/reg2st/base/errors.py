"""The one exception that the user can correct."""


class UserError(Exception):
    """Bad input, described in one sentence: which file, which row or key, what to do.

    Everything that runs for a user (scripts, the Snakefile) prints the sentence
    without a traceback and stops with an exit code other than 0.
    """
