"""Layers and losses that several networks share.

Shapes use n spots of one section, G genes of the panel, w features; ``...`` stands for
leading axes, where each index is a separate section.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reg2st.models.interface import SectionTensors

ZINB_EPSILON = 1e-10

POSITION_TABLES_OBSTACLE = (
    "its tables of positions know the columns and rows of the training arrays, which a slide "
    "without counts does not have"
)
"""Why networks with ``PositionTables`` cannot predict such a slide."""


class PositionTables(nn.Module):
    """Learned tables of columns and rows, drawn from N(0, 1).

    A position beyond the tables, of a section larger than those of training, gets the last row.

    Args:
        rows: size of each table, until ``hold`` or ``make_room`` enlarges them.
        width: features of a row.

    Shapes: int64 ``[n, 2]`` (column x, row y) to ``[n, width]``, ``X[x] + Y[y]``.
    """

    def __init__(self, rows: int, width: int) -> None:
        super().__init__()
        self.x = nn.Embedding(rows, width)
        self.y = nn.Embedding(rows, width)

    @property
    def rows(self) -> int:
        """Size of each table."""
        return self.x.num_embeddings

    def hold(self, positions: int) -> None:
        """Double the tables until they hold positions 0 to ``positions - 1``: Visium needs 128."""
        rows = self.rows
        while rows < positions:
            rows *= 2
        self.make_room(rows)

    def make_room(self, rows: int) -> None:
        """Draw tables of another size; those of the same size stay as they are."""
        if rows == self.rows:
            return
        for name in ("x", "y"):
            old = getattr(self, name)
            # Drawn on the CPU, so that a seed means the same on every device.
            setattr(self, name, nn.Embedding(rows, old.embedding_dim).to(old.weight.device))

    def columns_and_rows(self, array_xy: Tensor) -> tuple[Tensor, Tensor]:
        """Entries of both tables, each ``[n, width]``."""
        columns, rows = array_xy.clamp(max=self.rows - 1).unbind(dim=1)
        return self.x(columns), self.y(rows)

    def forward(self, array_xy: Tensor) -> Tensor:
        columns, rows = self.columns_and_rows(array_xy)
        return columns + rows


def hold_positions(model: nn.Module, sections: Iterable[SectionTensors]) -> None:
    """Enlarge a model's position tables to its training sections."""
    positions = 1 + max(int(section.array_xy.max()) for section in sections)
    for _, tables in _position_tables(model):
        tables.hold(positions)


