"""Limits on simulated counts whose truth is known, and on the real sections."""

import numpy as np
import pandas as pd
import pytest

from reg2st.evaluation import ceiling as limits
from reg2st.evaluation.correlations import pearson
from reg2st.sections.targets import TARGETS
from sections import log_expression

PAPER = TARGETS["paper"]
SIX = ("B4", "C2", "C3", "C4", "C5", "C6")


def split_half_ceiling(counts, target=PAPER, **settings):
    """Of sections that have no gene beside the panel's."""
    return limits.split_half_ceiling(counts, counts.sum(axis=1), target, **settings)


def linear_reference(counts, others, target=PAPER):
    others = [(other, other.sum(axis=1)) for other in others]
    return limits.linear_reference(counts, counts.sum(axis=1), others, target)


def simulated(seed, n_spots=800, n_genes=60, depth=20.0):
    """Counts and their noiseless means: two gradients, one depth for every spot."""
    rng = np.random.default_rng(seed)
    gradients = rng.normal(size=(n_spots, 2))
    loadings = np.random.default_rng(7).normal(scale=0.5, size=(2, n_genes))
    share = np.exp(gradients @ loadings)
    means = depth * n_genes * share / share.sum(axis=1, keepdims=True)
    return rng.poisson(means), means


@pytest.mark.parametrize("depth", [1.0, 5.0])
def test_the_ceiling_is_what_the_noiseless_means_reach(depth):
    counts, means = simulated(0, depth=depth)
    reached = pearson(log_expression(counts), log_expression(means))
    ceiling = split_half_ceiling(counts)
    assert ceiling.mean() == pytest.approx(reached.mean(), abs=0.03)
    assert np.corrcoef(ceiling, reached)[0, 1] > 0.9


@pytest.mark.parametrize(("name", "spread"), [("log_normalised", 0), ("log_counts", 1)])
def test_ceilings_of_other_targets_are_what_the_noiseless_means_reach(name, spread):
    """A third of the genes is the panel; library sizes vary where the target does not scale."""
    counts, means = simulated(0, depth=5.0)
    depth = np.exp(np.linspace(-spread, spread, len(means)))[:, None]
    counts = np.random.default_rng(1).poisson(means * depth)
    totals, target = counts.sum(axis=1), TARGETS[name]
    noiseless = target.expression((means * depth)[:, :20], (means * depth).sum(axis=1))
    reached = pearson(target.expression(counts[:, :20], totals), noiseless)
    ceiling = limits.split_half_ceiling(counts[:, :20], totals, target)
    assert ceiling.mean() == pytest.approx(reached.mean(), abs=0.03)


def test_the_ceiling_of_a_panel_does_not_change_with_the_genes_beside_it_in_the_papers_target():
    counts, _ = simulated(0, n_spots=50)
    alone = limits.split_half_ceiling(counts, counts.sum(axis=1), PAPER)
    beside = limits.split_half_ceiling(counts, counts.sum(axis=1) + 500, PAPER)
    np.testing.assert_array_equal(alone, beside)


def test_the_linear_reference_of_unscaled_counts_knows_the_depth():
    """Where only the depth varies, the library size tells everything that there is to tell."""
    rng = np.random.default_rng(0)
    sections = [rng.poisson(3 * rng.gamma(2.0, 1.0, (300, 1)), (300, 40)) for _ in range(3)]
    target = TARGETS["log_counts"]
    found = linear_reference(sections[0], sections[1:], target)
    ceiling = split_half_ceiling(sections[0], target)
    assert found.mean() == pytest.approx(ceiling.mean(), abs=0.05)
    assert linear_reference(sections[0], sections[1:]).mean() < found.mean() - 0.2


def test_pure_noise_has_almost_no_ceiling():
    counts = np.random.default_rng(0).poisson(5.0, size=(2000, 40))
    assert split_half_ceiling(counts).mean() < 0.15
    counts_with_signal, _ = simulated(0)
    assert split_half_ceiling(counts_with_signal).mean() > 0.8


def test_the_ceiling_repeats_with_its_seed_and_leaves_the_counts_alone():
    counts, _ = simulated(0, n_spots=50)
    before = counts.copy()
    first = split_half_ceiling(counts, seed=3)
    np.testing.assert_array_equal(first, split_half_ceiling(counts, seed=3))
    assert (first != split_half_ceiling(counts, seed=4)).any()
    np.testing.assert_array_equal(counts, before)


def test_a_gene_without_counts_has_no_limit():
    counts, _ = simulated(0, n_spots=50)
    others = [simulated(1, n_spots=50)[0]]
    counts[:, 4] = 0
    for limit in (split_half_ceiling(counts), linear_reference(counts, others)):
        assert np.flatnonzero(np.isnan(limit)).tolist() == [4]


def test_the_linear_reference_lies_near_the_ceiling_where_genes_tell_of_each_other():
    counts, means = simulated(0)
    limit = linear_reference(counts, [simulated(seed)[0] for seed in (1, 2, 3)])
    reached = pearson(log_expression(counts), log_expression(means))
    assert 0.9 * reached.mean() < limit.mean() < reached.mean() + 0.01


def test_the_linear_reference_learns_from_other_sections_only():
    counts, _ = simulated(0, n_spots=100)
    others = [simulated(seed, n_spots=100)[0] for seed in (1, 2)]
    shuffled = np.random.default_rng(0).permuted(others, axis=1)
    assert (
        linear_reference(counts, others).mean()
        > linear_reference(counts, list(shuffled)).mean() + 0.2
    )


@pytest.mark.parametrize("genes", [2, 3])
def test_the_linear_reference_of_a_small_panel(genes):
    counts, other = (np.random.default_rng(seed).poisson(5.0, (30, genes)) for seed in (0, 1))
    assert linear_reference(counts, [other]).shape == (genes,)


def test_spots_without_counts_are_known_to_be_zero():
    counts, _ = simulated(0, n_spots=100)
    others = [simulated(1, n_spots=100)[0]]
    others_with_gap = [np.vstack([others[0], np.zeros((2, 60), dtype=int)])]
    np.testing.assert_array_equal(
        linear_reference(counts, others), linear_reference(counts, others_with_gap)
    )
    with_gap = np.vstack([counts, np.zeros((2, 60), dtype=int)])
    assert (linear_reference(with_gap, others) > linear_reference(counts, others)).mean() > 0.9


@pytest.mark.parametrize("others", [[], [np.ones((5, 3), dtype=int)]])
def test_nothing_to_learn_from_or_to_predict_has_no_linear_reference(others):
    assert np.isnan(linear_reference(np.zeros((5, 3), dtype=int), others)).all()
    assert np.isnan(
        linear_reference(np.ones((5, 1), dtype=int), [np.ones((5, 1), dtype=int)])
    ).all()


@pytest.fixture(scope="module")
def six(shared):
    panel = (shared / "panels" / "her2st_785.txt").read_text().split()
    return [
        pd.read_csv(shared / f"data/her2st/ST-cnts/{name}.tsv.gz", sep="\t", index_col=0)
        .reindex(columns=panel, fill_value=0)
        .to_numpy()
        for name in SIX
    ]


def test_limits_of_the_six_real_sections(six):
    ceilings = [np.nanmean(split_half_ceiling(counts)) for counts in six]
    assert 0.44 < min(ceilings) < max(ceilings) < 0.53
    found = [
        np.nanmean(linear_reference(counts, [other for other in six if other is not counts]))
        for counts in (six[0], six[-1])
    ]
    assert found == pytest.approx([0.355, 0.286], abs=0.01)
