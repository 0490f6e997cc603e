"""How far a spot of a slide lies from the spots that a model was trained on.

Two things are compared: its features, and the colours of its surroundings, since an encoder may
hardly see another stain. Each has a Mahalanobis distance: whitened scores on the leading principal
components of the training spots, and what the components leave over, relative to training spots.
It is divided by the distance that 1 % of the spots of training patients exceed who were left out in
turn. The larger of the two is the spot's distance, so 1 means: as far as the farthest 1 % of the
spots of a new patient of the same kind.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reg2st.base.files import written_whole

COMPONENTS = 32
LANDMARKS = 2000
"""Most training spots that the components are fitted on."""

EXCEEDED_BY = 0.01
"""Share of the spots of left-out training patients that are farther than 1, without outliers."""

LEAST_SPREAD = 0.1
"""Lower bound of the deviation of a column, as a share of the median one.

A column that hardly varies in training may vary on a new slide and would dominate all others.
"""

SPOTS_AT_A_TIME = 4096
NUMBERS = ("residual", "unit")


@dataclass(frozen=True)
class Whitened:
    """Numbers of training spots in brief: d columns, q components.

    Attributes:
        mean, deviation: float32 ``[d]``, of the training spots; the deviation is above 0.
        directions: float32 ``[d, q]``, orthonormal principal directions of standardised features.
        variance: float32 ``[q]``, of the training spots along them.
        residual: mean square of what the components leave over.
        unit: the distance that is called 1.
    """

    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]
    directions: NDArray[np.float32]
    variance: NDArray[np.float32]
    residual: float
    unit: float

    @classmethod
    def fit(cls, numbers: Sequence[NDArray[np.float32]], patients: Sequence[str]) -> "Whitened":
        """Describe training spots.

        Args:
            numbers: of each section, ``[n, d]``.
            patients: of each section. With one patient only, its own spots set the unit.
        """
        some = [_evenly(each, max(LANDMARKS // len(numbers), 2)) for each in numbers]
        groups = sorted(set(patients))
        apart = []
        for left_out in groups:
            inside = [
                rows
                for rows, patient in zip(some, patients, strict=True)
                if patient != left_out or len(groups) == 1
            ]
            outside = [
                rows for rows, patient in zip(some, patients, strict=True) if patient == left_out
            ]
            apart.append(_described(np.concatenate(inside)).distance(np.concatenate(outside)))
        whole = _described(np.concatenate(some))
        return cls(**{**vars(whole), "unit": _unit(np.concatenate(apart))})

    def distance(self, numbers: NDArray[np.float32]) -> NDArray[np.float32]:
        """Of each spot ``[n, d]``: float32 ``[n]``."""
        squared = [
            self._squared(numbers[start : start + SPOTS_AT_A_TIME])
            for start in range(0, len(numbers), SPOTS_AT_A_TIME)
        ]
        return (np.sqrt(np.concatenate(squared)) / self.unit).astype(np.float32)

    def _squared(self, numbers: NDArray[np.float32]) -> NDArray[np.float64]:
        standard = (numbers - self.mean) / self.deviation
        scores = standard @ self.directions
        inside = (np.square(scores, dtype=np.float64) / self.variance).mean(axis=1)
        left = np.square(standard, dtype=np.float64).sum(axis=1)
        left -= np.square(scores, dtype=np.float64).sum(axis=1)
        return inside + np.maximum(left, 0) / len(self.mean) / self.residual


@dataclass(frozen=True)
class TrainingDistance:
    """The distance of spots from training, by their features and by their colours."""

    features: Whitened
    colours: Whitened

    @classmethod
    def fit(
        cls,
        features: Sequence[NDArray[np.float32]],
        colours: Sequence[NDArray[np.float32]],
        patients: Sequence[str],
    ) -> "TrainingDistance":
        """Describe training sections.

        Args:
            features: of each section, ``[n, d]``, not standardised within sections.
            colours: of each section, ``[n, 3]`` (``sections.colours.spot_colours``).
            patients: of each section.
        """
        return cls(Whitened.fit(features, patients), Whitened.fit(colours, patients))

    def __call__(
        self, features: NDArray[np.float32], colours: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """The distance of each spot, float32 ``[n]``; above 1 is farther than training spots.

        Args:
            features: ``[n, d]``, not standardised within the section.
            colours: ``[n, 3]``.
        """
        return np.maximum(self.features.distance(features), self.colours.distance(colours))

    def write(self, path: str | os.PathLike) -> None:
        """Write it as safetensors."""
        from safetensors.numpy import save_file

        tensors = {
            f"{part}.{name}": np.ascontiguousarray(np.atleast_1d(value), np.float32)
            for part, whitened in vars(self).items()
            for name, value in vars(whitened).items()
        }
        with written_whole(path) as temporary:
            save_file(tensors, temporary)

    @classmethod
    def read(cls, path: str | os.PathLike) -> "TrainingDistance":
        """What ``write`` wrote."""
        from safetensors.numpy import load_file

        parts: dict[str, dict[str, Any]] = {"features": {}, "colours": {}}
        for name, tensor in load_file(path).items():
            part, field = name.split(".")
            parts[part][field] = float(tensor[0]) if field in NUMBERS else tensor
        return cls(**{part: Whitened(**fields) for part, fields in parts.items()})


def _described(rows: NDArray[np.float32]) -> Whitened:
    """Training spots ``[m, d]`` in brief, with a unit of 1."""
    from scipy.linalg import eigh

    mean, deviation = rows.mean(axis=0, dtype=np.float64), rows.std(axis=0, dtype=np.float64)
    varying = deviation[deviation > 0]
    least = LEAST_SPREAD * np.median(varying) if len(varying) else 1.0
    deviation = np.maximum(deviation, least)
    standard = (rows - mean) / deviation
    spots = len(rows)
    count = min(COMPONENTS, spots - 1, len(mean))
    gram = standard @ standard.T
    squares, vectors = eigh(gram, subset_by_index=(spots - max(count, 1), spots - 1))
    squares = np.maximum(squares, np.finfo(float).eps * max(squares[-1], 1.0))
    directions = standard.T @ (vectors / np.sqrt(squares))
    left = np.square(standard).sum() - squares.sum()
    residual = max(left / spots / len(mean), 1e-3)
    return Whitened(
        mean.astype(np.float32),
        deviation.astype(np.float32),
        directions.astype(np.float32),
        (squares / spots).astype(np.float32),
        float(residual),
        1.0,
    )


def _unit(distances: NDArray[np.float64]) -> float:
    """The distance that a share of spots exceeds, by median and spread of its logarithm.

    So a few spots on folds, dust or the edge of a training slide do not set it.
    """
    from scipy.stats import median_abs_deviation, norm

    logs = np.log(np.maximum(distances, np.finfo(np.float32).tiny))
    spread = median_abs_deviation(logs, scale="normal")
    return float(np.exp(np.median(logs) + norm.isf(EXCEEDED_BY) * spread))


def _evenly(rows: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """At most ``count`` rows, evenly spaced."""
    return rows[np.unique(np.linspace(0, len(rows) - 1, min(len(rows), count)).astype(int))]
