"""The model: features, programs and calibration put together."""

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reg2st.models.interface import Inputs, Prediction, Regression, SectionTensors, Sizes
from reg2st.models.sprig.calibration import BINS, Calibration, HeldOut, calibrate, correlation
from reg2st.models.sprig.choice import chosen, fitted, fitted_without_each
from reg2st.models.sprig.features import (
    LANDMARKS,
    SectionFeatures,
    in_array_order,
    pooled_deviation,
    principal_components,
    section_features,
    spread_out,
)
from reg2st.models.sprig.programs import Moments, Programs
from reg2st.models.sprig.settings import SprigSettings
from reg2st.models.sprig.targets import section_targets, spot_weights

BLOCKS = 4
"""Contiguous parts that a lone training section is held out by."""


class SPRIG(Regression):
    """Shrunken Programs by RIdge on Graphs.

    Image features of a spot and of its neighbourhoods, standardised within the section, predict a
    few programs of expression; programs are shrunken by how well they stand out of the noise.
    What is learnt about levels, spreads and the genes' predictability comes from training sections
    held out in turn: by patient where there are several, else by section, else by contiguous parts
    of the one section. How strongly programs are regularised is chosen by patients held out in turn
    where there are ``patients_to_choose``; with fewer, and all else, it is fixed.

    Buffers: ``deviation [views, d]`` of the features within training sections, ``weight
    [views * d, rank]`` from standardised features to latents, ``shrinkage [rank]``,
    ``loadings [rank, G]``, and those of ``Calibration``. Programs beyond those found are 0.
    """

    Settings = SprigSettings
    expects_pcc = True

    def __init__(self, settings: SprigSettings, sizes: Sizes) -> None:
        super().__init__(settings, sizes)
        genes, rank = sizes.genes, settings.rank
        shapes = {
            "weight": (len(settings.view_weights) * sizes.features, rank),
            "deviation": (len(settings.view_weights), sizes.features),
            "shrinkage": (rank,),
            "loadings": (rank, genes),
            **{field.name: (genes,) for field in fields(Calibration)},
            "edges": (BINS - 1,),
            "factors": (BINS,),
        }
        for name, shape in shapes.items():
            self.register_buffer(name, torch.zeros(shape, dtype=torch.float64))

    @classmethod
    def inputs(cls, settings: SprigSettings) -> Inputs:
        return Inputs(embedding=True, graph=settings.graph)

    def fit(self, sections: list[SectionTensors]) -> None:
        genes = self.sizes.genes
        features = [section_features(section, self.settings) for section in sections]
        deviation = pooled_deviation(features)
        self.deviation.copy_(torch.from_numpy(deviation))
        features = [each.scaled_towards(deviation, self.settings.common_scale) for each in features]
        axes = principal_components(_landmarks(features, sections), self.settings.components)
        parts = list(self._parts(sections, features, axes))
        groups = dict.fromkeys(part.group for part in parts)
        moments = {
            name: _total([part.moments for part in parts if part.group == name]) for name in groups
        }
        everything = _total(list(moments.values()))

        def score(without: dict[str, Programs]) -> float:
            held_out = (part.held_out(without[part.group]) for part in parts)
            return float(np.mean([correlation(each).mean() for each in held_out]))

        settings = self.settings
        if len({section.patient for section in sections}) >= settings.patients_to_choose:
            settings = chosen(settings, moments, genes, score)
        programs = fitted(settings, everything, genes)
        without = fitted_without_each(settings, moments, genes)
        section_means = np.stack(
            [section.expression.double().mean(dim=0).cpu().numpy() for section in sections]
        )
        calibration = calibrate(
            [part.held_out(without[part.group]) for part in parts],
            _group_means(section_means, sections),
            section_means,
            _amplitude(programs, everything),
        )
        self._keep(axes, programs, calibration)

    def predict(self, section: SectionTensors) -> Prediction:
        features = section_features(section, self.settings)
        features = features.scaled_towards(_numpy(self.deviation), self.settings.common_scale)
        latents = features.project(_numpy(self.weight))
        latents -= latents.mean(axis=0)
        pattern = latents @ _numpy(self.shrinkage[:, None] * self.loadings).astype(np.float32)
        factors = _numpy(self.factors).astype(np.float32)
        spread = factors[np.digitize(pattern, _numpy(self.edges))]
        spread *= _numpy(self.variance).astype(np.float32)
        spread += _numpy(self.between).astype(np.float32)
        np.sqrt(spread, out=spread)
        pattern *= _numpy(self.slope).astype(np.float32)
        pattern += _numpy(self.mean).astype(np.float32)
        device = section.embedding.device
        return Prediction(
            expression=torch.from_numpy(pattern).to(device),
            spread=torch.from_numpy(spread).to(device),
            expected_pcc=self.expected_pcc.float(),
        )

    def forward(self, section: SectionTensors) -> Tensor:
        return self.predict(section).expression

    def _parts(
        self,
        sections: list[SectionTensors],
        features: list[SectionFeatures],
        axes: NDArray[np.float64],
    ) -> Iterator["Part"]:
        """Training spots as they take turns to be held out."""
        for section, of_section, group in zip(sections, features, _groups(sections), strict=True):
            components = of_section.project(axes)
            targets = section_targets(section, self.settings)
            weights = spot_weights(section.counts.cpu().numpy(), self.settings.weight_floor)
            expression = section.expression.cpu().numpy()
            blocks = _blocks(section) if group is None else [np.arange(section.n_spots)]
            for index, spots in enumerate(blocks):
                yield Part(
                    group=str(index) if group is None else group,
                    components=components[spots],
                    expression=expression[spots] - expression[spots].mean(axis=0),
                    moments=Moments.of(components[spots], targets[spots], weights[spots]),
                )

    def _keep(
        self, axes: NDArray[np.float64], programs: Programs, calibration: Calibration
    ) -> None:
        found = len(programs.shrinkage)
        self.weight[:, :found] = torch.from_numpy(axes @ programs.directions)
        self.shrinkage[:found] = torch.from_numpy(programs.shrinkage)
        self.loadings[:found] = torch.from_numpy(programs.loadings)
        for field in fields(Calibration):
            getattr(self, field.name).copy_(torch.from_numpy(getattr(calibration, field.name)))