def make_room_for_positions(model: nn.Module, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Give a model's position tables the size of saved ones, before those are loaded."""
    for name, tables in _position_tables(model):
        if f"{name}.x.weight" in shapes:
            tables.make_room(shapes[f"{name}.x.weight"][0])


def _position_tables(model: nn.Module) -> list[tuple[str, PositionTables]]:
    modules = model.named_modules()
    return [(name, each) for name, each in modules if isinstance(each, PositionTables)]


class Dropout(nn.Dropout):
    """Dropout with fast draws on the CPU: four draws from each random number.

    PyTorch's own draws take a seventh of a training step there. The share of kept features is a
    multiple of 2^-16, and kept features are divided by exactly that share.
    """

    def forward(self, feature: Tensor) -> Tensor:
        if not self.training or self.p == 0 or not feature.is_cpu:
            return super().forward(feature)
        dropped = round(self.p * 2**16)
        bits = torch.empty((feature.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
        bits = bits.view(torch.int16)[: feature.numel()].view(feature.shape)
        kept = bits.ge(dropped - 2**15).to(feature.dtype)
        return feature * kept.mul_(2**16 / (2**16 - dropped))


class Attention(nn.Module):
    """Scaled dot-product attention of several heads, with dropout of the attention weights.

    On a GPU and outside training PyTorch's fused kernels are used, whose memory grows with
    n + m; training on the CPU with dropout or bias holds ``heads x n x m`` values.

    Shapes:
        query: ``[..., n, heads * size]``.
        key, value: ``[..., m, heads * size]``.
        bias: ``[heads, n, m]``, or ``[b, heads, n, m]`` for b sections, added to the logits, or
            None.
        Returns ``[..., n, heads * size]``.
    """

    def __init__(self, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = Dropout(dropout)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None = None):
        shape = query.shape
        # Fused kernels want four axes: sections, heads, spots, size.
        query, key, value = (
            part.reshape(-1, part.shape[-2], self.heads, shape[-1] // self.heads).transpose(1, 2)
            for part in (query, key, value)
        )
        dropout = self.dropout.p if self.training else 0.0
        if dropout and query.is_cpu:
            logits = query @ (key * key.shape[-1] ** -0.5).transpose(-2, -1)
            logits = logits if bias is None else logits + bias
            attended = self.dropout(logits.softmax(dim=-1)) @ value
        else:
            mask = None if bias is None else bias.reshape(-1, *bias.shape[-3:]).to(query.dtype)
            attended = F.scaled_dot_product_attention(
                query, key, value, attn_mask=mask, dropout_p=dropout
            )
        return attended.transpose(1, 2).reshape(shape)


class SelfAttention(nn.Module):
    """Multi-head attention of all spots of a section to each other.

    Queries, keys and values come from one linear map without bias, in that order; the joined
    heads go through a linear map with bias and dropout (Vaswani et al. 2017, section 3.2).

    Shapes: ``[..., n, width]`` in and out; a bias of the logits as in ``Attention``.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        head_size: int,
        dropout: float,
        attention_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.attention = Attention(heads, attention_dropout)
        self.qkv = nn.Linear(width, 3 * heads * head_size, bias=False)
        self.out = nn.Linear(heads * head_size, width)
        self.dropout = Dropout(dropout)

    def forward(self, feature: Tensor, bias: Tensor | None = None) -> Tensor:
        query, key, value = self.qkv(feature).chunk(3, dim=-1)
        return self.dropout(self.out(self.attention(query, key, value, bias)))


class FeedForward(nn.Sequential):
    """Linear, GELU, dropout, linear, dropout, spot by spot.

    Shapes: ``[..., width]`` in and out.
    """

    def __init__(self, width: int, inner: int, dropout: float) -> None:
        super().__init__(
            nn.Linear(width, inner),
            nn.GELU(),
            Dropout(dropout),
            nn.Linear(inner, width),
            Dropout(dropout),
        )


class TransformerBlock(nn.Module):
    """Pre-norm block: ``v = v + attention(LN(v))``, then ``v = v + feedforward(LN(v))``.

    Shapes: ``[..., n, width]`` in and out; a bias of the logits as in ``Attention``.
    """

    def __init__(
        self,
        width: int,
        *,
        heads: int,
        head_size: int,
        feedforward_width: int,
        dropout: float,
        attention_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = SelfAttention(width, heads, head_size, dropout, attention_dropout)
        self.feedforward_norm = nn.LayerNorm(width)
        self.feedforward = FeedForward(width, feedforward_width, dropout)

    def forward(self, feature: Tensor, bias: Tensor | None = None) -> Tensor:
        feature = feature + self.attention(self.attention_norm(feature), bias)
        return feature + self.feedforward(self.feedforward_norm(feature))


class Transformer(nn.Sequential):
    """Some transformer blocks, one after the other.

    Shapes: ``[..., n, width]`` in and out.
    """

    def __init__(
        self,
        blocks: int,
        width: int,
        *,
        heads: int,
        head_size: int,
        feedforward_width: int,
        dropout: float,
    ) -> None:
        super().__init__(
            *(
                TransformerBlock(
                    width,
                    heads=heads,
                    head_size=head_size,
                    feedforward_width=feedforward_width,
                    dropout=dropout,
                )
                for _ in range(blocks)
            )
        )


class ZINB(NamedTuple):
    """Parameters of a zero-inflated negative binomial, each float32 ``[..., n, G]``.

    ``mean`` is for a spot of median library size, ``dropout`` the probability of an added zero.
    """

    mean: Tensor
    dispersion: Tensor
    dropout: Tensor


class ZINBHead(nn.Module):
    """Parameters of each gene's counts, from a spot's last hidden feature.

    Always computed in float32, also under autocast.

    Shapes: ``[..., n, width]`` to three of ``[..., n, genes]``.
    """

    def __init__(self, width: int, genes: int) -> None:
        super().__init__()
        self.mean = nn.Linear(width, genes)
        self.dispersion = nn.Linear(width, genes)
        self.dropout = nn.Linear(width, genes)

    def forward(self, feature: Tensor) -> ZINB:
        with torch.autocast(feature.device.type, enabled=False):
            feature = feature.float()
            return ZINB(
                mean=self.mean(feature).exp().clamp(1e-5, 1e6),
                dispersion=F.softplus(self.dispersion(feature)).clamp(1e-4, 1e4),
                dropout=self.dropout(feature).sigmoid(),
            )


def zinb_loss(counts: Tensor, size_factor: Tensor, zinb: ZINB) -> Tensor:
    """Negative log likelihood of counts, averaged over spots and genes.

    With mu the mean times the spot's size factor, theta the dispersion and pi the dropout, a
    count c > 0 has probability ``(1 - pi) NB(c; mu, theta)`` and a zero
    ``pi + (1 - pi) (theta / (theta + mu))^theta`` (Eraslan et al. 2019). Always
    computed in float32. Most counts are zeros, so the log-gammas are computed for the others
    only.

    Shapes:
        counts: ``[n, G]``.
        size_factor: ``[n]``.
        zinb: three of ``[n, G]``.
        Returns a scalar.
    """
    mean = zinb.mean.float() * size_factor.float().unsqueeze(-1)
    theta, pi = zinb.dispersion.float(), zinb.dropout.float()
    eps = ZINB_EPSILON
    no_count = torch.exp(theta * torch.log(theta / (theta + mean + eps)))
    zero = -torch.log(pi + (1 - pi) * no_count + eps)
    seen = counts > 0
    index = seen.flatten().nonzero().squeeze(1)
    c, mu, theta, pi = (
        values.flatten().index_select(0, index) for values in (counts.float(), mean, theta, pi)
    )
    negative_binomial = (
        torch.lgamma(theta + eps)
        + torch.lgamma(c + 1)
        - torch.lgamma(c + theta + eps)
        + (theta + c) * torch.log1p(mu / (theta + eps))
        + c * (torch.log(theta + eps) - torch.log(mu + eps))
    )
    positive = negative_binomial - torch.log(1 - pi + eps)
    return (zero.masked_fill(seen, 0).sum() + positive.sum()) / counts.numel()
