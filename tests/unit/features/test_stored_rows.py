"""Rows that wait in their file: which are read, and what happens when the file is gone."""

import h5py
import numpy as np
import pytest

from processes import printed_by
from reg2st.base.errors import UserError
from reg2st.features.stored_rows import StoredRows

ROWS, SIDE = 2000, 224


@pytest.fixture
def numbers(tmp_path):
    values = np.arange(60).reshape(10, 3, 2)
    with h5py.File(tmp_path / "rows.h5", "w") as file:
        file["values"] = values
    return StoredRows(tmp_path / "rows.h5", "values"), values


@pytest.mark.parametrize(
    "rows", [3, slice(None), slice(2, 5), np.array([7, 0, 7, 4]), np.array([], dtype=int)]
)
def test_rows_are_read_in_the_order_that_is_asked_for(numbers, rows):
    stored, values = numbers
    np.testing.assert_array_equal(stored[rows], values[rows])
    assert stored[rows].dtype == stored.dtype == values.dtype
    assert (len(stored), stored.shape) == (10, (10, 3, 2))


def test_a_file_that_is_gone_is_named(numbers):
    stored, _ = numbers
    stored.path.unlink()
    with pytest.raises(UserError, match=r"rows\.h5 can no longer be read"):
        stored[0:2]


def test_a_file_that_was_made_again_is_read_again(numbers, tmp_path):
    stored, values = numbers
    np.testing.assert_array_equal(stored[0:2], values[0:2])
    with h5py.File(tmp_path / "new.h5", "w") as file:
        file["values"] = values + 1
    (tmp_path / "new.h5").replace(stored.path)
    np.testing.assert_array_equal(stored[0:2], values[0:2] + 1)


MEASURE = """
import sys
import numpy as np
from reg2st.base.memory import peak_memory_bytes
from reg2st.features.stored_rows import StoredRows
stored = StoredRows(sys.argv[1], "img")
before = peak_memory_bytes()
order = np.random.default_rng(0).permutation(len(stored))
total = sum(int(stored[rows].sum()) for rows in np.array_split(order, 40))
print(peak_memory_bytes() - before, total)
"""


def test_memory_holds_the_rows_of_a_batch(tmp_path):
    """An epoch over 300 MB of patches, 50 at a time (8 MB), takes 50 MB at most."""
    with h5py.File(tmp_path / "patches.h5", "w") as file:
        shades = np.arange(ROWS).astype(np.uint8).reshape(-1, 1, 1, 1)
        file["img"] = np.broadcast_to(shades, (ROWS, SIDE, SIDE, 3))
    grown, total = map(int, printed_by(MEASURE, tmp_path / "patches.h5").split())
    assert grown < 50e6
    assert total == sum(row % 256 for row in range(ROWS)) * SIDE * SIDE * 3
