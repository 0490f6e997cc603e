"""Help with misspelt names."""

import difflib
from collections.abc import Iterable


def closest(name: str, known: Iterable[str]) -> str:
    """A clause to end a sentence with, in brackets: the likeliest meant name, or all there are."""
    known = list(known)
    matches = difflib.get_close_matches(name, known, n=1)
    if matches:
        return f" (did you mean '{matches[0]}'?)"
    return f" (known are {', '.join(map(str, known))})" if known else " (there are none)"
