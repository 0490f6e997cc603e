"""Progress of one job."""

import sys
from typing import Any

from tqdm import tqdm


class Progress(tqdm):
    """A progress bar on a terminal; in a log file, a line every 10 seconds, in ASCII."""

    def __init__(self, what: str, total: int | None = None, **options: Any) -> None:
        on_terminal = sys.stderr.isatty()
        super().__init__(
            desc=what,
            total=total,
            mininterval=0.1 if on_terminal else 10,
            ascii=None if on_terminal else True,
            **options,
        )
