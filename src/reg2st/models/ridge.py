"""The control `ridge`: linear regression on image embeddings, in closed form, in float64."""

from collections.abc import Iterator
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from pydantic import Field, field_validator
from torch import Tensor

from reg2st.models.hest_bench_ridge import fit_as_hest_bench
from reg2st.models.interface import Inputs, Regression, SectionTensors, Settings, Sizes, stacked
from reg2st.models.second_moments import RidgeFit, SecondMoments, best_penalty

if TYPE_CHECKING:
    from sklearn.model_selection import BaseCrossValidator
    from sklearn.preprocessing import StandardScaler

MOST_AT_ONCE = 50_000
"""Training spots that are fitted by scikit-learn, with several copies of them in memory."""

SPOTS_AT_A_TIME = 8192

LEAST_SPREAD = 0.1
"""Lower bound of the divisor of a feature, as a share of the median standard deviation.

A feature that hardly varies in training may vary in a new section; without this bound it would
then dominate all others.
"""


class RidgeSettings(Settings):
    """Settings of the ridge regression on image embeddings."""

    components: int = Field(256, gt=0, description="maximum number of principal components")
    alphas: tuple[float, ...] = Field(
        tuple(10 ** (half / 2) for half in range(4, 13)),
        min_length=1,
        description="penalties to try",
    )
    recipe: Literal["cross_validated", "hest_bench"] = Field(
        "cross_validated",
        description=(
            "`cross_validated` chooses the penalty inside the training sections; `hest_bench` fits "
            "as HEST-Bench does: alpha = 100 / (components x genes), no intercept, `alphas` unused"
        ),
    )

    @field_validator("alphas")
    @classmethod
    def _positive(cls, alphas: tuple[float, ...]) -> tuple[float, ...]:
        if min(alphas) <= 0:
            raise ValueError("every alpha must be above 0")
        return alphas


