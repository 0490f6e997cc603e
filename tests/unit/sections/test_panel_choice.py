"""Panels chosen on training sections, against answers that are known and against scanpy."""

import anndata
import numpy as np
import pytest
import scanpy
from scipy import sparse

from reg2st.base.errors import UserError
from reg2st.sections.panel_choice import choose_panel, highest_means, most_variable
from reg2st.sections.panels import SectionCounts, read_genes, read_panel, write_panel
from sections import about

GENES = [f"gene{index:03d}" for index in range(300)]


def bursting(name: str, seed: int, bursts: slice, spots: int = 200) -> SectionCounts:
    """Poisson counts; the genes of ``bursts`` vary beyond that."""
    rng = np.random.default_rng(seed)
    means = np.random.default_rng(9).lognormal(1.5, 0.5, len(GENES))
    levels = np.ones((spots, len(GENES)))
    levels[:, bursts] = rng.gamma(0.4, 1 / 0.4, levels[:, bursts].shape)
    return SectionCounts(name, sparse.csr_matrix(rng.poisson(means * levels)), GENES)


def test_the_most_variable_genes_are_those_that_burst_in_every_section():
    sections = [bursting("A", 0, slice(0, 40)), bursting("B", 1, slice(0, 40))]
    found = most_variable(sections, 40)
    assert found == sorted(found)
    assert len(set(found) & set(GENES[:40])) >= 38
    apart = [bursting("A", 0, slice(0, 40)), bursting("B", 1, slice(20, 60))]
    assert len(set(most_variable(apart, 20)) & set(GENES[20:40])) >= 15


def test_in_one_section_they_are_scanpys():
    section = bursting("A", 0, slice(0, 40))
    adata = anndata.AnnData(section.counts.astype(np.float32))
    adata.var_names = GENES
    scanpy.pp.normalize_total(adata)
    scanpy.pp.log1p(adata)
    scanpy.pp.highly_variable_genes(adata, flavor="seurat", n_top_genes=50)
    assert most_variable([section], 50) == sorted(adata.var_names[adata.var["highly_variable"]])


def test_genes_that_few_spots_express_are_not_variable():
    section = bursting("A", 0, slice(0, 10))
    counts = section.counts.toarray()
    counts[:, 10] = 0
    counts[:19, 10] = 500
    rare = SectionCounts("B", sparse.csr_matrix(counts), GENES)
    assert GENES[10] not in most_variable([rare, section], 20)


def test_the_highest_means_are_of_shares_and_not_of_deep_sections():
    """Gene a leads in the shallow section of 3 spots, gene b in the deep one of 2."""
    shallow = SectionCounts(
        "A", sparse.csr_matrix([[8, 1, 1], [8, 1, 1], [8, 1, 1], [0] * 3]), [*"abc"]
    )
    deep = SectionCounts("B", sparse.csr_matrix([[100, 500, 400]] * 2), [*"abc"])
    assert highest_means([shallow, deep], 1) == ["a"]
    assert highest_means([shallow, deep], 2) == ["a", "b"]


@pytest.mark.parametrize("choose", [most_variable, highest_means])
def test_only_genes_of_every_section_are_chosen(choose):
    first, second = bursting("A", 0, slice(0, 40)), bursting("B", 1, slice(0, 40))
    fewer = SectionCounts("B", second.counts[:, 20:], GENES[20:])
    assert set(choose([first, fewer], 60)) <= set(GENES[20:])


@pytest.mark.parametrize(
    ("choose", "sentence"),
    [
        (
            most_variable,
            r"asks for 301 genes, but only \d+ are expressed in 10% .*lower `variable`",
        ),
        (highest_means, "asks for 301 genes, but only 300 have counts.*lower `highest_means`"),
    ],
)
def test_too_few_genes_are_one_sentence(choose, sentence):
    with pytest.raises(UserError, match=sentence):
        choose([bursting("A", 0, slice(0, 40))], 301)


def written(folder, section):
    """The file of a section."""
    adata = anndata.AnnData(section.counts.astype(np.float32))
    adata.var_names = GENES
    adata.uns["section"] = about(section.section, "made", section.section[0])
    path = folder / f"{section.section}.h5ad"
    adata.write_h5ad(path)
    return path


@pytest.mark.parametrize("kind", ["variable", "highest_means"])
def test_a_panel_is_chosen_from_section_files(tmp_path, kind):
    sections = [bursting(name, seed, slice(0, 40)) for name, seed in (("A1", 0), ("B1", 1))]
    paths = [written(tmp_path, section) for section in sections]
    genes, provenance = choose_panel({kind: 30}, paths)
    assert genes == {"variable": most_variable, "highest_means": highest_means}[kind](sections, 30)
    assert (provenance[kind], provenance["sections"]) == (30, ["A1", "B1"])
    write_panel(tmp_path / "panel.txt", genes, provenance)
    assert read_panel(tmp_path / "panel.txt") == genes


@pytest.mark.parametrize(
    "how", [{"recipe": {"variable_genes": 30, "min_spots": 1}}, {"variable": 30}]
)
def test_sections_that_no_model_is_trained_on_choose_no_gene(tmp_path, how):
    section = bursting("A1", 0, slice(0, 40))
    empty = SectionCounts("B1", section.counts * 0, section.genes)
    small = SectionCounts("C1", section.counts[:3], section.genes)
    paths = [written(tmp_path, each) for each in (empty, small, section)]
    genes, provenance = choose_panel(how, paths)
    assert (genes, provenance["sections"]) == (choose_panel(how, paths[2:])[0], ["A1"])

    write_panel(tmp_path / "panel.txt", *choose_panel(how, paths[:2]))
    assert read_genes(tmp_path / "panel.txt") == []
    with pytest.raises(UserError, match=r"no gene: there is no section to train on \(B1 has no co"):
        read_panel(tmp_path / "panel.txt")
