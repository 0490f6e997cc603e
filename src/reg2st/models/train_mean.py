"""The control `train_mean`: no image at all."""

import torch
from torch import Tensor

from reg2st.models.interface import Control, SectionTensors, Settings, Sizes, stacked


class TrainMean(Control):
    """Each gene's mean over all training spots, wherever the spot is.

    Its PCC is undefined; its MSE is what every other method is measured by.
    """

    def __init__(self, settings: Settings, sizes: Sizes) -> None:
        super().__init__(settings, sizes)
        self.register_buffer("mean", torch.zeros(sizes.genes))

    def fit(self, sections: list[SectionTensors]) -> None:
        self.mean.copy_(stacked(sections, "expression").mean(dim=0))

    def forward(self, section: SectionTensors) -> Tensor:
        return self.mean.repeat(section.n_spots, 1)
