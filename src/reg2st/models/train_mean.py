"""The control `train_mean`: a constant for each gene."""

import torch
from torch import Tensor

from reg2st.models.interface import Regression, SectionTensors, Settings, Sizes, stacked


class TrainMean(Regression):
    """Each gene's mean over all training spots, for every spot.

    Its PCC is undefined; its MSE is the baseline for other methods.
    """

    def __init__(self, settings: Settings, sizes: Sizes) -> None:
        super().__init__(settings, sizes)
        self.register_buffer("mean", torch.zeros(sizes.genes))

    def fit(self, sections: list[SectionTensors]) -> None:
        self.mean.copy_(stacked(sections, "expression").mean(dim=0))

    def forward(self, section: SectionTensors) -> Tensor:
        return self.mean.repeat(section.n_spots, 1)
