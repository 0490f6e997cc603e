"""Help with misspelt names."""

import difflib
from collections.abc import Iterable

MOST_LISTED = 20


def closest(name: str, known: Iterable[str]) -> str:
    """A clause in brackets to end a sentence with: the likeliest name meant, or the known ones."""
    known = list(map(str, known))
    if matches := difflib.get_close_matches(name, known, n=1):
        return f" (did you mean '{matches[0]}'?)"
    if len(known) > MOST_LISTED:
        return f" (none of the {len(known):,} known is similar)"
    return f" (known are {', '.join(known)})" if known else " (there are none)"
