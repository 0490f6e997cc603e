"""Sets of genes: how they are chosen, and the scores of each in a table."""

import anndata
import numpy as np
import pandas as pd
import pytest
from scanpy.metrics import morans_i
from scipy.sparse import csr_matrix

from reg2st.base.errors import UserError
from reg2st.evaluation.gene_sets import choose_gene_set, read_gene_sets
from reg2st.evaluation.spatial_patterns import Places
from reg2st.report.tables.gene_set_table import gene_set_table
from reg2st.sections.section_file import load_section_arrays, write_section
from reg2st.sections.targets import TARGETS
from sections import about

GENES = [f"G{number:03d}" for number in range(400)]
WAVY, SCATTERED = "G003", "G007"


@pytest.fixture(scope="module")
def sections(tmp_path_factory):
    """Two sections on an array: G003 grows along it, G007 varies as much from spot to spot."""
    folder, paths = tmp_path_factory.mktemp("sections"), []
    array = np.stack(np.meshgrid(np.arange(10), np.arange(10)), axis=2).reshape(-1, 2)
    for seed in range(2):
        rng = np.random.default_rng(seed)
        rate = np.tile(np.linspace(10, 35, len(GENES)), (100, 1))
        rate[:, GENES.index(WAVY)] = 4.0 * (1 + array[:, 0])
        rate[:, GENES.index(SCATTERED)] = rng.permutation(rate[:, GENES.index(WAVY)])
        section = anndata.AnnData(
            csr_matrix(rng.poisson(rate).astype(np.float32)),
            pd.DataFrame(
                {"array_col": array[:, 0], "array_row": array[:, 1]},
                index=[f"s{spot}" for spot in range(100)],
            ),
            pd.DataFrame(index=GENES),
            obsm={"spatial": array.astype(float)},
        )
        section.uns["spatial"] = {
            f"S{seed}": {
                "images": {"hires": np.zeros((2, 2, 3), np.uint8)},
                "scalefactors": {"tissue_hires_scalef": 1.0, "spot_diameter_fullres": 1.0},
                "metadata": {"source_image_path": "S.png"},
            }
        }
        section.uns["section"] = about(f"S{seed}", "made", "P")
        paths.append(folder / f"S{seed}.h5ad")
        write_section(section, paths[-1])
    return paths


def test_spatial_genes_have_the_highest_morans_i_by_scanpy(sections):
    assert choose_gene_set({"spatial": 1}, GENES, sections) == [WAVY]
    totals = np.zeros(len(GENES))
    for path in sections:
        arrays = load_section_arrays(path, GENES)
        expression = TARGETS["log_normalised"].expression(arrays.counts, arrays.totals)
        weights = Places.of(arrays).neighbours
        totals += morans_i(weights, expression.T.astype(np.float64).copy())
    best = sorted(np.array(GENES)[np.argsort(-totals)[:5]].tolist())
    assert choose_gene_set({"spatial": 5}, GENES, sections) == best


def test_variable_genes_vary_and_lie_in_the_panel(sections):
    assert choose_gene_set({"variable": 2}, GENES, sections) == [WAVY, SCATTERED]
    panel = [gene for gene in GENES if gene != WAVY]
    assert SCATTERED in choose_gene_set({"variable": 2}, panel, sections)
    assert WAVY not in choose_gene_set({"variable": 2}, panel, sections)


def test_a_file_of_genes_is_limited_to_the_panel(tmp_path):
    (tmp_path / "genes.txt").write_text("G005\nG001\nunknown\n")
    assert choose_gene_set({"file": str(tmp_path / "genes.txt")}, GENES, []) == ["G001", "G005"]
    (tmp_path / "genes.txt").write_text("unknown\n")
    with pytest.raises(UserError, match="check `gene_sets`"):
        choose_gene_set({"file": str(tmp_path / "genes.txt")}, GENES, [])


def test_more_genes_than_there_are_is_one_sentence(sections):
    with pytest.raises(UserError, match=r"asks for 31 genes, but only 30 vary; lower `spatial`"):
        choose_gene_set({"spatial": 31}, GENES[:30], sections)


def test_the_table_has_the_mean_of_each_set(tmp_path):
    rows = [
        (method, section, gene, level + 0.1 * number)
        for method, level in (("ridge", 0.0), ("sprig", 0.3))
        for section in ("A1", "B1", "C1")
        for number, gene in enumerate(["G00", "NA", "G02"])
    ]
    scores = pd.DataFrame(rows, columns=["method", "section", "gene", "pcc"]).assign(
        dataset="her2st", target="paper", split="own", variant="full", preset="published", seed=0,
        fold="0", patient=lambda rows: rows["section"], spearman=0.0, mse=1.0, pcc_counts=0.5,
        n_spots=100, n_expressing=10, mean_expression=1.0,
    )  # fmt: skip
    for name, genes in (("HVG", ["NA", "G02"]), ("SVG", ["G00"])):
        table = pd.DataFrame({"dataset": "her2st", "gene_set": name, "gene": genes})
        table.to_csv(tmp_path / f"{name}.tsv", sep="\t", index=False)
    sets = read_gene_sets([tmp_path / "HVG.tsv", tmp_path / "SVG.tsv"])
    table = gene_set_table(scores, sets)
    means = table.values.set_index(["gene_set", "method"])["mean_pcc"]
    assert means["all", "ridge"] == pytest.approx(0.1)
    assert means["HVG", "sprig"] == pytest.approx(0.45)
    assert means["SVG", "ridge"] == pytest.approx(0.0)
    assert table.shown["Genes"].tolist() == ["all"] * 2 + ["HVG"] * 2 + ["SVG"] * 2
    assert table.shown["Number"].tolist() == ["3", "3", "2", "2", "1", "1"]
    assert set(table.shown["PCC with raw counts"]) == {"0.500"}
    assert "no other PCC compares with it" in " ".join(table.notes)
