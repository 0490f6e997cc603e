"""Agreement of clusters with regions."""

import numpy as np
import pytest

from reg2st.evaluation.regions import region_agreement


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
        region_agreement(expression, np.full(150, "")),
    ):
        assert np.isnan([agreement.ari, agreement.nmi]).all()


def test_a_constant_prediction_agrees_with_nothing(regions):
    expression, labels = regions
    agreement = region_agreement(np.ones_like(expression), labels)
    assert (agreement.ari, agreement.nmi) == (0, 0)
