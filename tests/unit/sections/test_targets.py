"""Targets from counts, by hand and at the edges; tests/golden holds them to the golden vectors."""

import anndata
import numpy as np
import pytest
import scanpy
import torch

from reg2st.sections.targets import SPOTS_AT_A_TIME, TARGETS, size_factors
from reg2st.study.dataset_config import DatasetConfig
from sections import log_expression


def test_log_expression_by_hand():
    counts = np.array([[1, 3, 0], [0, 0, 5]])
    expected = np.log10([[2501, 7501, 1], [1, 1, 10001]])
    np.testing.assert_allclose(log_expression(counts), expected, rtol=1e-6)


def test_targets_by_hand():
    counts, totals = np.array([[1, 3], [0, 2]]), np.array([10, 4])
    expected = {
        "paper": np.log10([[2501, 7501], [1, 10001]]),
        "log_normalised": np.log([[1001, 3001], [1, 5001]]),
        "log_counts": np.log([[2, 4], [1, 3]]),
    }
    assert set(expected) == set(TARGETS)
    for name, values in expected.items():
        found = TARGETS[name].expression(counts, totals)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, values, rtol=1e-6)


def test_every_target_can_be_configured():
    (choice,) = [DatasetConfig.model_fields["target"].annotation]
    assert set(choice.__args__) == set(TARGETS)


def test_log_normalised_is_scanpys_normalisation_of_all_genes():
    counts = np.random.default_rng(0).poisson(2.0, (20, 30))
    adata = anndata.AnnData(counts.astype(np.float32))
    scanpy.pp.normalize_total(adata, target_sum=1e4)
    scanpy.pp.log1p(adata)
    panel = [3, 17, 5]
    found = TARGETS["log_normalised"].expression(counts[:, panel], counts.sum(axis=1))
    np.testing.assert_allclose(found, adata.X[:, panel], rtol=1e-5)


@pytest.mark.parametrize("name", TARGETS)
def test_a_spot_without_any_counts_is_zero_in_every_target(name):
    expression = TARGETS[name].expression(np.array([[0, 0], [2, 2]]), np.array([0, 9]))
    assert expression[0].tolist() == [0, 0]
    assert (expression[1] > 0).all()


def test_spot_without_counts_is_zero():
    expression = log_expression(np.array([[0, 0], [2, 2]]))
    assert expression.dtype == np.float32
    assert expression[0].tolist() == [0, 0]
    assert np.isfinite(expression).all()


def test_size_factors_are_shares_of_numpys_median():
    counts = torch.tensor([[1.0, 1], [4, 0], [3, 5], [0, 0]])
    expected = np.array([2, 4, 8, 0]) / np.median([2, 4, 8, 0])
    np.testing.assert_allclose(size_factors(counts), expected)


def test_size_factors_where_most_spots_are_empty():
    counts = torch.tensor([[0.0, 0], [0, 0], [0, 0], [2, 2], [3, 5]])
    np.testing.assert_allclose(size_factors(counts), np.array([0, 0, 0, 4, 8]) / 6)


def test_size_factors_of_an_empty_section_are_zero():
    assert size_factors(torch.zeros(3, 2)).tolist() == [0, 0, 0]


def test_the_target_of_a_spot_does_not_depend_on_how_many_there_are():
    counts = np.random.default_rng(0).poisson(1.0, (SPOTS_AT_A_TIME + 3, 4))
    target = log_expression(counts)
    assert target.dtype == np.float32
    np.testing.assert_array_equal(target[-5:], log_expression(counts[-5:]))
    np.testing.assert_array_equal(target[:2], log_expression(counts[:2]))
