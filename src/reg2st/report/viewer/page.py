"""What a page shows of one slide."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

LEAST_TRUSTED_PCC = 0.1
"""Genes whose PCC is lower, or undefined, are greyed out."""


@dataclass(frozen=True)
class Layer:
    """One value of every spot and gene.

    Attributes:
        name: in addresses.
        label: for readers.
        kind: of what it is; a spread is the predictive standard deviation of the layer ``of``.
        unit: of its values.
        read: genes to float32 ``[n, genes]``, NaN where a value is missing.
        of: the layer that a spread belongs to; empty for expression.
    """

    name: str
    label: str
    kind: Literal["expression", "spread"]
    unit: str
    read: Callable[[Sequence[str]], NDArray[np.float32]]
    of: str = ""


@dataclass(frozen=True, kw_only=True)
class Page:
    """One slide with n spots, and what is known of them.

    Attributes:
        name: of the section or slide.
        facts: what the head of the page says, such as dataset and patient, by name.
        image: the slide.
        barcodes: str ``[n]``.
        pixel_xy: float64 ``[n, 2]``, spot centres, px of level 0.
        um_per_px: micrometres a pixel of level 0, None where unknown.
        spot_px: diameter of a spot, or side of a bin, px of level 0.
        pitch_px: distance of neighbouring spots, px of level 0.
        square: whether spots are square bins, not discs.
        genes: G names, those that matter most first where there are no scores.
        layers: values of every spot and gene.
        score_label: what the scores are.
        scores: float ``[G]`` by the name of the layer that they judge, NaN where undefined.
        reference: the layer that a reader sees first; empty without predictions.
        labels: region of each spot, str ``[n]``, empty for none; None where nobody labelled.
        distance: how far the features of each spot lie from those of the training, float
            ``[n]``: above 1 the model extrapolates. None where unknown.
        summary: one line for the list of pages: a score, or what to beware of.
        provenance: where the numbers come from: name and value.
        commits: versions of the workflow that made the predictions.
        warnings: sentences on what is doubtful.
    """

    name: str
    facts: Mapping[str, str]
    image: Path
    barcodes: NDArray[np.str_]
    pixel_xy: NDArray[np.float64]
    um_per_px: float | None
    spot_px: float
    pitch_px: float
    square: bool
    genes: Sequence[str]
    layers: Sequence[Layer]
    score_label: str = "PCC"
    scores: Mapping[str, NDArray[np.floating]] = field(default_factory=dict)
    reference: str = ""
    labels: NDArray[np.str_] | None = None
    distance: NDArray[np.floating] | None = None
    summary: str = ""
    provenance: Sequence[tuple[str, str]] = ()
    commits: Sequence[str] = ()
    warnings: Sequence[str] = ()


LONE_SPOT_PX = 100.0
"""Width of the spots of a section whose pitch and diameter are unknown."""


def spot_sizes_px(diameter: float | None, pitch: float | None) -> tuple[float, float, bool]:
    """Diameter and pitch of spots in px, each by the other where unknown; whether they are squares.

    Spots without gaps are square bins.
    """
    known = diameter if diameter and np.isfinite(diameter) else None
    distance = pitch or known or LONE_SPOT_PX
    size = known or distance / 2
    return size, distance, size >= 0.99 * distance


def best_genes(genes: Sequence[str], scores: NDArray[np.floating] | None, most: int) -> list[str]:
    """At most ``most`` of the genes, those with the highest scores, in their order."""
    if len(genes) <= most:
        return list(genes)
    if scores is None:
        return list(genes[:most])
    ranked = np.argsort(-np.nan_to_num(scores, nan=-np.inf), kind="stable")
    return [genes[place] for place in np.sort(ranked[:most])]
