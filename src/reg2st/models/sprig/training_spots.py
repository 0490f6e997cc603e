"""Training spots prepared for the regression, and their cross-validation."""

from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np
from numpy.typing import NDArray

from reg2st.models.interface import SectionTensors
from reg2st.models.sprig.calibration import HeldOut, correlation
from reg2st.models.sprig.programs import Moments, Programs, fit_programs
from reg2st.models.sprig.section_features import (
    LANDMARKS,
    SectionFeatures,
    in_array_order,
    pooled_deviation,
    principal_components,
    section_features,
    spread_out,
)
from reg2st.models.sprig.sprig_settings import SprigSettings
from reg2st.models.sprig.thinning import section_targets, spot_weights

BLOCKS = 4
"""Contiguous parts to hold out if there is only one training section."""


@dataclass(frozen=True)
class Part:
    """Training spots of one section that are held out together.

    Attributes:
        group: parts with the same group are held out together.
        components: float32 ``[n, q]``.
        expression: the target minus its mean, float32 ``[n, G]``.
    """

    group: str
    components: NDArray[np.float32]
    expression: NDArray[np.float32]

    def held_out(self, programs: Programs) -> HeldOut:
        """The part with its prediction by programs fitted without it."""
        latents = self.components @ programs.directions
        latents -= latents.mean(axis=0)
        pattern = (latents * programs.shrinkage) @ programs.loadings
        return HeldOut(pattern.astype(np.float32), self.expression)


@dataclass(frozen=True)
class TrainingSpots:
    """Sections prepared for the regression with some settings.

    Attributes:
        deviation: of the features within the sections, ``[views, d]``.
        axes: principal components of the features, ``[views * d, q]``.
        parts: the spots.
        moments: second moments by group.
    """

    deviation: NDArray[np.float64]
    axes: NDArray[np.float64]
    parts: list[Part]
    moments: dict[str, Moments]

    @classmethod
    def of(
        cls, sections: list[SectionTensors], settings: SprigSettings, landmarks: int = LANDMARKS
    ) -> "TrainingSpots":
        """Prepare the sections; components are fitted on at most ``landmarks`` spots."""
        features = [section_features(section, settings) for section in sections]
        deviation = pooled_deviation(features)
        features = [each.scaled_towards(deviation, settings.common_scale) for each in features]
        axes = principal_components(_landmarks(features, sections, landmarks), settings.components)
        parts: list[Part] = []
        moments: dict[str, Moments] = {}
        for section, of_section, group in zip(sections, features, groups(sections), strict=True):
            components = of_section.project(axes)
            targets = section_targets(section, settings)
            weights = spot_weights(section, settings.weight_floor)
            expression = section.expression.cpu().numpy()
            blocks = _blocks(section) if group is None else [np.arange(section.n_spots)]
            for index, spots in enumerate(blocks):
                name = str(index) if group is None else group
                centred = expression[spots] - expression[spots].mean(axis=0)
                parts.append(Part(name, components[spots], centred))
                own = Moments.of(components[spots], targets[spots], weights[spots])
                moments[name] = moments[name] + own if name in moments else own
        return cls(deviation, axes, parts, moments)

    @property
    def everything(self) -> Moments:
        """Moments of all spots."""
        return reduce(add, self.moments.values())

    def programs(self, settings: SprigSettings, moments: Moments | None = None) -> Programs:
        """Programs with the given settings, fitted on all spots unless moments are given."""
        return fit_programs(
            self.everything if moments is None else moments,
            self.parts[0].expression.shape[1],
            ridge=settings.ridge,
            rank=settings.rank,
            noise_factor=settings.noise_factor,
        )

    def held_out(self, settings: SprigSettings) -> list[HeldOut]:
        """Each part, predicted by a fit without its group (or with it, if there is only one)."""
        everything, alone = self.everything, len(self.moments) == 1
        without = {
            name: self.programs(settings, everything if alone else everything - own)
            for name, own in self.moments.items()
        }
        return [part.held_out(without[part.group]) for part in self.parts]

    def pcc_held_out(self, settings: SprigSettings) -> NDArray[np.float64]:
        """Mean PCC over genes and parts of each group, predicted without it, ``[groups]``."""
        pcc = [correlation(each).mean() for each in self.held_out(settings)]
        of_part = np.array([part.group for part in self.parts])
        return np.array([np.mean(np.array(pcc)[of_part == name]) for name in self.moments])

    def amplitude(self, programs: Programs) -> NDArray[np.float64]:
        """Standard deviation of each gene's pattern over the spots, ``[G]``."""
        everything = self.everything
        directions = programs.directions * programs.shrinkage
        covariance = directions.T @ everything.gram @ directions / everything.weight
        loadings = programs.loadings
        return np.sqrt(np.maximum(np.einsum("kg,kl,lg->g", loadings, covariance, loadings), 0))


def groups(sections: list[SectionTensors]) -> list[str | None]:
    """Group of each section: its patient; with one patient itself; None for a single section."""
    for names in ([section.patient for section in sections], [s.name for s in sections]):
        if len(set(names)) > 1:
            return names
    return [None]


def _landmarks(
    features: list[SectionFeatures], sections: list[SectionTensors], most: int
) -> NDArray[np.float32]:
    """Features of evenly spaced spots of all sections, in proportion to their spots."""
    spots = sum(section.n_spots for section in sections)
    rows = []
    for of_section, section in zip(features, sections, strict=True):
        count = -(-most * section.n_spots // max(spots, most))
        rows.append(of_section.rows(spread_out(in_array_order(section), count)))
    return np.concatenate(rows)


def _blocks(section: SectionTensors) -> list[NDArray[np.int64]]:
    """Contiguous parts of a section's spots along its longest axis."""
    xy = section.positions.cpu().numpy().copy()
    xy -= xy.mean(axis=0)
    longest = np.linalg.eigh(xy.T @ xy)[1][:, -1]
    order = np.lexsort((xy[:, 1], xy[:, 0], np.round(xy @ longest, 6)))
    return [part for part in np.array_split(order, BLOCKS) if len(part)]
