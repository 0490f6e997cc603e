"""A real section predicted as a slide without counts, compared with its measured counts."""

import os

import anndata
import numpy as np
import pytest
import yaml
from scipy.spatial import KDTree

from reg2st.evaluation.correlations import pearson
from reg2st.sections.targets import TARGETS
from sections import read_st

pytestmark = pytest.mark.skipif(
    "REG2ST_TEST_REGRESSION" not in os.environ, reason="needs minutes: make test-regression"
)
OF_THE_FOLD = 0.2205
"""Mean PCC of SPRIG's fold that leaves C6 out (docs/reference/methods/sprig.md)."""


def pcc_at_spots(predictions, shared) -> np.ndarray:
    """PCC of each gene over C6's real spots, each with the value of the nearest predicted spot."""
    data = shared / "data" / "her2st"
    section = read_st(
        "C6",
        dataset="her2st",
        patient="C",
        image=data / "ST-imgs/C/C6/5714_HE_BT_E2.jpg",
        counts=data / "ST-cnts/C6.tsv.gz",
        spots=data / "ST-spotfiles/C6_selection.tsv",
        um_per_px=0.6982,
    )
    predicted = anndata.read_h5ad(predictions)
    known = section.var_names
    counts = np.zeros((section.n_obs, predicted.n_vars), dtype=np.float32)
    present = predicted.var_names.isin(known)
    counts[:, present] = section[:, predicted.var_names[present]].X.toarray()
    totals = np.asarray(section.X.sum(axis=1)).ravel()
    observed = TARGETS["paper"].expression(counts, totals)
    _, nearest = KDTree(predicted.obsm["spatial"]).query(section.obsm["spatial"])
    return pearson(observed, predicted.X[nearest])


@pytest.mark.timeout(3600)
def test_a_slide_on_its_own_grid_is_as_good_as_the_section(root, study, shared):
    for folder in ("config", "resources"):
        (study.folder / folder).symlink_to(root / folder)
    study.config = yaml.safe_load((root / "config/her2st_slide.yaml").read_text())
    for part in (study.config["datasets"]["her2st"], study.config["slides"]):
        part["root"] = str(shared / "data/her2st")
    done = study.run("slides")
    assert done.returncode == 0, done.stdout + done.stderr
    pcc = pcc_at_spots(study.results / "slides/sprig/C6/predictions.h5ad", shared)
    print(f"mean PCC {np.nanmean(pcc):.4f}, of the fold {OF_THE_FOLD}")
    assert np.nanmean(pcc) == pytest.approx(OF_THE_FOLD, abs=0.02)
