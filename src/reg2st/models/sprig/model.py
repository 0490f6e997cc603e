"""The model: features, programs and calibration."""

from dataclasses import fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reg2st.models.interface import Inputs, Prediction, Regression, SectionTensors, Sizes
from reg2st.models.sprig.calibration import BINS, Calibration, calibrate
from reg2st.models.sprig.choice import chosen
from reg2st.models.sprig.programs import Programs
from reg2st.models.sprig.section_features import section_features
from reg2st.models.sprig.sprig_settings import SprigSettings
from reg2st.models.sprig.training_spots import TrainingSpots, groups

AS_FIXED = -1


class SPRIG(Regression):
    """Shrunken Programs by RIdge on Graphs.

    Image features of a spot and of its neighbourhoods, standardised within the section, predict a
    few programs of expression. Each program is shrunken according to its signal-to-noise ratio.
    Levels, predictive standard deviations and expected PCC are estimated by cross-validation
    within the training sections: leave one patient out; with one patient, leave one section out;
    with one section, leave out contiguous parts. With ``patients_to_choose`` or more patients,
    leave-one-patient-out chooses settings; with fewer they are fixed.

    Buffers: ``choice``, the index of the chosen value of each setting in ``choices``, -1 for its
    fixed value; ``deviation [views, d]`` of the features within training sections, ``weight
    [views * d, rank]`` from standardised features to latents, ``shrinkage [rank]``,
    ``loadings [rank, G]``, and those of ``Calibration``. Unused views and programs are 0.
    """

    Settings = SprigSettings
    expects_pcc = True

    def __init__(self, settings: SprigSettings, sizes: Sizes) -> None:
        super().__init__(settings, sizes)
        genes, rank, views = sizes.genes, settings.most_programs, settings.most_views
        shapes = {
            "weight": (views * sizes.features, rank),
            "deviation": (views, sizes.features),
            "shrinkage": (rank,),
            "loadings": (rank, genes),
            **{field.name: (genes,) for field in fields(Calibration)},
            "edges": (BINS - 1,),
            "factors": (BINS,),
        }
        for name, shape in shapes.items():
            self.register_buffer(name, torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("choice", torch.full((len(settings.choices),), AS_FIXED))

    @classmethod
    def inputs(cls, settings: SprigSettings) -> Inputs:
        return Inputs(embedding=True, graph=settings.graph)

    @property
    def chosen(self) -> dict[str, Any]:
        """The chosen values of settings that changed from their fixed value."""
        choices = zip(self.settings.choices.items(), self.choice.tolist(), strict=True)
        return {name: values[index] for (name, values), index in choices if index != AS_FIXED}

    def fit(self, sections: list[SectionTensors]) -> None:
        taken: dict[str, int] = {}
        if len({section.patient for section in sections}) >= self.settings.patients_to_choose:
            taken = chosen(self.settings, sections)
        for place, name in enumerate(self.settings.choices):
            self.choice[place] = taken.get(name, AS_FIXED)
        settings = self.settings.taking(self.chosen)
        spots = TrainingSpots.of(sections, settings)
        programs = spots.programs(settings)
        section_means = np.stack(
            [section.expression.double().mean(dim=0).cpu().numpy() for section in sections]
        )
        calibration = calibrate(
            spots.held_out(settings),
            _group_means(section_means, sections),
            section_means,
            spots.amplitude(programs),
        )
        self._keep(spots, programs, calibration)

    def predict(self, section: SectionTensors) -> Prediction:
        settings = self.settings.taking(self.chosen)
        views = len(settings.view_weights)
        features = section_features(section, settings)
        features = features.scaled_towards(_numpy(self.deviation[:views]), settings.common_scale)
        latents = features.project(_numpy(self.weight[: views * self.sizes.features]))
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

    def _keep(self, spots: TrainingSpots, programs: Programs, calibration: Calibration) -> None:
        found = len(programs.shrinkage)
        weight = torch.from_numpy(spots.axes @ programs.directions)
        for buffer in (self.deviation, self.weight, self.shrinkage, self.loadings):
            buffer.zero_()
        self.deviation[: len(spots.deviation)] = torch.from_numpy(spots.deviation)
        self.weight[: len(weight), :found] = weight
        self.shrinkage[:found] = torch.from_numpy(programs.shrinkage)
        self.loadings[:found] = torch.from_numpy(programs.loadings)
        for field in fields(Calibration):
            getattr(self, field.name).copy_(torch.from_numpy(getattr(calibration, field.name)))


def _group_means(
    section_means: NDArray[np.float64], sections: list[SectionTensors]
) -> NDArray[np.float64]:
    names = np.array([group or "" for group in groups(sections)])
    return np.stack([section_means[names == name].mean(axis=0) for name in np.unique(names)])


def _numpy(tensor: Tensor) -> NDArray[np.float64]:
    return tensor.cpu().numpy()
