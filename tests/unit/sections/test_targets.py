"""Targets from counts, by hand and at the edges; tests/golden holds them to the golden vectors."""

import numpy as np
import torch

from reg2st.sections.targets import SPOTS_AT_A_TIME, log_expression, size_factors


def test_log_expression_by_hand():
    counts = np.array([[1, 3, 0], [0, 0, 5]])
    expected = np.log10([[2501, 7501, 1], [1, 1, 10001]])
    np.testing.assert_allclose(log_expression(counts), expected, rtol=1e-6)


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
