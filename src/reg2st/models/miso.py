"""MISO: spots attend to their nearest neighbours; the loss is a cosine over each gene.

Schmauch et al.: A deep learning-based multiscale integration of spatial omics with tumor
morphology. Nature Communications 2025.
"""

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from reg2st.models.interface import Inputs, Network, NetworkSettings, SectionTensors, Sizes


class MISOSettings(NetworkSettings):
    """Published settings of MISO for HER2+."""

    epochs: int = Field(5, gt=0)
    learning_rate: float = Field(1e-4, gt=0)
    graph: str = "nearest_2"
    target: Literal["counts", "expression"] = "counts"
    width: int = Field(2048, gt=0, description="D, features of a spot")
    inner: int = Field(1024, gt=0, description="d, all heads together")
    heads: int = Field(64, gt=0)
    blocks: int = Field(1, gt=0)

    @model_validator(mode="after")
    def _heads_divide_inner(self) -> "MISOSettings":
        if self.inner % self.heads:
            raise ValueError(f"inner ({self.inner}) must be a multiple of heads ({self.heads})")
        return self


class NeighbourAttention(nn.Module):
    """Multi-head attention of each spot to itself and its neighbours.

    Shapes:
        feature: ``[n, width]``.
        edge_index: int64 ``[2, e]``, from a neighbour to the spot; self loops included.
        Returns ``[n, width]``.
    """

    def __init__(self, width: int, inner: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * inner)
        self.out = nn.Linear(inner, width, bias=False)

    def forward(self, feature: Tensor, edge_index: Tensor) -> Tensor:
        neighbour, spot = edge_index
        query, key, value = self.qkv(feature).unflatten(-1, (3, self.heads, -1)).unbind(dim=1)
        weight = self.weights(query[spot], key[neighbour], spot)  # [e, heads]
        message = weight.unsqueeze(-1) * value[neighbour]  # [e, heads, inner / heads]
        attended = torch.zeros_like(value).index_add(0, spot, message.to(value.dtype))
        return self.out(attended.flatten(1))

    def weights(self, query: Tensor, key: Tensor, spot: Tensor) -> Tensor:
        """Softmax over the edges of each spot: ``[e, heads, size]`` twice to ``[e, heads]``."""
        # PyTorch Geometric takes five seconds to import: settings and inputs do without it.
        from torch_geometric.utils import softmax

        logits = (query * key).sum(dim=-1) * query.shape[-1] ** -0.5
        return softmax(logits, spot)


class Block(nn.Module):
    """Attention to the neighbours, then one linear layer, each after a norm, with a residual.

    Shapes: ``[n, width]`` in and out.
    """

    def __init__(self, width: int, inner: int, heads: int) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = NeighbourAttention(width, inner, heads)
        self.linear_norm = nn.LayerNorm(width)
        self.linear = nn.Linear(width, width)

    def forward(self, feature: Tensor, edge_index: Tensor) -> Tensor:
        feature = feature + self.attention(self.attention_norm(feature), edge_index)
        return feature + self.linear(self.linear_norm(feature))


class MISO(Network):
    """A spot's embedding in the light of its two nearest neighbours.

    Shapes at each step, for n spots, e features of an embedding, width D and G genes::

        embedding   [n, e]
        feature     [n, D]   linear
        feature     [n, D]   blocks of attention to itself and the graph's neighbours
        raw         [n, G]   linear, in arbitrary units a gene
        expression  [n, G]   ReLU, times a factor a gene that is fitted after training
    """

    Settings = MISOSettings
    presets: ClassVar = {
        "quick": {
            "epochs": 30,
            "learning_rate": 1e-3,
            "target": "expression",
            "width": 256,
            "inner": 128,
            "heads": 8,
        }
    }

    def __init__(self, settings: MISOSettings, sizes: Sizes) -> None:
        super().__init__(settings, sizes)
        self.embedding = nn.Linear(sizes.features, settings.width)
        self.blocks = nn.ModuleList(
            Block(settings.width, settings.inner, settings.heads) for _ in range(settings.blocks)
        )
        self.head = nn.Linear(settings.width, sizes.genes)
        self.register_buffer("factor", torch.ones(sizes.genes))

    @classmethod
    def inputs(cls, settings: MISOSettings) -> Inputs:
        return Inputs(embedding=True, graph=settings.graph)

    def losses(self, section: SectionTensors) -> dict[str, Tensor]:
        counts = self.settings.target == "counts"
        target = section.counts if counts else section.expression
        return {"cosine": cosine_loss(self.raw(section), target)}

    def forward(self, section: SectionTensors) -> Tensor:
        return F.relu(self.raw(section)) * self.factor

    def raw(self, section: SectionTensors) -> Tensor:
        """The output before ReLU and factor, ``[n, G]``."""
        own = torch.arange(section.n_spots, device=section.edge_index.device).expand(2, -1)
        edge_index = torch.cat([own, section.edge_index], dim=1)
        feature = self.embedding(section.embedding)
        for block in self.blocks:
            feature = block(feature, edge_index)
        return self.head(feature)

    def finish(self, sections: list[SectionTensors]) -> None:
        """Give each gene's output the scale that the loss leaves open, by least squares."""
        products, squares = torch.zeros(2, self.sizes.genes, dtype=torch.float64)
        for section in sections:
            output = F.relu(self.raw(section)).double().cpu()
            products += (output * section.expression.double().cpu()).sum(dim=0)
            squares += output.square().sum(dim=0)
        factor = products / squares
        self.factor.copy_(torch.where(factor > 0, factor, 1))  # NaN where the output is 0


def cosine_loss(raw: Tensor, target: Tensor) -> Tensor:
    """Mean over genes of one minus the cosine over the spots: ``[n, G]`` twice to a scalar.

    The cosine is not centred. A gene without counts adds 1 and no gradient.
    """
    return (1 - F.cosine_similarity(raw.float(), target, dim=0, eps=1e-8)).mean()
