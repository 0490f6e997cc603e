"""SPRIG's features of a section: standardised, weighted features of spots and neighbourhoods.

Features are linear in the embedding, so they are projected in chunks and never held for all spots
at once. Memory beyond the embedding grows with spots times components.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from reg2st.models.interface import FeatureBlock, SectionTensors
from reg2st.models.sprig.neighbourhood import CANDIDATES, attention, most_similar, rings
from reg2st.models.sprig.sprig_settings import SprigSettings

LANDMARKS = 3000
"""Maximum number of spots that principal components are fitted on."""

SPOTS_AT_A_TIME = 4096
COLUMNS_AT_A_TIME = 4096

LARGEST_RATIO = 4.0
"""Limit of the ratio of a feature's standard deviations in training and in one section."""

LEAST_VARIANCE = 1e-8
"""Minimum variance of a principal component, as a share of the first one's."""


@dataclass(frozen=True)
class SectionFeatures:
    """Features of one section, ``[n, views * d]``, stored as the inputs of their computation.

    A view is a matrix ``[n, n]`` that averages the embedding over a neighbourhood; None is the
    spot itself. Each column of each view has zero mean over the section. It is divided by its
    standard deviation, then multiplied by the square root of its weight.

    Shapes:
        embedding: float32 ``[n, d]``.
        mean, deviation: float64 ``[views, d]``, of each view's average over the section.
        root_weight: float64 ``[views, d]``.
        divisor: float64 ``[views, d]``, divisor of a centred average; 0 drops the column.
    """

    embedding: NDArray[np.float32]
    views: tuple[csr_array | None, ...]
    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]
    root_weight: NDArray[np.float64]
    divisor: NDArray[np.float64]

    @property
    def scale(self) -> NDArray[np.float64]:
        """Factor of a centred average, ``[views, d]``."""
        zero = np.zeros_like(self.divisor)
        return np.divide(self.root_weight, self.divisor, out=zero, where=self.divisor > 0)

    def scaled_towards(self, deviation: NDArray[np.float64], share: float) -> "SectionFeatures":
        """The same features, scaled between the section's standard deviation and another one.

        Args:
            deviation: the other one, ``[views, d]``; features where it is 0 are dropped.
            share: 0 for the section's, 1 for the other; log-linear between them.
        """
        ratio = np.divide(
            deviation, self.deviation, out=np.zeros_like(deviation), where=self.deviation > 0
        )
        bounded = np.clip(ratio, 1 / LARGEST_RATIO, LARGEST_RATIO) ** share
        divisor = np.where(ratio > 0, self.deviation * bounded, 0)
        return replace(self, divisor=divisor)

    def rows(self, spots: NDArray[np.int64]) -> NDArray[np.float32]:
        """Features of some spots, float32 ``[spots, views * d]``."""
        parts = []
        for view, mean, scale in zip(self.views, self.mean, self.scale, strict=True):
            average = self.embedding[spots] if view is None else view[spots] @ self.embedding
            parts.append(((average - mean) * scale).astype(np.float32))
        return np.concatenate(parts, axis=1)

    def project(self, weight: NDArray[np.floating]) -> NDArray[np.float32]:
        """Features times ``weight [views * d, q]``: float32 ``[n, q]``."""
        n, d = self.embedding.shape
        total = np.zeros((n, weight.shape[1]), dtype=np.float32)
        centre, scale = self.mean[0], self.scale
        for index, view in enumerate(self.views):
            scaled = weight[index * d : (index + 1) * d] * scale[index][:, None]
            offset = ((centre - self.mean[index]) @ scaled).astype(np.float32)
            scaled = scaled.astype(np.float32)
            projected = np.concatenate([chunk @ scaled for chunk in self._centred(centre)])
            total += (projected if view is None else view @ projected) + offset
        return total

    def _centred(self, centre: NDArray[np.float64]) -> Iterator[NDArray[np.float32]]:
        for start in range(0, len(self.embedding), SPOTS_AT_A_TIME):
            chunk = self.embedding[start : start + SPOTS_AT_A_TIME]
            yield (chunk - centre).astype(np.float32)


def section_features(section: SectionTensors, settings: SprigSettings) -> SectionFeatures:
    """Features of a section; its counts are not read."""
    embedding = section.embedding.cpu().numpy()
    n, d = embedding.shape
    columns = column_weights(section.blocks, d, settings.block_weights)
    itself = _described(embedding, (None,), columns[None])
    views: list[csr_array | None] = [None]
    needs_neighbours = len(settings.view_weights) > 1 and n > 1
    if needs_neighbours:
        places = in_array_order(section)
        positions, temperature = _image_positions(itself, places, settings)
        edges = rings(section.edge_index.cpu().numpy(), n, len(settings.ring_weights) - 1)
        kept = [
            ring for ring, weight in zip(edges, settings.ring_weights[1:], strict=True) if weight
        ]
        if settings.dynamic_weight:
            candidates = spread_out(places, CANDIDATES)
            kept.append(most_similar(positions, settings.dynamic_neighbours, candidates))
        views += [attention(each, positions, temperature) for each in kept]
    else:
        views += [None] * (len(settings.view_weights) - 1)
    shares = np.array(settings.view_weights) / sum(settings.view_weights)
    return _described(embedding, tuple(views), shares[:, None] * columns)