class Ridge(Regression):
    """Standardised embeddings, principal components, ridge regression with an intercept.

    Standardisation and components are fitted on all training spots. The penalty has the least mean
    squared error in cross-validation: leave one patient out; with one patient, leave one section
    out; with one section, leave out each of five runs of consecutive spots. Of equally good
    penalties the largest is taken. If all training spots are alike, it predicts the mean.

    All steps are linear, so the fitted model is one matrix: ``embedding @ weight + bias``. More
    than ``MOST_AT_ONCE`` training spots are fitted from sums over them, with the same result up to
    rounding. The recipe ``hest_bench`` fits as ``hest_bench_ridge`` says instead.

    Buffers: ``weight [d, G]``, ``bias [G]``, and ``alpha``, the chosen penalty.
    """

    Settings = RidgeSettings

    def __init__(self, settings: RidgeSettings, sizes: Sizes) -> None:
        super().__init__(settings, sizes)
        # HEST-Bench's small penalty leaves large slopes, whose rounding would show.
        kind = torch.float64 if settings.recipe == "hest_bench" else torch.float32
        self.register_buffer("weight", torch.zeros(sizes.features, sizes.genes, dtype=kind))
        self.register_buffer("bias", torch.zeros(sizes.genes, dtype=kind))
        self.register_buffer("alpha", torch.tensor(0.0))

    @classmethod
    def inputs(cls, settings: RidgeSettings) -> Inputs:
        return Inputs(embedding=True)

    @property
    def chosen(self) -> dict[str, Any]:
        return {"alpha": float(self.alpha)}

    def fit(self, sections: list[SectionTensors]) -> None:
        if self.settings.recipe == "hest_bench":
            self._fit_as_hest_bench(sections)
        elif sum(section.n_spots for section in sections) > MOST_AT_ONCE:
            self._fit_from_sums(sections)
        else:
            self._fit_at_once(sections)

    def _fit_as_hest_bench(self, sections: list[SectionTensors]) -> None:
        embedding = stacked(sections, "embedding").numpy()
        expression = stacked(sections, "expression").numpy()
        ridge = fit_as_hest_bench(embedding, expression, self.settings.components)
        self.weight.copy_(torch.from_numpy(ridge.weight))
        self.bias.copy_(torch.from_numpy(ridge.bias))
        self.alpha.fill_(ridge.alpha)

    def _fit_at_once(self, sections: list[SectionTensors]) -> None:
        from sklearn.decomposition import PCA
        from sklearn.linear_model import Ridge as RidgeRegression
        from sklearn.model_selection import GridSearchCV
        from sklearn.preprocessing import StandardScaler

        embedding = stacked(sections, "embedding").numpy()
        expression = stacked(sections, "expression").numpy()
        scaler = _bound(StandardScaler().fit(embedding))
        scaled = scaler.transform(embedding)
        if not scaled.any():
            self.bias.copy_(torch.from_numpy(expression.mean(axis=0)))
            return
        components = min(self.settings.components, len(scaled) - 1, scaled.shape[1])
        pca = PCA(components, svd_solver="covariance_eigh").fit(scaled)
        scores = pca.transform(scaled)
        held_out, groups = _inner_folds(sections)
        search = GridSearchCV(
            RidgeRegression(),
            {"alpha": sorted(self.settings.alphas, reverse=True)},
            scoring="neg_mean_squared_error",
            cv=held_out,
        ).fit(scores, expression, groups=groups)
        ridge = search.best_estimator_
        slopes = np.atleast_2d(ridge.coef_)  # of one gene scikit-learn gives one axis
        weight = (slopes @ pca.components_ / scaler.scale_).T
        bias = ridge.intercept_ - scaler.mean_ @ weight - pca.mean_ @ pca.components_.T @ slopes.T
        self.weight.copy_(torch.from_numpy(weight))
        self.bias.copy_(torch.from_numpy(bias))
        self.alpha.fill_(ridge.alpha)

    def _fit_from_sums(self, sections: list[SectionTensors]) -> None:
        from sklearn.preprocessing import StandardScaler

        scaler = StandardScaler()
        for embedding, _ in _chunks(sections):
            scaler.partial_fit(embedding)
        scaler = _bound(scaler)
        parts: dict[int, SecondMoments] = {}
        held_out, start = _held_out_parts(sections), 0
        for embedding, expression in _chunks(sections):
            scaled = scaler.transform(embedding)
            part = held_out[start : start + len(scaled)]
            start += len(scaled)
            for number in np.unique(part):
                own = SecondMoments.of(scaled[part == number], expression[part == number])
                parts[number] = parts[number] + own if number in parts else own
        everything = reduce(add, parts.values())
        axes = everything.principal_axes(self.settings.components)
        alpha = best_penalty(
            [part.along(axes) for part in parts.values()],
            sorted(self.settings.alphas, reverse=True),
        )
        ridge = RidgeFit.of(everything.along(axes), alpha)
        weight = axes @ ridge.weight / scaler.scale_[:, None]
        self.weight.copy_(torch.from_numpy(weight))
        self.bias.copy_(torch.from_numpy(ridge.intercept - scaler.mean_ @ weight))
        self.alpha.fill_(alpha)

    def forward(self, section: SectionTensors) -> Tensor:
        return (section.embedding.to(self.weight.dtype) @ self.weight + self.bias).float()


def _bound(scaler: "StandardScaler") -> "StandardScaler":
    """The scaler with divisors of at least ``LEAST_SPREAD`` of the median one."""
    scaler.scale_ = np.maximum(scaler.scale_, LEAST_SPREAD * np.median(scaler.scale_))
    return scaler


def _chunks(sections: list[SectionTensors]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Embedding and expression of some spots at a time, float64 ``[m, d]`` and ``[m, G]``."""
    for section in sections:
        for start in range(0, section.n_spots, SPOTS_AT_A_TIME):
            some = slice(start, start + SPOTS_AT_A_TIME)
            embedding, expression = section.embedding[some], section.expression[some]
            yield embedding.double().cpu().numpy(), expression.double().cpu().numpy()


def _held_out_parts(sections: list[SectionTensors]) -> np.ndarray:
    """Number of the part in which each training spot is held out, int64 ``[n]``."""
    held_out, groups = _inner_folds(sections)
    part = np.empty(sum(section.n_spots for section in sections), dtype=np.int64)
    for number, (_, spots) in enumerate(held_out.split(part, groups=groups)):
        part[spots] = number
    return part


def _inner_folds(
    sections: list[SectionTensors],
) -> "tuple[BaseCrossValidator, np.ndarray | None]":
    """The cross-validation of training spots, and the group of each spot."""
    from sklearn.model_selection import KFold, LeaveOneGroupOut

    sizes = [section.n_spots for section in sections]
    for names in ([section.patient for section in sections], [s.name for s in sections]):
        if len(set(names)) > 1:
            return LeaveOneGroupOut(), np.repeat(names, sizes)
    return KFold(min(5, sum(sizes))), None
