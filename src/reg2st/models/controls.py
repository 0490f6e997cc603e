"""Controls: what a model must beat before its architecture deserves the credit.

All three are fitted in closed form, in float64, from the training sections alone.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from pydantic import Field, field_validator
from torch import Tensor

from reg2st.models.interface import Control, Inputs, SectionTensors, Settings, Sizes

if TYPE_CHECKING:
    from sklearn.model_selection import BaseCrossValidator


class ControlSettings(Settings):
    """No settings."""


class TrainMean(Control):
    """Each gene's mean over all training spots, wherever the spot is.

    Its PCC is undefined; its MSE is what every other method is measured by.
    """

    Settings = ControlSettings

    def __init__(self, settings: ControlSettings, sizes: Sizes) -> None:
        super().__init__(settings, sizes)
        self.register_buffer("mean", torch.zeros(sizes.genes))

    def fit(self, sections: list[SectionTensors]) -> None:
        self.mean.copy_(_stacked(sections, "expression").mean(dim=0))

    def forward(self, section: SectionTensors) -> Tensor:
        return self.mean.repeat(section.n_spots, 1)


class Brightness(Control):
    """One straight line a gene through the mean grey value of the patch, by least squares.

    A patch's brightness falls with the density of its nuclei, so the sign of a gene's slope is
    part of the fit. If all training patches are equally bright, slopes are 0.
    """

    Settings = ControlSettings

    def __init__(self, settings: ControlSettings, sizes: Sizes) -> None:
        super().__init__(settings, sizes)
        self.register_buffer("slope", torch.zeros(sizes.genes))
        self.register_buffer("intercept", torch.zeros(sizes.genes))

    @classmethod
    def inputs(cls, settings: ControlSettings) -> Inputs:
        return Inputs(mean_grey=True)

    def fit(self, sections: list[SectionTensors]) -> None:
        grey, expression = _stacked(sections, "mean_grey"), _stacked(sections, "expression")
        mean_grey, mean = grey.mean(), expression.mean(dim=0)
        centred = grey - mean_grey
        spread = centred.square().sum()
        slope = centred @ (expression - mean) / spread if spread > 0 else torch.zeros_like(mean)
        self.slope.copy_(slope)
        self.intercept.copy_(mean - slope * mean_grey)

    def forward(self, section: SectionTensors) -> Tensor:
        return section.mean_grey.unsqueeze(1) * self.slope + self.intercept


LEAST_SPREAD = 0.1
"""Standard deviation that a feature is divided by at least, as a share of the median feature's.

A feature that hardly varies in training may in a new section, and would then outweigh all others.
"""


class RidgeSettings(Settings):
    """Settings of the ridge regression on image embeddings."""

    components: int = Field(256, gt=0, description="principal components at most")
    alphas: tuple[float, ...] = Field(
        tuple(10 ** (half / 2) for half in range(4, 13)),
        min_length=1,
        description="penalties to try",
    )

    @field_validator("alphas")
    @classmethod
    def _positive(cls, alphas: tuple[float, ...]) -> tuple[float, ...]:
        if min(alphas) <= 0:
            raise ValueError("every alpha must be above 0")
        return alphas


class Ridge(Control):
    """Standardised embeddings, principal components, ridge regression with an intercept.

    Standardisation and components come from all training spots. The penalty is the one with
    the least mean squared error when each training patient in turn is left out; with one
    patient each section is, with one section each of five runs of consecutive spots. Of equally
    good penalties the largest is taken. Where all training spots look alike, the mean is predicted.

    All steps are linear, so the fitted model is one matrix: ``embedding @ weight + bias``.

    Buffers: ``weight [d, G]``, ``bias [G]``, and ``alpha``, the chosen penalty.
    """

    Settings = RidgeSettings

    def __init__(self, settings: RidgeSettings, sizes: Sizes) -> None:
        super().__init__(settings, sizes)
        self.register_buffer("weight", torch.zeros(sizes.features, sizes.genes))
        self.register_buffer("bias", torch.zeros(sizes.genes))
        self.register_buffer("alpha", torch.tensor(0.0))

    @classmethod
    def inputs(cls, settings: RidgeSettings) -> Inputs:
        return Inputs(embedding=True)

    @property
    def chosen(self) -> dict[str, Any]:
        return {"alpha": float(self.alpha)}

    def fit(self, sections: list[SectionTensors]) -> None:
        from sklearn.decomposition import PCA
        from sklearn.linear_model import Ridge as RidgeRegression
        from sklearn.model_selection import GridSearchCV
        from sklearn.preprocessing import StandardScaler

        embedding = _stacked(sections, "embedding").numpy()
        expression = _stacked(sections, "expression").numpy()
        scaler = StandardScaler().fit(embedding)
        scaler.scale_ = np.maximum(scaler.scale_, LEAST_SPREAD * np.median(scaler.scale_))
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
        weight = (ridge.coef_ @ pca.components_ / scaler.scale_).T
        bias = (
            ridge.intercept_ - scaler.mean_ @ weight - pca.mean_ @ pca.components_.T @ ridge.coef_.T
        )
        self.weight.copy_(torch.from_numpy(weight))
        self.bias.copy_(torch.from_numpy(bias))
        self.alpha.fill_(ridge.alpha)

    def forward(self, section: SectionTensors) -> Tensor:
        return section.embedding @ self.weight + self.bias


def _stacked(sections: list[SectionTensors], name: str) -> Tensor:
    """One tensor of all sections' spots, float64 on the CPU."""
    return torch.cat([getattr(section, name) for section in sections]).double().cpu()


def _inner_folds(
    sections: list[SectionTensors],
) -> "tuple[BaseCrossValidator, np.ndarray | None]":
    """How training spots take turns to be held out, and the group of each spot."""
    from sklearn.model_selection import KFold, LeaveOneGroupOut

    sizes = [section.n_spots for section in sections]
    for names in ([section.patient for section in sections], [s.name for s in sections]):
        if len(set(names)) > 1:
            return LeaveOneGroupOut(), np.repeat(names, sizes)
    return KFold(min(5, sum(sizes))), None
