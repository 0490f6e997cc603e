"""Agreement of clusters with regions."""

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from reg2st.evaluation.regions import region_agreement, section_agreements
from reg2st.sections.section_file import write_section
from sections import about, log_expression


@pytest.fixture
def regions():
    """Labels of 150 spots in three regions and expression that follows them."""
    rng = np.random.default_rng(0)
    codes = np.repeat([0, 1, 2], 50)
    expression = 3 * np.eye(3)[codes] @ rng.normal(size=(3, 40)) + rng.normal(size=(150, 40))
    return expression, np.array(["tumour", "stroma", "fat"], dtype=object)[codes]


def test_regions_that_expression_follows_are_found(regions):
    agreement = region_agreement(*regions)
    assert agreement.ari > 0.95
    assert agreement.nmi > 0.95
    assert (agreement.n_regions, agreement.n_labelled, agreement.n_unlabelled) == (3, 150, 0)
    assert agreement == region_agreement(*regions)


def test_shuffled_labels_agree_by_chance_only(regions):
    expression, labels = regions
    shuffled = np.random.default_rng(1).permutation(labels)
    assert abs(region_agreement(expression, shuffled).ari) < 0.05


def test_spots_without_a_region_are_left_out_and_counted(regions):
    expression, labels = regions
    labels[:8] = [None, np.nan, "", "undetermined"] * 2
    noisy = expression.copy()
    noisy[:8] += 100
    agreement = region_agreement(noisy, labels)
    assert (agreement.n_regions, agreement.n_labelled, agreement.n_unlabelled) == (3, 142, 8)
    without_them = region_agreement(expression[8:], labels[8:])
    assert (agreement.ari, agreement.nmi) == (without_them.ari, without_them.nmi)


def test_one_region_or_no_prediction_has_no_agreement(regions):
    expression, labels = regions
    for agreement in (
        region_agreement(expression, np.full(150, "tumour")),
        region_agreement(np.full_like(expression, np.nan), labels),
        region_agreement(expression[:, :0], labels),
        region_agreement(expression, np.full(150, "")),
    ):
        assert np.isnan([agreement.ari, agreement.nmi]).all()


def test_a_constant_prediction_agrees_with_nothing(regions):
    expression, labels = regions
    agreement = region_agreement(np.ones_like(expression), labels)
    assert (agreement.ari, agreement.nmi) == (0, 0)


def test_every_run_of_a_section_stands_beside_the_observed_expression(tmp_path, regions):
    expression, labels = regions
    counts = np.random.default_rng(0).poisson(np.exp(1 + 0.3 * expression)).astype(np.float32)
    genes = [f"G{number}" for number in range(counts.shape[1])]
    spots = [f"{number}x0" for number in range(len(labels))]
    section = anndata.AnnData(
        X=scipy.sparse.csr_matrix(counts),
        obs=pd.DataFrame({"array_col": np.arange(len(labels)), "array_row": 0}, index=spots),
        var=pd.DataFrame(index=genes),
        obsm={"spatial": np.zeros((len(labels), 2))},
    )
    section.uns["spatial"] = {
        "B1": {
            "images": {"hires": np.zeros((2, 2, 3), dtype=np.uint8)},
            "scalefactors": {"tissue_hires_scalef": 1.0, "spot_diameter_fullres": 1.0},
            "metadata": {"source_image_path": "slide.tif"},
        }
    }
    section.uns["section"] = about("B1", "her2st", "B")
    write_section(section, tmp_path / "B1.h5ad")
    pd.DataFrame({"barcode": spots, "label": labels}).to_csv(
        tmp_path / "B1.tsv", sep="\t", index=False
    )
    # A gene of another fold's panel, and another section, stand before.
    predicted = np.full((len(labels) + 3, 31), np.nan, dtype=np.float32)
    predicted[3:, 1:] = expression[:, :30]
    obs = pd.DataFrame(
        {
            "fold": ["A"] * 3 + ["B"] * len(labels),
            "section": ["B2"] * 3 + ["B1"] * len(labels),
            "barcode": spots[:3] + spots,
        }
    )
    run = {"dataset": "her2st", "split": "patient_out", "method": "ridge"}
    run |= {"variant": "full", "preset": "published"}
    for seed in "01":
        table = anndata.AnnData(
            predicted,
            obs.set_axis([f"spot{number}" for number in range(len(obs))]),
            pd.DataFrame(index=["OTHER", *genes[:30]]),
            uns={"run": {**run, "seed": seed}, "target": "paper"},
        )
        table.write_h5ad(tmp_path / f"{seed}.h5ad")
    files = [tmp_path / f"{seed}.h5ad" for seed in (0, 1)]
    rows = section_agreements(tmp_path / "B1.h5ad", tmp_path / "B1.tsv", files)
    assert rows["method"].tolist() == ["observed", "ridge", "ridge"]
    assert rows["seed"].tolist() == [0, 0, 1]
    assert set(rows["fold"]) == {"B"}
    assert set(rows["section"]) == {"B1"}
    assert rows["ari"].tolist()[1:] == [region_agreement(expression[:, :30], labels).ari] * 2
    assert rows["ari"].iloc[0] == region_agreement(log_expression(counts[:, :30]), labels).ari
