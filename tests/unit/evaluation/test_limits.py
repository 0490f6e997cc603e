"""Limits of a section, also of one with very many spots."""

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

from reg2st.evaluation.ceiling import split_half_ceiling
from reg2st.evaluation.limits import MOST_SPOTS, section_limits
from reg2st.sections.targets import TARGETS
from sections import about

PAPER = TARGETS["paper"]

GENES = ["ACTB", "ERBB2", "KRT5"]


@pytest.fixture
def section(tmp_path):
    """Writes a section of so many spots; returns its file and its counts."""

    def write(spots: int):
        rng = np.random.default_rng(spots)
        counts = rng.poisson(rng.gamma(1.0, 8.0, (spots, 1)) * [0.2, 1.0, 3.0]).astype(np.float32)
        adata = anndata.AnnData(
            csr_matrix(counts),
            pd.DataFrame(index=[f"s{spot}" for spot in range(spots)]),
            pd.DataFrame(index=GENES),
            obsm={"spatial": rng.random((spots, 2))},
        )
        adata.uns["spatial"] = {
            "S1": {
                "images": {"hires": np.zeros((2, 2, 3), np.uint8)},
                "scalefactors": {"tissue_hires_scalef": 1.0, "spot_diameter_fullres": 1.0},
                "metadata": {"source_image_path": "S1.png"},
            }
        }
        adata.uns["section"] = about("S1", "made", "P")
        adata.write_h5ad(tmp_path / "S1.h5ad")
        return tmp_path / "S1.h5ad", counts

    return write


def ceiling_of(counts: np.ndarray) -> np.ndarray:
    return split_half_ceiling(counts, counts.sum(axis=1), PAPER)


@pytest.mark.parametrize("spots", [50, MOST_SPOTS + 7001])
def test_a_limit_is_estimated_on_all_spots_or_on_evenly_spaced_ones(section, spots):
    path, counts = section(spots)
    rows = section_limits(path, [], GENES, PAPER, None)
    ceiling = rows[rows["limit"] == "split_half"].set_index("gene")["pcc"]
    assert ceiling.index.tolist() == GENES
    if spots <= MOST_SPOTS:
        np.testing.assert_array_equal(ceiling, ceiling_of(counts))
    else:
        chosen = np.linspace(0, spots - 1, MOST_SPOTS).astype(int)
        assert len(set(chosen)) == MOST_SPOTS
        np.testing.assert_array_equal(ceiling, ceiling_of(counts[chosen]))
        np.testing.assert_allclose(ceiling, ceiling_of(counts), atol=0.02)