def column_weights(
    blocks: tuple[FeatureBlock, ...], d: int, block_weights: dict[str, float]
) -> NDArray[np.float64]:
    """Weight of each column's square, ``[d]``, sum 1.

    A block's weight is divided evenly among its groups, a group's weight among its columns.
    """
    blocks = blocks or (FeatureBlock("embedding", (d,)),)
    weights = np.concatenate(
        [
            np.full(width, block_weights.get(block.encoder, 1.0) / len(block.groups) / width)
            for block in blocks
            for width in block.groups
        ]
    )
    return weights / weights.sum()


def in_array_order(section: SectionTensors) -> NDArray[np.int64]:
    """Indices that sort the spots by their positions."""
    x, y = section.positions.cpu().numpy().T
    return np.lexsort((y, x))


def spread_out(spots: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """At most ``count`` of the spots, evenly spaced in their order."""
    return spots[np.unique(np.linspace(0, len(spots) - 1, min(len(spots), count)).astype(int))]


def principal_components(rows: NDArray[np.float32], count: int) -> NDArray[np.float64]:
    """Leading principal directions ``[p, q]`` of ``rows [m, p]``, orthonormal; q may be 0."""
    from scipy.linalg import eigh

    m, p = rows.shape
    gram = np.zeros((m, m))
    for start in range(0, p, COLUMNS_AT_A_TIME):
        some = rows[:, start : start + COLUMNS_AT_A_TIME].astype(np.float64)
        gram += some @ some.T
    count = min(count, m)
    squares, directions = eigh(gram, subset_by_index=(m - count, m - 1))
    squares, directions = squares[::-1], directions[:, ::-1]
    kept = squares > max(LEAST_VARIANCE * squares[0], np.finfo(float).tiny)
    return rows.T @ (directions[:, kept] / np.sqrt(squares[kept]))


def _image_positions(
    itself: SectionFeatures, places: NDArray[np.int64], settings: SprigSettings
) -> tuple[NDArray[np.float32], float]:
    """Principal components of the spots' features, and the temperature of similarity."""
    landmarks = spread_out(places, LANDMARKS)
    rows = itself.rows(landmarks)
    axes = principal_components(rows, settings.similarity_components)
    positions = itself.project(axes if axes.size else np.zeros((rows.shape[1], 1)))
    some = positions[landmarks].astype(np.float64)
    length = np.square(some).sum(axis=1)
    squared = length[:, None] + length - 2 * some @ some.T
    middle = np.median(squared[~np.eye(len(some), dtype=bool)])
    return positions, max(settings.temperature * middle, np.finfo(np.float32).tiny)


def _described(
    embedding: NDArray[np.float32],
    views: tuple[csr_array | None, ...],
    weights: NDArray[np.float64],
) -> SectionFeatures:
    """Features with the mean and deviation of each column; ``weights`` is ``[views, d]``."""
    n, d = embedding.shape
    centre = embedding.mean(axis=0, dtype=np.float64)
    means, deviations = [], []
    for view in views:
        total, squares = np.zeros(d), np.zeros(d)
        for start in range(0, n, SPOTS_AT_A_TIME):
            some = slice(start, start + SPOTS_AT_A_TIME)
            average = embedding[some] if view is None else view[some] @ embedding
            apart = average - centre
            total += apart.sum(axis=0)
            squares += np.square(apart).sum(axis=0)
        shift = total / n
        deviation = np.sqrt(np.maximum(squares / n - shift**2, 0))
        rounding = 1e-6 * np.abs(centre) + np.finfo(np.float32).tiny
        means.append(centre + shift)
        deviations.append(np.where(deviation > rounding, deviation, 0))
    mean, deviation = np.stack(means), np.stack(deviations)
    return SectionFeatures(embedding, views, mean, deviation, np.sqrt(weights), deviation)


def pooled_deviation(features: list[SectionFeatures]) -> NDArray[np.float64]:
    """Pooled standard deviation of each feature within sections, ``[views, d]``."""
    spots = [len(each.embedding) for each in features]
    return np.sqrt(np.average([each.deviation**2 for each in features], axis=0, weights=spots))
