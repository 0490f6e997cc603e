"""Predictions of a section, read from the file of all folds of a method."""

import anndata
import numpy as np
import pandas as pd
import pytest

from reg2st.base.errors import UserError
from reg2st.evaluation.predictions import read_expected_pcc, run_of, section_predictions

RUN = {"dataset": "001", "split": "patient_out", "method": "sprig", "variant": "full"}
RUN |= {"preset": "published", "seed": "3"}


@pytest.fixture
def path(tmp_path):
    """Two folds with a gene of their own each; section NA has no prediction."""
    spots = pd.DataFrame(
        {
            "fold": ["A", "A", "B", "B", "B", "C"],
            "section": ["A1", "A1", "B1", "B1", "001", "NA"],
            "barcode": ["1x1", "2x1", "1x1", "NA", "1x1", "1x1"],
        }
    )
    expression = np.arange(18, dtype=np.float32).reshape(6, 3)
    expression[:2, 2] = np.nan
    expression[2:5, 0] = np.nan
    expression[5] = np.nan
    table = anndata.AnnData(
        expression,
        spots.set_axis([f"spot{row}" for row in range(6)]),
        pd.DataFrame(index=["G0", "NA", "G2"]),
        layers={"spread": 100 + expression},
        uns={"run": RUN},
    )
    table.varm["expected_pcc"] = pd.DataFrame(
        {"A": [0.1, 0.2, np.nan], "B": [np.nan, 0.3, 0.4], "C": [np.nan] * 3}, table.var_names
    )
    table.write_h5ad(tmp_path / "predictions.h5ad")
    return tmp_path / "predictions.h5ad"


def test_a_section_has_its_rows_and_the_genes_of_its_fold(path):
    section = section_predictions(path, "B1")
    assert section.fold == "B"
    assert section.genes == ["NA", "G2"]
    assert section.barcodes.tolist() == ["1x1", "NA"]
    np.testing.assert_array_equal(section.expression, [[7, 8], [10, 11]])
    np.testing.assert_array_equal(section.spread, [[107, 108], [110, 111]])
    np.testing.assert_array_equal(section.of_spots(np.array(["NA", "1x1"])), [[10, 11], [7, 8]])
    assert section_predictions(path, "001").expression.tolist() == [[13, 14]]


def test_a_section_without_a_prediction_has_no_genes(path):
    section = section_predictions(path, "NA")
    assert section.genes == []
    assert section.expression.shape == section.of_spots(np.array(["1x1"])).shape == (1, 0)


def test_what_is_missing_is_one_sentence(path):
    with pytest.raises(UserError, match="no prediction of section C1"):
        section_predictions(path, "C1")
    with pytest.raises(UserError, match="no prediction of spot 3x1"):
        section_predictions(path, "B1").of_spots(np.array(["1x1", "3x1"]))


def test_the_run_is_that_of_all_folds(path):
    assert run_of(path) == {**RUN, "seed": 3}


def test_each_fold_expects_of_the_sections_that_it_tests(path):
    expected = read_expected_pcc(path).to_dict("list")
    assert expected == {
        "section": ["A1", "A1", "B1", "B1", "001", "001"],
        "gene": ["G0", "NA", "NA", "G2", "NA", "G2"],
        "expected": [0.1, 0.2, 0.3, 0.4, 0.3, 0.4],
    }