@dataclass(frozen=True)
class Part:
    """Training spots of one section that are held out together.

    Attributes:
        group: what is held out at once: parts with the same name.
        components: float32 ``[n, q]``.
        expression: the target less its mean, float32 ``[n, G]``.
        moments: of components and standardised targets.
    """

    group: str
    components: NDArray[np.float32]
    expression: NDArray[np.float32]
    moments: Moments

    def held_out(self, programs: Programs) -> HeldOut:
        """The part as predicted by programs that were fitted without it."""
        latents = self.components @ programs.directions
        latents -= latents.mean(axis=0)
        pattern = (latents * programs.shrinkage) @ programs.loadings
        return HeldOut(pattern.astype(np.float32), self.expression)


def _landmarks(
    features: list[SectionFeatures], sections: list[SectionTensors]
) -> NDArray[np.float32]:
    """Features of spots spread over all sections, each by its share of the spots."""
    spots = sum(section.n_spots for section in sections)
    rows = []
    for of_section, section in zip(features, sections, strict=True):
        count = -(-LANDMARKS * section.n_spots // max(spots, LANDMARKS))
        rows.append(of_section.rows(spread_out(in_array_order(section), count)))
    return np.concatenate(rows)


def _groups(sections: list[SectionTensors]) -> list[str | None]:
    """What each section is held out with: its patient, else itself; None for a lone section."""
    for names in ([section.patient for section in sections], [s.name for s in sections]):
        if len(set(names)) > 1:
            return names
    return [None]


def _group_means(
    section_means: NDArray[np.float64], sections: list[SectionTensors]
) -> NDArray[np.float64]:
    names = np.array([group or "" for group in _groups(sections)])
    return np.stack([section_means[names == name].mean(axis=0) for name in np.unique(names)])


def _blocks(section: SectionTensors) -> list[NDArray[np.int64]]:
    """The spots of a section in contiguous parts along its longest axis."""
    xy = section.array_xy.cpu().numpy().astype(np.float64)
    xy -= xy.mean(axis=0)
    longest = np.linalg.eigh(xy.T @ xy)[1][:, -1]
    order = np.lexsort((xy[:, 1], xy[:, 0], np.round(xy @ longest, 6)))
    return [part for part in np.array_split(order, BLOCKS) if len(part)]


def _amplitude(programs: Programs, moments: Moments) -> NDArray[np.float64]:
    """Standard deviation of each gene's pattern over the training spots, ``[G]``."""
    directions = programs.directions * programs.shrinkage
    covariance = directions.T @ moments.gram @ directions / moments.weight
    loadings = programs.loadings
    return np.sqrt(np.maximum(np.einsum("kg,kl,lg->g", loadings, covariance, loadings), 0))


def _total(moments: list[Moments]) -> Moments:
    total = moments[0]
    for each in moments[1:]:
        total = total + each
    return total


def _numpy(tensor: Tensor) -> NDArray[np.float64]:
    return tensor.cpu().numpy()
