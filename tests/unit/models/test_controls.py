"""Controls against plain NumPy and scikit-learn."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge as SklearnRidge
from sklearn.metrics import mean_squared_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from reg2st.base.errors import UserError
from reg2st.models import ridge
from reg2st.models.brightness import Brightness
from reg2st.models.interface import SectionTensors, Settings, Sizes
from reg2st.models.registry import parse_settings
from reg2st.models.ridge import Ridge, RidgeSettings
from reg2st.models.train_mean import TrainMean

GENES, FEATURES = 4, 12
SIZES = Sizes(genes=GENES, features=FEATURES)


def a_section(name: str, patient: str, spots: int = 30, noise: float = 0.3) -> SectionTensors:
    generator = torch.Generator().manual_seed(sum(map(ord, name)))
    embedding = torch.randn(spots, FEATURES, generator=generator)
    effect = torch.linspace(-1, 1, FEATURES * GENES).view(GENES, FEATURES).T
    expression = embedding @ effect + noise * torch.randn(spots, GENES, generator=generator)
    return SectionTensors(
        name=name,
        patient=patient,
        array_xy=torch.zeros(spots, 2, dtype=torch.int64),
        embedding=embedding,
        counts=torch.ones(spots, GENES),
        expression=expression,
    )


SECTIONS = [a_section("A1", "A"), a_section("A2", "A", 20), a_section("B1", "B")]


def joined(name: str) -> np.ndarray:
    return torch.cat([getattr(section, name) for section in SECTIONS]).double().numpy()


def fitted(model, sections=SECTIONS):
    model.fit(sections)
    return model.eval()


def test_train_mean_predicts_the_mean_of_all_training_spots():
    model = fitted(TrainMean(Settings(), SIZES))
    prediction = model(a_section("C1", "C", 7).without_targets())
    expected = np.tile(joined("expression").mean(axis=0), (7, 1))
    np.testing.assert_allclose(prediction, expected, rtol=1e-6)


def test_brightness_equals_a_line_fitted_by_numpy():
    model = fitted(Brightness(Settings(), SIZES))
    slope, intercept = np.polyfit(joined("embedding")[:, 0], joined("expression"), 1)
    new = a_section("C1", "C", 7)
    expected = new.embedding.numpy()[:, :1] * slope + intercept
    np.testing.assert_allclose(model(new.without_targets()), expected, atol=1e-5)
    assert model.slope.sign().unique().tolist() == [-1, 1]


def test_brightness_of_equally_bright_patches_is_the_mean():
    section = a_section("A1", "A")
    section.embedding.fill_(128)
    model = fitted(Brightness(Settings(), SIZES), [section])
    expected = section.expression.mean(dim=0).expand(30, -1)
    torch.testing.assert_close(model(section), expected)


@pytest.mark.parametrize("components", [5, 256])
def test_ridge_equals_the_scikit_learn_pipeline(components):
    model = fitted(Ridge(RidgeSettings(components=components, alphas=(3.0,)), SIZES))
    pipeline = make_pipeline(
        StandardScaler(), PCA(min(components, FEATURES), svd_solver="full"), SklearnRidge(3.0)
    ).fit(joined("embedding"), joined("expression"))
    new = a_section("C1", "C", 7)
    expected = pipeline.predict(new.embedding.double().numpy())
    np.testing.assert_allclose(model(new.without_targets()), expected, atol=1e-5)


def test_ridge_takes_the_penalty_that_serves_left_out_patients_best():
    alphas = (0.1, 10.0, 1000.0)
    model = fitted(Ridge(RidgeSettings(alphas=alphas), SIZES))
    scaled = StandardScaler().fit_transform(joined("embedding"))
    scores = PCA(FEATURES).fit_transform(scaled)
    patient = np.array(["A"] * 50 + ["B"] * 30)
    errors = []
    for alpha in alphas:
        of_patients = []
        for held_out in "AB":
            kept = patient != held_out
            ridge = SklearnRidge(alpha).fit(scores[kept], joined("expression")[kept])
            predicted = ridge.predict(scores[~kept])
            of_patients.append(mean_squared_error(joined("expression")[~kept], predicted))
        errors.append(np.mean(of_patients))
    assert float(model.alpha) == pytest.approx(alphas[int(np.argmin(errors))])


def test_ridge_shrinks_noise_more_than_signal():
    alphas = (1.0, 1e6)
    noise = [a_section(name, name[0], noise=1e4) for name in ("A1", "B1", "C1")]
    assert float(fitted(Ridge(RidgeSettings(alphas=alphas), SIZES)).alpha) == 1
    assert float(fitted(Ridge(RidgeSettings(alphas=alphas), SIZES), noise).alpha) == 1e6


@pytest.mark.parametrize("components", [5, 256])
@pytest.mark.parametrize("names", ["A1 A2 B1", "A1 A2", "A1"])
def test_ridge_of_many_spots_is_fitted_from_sums_to_the_same_values(components, names, monkeypatch):
    """A patient, a section or a part of the section is held out; a feature is constant."""
    sections = [a_section(name, name[0]) for name in names.split()]
    for section in sections:
        section.embedding[:, 3] = 7.5
    settings = RidgeSettings(components=components, alphas=(0.3, 10, 30, 1e3))
    at_once = fitted(Ridge(settings, SIZES), sections)
    monkeypatch.setattr(ridge, "MOST_AT_ONCE", 10)
    monkeypatch.setattr(ridge, "SPOTS_AT_A_TIME", 7)
    from_sums = fitted(Ridge(settings, SIZES), sections)
    assert from_sums.chosen == at_once.chosen
    torch.testing.assert_close(from_sums.weight, at_once.weight, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(from_sums.bias, at_once.bias, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "sections",
    [
        pytest.param([a_section("A1", "A", 3), a_section("A2", "A", 3)], id="one patient"),
        pytest.param([a_section("A1", "A", 4)], id="one section"),
        pytest.param([a_section("A1", "A", 2)], id="two spots"),
    ],
)
def test_ridge_of_few_spots_is_finite(sections):
    model = fitted(Ridge(RidgeSettings(), SIZES), sections)
    assert model(a_section("C1", "C")).isfinite().all()
    assert model.alpha > 0


def test_ridge_of_one_spot_is_that_spot():
    section = a_section("A1", "A", 1)
    model = fitted(Ridge(RidgeSettings(), SIZES), [section])
    torch.testing.assert_close(model(a_section("C1", "C", 2)), section.expression.repeat(2, 1))


def test_ridge_ignores_constant_features():
    sections = [a_section(name, name[0]) for name in ("A1", "B1")]
    for section in sections:
        section.embedding[:, 3:] = 7.1
    model = fitted(Ridge(RidgeSettings(), SIZES), sections)
    assert model.weight[3:].abs().max() < 1e-6
    assert model(sections[0]).isfinite().all()


def test_ridge_of_constant_features_only_is_the_mean():
    section = a_section("A1", "A")
    section.embedding.fill_(0.3)
    model = fitted(Ridge(RidgeSettings(), SIZES), [section])
    torch.testing.assert_close(model(section), section.expression.mean(dim=0).expand(30, -1))


@pytest.mark.parametrize(
    ("model", "settings"),
    [(TrainMean, Settings()), (Brightness, Settings()), (Ridge, RidgeSettings())],
)
def test_a_saved_control_predicts_the_same(model, settings, tmp_path):
    first = fitted(model(settings, SIZES))
    save_file(first.state_dict(), tmp_path / "model.safetensors")
    second = model(settings, SIZES)
    second.load_state_dict(load_file(tmp_path / "model.safetensors"))
    new = a_section("C1", "C")
    assert torch.equal(first(new), second(new))
    assert first(new).dtype == torch.float32
    again = fitted(model(settings, SIZES))
    assert torch.equal(first(new), again(new))


def test_controls_refuse_unknown_settings():
    with pytest.raises(UserError, match=r"alpha: unknown setting \(did you mean 'alphas'\?\)"):
        parse_settings("ridge", "published", {"alpha": 3})
    with pytest.raises(UserError, match="'train_mean', epochs: unknown setting"):
        parse_settings("train_mean", "quick", {"epochs": 3})
    with pytest.raises(UserError, match="every alpha must be above 0"):
        parse_settings("ridge", "published", {"alphas": [0, 1]})


def test_a_feature_that_hardly_varied_in_training_does_not_outweigh_the_others():
    generator = torch.Generator().manual_seed(0)

    def section(patient: str, spread: float) -> SectionTensors:
        embedding = torch.randn(60, 5, generator=generator)
        embedding[:, 4] *= spread
        return SectionTensors(
            name=patient,
            patient=patient,
            array_xy=torch.zeros(60, 2, dtype=torch.int64),
            embedding=embedding,
            expression=embedding[:, :3] + torch.randn(60, 3, generator=generator),
        )

    model = Ridge(Ridge.Settings(), Sizes(genes=3, features=5))
    model.fit([section("A", 1e-6), section("B", 1e-6)])
    new = section("C", 1.0)
    assert model(new.without_targets()).abs().max() < 10 * new.expression.abs().max()
