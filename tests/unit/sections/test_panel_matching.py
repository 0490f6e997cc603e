"""Lists of genes beside the genes that sections have, and sections beside each other."""

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

from outs import Outs
from reg2st.base.errors import UserError
from reg2st.sections.assembly import read_section
from reg2st.sections.panel_matching import check_sections, match_panel
from reg2st.sections.readers import reader
from reg2st.sections.section_file import (
    SectionIndex,
    counts_checksum,
    load_section_arrays,
    load_section_index,
    write_section,
)
from reg2st.sections.section_row import SectionRow


def a_section(name="A1", genes=("ACTB", "ERBB2", "KRT5"), ids=None, checksum=None, unfit=None):
    return SectionIndex(name, name[0], list(genes), ids, checksum or f"of {name}", unfit)


def test_a_list_keeps_its_order_and_what_no_section_has_is_left_out(caplog):
    sections = [a_section("A1"), a_section("B1", ["ERBB2", "GAPDH"])]
    matched = match_panel(["KRT5", "NONE", "ERBB2", "GAPDH"], sections, "p.txt")
    assert matched.genes == ["KRT5", "ERBB2", "GAPDH"]
    assert matched.left_out == ["NONE"]
    assert matched.lacking == {"KRT5": ["B1"], "GAPDH": ["A1"]}
    assert "1 of 4 genes of the panel are left out, since no section has them: NONE" in caplog.text
    assert "2 genes of the panel are absent from some sections" in caplog.text
    assert matched.provenance() == {"left_out": ["NONE"], "lacking": matched.lacking}


def test_a_list_of_identifiers_takes_the_names_of_the_sections():
    sections = [a_section("A1", ids=["ENSG1", "ENSG2", ""]), a_section("B1")]
    matched = match_panel(["ENSG2", "KRT5", "ERBB2"], sections, "p.txt")
    assert matched.genes == ["ERBB2", "KRT5"]
    assert matched.provenance() == {"renamed": {"ENSG2": "ERBB2"}, "repeated": ["ERBB2"]}


def test_a_list_that_fits_leaves_no_trace():
    assert match_panel(["ACTB"], [a_section()], "p.txt").provenance() == {}


def test_a_list_of_another_species_is_refused():
    with pytest.raises(UserError, match=r"Panel p.txt: no section has any of its 2 genes.*'Actb'"):
        match_panel(["Actb", "Erbb2"], [a_section()], "p.txt")


def test_the_same_counts_twice_are_refused():
    sections = [a_section("A1"), a_section("B1", checksum="of A1"), a_section("C1")]
    with pytest.raises(UserError, match=r"A1 \(patient A\) and B1 \(patient B\) hold the same"):
        check_sections(sections)


@pytest.mark.parametrize("others", [["A1"], ["A1", "B1"], ["A1", "B1", "D1"]])
def test_a_section_of_another_species_is_named(others):
    sections = [a_section(name) for name in others]
    with pytest.raises(UserError, match=r"Section C1 has no gene in common.*'Actb'"):
        check_sections([*sections, a_section("C1", ["Actb", "Erbb2"])])
    if len(others) > 1:
        with pytest.raises(UserError, match="Section C1 has no gene in common"):
            check_sections([a_section("C1", ["Actb", "Erbb2"]), *sections])


def test_two_sections_with_one_spot_are_one_sentence():
    with pytest.raises(UserError, match="no section to train on: A1 has 1 spot, B1 has") as error:
        check_sections([a_section("A1", unfit="1 spot"), a_section("B1", unfit="1 spot")])
    assert "\n" not in str(error.value)


def test_one_section_to_train_on_lets_small_and_empty_ones_through():
    empty = [a_section(name, checksum="of zeros", unfit="no counts") for name in ("B1", "C1")]
    check_sections([a_section("A1"), *empty, a_section("D1", unfit="3 spots")])


def test_sections_that_stand_beside_each_other_are_let_through():
    check_sections([a_section("A1"), a_section("B1", ["ERBB2", "GAPDH"])])
    check_sections([a_section("A1")])


def test_checksums_tell_counts_and_genes_apart_but_not_how_they_are_stored():
    counts = csr_matrix(np.array([[1, 0, 2], [0, 3, 0]], dtype=np.float32))
    shuffled = csr_matrix((counts.data[[1, 0, 2]], counts.indices[[1, 0, 2]], counts.indptr))
    genes = ["a", "b", "c"]
    assert counts_checksum(counts, genes) == counts_checksum(shuffled, genes)
    assert counts_checksum(counts, genes) != counts_checksum(counts, ["a", "b", "d"])
    assert counts_checksum(counts, genes) != counts_checksum(counts * 2, genes)


def test_a_visium_folder_gives_its_identifiers_and_a_copy_the_same_checksum(tmp_path):
    found = []
    for name in ("S1", "S2"):
        Outs().write(tmp_path / name / "outs")
        row = SectionRow(name, "P", platform="visium", folder=name, picture="hires")
        section = read_section(row, reader("visium").files(row, tmp_path), "made")
        write_section(section, tmp_path / f"{name}.h5ad")
        found.append(load_section_index(tmp_path / f"{name}.h5ad"))
    assert found[0].gene_ids is not None
    assert found[0].gene_ids != found[0].genes
    assert len(found[0].gene_ids) == len(found[0].genes)
    assert found[0].unfit is None
    with pytest.raises(UserError, match="hold the same counts"):
        check_sections(found)
    matched = match_panel(found[0].gene_ids[:2], found, "ids.txt")
    assert matched.genes == found[0].genes[:2]
    arrays = load_section_arrays(tmp_path / "S2.h5ad", matched.genes)
    np.testing.assert_array_equal(arrays.totals, np.asarray(section.X.sum(axis=1)).ravel())
    np.testing.assert_array_equal(arrays.counts, section[:, matched.genes].X.toarray())


def test_identifiers_may_be_stored_by_category(tmp_path):
    var = pd.DataFrame({"gene_ids": ["ENSG1", "", ""]}, index=["a", "b", "c"])
    adata = anndata.AnnData(csr_matrix(np.eye(3, dtype=np.float32)), var=var)
    about = {"name": "A1", "patient": "A", "counts_sha256": "x", "format_version": 3}
    adata.uns["section"] = about
    adata.write_h5ad(tmp_path / "A1.h5ad")
    assert load_section_index(tmp_path / "A1.h5ad").gene_ids == ["ENSG1", "", ""]
