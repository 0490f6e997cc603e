"""Gene panels: the published recipe on counts whose answer is known, and files that are wrong."""

import numpy as np
import pytest
from scipy import sparse

from reg2st.base.errors import UserError
from reg2st.sections.panels import (
    Recipe,
    SectionCounts,
    apply_recipe,
    read_panel,
    variable_genes,
    write_panel,
)


@pytest.mark.parametrize(("name", "genes"), [("her2st", 785), ("cscc", 171)])
def test_the_published_panels_come_with_the_project(root, name, genes):
    assert len(read_panel(root / "resources" / "panels" / f"{name}_{genes}.txt")) == genes


def test_the_most_variable_genes_are_those_that_vary_beyond_chance():
    rng = np.random.default_rng(0)
    means = rng.lognormal(1, 0.5, 400)
    bursts = np.where(np.arange(400) % 8 == 0, rng.gamma(0.3, 1 / 0.3, (200, 400)), 1)
    genes = [f"gene{index}" for index in range(400)]
    counts = sparse.csr_matrix(rng.poisson(means * bursts))
    found = variable_genes(SectionCounts("A", counts, genes), 50)
    assert len(found) == 50
    assert len(set(found) & set(genes[::8])) >= 45


def test_a_gene_must_be_expressed_in_so_many_spots_of_all_sections_together():
    """Gene k is expressed in k spots of A and k - 1 of B; C does not list gene 8."""
    genes = [f"gene{index}" for index in range(9)]
    first = (np.arange(9)[:, None] < np.arange(9)) * np.arange(1, 10)[:, None]
    sections = [
        SectionCounts(name, sparse.csr_matrix(counts), listed)
        for name, counts, listed in (
            ("A", first, genes),
            ("B", first[1:], genes),
            ("C", np.zeros((3, 8)), genes[:8]),
        )
    ]
    panel = apply_recipe(Recipe(9, 9), sections[0], sections, sections)
    assert panel == ["gene5", "gene6", "gene7"]


def simulated(section: str, genes: list[str], seed: int) -> SectionCounts:
    rng = np.random.default_rng(seed)
    rates = rng.gamma(1.0, 2.0, size=(1, len(genes))) * rng.gamma(1.0, 1.0, size=(80, 1))
    return SectionCounts(section, sparse.csr_matrix(rng.poisson(rates)), genes)


def test_genes_must_be_in_every_section():
    genes = [f"gene{index}" for index in range(200)]
    first, second = simulated("A", genes, 0), simulated("B", genes[50:], 1)
    panel = apply_recipe(Recipe(150, 1), first, [first, second], [first, second])
    assert panel
    assert set(panel) <= set(genes[50:])


def test_a_recipe_that_leaves_no_gene_says_so():
    section = simulated("A", [f"gene{index}" for index in range(200)], 0)
    with pytest.raises(UserError, match="lower `min_spots`"):
        apply_recipe(Recipe(100, 10_000), section, [section], [section])


def test_sections_of_two_species_have_no_gene_in_common():
    human = simulated("A", [f"GENE{index}" for index in range(200)], 0)
    mouse = simulated("B", [f"Gene{index}" for index in range(200)], 1)
    with pytest.raises(UserError, match=r"Section B has none of the .* genes that section A"):
        apply_recipe(Recipe(100, 1), human, [human, mouse], [human, mouse])


def test_a_panel_is_written_with_its_provenance(tmp_path):
    write_panel(tmp_path / "panel.txt", ["ACTB", "GAPDH"], {"chosen": "by hand"})
    assert read_panel(tmp_path / "panel.txt") == ["ACTB", "GAPDH"]
    assert '"genes": 2' in (tmp_path / "panel.json").read_text()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(None, "does not exist"), ("\n", "lists no gene"), ("ACTB\nACTB\n", "line 2: gene 'ACTB'")],
)
def test_a_wrong_panel_is_one_sentence(tmp_path, content, sentence):
    if content is not None:
        (tmp_path / "panel.txt").write_text(content)
    with pytest.raises(UserError, match=sentence):
        read_panel(tmp_path / "panel.txt")
