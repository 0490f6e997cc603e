"""HisToGene: a vision transformer over the spots of a section.

Pang, Su, Li: Leveraging information in spatial transcriptomics to predict super-resolution
gene expression from histology images in tumors. bioRxiv 2021, doi 10.1101/2021.11.28.470212.
"""

from typing import ClassVar

from pydantic import Field
from torch import Tensor, nn

from reg2st.models.interface import Inputs, Network, NetworkSettings, SectionTensors, Sizes
from reg2st.models.layers import (
    POSITION_TABLES_OBSTACLE,
    Dropout,
    PositionTables,
    Transformer,
)
from reg2st.models.pixels import centre_patches


class HisToGeneSettings(NetworkSettings):
    """Published settings of HisToGene."""

    epochs: int = Field(100, gt=0)
    learning_rate: float = Field(1e-5, gt=0)
    patch_px: int = Field(112, gt=0, le=224)
    position_rows: int = Field(
        64, gt=0, description="rows of position tables; doubled until the training sections fit"
    )
    width: int = Field(1024, gt=0)
    blocks: int = Field(8, gt=0)
    heads: int = Field(16, gt=0)
    head_size: int = Field(64, gt=0)
    feedforward_width: int = Field(2048, gt=0)
    dropout: float = Field(0.1, ge=0, lt=1)


class HisToGene(Network):
    """A transformer over flattened and projected patches of a section.

    Shapes at each step, for n spots, a patch of s pixels, width d and G genes::

        patches    [n, 3 s s]   flattened pixels, 0..1
        feature    [n, d]       linear projection + X[x] + Y[y]
        context    [n, d]       pre-norm transformer blocks over the n spots
        expression [n, G]       LayerNorm, linear
    """

    Settings = HisToGeneSettings
    sees_all_spots: ClassVar[bool] = True
    presets: ClassVar = {
        "quick": {
            "epochs": 20,
            "learning_rate": 1e-3,
            "patch_px": 28,
            "width": 512,
            "blocks": 1,
            "heads": 4,
            "head_size": 32,
            "feedforward_width": 256,
            "dropout": 0.0,
        }
    }

    def __init__(self, settings: HisToGeneSettings, sizes: Sizes) -> None:
        super().__init__(settings, sizes)
        width = settings.width
        self.patch_projection = nn.Linear(3 * settings.patch_px**2, width)
        self.positions = PositionTables(settings.position_rows, width)
        self.dropout = Dropout(settings.dropout)
        self.blocks = Transformer(
            settings.blocks,
            width,
            heads=settings.heads,
            head_size=settings.head_size,
            feedforward_width=settings.feedforward_width,
            dropout=settings.dropout,
        )
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, sizes.genes))

    @classmethod
    def inputs(cls, settings: HisToGeneSettings) -> Inputs:
        return Inputs(patches=True)

    @classmethod
    def slide_obstacle(cls, settings: HisToGeneSettings) -> str | None:
        return POSITION_TABLES_OBSTACLE

    def forward(self, section: SectionTensors) -> Tensor:
        patches = centre_patches(section.patches[:], self.settings.patch_px)
        return self.expression(patches, section.array_xy)

    def expression(self, patches: Tensor, array_xy: Tensor) -> Tensor:
        """Predicted expression ``[n, G]``.

        Shapes:
            patches: float ``[n, row, column, channel]``, 0..1.
            array_xy: int64 ``[n, 2]``.
        """
        pixels = patches.transpose(1, 2).flatten(1)  # column slowest, channel fastest
        feature = self.patch_projection(pixels) + self.positions(array_xy)
        feature = self.dropout(feature)
        return self.head(self.blocks(feature))
