"""The control `brightness`: the mean grey value of each spot's field of view."""

import torch
from torch import Tensor

from reg2st.models.interface import Inputs, Regression, SectionTensors, Settings, Sizes, stacked


class Brightness(Regression):
    """A linear function of the field's mean grey value for each gene, by least squares.

    Brightness falls with the density of nuclei, so the sign of a gene's slope is part of the fit.
    If all training fields are equally bright, slopes are 0.
    """

    def __init__(self, settings: Settings, sizes: Sizes) -> None:
        super().__init__(settings, sizes)
        self.register_buffer("slope", torch.zeros(sizes.genes))
        self.register_buffer("intercept", torch.zeros(sizes.genes))

    @classmethod
    def inputs(cls, settings: Settings) -> Inputs:
        return Inputs(embedding=True, encoder="mean_grey")

    def fit(self, sections: list[SectionTensors]) -> None:
        grey, expression = stacked(sections, "embedding")[:, 0], stacked(sections, "expression")
        mean_grey, mean = grey.mean(), expression.mean(dim=0)
        centred = grey - mean_grey
        spread = centred.square().sum()
        slope = centred @ (expression - mean) / spread if spread > 0 else torch.zeros_like(mean)
        self.slope.copy_(slope)
        self.intercept.copy_(mean - slope * mean_grey)

    def forward(self, section: SectionTensors) -> Tensor:
        return section.embedding[:, :1] * self.slope + self.intercept
