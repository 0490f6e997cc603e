"""Another paper's genes, target and folds, run as a user would."""

import json
import os

import anndata
import numpy as np
import pandas as pd
import pytest

from reg2st.sections.panels import read_panel
from reg2st.sections.section_file import load_section_arrays
from reg2st.sections.targets import TARGETS

pytestmark = pytest.mark.skipif(
    "REG2ST_TEST_REGRESSION" not in os.environ, reason="needs minutes: make test-regression"
)
FOLDS = (
    "section\tfold\trole\nA1\tx\ttrain\nA2\tx\ttest\nA2\ty\ttrain\nB1\ty\ttest\nB2\ty\tvalidation\n"
)


def own_study(study, **dataset):
    study.folder.mkdir(exist_ok=True)
    (study.folder / "folds.tsv").write_text(FOLDS)
    del study.config["ablation"], study.config["sensitivity"], study.config["methods"]["reg2st"]
    study.config["inputs"] = {"embeddings": [{"encoder": "tissue_statistics"}]}
    study.config["methods"] |= {"train_mean": {}, "sprig": {}}
    study.config["splits"] = ["own"]
    simulated = study.config["datasets"]["simulated"]
    del simulated["folds"]
    simulated |= {"folds_file": "folds.tsv", **dataset}
    return study


def test_own_folds_with_variable_genes_and_another_target(study):
    own_study(study, target="log_normalised", panel={"variable": 12})
    scores = study.results / "scores/simulated.parquet"
    limits = study.results / "limits/simulated/B1.tsv"
    folds = study.results / "folds/simulated/own.tsv"
    done = study.run(*(str(path.relative_to(study.folder)) for path in (scores, limits, folds)))
    assert done.returncode == 0, done.stdout + done.stderr
    table = pd.read_parquet(scores)
    assert set(table["target"]) == {"log_normalised"}
    assert set(zip(table["fold"], table["section"], strict=True)) == {("x", "A2"), ("y", "B1")}
    both = pd.read_csv(folds, sep="\t").set_index(["fold", "section"])["patient_in_both"]
    assert (both["x", "A2"], both["y", "B1"]) == ("yes", "no")

    genes = read_panel(study.results / "panels/simulated/train_only/own/fold-x.txt")
    assert len(genes) == 12
    train, test = (
        load_section_arrays(study.results / f"sections/simulated/{name}.h5ad", genes)
        for name in ("A1", "A2")
    )
    expected = TARGETS["log_normalised"].expression(train.counts, train.totals).mean(axis=0)
    predictions = anndata.read_h5ad(
        study.results / "runs/simulated/own/train_mean/full/seed-0/predictions.h5ad"
    )
    assert predictions.uns["target"] == "log_normalised"
    mine = predictions[predictions.obs["section"] == "A2", genes].X
    np.testing.assert_allclose(mine, np.tile(expected, (len(mine), 1)), rtol=1e-5)
    observed = TARGETS["log_normalised"].expression(test.counts, test.totals)
    scored = table.query("method == 'train_mean' and section == 'A2'").set_index("gene")["mse"]
    np.testing.assert_allclose(scored[genes], ((observed - mine) ** 2).mean(axis=0), rtol=1e-5)
    assert table.query("method == 'sprig'")["pcc"].mean() > 0.1
    ceiling = pd.read_csv(limits, sep="\t").groupby("limit")["pcc"].mean()
    assert 0 < ceiling["split_half"] < 1
    assert 0 < ceiling["noiseless_means"] < 1


def test_a_panel_of_ones_own_and_a_patient_alone(study):
    simulation = {"patients": 1, "sections_per_patient": 2, "spots": 40}
    (study.folder / "panel.txt").write_text("GENE0001\nNONE\nGENE0002\nGENE0005\n")
    own_study(
        study,
        source={"simulation": simulation},
        folds_file=None,
        target="log_counts",
        panel={"file": "panel.txt"},
    )
    study.config["splits"] = ["section_out", "patient_out"]
    done = study.run("results/tiny/scores/simulated.parquet")
    assert done.returncode == 0, done.stdout + done.stderr
    told = "Dataset simulated has one patient, so there is no 'patient_out' for it"
    assert (done.stdout + done.stderr).count(told) == 1
    table = pd.read_parquet(study.results / "scores/simulated.parquet")
    assert set(table["split"]) == {"section_out"}
    assert set(table["gene"]) == {"GENE0001", "GENE0002", "GENE0005"}
    record = json.loads((study.results / "panels/simulated/paper.json").read_text())
    assert record["left_out"] == ["NONE"]
    log = study.folder / "logs/tiny/freeze_panel/simulated.log"
    assert (
        "1 of 4 genes of the panel are left out, since no section has them: NONE" in log.read_text()
    )
