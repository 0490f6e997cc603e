"""What all golden vectors have in common."""

import numpy as np
import pytest

from reg2st.sections.targets import size_factors
from sections import log_expression

NAMES = (
    "bleep",
    "deepspot",
    "hggep",
    "hist2st",
    "histogene",
    "mclstexp",
    "miso",
    "reg2st",
    "stnet",
    "thitogene",
    "triplex",
)


@pytest.mark.parametrize("name", NAMES)
def test_targets_follow_from_counts(released, name):
    golden = released(name)
    counts = golden["input/counts"]
    assert (counts.sum(dim=1) == 0).any()
    np.testing.assert_allclose(
        log_expression(counts.numpy()), golden["input/target_log_expression"], rtol=1e-6
    )
    if "input/size_factor" in golden:
        np.testing.assert_allclose(size_factors(counts), golden["input/size_factor"], rtol=1e-6)


def test_the_page_describes_every_file(root):
    folder = root / "tests" / "golden" / "vectors"
    page = (folder / "README.md").read_text()
    files = sorted(path.name for path in folder.glob("*.npz"))
    assert files == [f"{name}.npz" for name in NAMES]
    assert [name for name in files if f"| `{name}` |" not in page] == []
