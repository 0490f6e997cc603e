"""Rows of a large file that are read when they are needed."""

from functools import lru_cache
from pathlib import Path

import h5py
import numpy as np

from reg2st.base.errors import UserError

OPEN_FILES = 256
"""Files that stay open between reads, of the 1,024 that a process may open on most systems."""


class StoredRows:
    """Rows of a dataset in an HDF5 file; those that are indexed are read, each time anew.

    A section of 200,000 spots has 30 GB of patches, of which a step of training needs a few.

    Args:
        path: the file.
        name: of the dataset.

    Shapes: by a slice or int64 ``[m]`` to ``[m, ...]``, by a number to ``[...]``.
    """

    def __init__(self, path: str | Path, name: str) -> None:
        self.path, self.name = Path(path), name
        with h5py.File(path, "r") as file:
            self.shape, self.dtype = file[name].shape, file[name].dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: int | slice | np.ndarray) -> np.ndarray:
        """Read rows.

        Raises:
            UserError: the file has been removed or damaged since.
        """
        try:
            dataset = _opened(self.path, self.path.stat().st_mtime_ns)[self.name]
            if not isinstance(rows, np.ndarray):
                return dataset[rows]
            found = np.empty((len(rows), *self.shape[1:]), self.dtype)
            # One by one: h5py takes three times as long for a list of rows.
            for place, row in enumerate(rows):
                dataset.read_direct(found, int(row), place)
            return found
        except (OSError, KeyError) as error:
            raise UserError(f"{self.path} can no longer be read: {error}.") from error


@lru_cache(OPEN_FILES)
def _opened(path: Path, changed: int) -> h5py.File:
    """The file as it was changed last; opening it takes longer than reading a few rows."""
    return h5py.File(path, "r")
