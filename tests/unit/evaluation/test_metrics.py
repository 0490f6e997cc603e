"""Scores per gene against SciPy's, column by column."""

from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr, spearmanr
from skimage.metrics import normalized_root_mse
from sklearn.metrics import mean_absolute_error

from reg2st.evaluation.correlations import is_constant, pearson, spearman
from reg2st.evaluation.metrics import (
    GENES_AT_A_TIME,
    METRICS,
    STANDARD,
    metrics_of,
    score_section,
)
from reg2st.evaluation.spatial_patterns import Places
from reg2st.study.metrics_config import FurtherMetric, MetricsConfig, StandardMetric


def grid(columns, rows):
    """The places of a full array."""
    xy = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=2).reshape(-1, 2)
    return Places(xy.astype(float), xy)


def everything(observed, predicted):
    """Scores by every metric; the observed values stand for the counts too."""
    places = grid(10, len(observed) // 10)
    return score_section(
        observed, predicted, counts=observed, places=places, metrics=METRICS.values()
    )


@pytest.fixture
def expression():
    rng = np.random.default_rng(0)
    signal = rng.normal(size=(120, 30))
    observed = np.log10(1 + rng.poisson(np.exp(signal)))
    return observed, (signal + rng.normal(size=signal.shape)).astype(np.float32)


def test_every_metric_equals_scipys(expression):
    observed, predicted = expression
    scores = score_section(observed, predicted)
    columns = range(observed.shape[1])
    expected = [pearsonr(observed[:, g], predicted[:, g]).statistic for g in columns]
    np.testing.assert_allclose(scores["pcc"], expected, rtol=0, atol=1e-12)
    expected = [spearmanr(observed[:, g], predicted[:, g]).statistic for g in columns]
    np.testing.assert_allclose(scores["spearman"], expected, rtol=0, atol=1e-12)
    expected = [np.mean((observed[:, g] - predicted[:, g]) ** 2) for g in columns]
    np.testing.assert_allclose(scores["mse"], expected, rtol=1e-12)
    assert all(values.dtype == np.float64 for values in scores.values())


@pytest.mark.parametrize("side", [0, 1])
def test_a_constant_gene_has_an_error_but_no_correlation(expression, side):
    expression = [values.copy() for values in expression]
    expression[side][:, 3] = 0.7
    scores = score_section(*expression)
    for metric in ("pcc", "spearman"):
        assert np.flatnonzero(np.isnan(scores[metric])).tolist() == [3]
    assert scores["mse"][3] > 0


def test_a_mean_that_rounding_moved_is_constant(expression):
    observed, predicted = expression
    rng = np.random.default_rng(1)
    mean = np.float32(0.31) * np.ones_like(predicted)
    shaken = np.nextafter(mean, np.where(rng.random(mean.shape) < 0.5, 0, 1).astype(np.float32))
    assert (shaken != shaken[0]).any()
    assert is_constant(shaken).all()
    assert np.isnan(score_section(observed, shaken)["pcc"]).all()


def test_small_but_real_variation_is_not_constant(expression):
    observed, predicted = expression
    faint = (5 + 1e-3 * predicted).astype(np.float32)
    np.testing.assert_allclose(pearson(observed, faint), pearson(observed, predicted), atol=1e-3)


@pytest.mark.parametrize("n_spots", [0, 1])
def test_fewer_than_two_spots_have_no_correlation(expression, n_spots):
    observed, predicted = (values[:n_spots] for values in expression)
    scores = score_section(observed, predicted)
    assert np.isnan(scores["pcc"]).all()
    assert np.isnan(scores["spearman"]).all()
    assert np.isnan(scores["mse"]).all() == (n_spots == 0)


def test_a_method_that_is_not_available_scores_nothing(expression):
    observed, predicted = expression
    scores = everything(observed, np.full_like(predicted, np.nan))
    assert scores.keys() == METRICS.keys()
    assert all(np.isnan(values).all() for values in scores.values())


def test_shapes_that_differ_are_refused(expression):
    observed, predicted = expression
    with pytest.raises(ValueError, match="one shape"):
        score_section(observed, predicted[:-1])


@settings(deadline=None, max_examples=50)
@given(
    seed=st.integers(0, 2**32 - 1),
    scale=st.floats(1e-6, 1e6),
    shift=st.floats(-1, 1),
)
def test_pearson_does_not_change_with_scale_and_shift(seed, scale, shift):
    observed, predicted = np.random.default_rng(seed).normal(size=(2, 20, 3))
    moved = scale * (predicted + shift)
    np.testing.assert_allclose(pearson(observed, moved), pearson(observed, predicted), atol=1e-9)
    assert (np.abs(pearson(observed, predicted)) <= 1).all()
    np.testing.assert_allclose(spearman(observed, observed**3), 1)


def test_scores_of_many_genes_are_those_of_each_gene():
    rng = np.random.default_rng(3)
    observed = rng.normal(size=(30, 2 * GENES_AT_A_TIME + 1)).astype(np.float32)
    predicted = observed + rng.normal(size=observed.shape).astype(np.float32)
    scores = everything(observed, predicted)
    for name, metric in METRICS.items():
        places = [grid(10, 3)] if metric.needs_places else []
        alone = metric.function(observed, predicted, *places)
        np.testing.assert_allclose(scores[name], alone, rtol=1e-12)
        assert scores[name].shape == (observed.shape[1],)


def test_errors_equal_those_of_libraries_and_by_hand(expression):
    observed, predicted = expression
    scores = everything(observed, predicted)
    for gene in range(observed.shape[1]):
        sides = observed[:, gene], predicted[:, gene].astype(np.float64)
        nrmse = normalized_root_mse(*sides, normalization="min-max")
        np.testing.assert_allclose(scores["nrmse"][gene], nrmse, rtol=1e-12)
        np.testing.assert_allclose(scores["mae"][gene], mean_absolute_error(*sides), rtol=1e-12)
    np.testing.assert_allclose(scores["rmse"], np.sqrt(scores["mse"]))
    by_hand = score_section(
        [[0.0], [2.0], [4.0]],
        [[1.0], [2.0], [2.0]],
        metrics=metrics_of(["rmse", "nrmse", "mae"]),
    )
    assert by_hand["mse"] == pytest.approx(5 / 3)
    assert by_hand["rmse"] == pytest.approx((5 / 3) ** 0.5)
    assert by_hand["nrmse"] == pytest.approx((5 / 3) ** 0.5 / 4)
    assert by_hand["mae"] == pytest.approx(1)


def test_errors_of_a_constant_gene(expression):
    observed, predicted = (values.copy() for values in expression)
    observed[:, 3] = 0.7
    scores = everything(observed, predicted)
    undefined = {name for name, values in scores.items() if np.isnan(values[3])}
    defined = {"mse", "rmse", "mae", "pcc_counts"}
    assert undefined == METRICS.keys() - defined


def test_raw_counts_are_compared_instead_of_the_target_and_undefined_is_zero():
    counts = np.array([[1.0, 0], [2, 0], [3, 0]])
    predicted = np.array([[1.0, 5], [2, 6], [4, 7]])
    scores = score_section(
        np.zeros((3, 2)), predicted, counts=counts, metrics=metrics_of(["pcc_counts"])
    )
    assert np.isnan(scores["pcc"]).all()
    expected = pearsonr(counts[:, 0], predicted[:, 0]).statistic
    np.testing.assert_allclose(scores["pcc_counts"], [expected, 0])


def test_the_config_knows_every_metric():
    names = [*get_args(StandardMetric), *get_args(FurtherMetric)]
    assert names == list(METRICS)
    assert get_args(StandardMetric) == tuple(metric.name for metric in STANDARD)
    assert MetricsConfig().beyond_the_standard is None
    config = MetricsConfig(headline="ssim", more=("mae", "ssim"))
    assert config.beyond_the_standard == ("mae", "ssim")
    assert MetricsConfig(headline="mse").beyond_the_standard is None
    assert metrics_of(()) == STANDARD
