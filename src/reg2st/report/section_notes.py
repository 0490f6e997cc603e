"""What a reader of a table must know of the sections behind it."""

import os
from collections import Counter
from collections.abc import Iterable

from reg2st.sections.section_file import load_section_arrays


def section_notes(paths: Iterable[str | os.PathLike]) -> tuple[str, ...]:
    """Every warning of some sections, and one sentence that sums up what was left out of them.

    Args:
        paths: the section files.

    Raises:
        UserError: a file is no section file.
    """
    sections = [load_section_arrays(path) for path in paths]
    left_out: Counter[str] = Counter()
    for section in sections:
        left_out.update(section.dropped)
    reasons = [f"{number:,} {reason}" for reason, number in left_out.items() if number]
    notes = [warning for section in sections for warning in section.warnings]
    if reasons:
        notes.append(f"Left out of the sections: {', '.join(reasons)}.")
    return tuple(notes)
