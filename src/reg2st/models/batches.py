"""Batches of spots drawn from several sections."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from reg2st.models.interface import SectionTensors, Tiles


@dataclass(frozen=True)
class Spots:
    """Some spots of some sections, b of them: one batch.

    Attributes:
        sections: the sections that they are of, whole.
        rows: for each section the spots that belong to the batch, int64 ``[b_s]``.
    """

    sections: tuple[SectionTensors, ...]
    rows: tuple[Tensor, ...]

    @classmethod
    def whole(cls, section: SectionTensors) -> "Spots":
        """All spots of one section."""
        return cls((section,), (torch.arange(section.n_spots),))

    @property
    def name(self) -> str:
        return ", ".join(section.name for section in self.sections)

    def gathered(self, part: str) -> Tensor:
        """A part of the sections, such as ``patches``, of the batch's spots alone: ``[b, ...]``."""
        pairs = zip(self.sections, self.rows, strict=True)
        return torch.cat([getattr(section, part)[rows] for section, rows in pairs])

    def tiles(self, name: str) -> Tiles:
        """The tiles of the batch's spots alone."""
        grids = [section.tiles[name] for section in self.sections]
        pairs = list(zip(grids, self.rows, strict=True))
        return Tiles(
            torch.cat([grid.embedding[rows] for grid, rows in pairs]),
            torch.cat([grid.on_slide[rows] for grid, rows in pairs]),
        )

    def neighbours(self, part: str) -> tuple[Tensor, Tensor]:
        """A part of the sections, of all graph neighbours of the batch's spots.

        Shapes: ``[e, ...]``, and for each the spot of the batch that it is a neighbour of,
        int64 ``[e]``.
        """
        parts, of_spot, before = [], [], 0
        for section, rows in zip(self.sections, self.rows, strict=True):
            neighbour, spot = section.edge_index
            place = torch.full((section.n_spots,), -1, device=spot.device)
            place[rows] = torch.arange(before, before + len(rows), device=spot.device)
            kept = place[spot] >= 0
            parts.append(getattr(section, part)[neighbour[kept]])
            of_spot.append(place[spot[kept]])
            before += len(rows)
        return torch.cat(parts), torch.cat(of_spot)


def mixed_batches(
    sections: list[SectionTensors], size: int, generator: torch.Generator, *, keep_last: bool = True
) -> Iterator[Spots]:
    """Batches of ``size`` spots, drawn without replacement from all sections together.

    Args:
        sections: the training sections.
        size: spots of a batch.
        generator: decides the order of the spots.
        keep_last: whether a last, smaller batch counts. If it is the only one, it always does.
    """
    spots = torch.tensor([section.n_spots for section in sections])
    of_section = torch.arange(len(sections)).repeat_interleave(spots)
    first = spots.cumsum(0) - spots
    drawn = torch.randperm(int(spots.sum()), generator=generator).split(size)
    for chosen in drawn[: number_of_batches(sections, size, keep_last=keep_last)]:
        present = of_section[chosen].unique().tolist()
        yield Spots(
            tuple(sections[index] for index in present),
            tuple(chosen[of_section[chosen] == index] - first[index] for index in present),
        )


def number_of_batches(sections: list[SectionTensors], size: int, *, keep_last: bool = True) -> int:
    """How many batches ``mixed_batches`` gives."""
    spots = sum(section.n_spots for section in sections)
    whole, rest = divmod(spots, size)
    return max(1, whole + (keep_last and rest > 0))
