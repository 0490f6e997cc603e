"""How far the features of a spot lie from those that a model was trained on.

The distance of a spot combines its whitened scores on the leading principal components of the
training spots with what the components leave over, each relative to training spots: a Mahalanobis
distance for more columns than spots. It is divided by the distance that 1 % of the spots of
training patients exceed who were left out in turn. So 1 means: as far as the farthest 1 % of the
spots of a new patient of the same kind.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reg2st.base.errors import UserError
from reg2st.base.files import written_whole

COMPONENTS = 32
LANDMARKS = 2000
"""Most training spots that the components are fitted on."""

EXCEEDED_BY = 0.01
"""Share of the spots of left-out training patients that are farther than 1."""

SPOTS_AT_A_TIME = 4096


@dataclass(frozen=True)
class TrainingDistance:
    """The features of training spots in brief: d columns, q components.

    Attributes:
        mean, deviation: float32 ``[d]``, of the training spots; a deviation of 0 drops the column.
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
    def fit(
        cls, features: Sequence[NDArray[np.float32]], patients: Sequence[str]
    ) -> "TrainingDistance":
        """Describe the features of training sections.

        Args:
            features: of each section, ``[n, d]``, not standardised within sections.
            patients: of each section. With one patient only, its own spots set the unit.
        """
        some = [_evenly(each, max(LANDMARKS // len(features), 2)) for each in features]
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
            apart.append(_described(np.concatenate(inside))(np.concatenate(outside)))
        whole = _described(np.concatenate(some))
        unit = float(np.quantile(np.concatenate(apart), 1 - EXCEEDED_BY))
        return cls(**{**vars(whole), "unit": unit or 1.0})

    def __call__(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """The distance of each spot, float32 ``[n]``; above 1 is farther than training spots.

        Args:
            features: ``[n, d]``, not standardised within the section.

        Raises:
            UserError: they have another number of columns.
        """
        if features.shape[1] != len(self.mean):
            raise UserError(
                f"The features have {features.shape[1]:,} columns, and the model was trained on "
                f"{len(self.mean):,}; use its own encoders."
            )
        distances = [
            self._squared(features[start : start + SPOTS_AT_A_TIME])
            for start in range(0, len(features), SPOTS_AT_A_TIME)
        ]
        return (np.sqrt(np.concatenate(distances)) / self.unit).astype(np.float32)

    def _squared(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        kept = self.deviation > 0
        standard = np.zeros_like(features)
        np.divide(features - self.mean, self.deviation, out=standard, where=kept)
        scores = standard @ self.directions
        inside = (np.square(scores, dtype=np.float64) / self.variance).mean(axis=1)
        left = np.square(standard, dtype=np.float64).sum(axis=1)
        left -= np.square(scores, dtype=np.float64).sum(axis=1)
        return inside + np.maximum(left, 0) / max(kept.sum(), 1) / self.residual

    def write(self, path: str | os.PathLike) -> None:
        """Write it as safetensors."""
        from safetensors.numpy import save_file

        arrays = {name: np.atleast_1d(value) for name, value in vars(self).items()}
        tensors = {name: np.ascontiguousarray(value, np.float32) for name, value in arrays.items()}
        with written_whole(path) as temporary:
            save_file(tensors, temporary)

    @classmethod
    def read(cls, path: str | os.PathLike) -> "TrainingDistance":
        """What ``write`` wrote."""
        from safetensors.numpy import load_file

        tensors: Mapping[str, NDArray[np.float32]] = load_file(path)
        numbers = {name: float(tensors[name][0]) for name in ("residual", "unit")}
        return cls(**{**tensors, **numbers})


def _described(rows: NDArray[np.float32]) -> TrainingDistance:
    """Training spots ``[m, d]`` in brief, with a unit of 1."""
    from scipy.linalg import eigh

    mean, deviation = rows.mean(axis=0, dtype=np.float64), rows.std(axis=0, dtype=np.float64)
    deviation = np.where(deviation > 1e-6 * np.abs(mean), deviation, 0)
    kept = deviation > 0
    standard = np.zeros(rows.shape)
    np.divide(rows - mean, deviation, out=standard, where=kept)
    spots = len(rows)
    count = min(COMPONENTS, spots - 1, int(kept.sum()))
    gram = standard @ standard.T
    squares, vectors = eigh(gram, subset_by_index=(spots - max(count, 1), spots - 1))
    squares = np.maximum(squares, np.finfo(float).eps * max(squares[-1], 1.0))
    directions = standard.T @ (vectors / np.sqrt(squares))
    left = np.square(standard).sum() - squares.sum()
    residual = max(left / spots / max(kept.sum(), 1), 1e-6)
    return TrainingDistance(
        mean.astype(np.float32),
        deviation.astype(np.float32),
        directions.astype(np.float32),
        (squares / spots).astype(np.float32),
        float(residual),
        1.0,
    )


def _evenly(rows: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """At most ``count`` rows, evenly spaced."""
    return rows[np.unique(np.linspace(0, len(rows) - 1, min(len(rows), count)).astype(int))]
