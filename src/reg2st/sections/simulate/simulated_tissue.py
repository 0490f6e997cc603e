"""A simulated tissue: smooth fields over the section, and the regions that they define.

Positions are in units of the section's width, 0 to 1. All sections of a patient share their
fields; each is deformed a little, as serial sections differ.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

REGIONS = ("invasive cancer", "connective tissue", "adipose tissue", "immune infiltrate")


@dataclass(frozen=True)
class SmoothField:
    """A random smooth function of position, a sum of waves; mean about 0, variance about 1."""

    waves: NDArray[np.float64]
    phases: NDArray[np.float64]

    @classmethod
    def draw(cls, rng: np.random.Generator, roughness: float, terms: int = 12) -> "SmoothField":
        """A field that varies over about 1/roughness of the section's width."""
        return cls(
            rng.normal(0, 2 * np.pi * roughness, size=(terms, 2)),
            rng.uniform(0, 2 * np.pi, size=terms),
        )

    def __call__(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values at positions ``[..., 2]``."""
        total = np.zeros(xy.shape[:-1])
        for (along_x, along_y), phase in zip(self.waves, self.phases, strict=True):
            total += np.cos(along_x * xy[..., 0] + along_y * xy[..., 1] + phase)
        return total * np.sqrt(2 / len(self.phases))


@dataclass(frozen=True)
class Tissue:
    """One section: outline, regions, cellularity and eosin, each a function of the position."""

    bend: tuple[SmoothField, SmoothField]
    outline: SmoothField
    regions: tuple[SmoothField, ...]
    cellularity_field: SmoothField
    eosin_field: SmoothField
    bending: float

    @classmethod
    def draw(cls, patient_rng: np.random.Generator, section_rng: np.random.Generator) -> "Tissue":
        """A patient's fields, with the deformation of one section."""
        outline = SmoothField.draw(patient_rng, 0.6)
        regions = tuple(SmoothField.draw(patient_rng, 1.2) for _ in REGIONS)
        cellularity, eosin = (SmoothField.draw(patient_rng, 0.7) for _ in range(2))
        bend = (SmoothField.draw(section_rng, 0.5), SmoothField.draw(section_rng, 0.5))
        return cls(bend, outline, regions, cellularity, eosin, bending=0.05)

    def _bent(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        offsets = np.stack([field(xy) for field in self.bend], axis=-1)
        return xy + self.bending * offsets

    def inside(self, xy: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether positions are tissue rather than glass."""
        radius = np.linalg.norm(xy - 0.5, axis=-1)
        return radius < 0.44 + 0.035 * self.outline(self._bent(xy))

    def region(self, xy: NDArray[np.float64]) -> NDArray[np.int64]:
        """Index into ``REGIONS``."""
        places = self._bent(xy)
        return np.argmax([field(places) for field in self.regions], axis=0)

    def cellularity(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """Density of nuclei relative to the region; about zero mean and unit variance."""
        return self.cellularity_field(self._bent(xy))

    def eosin(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """Amount of eosin relative to the region; about zero mean and unit variance."""
        return self.eosin_field(self._bent(xy))
