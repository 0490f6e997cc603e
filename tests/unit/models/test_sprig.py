"""SPRIG: its mathematics against plain NumPy, and what it promises on simulated sections."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from reg2st.base.errors import UserError
from reg2st.evaluation.correlations import pearson
from reg2st.features.graphs import nearest_neighbours
from reg2st.models.interface import FeatureBlock, SectionTensors, Sizes
from reg2st.models.registry import parse_settings
from reg2st.models.sprig import SPRIG, thinning
from reg2st.models.sprig.calibration import HeldOut, calibrate
from reg2st.models.sprig.choice import Trial
from reg2st.models.sprig.neighbourhood import attention, most_similar, rings
from reg2st.models.sprig.programs import LEAST_SHRINKAGE, Moments, fit_programs
from reg2st.models.sprig.section_features import (
    column_weights,
    principal_components,
    section_features,
)
from reg2st.models.sprig.sprig_settings import CHOICES, SprigSettings
from reg2st.models.sprig.thinning import spot_weights, standardised
from reg2st.models.sprig.training_spots import TrainingSpots
from reg2st.sections.targets import TARGETS
from sections import log_expression

GENES, FEATURES = 30, 24
SIZES = Sizes(genes=GENES, features=FEATURES)
BLOCKS = (FeatureBlock("network_stages", (4, 6, 2)), FeatureBlock("tissue_statistics", (12,)))


def a_section(name: str, spots: int = 100, library: float = 3000) -> SectionTensors:
    """Three smooth programs that the embedding shows with noise, in Poisson counts."""
    rng = np.random.default_rng(list(name.encode()))
    side = int(np.ceil(np.sqrt(spots)))
    xy = np.stack(np.divmod(rng.permutation(side**2)[:spots], side), axis=1)
    shared = np.random.default_rng(0)
    waves, phases = shared.normal(0, 0.6, (2, 3)), rng.uniform(0, 6, 3)
    programs = np.sin(xy @ waves + phases)
    shown = programs @ shared.normal(size=(3, FEATURES))
    embedding = 5 + shown + rng.normal(0, 1, shown.shape)
    effects = shared.normal(0, 0.6, (3, GENES)) * np.linspace(0.1, 1.5, GENES)
    log_means = shared.normal(0, 1, GENES) + programs @ effects
    shares = np.exp(log_means) / np.exp(log_means).sum(axis=1, keepdims=True)
    counts = rng.poisson(shares * rng.gamma(8, library / 8, (spots, 1))).astype(np.float32)
    return SectionTensors(
        name=name,
        patient=name[0],
        array_xy=torch.from_numpy(xy),
        embedding=torch.from_numpy(embedding.astype(np.float32)),
        edge_index=torch.from_numpy(nearest_neighbours(xy, 8, 1.5)),
        counts=torch.from_numpy(counts),
        totals=torch.from_numpy(counts.sum(axis=1)),
        expression=torch.from_numpy(log_expression(counts)),
        blocks=BLOCKS,
    )


def permuted(section: SectionTensors, order: np.ndarray) -> SectionTensors:
    place = np.argsort(order)
    parts = ("array_xy", "embedding", "counts", "totals", "expression")
    return dataclasses.replace(
        section,
        edge_index=torch.from_numpy(place)[section.edge_index],
        **{name: getattr(section, name)[order] for name in parts},
    )


TRAINING = [a_section(name) for name in ("A1", "A2", "B1", "C1")]
NEW = a_section("D1", 80)


def fitted(sections=TRAINING, **settings) -> SPRIG:
    model = SPRIG(SprigSettings(**settings), SIZES)
    model.fit(sections)
    return model.eval()


@pytest.fixture(scope="module")
def model():
    return fitted()


def test_programs_equal_reduced_rank_ridge_by_plain_numpy():
    rng = np.random.default_rng(0)
    n, q, genes, ridge, factor = 60, 7, 9, 2.5, 3.0
    t = rng.normal(size=(n, q))
    y = t @ rng.normal(size=(q, 2)) @ rng.normal(size=(2, 2 * genes))
    y = y + rng.normal(size=(n, 2 * genes))
    w = rng.uniform(0.1, 1.1, n)
    split = [Moments.of(t[part], y[part], w[part]) for part in np.array_split(np.arange(n), 3)]
    found = fit_programs(
        split[0] + split[1] + split[2] - split[1] + split[1],
        genes,
        ridge=ridge,
        rank=4,
        noise_factor=factor,
    )

    root = np.sqrt(w / w.mean())[:, None]
    hat = root * t @ np.linalg.inv((root * t).T @ (root * t) + ridge * np.eye(q)) @ (root * t).T
    fit = hat @ (root * y)
    u, s, vt = np.linalg.svd(fit, full_matrices=False)
    variance = np.sum((root * y - fit) ** 2) / (n - np.trace(hat))
    noise = variance * np.sum((hat @ u[:, :4]) ** 2, axis=0)
    shrinkage = np.maximum(0, 1 - factor * noise / s[:4] ** 2)
    assert 0 < shrinkage.min() < 0.9 or (shrinkage == 0).any()
    np.testing.assert_allclose(found.shrinkage, shrinkage, atol=1e-9)
    weight = np.linalg.solve((root * t).T @ (root * t) + ridge * np.eye(q), (root * t).T)
    pattern = t @ weight @ (root * y) @ vt[:4].T * shrinkage @ vt[:4]
    expected = (pattern[:, :genes] + pattern[:, genes:]) / 2
    latents = (t @ found.directions) * found.shrinkage
    np.testing.assert_allclose(latents @ found.loadings, expected, atol=1e-9)


def test_without_shrinkage_and_rank_it_is_ridge_regression():
    rng = np.random.default_rng(1)
    t, y = rng.normal(size=(40, 5)), rng.normal(size=(40, 6))
    found = fit_programs(Moments.of(t, y, np.ones(40)), 6, ridge=1.5, rank=5, noise_factor=0)
    expected = t @ np.linalg.solve(t.T @ t + 1.5 * np.eye(5), t.T @ y)
    np.testing.assert_allclose(t @ found.directions @ found.loadings, expected, atol=1e-9)


def test_programs_of_noise_are_shrunken_away():
    rng = np.random.default_rng(2)
    t, y = rng.normal(size=(200, 10)), rng.normal(size=(200, 40))
    found = fit_programs(Moments.of(t, y, np.ones(200)), 40, ridge=1, rank=8, noise_factor=3)
    assert found.shrinkage[0] == LEAST_SHRINKAGE
    assert not found.shrinkage[1:].any()


def test_blocks_share_the_weight_and_groups_share_a_block():
    weights = column_weights(BLOCKS, FEATURES, {"tissue_statistics": 2.0})
    edges = np.cumsum([0, 4, 6, 2, 12])
    shares = [weights[a:b].sum() for a, b in itertools.pairwise(edges)]
    np.testing.assert_allclose(shares, [1 / 9, 1 / 9, 1 / 9, 2 / 3])
    assert len(np.unique(weights[:4])) == 1
    np.testing.assert_allclose(column_weights((), 5, {}), 0.2)


def test_every_view_of_every_column_is_standardised_and_weighted():
    settings = SprigSettings()
    features = section_features(NEW, settings)
    rows = features.rows(np.arange(NEW.n_spots)).astype(float)
    assert rows.shape == (80, 4 * FEATURES)
    np.testing.assert_allclose(rows.mean(axis=0), 0, atol=1e-5)
    shares = np.array(settings.view_weights) / sum(settings.view_weights)
    columns = column_weights(BLOCKS, FEATURES, settings.block_weights)
    np.testing.assert_allclose(rows.var(axis=0), np.outer(shares, columns).ravel(), rtol=1e-3)
    weight = np.random.default_rng(0).normal(size=(4 * FEATURES, 3))
    np.testing.assert_allclose(features.project(weight), rows @ weight, atol=1e-4)


def test_scales_lie_between_the_sections_own_and_the_trainings():
    features = section_features(NEW, SprigSettings())
    doubled = 2 * features.deviation
    for share, spread in ((0, 1), (0.5, np.sqrt(0.5)), (1, 0.5)):
        rows = features.scaled_towards(doubled, share).rows(np.arange(80))
        ratio = rows.std(axis=0) / features.rows(np.arange(80)).std(axis=0)
        np.testing.assert_allclose(ratio, spread, rtol=1e-3)
    dropped = features.scaled_towards(np.zeros_like(doubled), 0.5)
    assert not dropped.rows(np.arange(80)).any()
    tiny = features.scaled_towards(1e-6 * doubled, 1.0).rows(np.arange(80))
    assert tiny.std() < 4.1 * features.rows(np.arange(80)).std()


def test_principal_components_equal_a_singular_value_decomposition():
    rows = np.random.default_rng(0).normal(size=(30, 50)).astype(np.float32)
    found = principal_components(rows, 5)
    expected = np.linalg.svd(rows.astype(float))[2][:5].T
    np.testing.assert_allclose(np.abs(found.T @ expected), np.eye(5), atol=1e-5)
    assert principal_components(np.zeros((4, 3), np.float32), 2).shape == (3, 0)


def test_rings_of_a_square_lattice():
    xy = np.stack(np.divmod(np.arange(81), 9), axis=1)
    first, second = rings(nearest_neighbours(xy, 8, 1.5), 81, 2)
    steps = np.abs(xy - xy[40]).max(axis=1)
    assert set(first[[40]].indices) == set(np.flatnonzero(steps == 1))
    assert set(second[[40]].indices) == set(np.flatnonzero(steps == 2))
    assert rings(np.zeros((2, 0), np.int64), 3, 1)[0].nnz == 0


def test_attention_is_a_softmax_of_similarity():
    xy = np.array([[0, 0], [0, 1], [0, 2], [9, 9]])
    (edges,) = rings(nearest_neighbours(xy, 8, 1.5), 4, 1)
    positions = np.array([[0.0, 0], [1, 0], [3, 0], [0, 0]], np.float32)
    weights = attention(edges, positions, 2.0).toarray()
    near, far = np.exp(-1 / 2), np.exp(-4 / 2)
    expected = [
        [0, 1, 0, 0],
        [near / (near + far), 0, far / (near + far), 0],
        [0, 1, 0, 0],
        [0, 0, 0, 1],
    ]
    np.testing.assert_allclose(weights, expected, atol=1e-6)
    distant = attention(edges, positions * 1e4, 2.0)
    np.testing.assert_allclose(distant.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize(("spots", "neighbours"), [(40, 3), (3, 8), (1, 8)])
def test_most_similar_equals_brute_force(spots, neighbours):
    positions = np.random.default_rng(0).normal(size=(spots, 4)).astype(np.float32)
    edges = most_similar(positions, neighbours, np.arange(spots))
    distance = np.square(positions[:, None] - positions).sum(axis=2)
    np.fill_diagonal(distance, np.inf)
    for spot in range(spots):
        nearest = np.argsort(distance[spot])[: min(neighbours, spots - 1)]
        assert set(edges[[spot]].indices) == set(nearest)


def test_among_some_candidates_only_they_are_neighbours():
    positions = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
    edges = most_similar(positions, 3, np.arange(0, 40, 4))
    assert set(edges.indices) <= set(range(0, 40, 4))
    np.testing.assert_array_equal(np.diff(edges.indptr), 3)
    assert edges.diagonal().sum() == 0


def thinned_expression(counts, library, draws, order, target="paper", others=0):
    return thinning.thinned_expression(
        counts, counts.sum(axis=1) + others, TARGETS[target], library, draws, order
    )


@pytest.mark.parametrize("target", TARGETS)
def test_other_genes_are_thinned_as_much_as_the_panel(target):
    rng = np.random.default_rng(0)
    shares = rng.dirichlet(np.ones(40), 300)
    deep, shallow = rng.poisson(8000 * shares), rng.poisson(800 * shares)
    kept = 400 * np.median(deep[:, :20].sum(axis=1)) / 4000
    others = deep[:, 20:].sum(axis=1)
    order = np.arange(300)
    panel = deep[:, :20].astype(np.float32)
    thinned = thinned_expression(panel, kept, 20, order, target, others)
    expected = TARGETS[target].expression(shallow[:, :20], shallow.sum(axis=1))
    np.testing.assert_allclose(thinned.mean(axis=0), expected.mean(axis=0), rtol=0.1)


def test_thinned_targets_are_those_of_a_shallower_section():
    rng = np.random.default_rng(0)
    shares = rng.dirichlet(np.ones(20), 300)
    deep, shallow = rng.poisson(4000 * shares), rng.poisson(400 * shares)
    thinned = thinned_expression(deep.astype(np.float32), 400, 20, np.arange(300))
    np.testing.assert_allclose(
        thinned.mean(axis=0), log_expression(shallow).mean(axis=0), atol=0.06
    )
    assert thinned_expression(shallow.astype(np.float32), 1000, 20, np.arange(300)) is None
    order = rng.permutation(300)
    again = thinned_expression(deep[order].astype(np.float32), 400, 20, np.argsort(order))
    np.testing.assert_array_equal(again, thinned[order])


def test_spots_of_small_libraries_weigh_less():
    def weights(counts, totals, target="paper"):
        parts = {"counts": torch.tensor(counts), "totals": torch.tensor(totals)}
        xy = torch.zeros(len(counts), 2)
        return spot_weights(SectionTensors("A1", "A", xy, **parts, target=target), 0.1)

    counts = [[0, 0], [50, 50], [100, 100], [400, 400]]
    expected = [0.1, 100 / 150 + 0.1, 1.1, 1.1]
    np.testing.assert_allclose(weights(counts, [9, 900, 900, 900]), expected)
    np.testing.assert_allclose(weights([[0, 0, 0]] * 2, [0, 0]), 0.1)
    of_all = weights(counts, [0, 100, 200, 800], "log_normalised")
    np.testing.assert_allclose(of_all, expected)
    np.testing.assert_allclose(weights(counts, [0, 100, 200, 800], "log_counts"), 1.1)


def test_a_constant_gene_is_a_target_of_0():
    expression = np.column_stack([np.full(9, 1.3), np.arange(9.0)]).astype(np.float32)
    found = standardised(expression)
    assert not found[:, 0].any()
    assert found[:, 1].std() == pytest.approx(1, abs=1e-6)


def test_two_fits_are_the_same_bits(model):
    again = fitted()
    for name, value in model.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


def test_a_saved_model_predicts_the_same(model, tmp_path):
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    second = SPRIG(SprigSettings(), SIZES)
    second.load_state_dict(load_file(tmp_path / "model.safetensors"))
    first, again = model.predict(NEW), second.predict(NEW)
    for name in ("expression", "spread", "expected_pcc"):
        assert torch.equal(getattr(first, name), getattr(again, name))
        assert getattr(first, name).dtype == torch.float32


def test_the_order_of_spots_does_not_matter(model):
    rng = np.random.default_rng(0)
    order = rng.permutation(NEW.n_spots)
    moved, still = model.predict(permuted(NEW, order)), model.predict(NEW)
    torch.testing.assert_close(moved.expression, still.expression[order], atol=1e-4, rtol=1e-4)
    shuffled = fitted([permuted(each, rng.permutation(each.n_spots)) for each in TRAINING])
    torch.testing.assert_close(
        shuffled.predict(NEW).expression, still.expression, atol=1e-3, rtol=1e-3
    )


def test_the_test_sections_counts_are_not_read(model):
    blind = model.predict(NEW.without_targets())
    assert torch.equal(blind.expression, model(NEW))
    assert torch.equal(blind.spread, model.predict(NEW).spread)


def test_stain_of_a_section_does_not_matter(model):
    brighter = dataclasses.replace(NEW, embedding=NEW.embedding + 3)
    torch.testing.assert_close(model(brighter), model(NEW), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize(
    "sections",
    [
        pytest.param([a_section("A1", 50)], id="one section of 50 spots"),
        pytest.param([a_section("A1", 50), a_section("A2", 50)], id="one patient"),
        pytest.param([a_section("A1", 2), a_section("B1", 3)], id="two and three spots"),
        pytest.param([a_section("A1", 1)], id="one spot"),
    ],
)
@pytest.mark.parametrize("spots", [1, 2, 50])
def test_few_spots(sections, spots):
    prediction = fitted(sections).predict(a_section("D1", spots).without_targets())
    assert prediction.expression.shape == prediction.spread.shape == (spots, GENES)
    assert prediction.expression.isfinite().all()
    assert (prediction.spread > 0).all()
    assert prediction.expected_pcc.isfinite().all()


def test_patches_that_look_alike_give_the_mean():
    sections = [dataclasses.replace(a_section("A1"), embedding=torch.full((100, FEATURES), 0.3))]
    prediction = fitted(sections).predict(sections[0])
    mean = sections[0].expression.mean(dim=0).expand(100, -1)
    torch.testing.assert_close(prediction.expression, mean)


def test_programs_are_found_and_their_pcc_predicted(model):
    prediction = model.predict(NEW)
    pcc = pearson(NEW.expression.numpy(), prediction.expression.numpy())
    alone = fitted(ring_weights=(1.0,), dynamic_weight=0, thinned_library=None, rank=GENES)
    plain = pearson(NEW.expression.numpy(), alone(NEW).numpy())
    assert np.nanmean(pcc) > 0.4
    assert np.nanmean(pcc) > np.nanmean(plain) - 0.02
    expected = prediction.expected_pcc.numpy()
    assert np.corrcoef(expected, pcc)[0, 1] > 0.7
    assert expected.mean() == pytest.approx(pcc.mean(), abs=0.1)


TOO_POOR = {"rank": 1, "ring_weights": (1.0,)}
"""Settings that a choice must leave."""


def pcc_on_patients_held_out(**settings) -> np.ndarray:
    """Mean PCC on each training patient of a model fitted without it."""
    pcc = []
    for patient in sorted({section.patient for section in TRAINING}):
        model = fitted([each for each in TRAINING if each.patient != patient], **settings)
        unseen = [each for each in TRAINING if each.patient == patient]
        pcc.append(
            np.mean([pearson(each.expression.numpy(), model(each).numpy()) for each in unseen])
        )
    return np.array(pcc)


def test_each_setting_in_turn_is_the_best_on_patients_held_out(caplog):
    caplog.set_level("INFO")
    choices = {"rank": (2, 3), "ridge": (3000.0,), "ring_weights": ((1.0,), (1.0, 0.3, 0.1))}
    model = fitted(**TOO_POOR, choices=choices)
    settings = dict(TOO_POOR)
    taken = {}
    for name, values in choices.items():
        before = pcc_on_patients_held_out(**settings, choices={})
        after = [
            pcc_on_patients_held_out(**{**settings, name: value}, choices={}) for value in values
        ]
        gains = [each - before for each in after]
        clear = [gain.mean() > gain.std(ddof=1) / np.sqrt(3) for gain in gains]
        best = int(np.argmax([gain.mean() for gain in gains]))
        if clear[best]:
            settings[name] = taken[name] = values[best]
    assert model.chosen == taken
    assert taken == {"rank": 3, "ring_weights": (1.0, 0.3, 0.1)}
    assert "leaving out each of 3 patients: rank 3, ring_weights (1.0, 0.3, 0.1)." in caplog.text


def test_a_gain_that_patients_do_not_share_is_no_reason():
    spots, settings = TrainingSpots.of(TRAINING, SprigSettings()), SprigSettings()
    fixed = Trial(settings, spots, np.array([0.2, 0.2, 0.2]))
    shared = Trial(settings, spots, np.array([0.21, 0.22, 0.21]))
    single = Trial(settings, spots, np.array([0.3, 0.19, 0.18]))
    assert shared.gain_over(fixed) == pytest.approx(0.04 / 3)
    assert single.gain_over(fixed) == fixed.gain_over(fixed) == 0


@pytest.mark.parametrize(
    ("fixed", "choice"),
    [
        pytest.param((1.0,), (1.0, 0.3, 0.1), id="more views"),
        pytest.param((0.001, 0.0, 0.0, 0.0, 1.0), (1.0,), id="fewer views"),
    ],
)
def test_a_model_keeps_what_it_chose(fixed, choice, tmp_path):
    settings = {"ring_weights": fixed, "dynamic_weight": 0, "rank": 1}
    chosen = {"rank": (4,), "ring_weights": (choice,)}
    model = fitted(**settings, choices=chosen)
    assert model.chosen == {"rank": 4, "ring_weights": choice}
    alone = fitted(**{**settings, **model.chosen}, choices={})
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    again = SPRIG(SprigSettings(**settings, choices=chosen), SIZES)
    again.load_state_dict(load_file(tmp_path / "model.safetensors"))
    for name in ("expression", "spread", "expected_pcc"):
        wanted = getattr(alone.predict(NEW), name)
        assert torch.equal(getattr(again.predict(NEW), name), wanted), name


def test_with_few_patients_nothing_is_chosen(caplog):
    caplog.set_level("INFO")
    model = fitted([a_section("A1"), a_section("A2"), a_section("B1")], **TOO_POOR)
    assert model.chosen == {}
    assert "Chosen" not in caplog.text


def test_the_spread_covers_what_it_says(model):
    deviations = []
    for name in ("D1", "E1", "F1", "G1"):
        section = a_section(name)
        prediction = model.predict(section.without_targets())
        deviations.append((section.expression - prediction.expression) / prediction.spread)
    within = (torch.cat(deviations).abs() < 1.645).float().mean()
    assert 0.82 < within < 0.97


def test_spread_grows_with_what_patients_differ_by():
    rng = np.random.default_rng(0)
    part = HeldOut(
        rng.normal(size=(50, 4)).astype(np.float32), rng.normal(size=(50, 4)).astype(np.float32)
    )
    alike = calibrate([part], np.ones((3, 4)), np.ones((3, 4)), np.ones(4))
    apart = calibrate([part], np.array([[0.0] * 4, [2] * 4, [4] * 4]), np.ones((3, 4)), np.ones(4))
    assert not alike.between.any()
    np.testing.assert_allclose(apart.between, 4 * (1 + 1 / 3))
    assert (alike.slope > 0).all()


def test_settings_are_checked():
    with pytest.raises(UserError, match="weight of the spot must be above 0"):
        parse_settings("sprig", "published", {"ring_weights": [0, 1]})
    with pytest.raises(UserError, match=r"choices: 'rigde' cannot be chosen.*'ridge'"):
        parse_settings("sprig", "published", {"choices": {"rigde": [1]}})
    with pytest.raises(UserError, match=r"choices: ridge: must be above 0, got -1\."):
        parse_settings("sprig", "published", {"choices": {"ridge": [1, -1]}})
    assert SPRIG.inputs(SprigSettings(graph="mine")).graph == "mine"
    assert SprigSettings(ring_weights=(1, 0, 0.5)).view_weights == (1, 0.5, 1)


def test_a_setting_that_is_given_is_not_chosen():
    assert set(CHOICES) - set(SprigSettings(rank=2).choices) == {"rank"}
    assert SprigSettings(rank=2, choices={"rank": [3]}).choices == {"rank": (3,)}
    settings = SprigSettings(rank=2)
    assert parse_settings("sprig", "published", settings.model_dump()) == settings


def test_every_setting_can_be_chosen_but_those_that_bound_cost_or_say_how():
    fixed = {"graph", "choices", "patients_to_choose", "thinning_draws"}
    fixed |= {"components", "similarity_components", "dynamic_neighbours"}
    assert set(SprigSettings.model_fields) - set(CHOICES) == fixed
    for name, values in CHOICES.items():
        assert getattr(SprigSettings(), name) in values
