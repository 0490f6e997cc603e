"""Colour, texture and nuclei statistics of a patch: an encoder without a network.

Stains are separated by Ruifrok and Johnston's colour deconvolution (2001); nuclei are the
regions of strong haematoxylin, told apart by a watershed. The threshold between nucleus and
background is Otsu's over all patches of a section, so it follows the section's staining.
"""

import dataclasses
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from reg2st.encoders.encoder import Encoder, LoadedEncoder

if TYPE_CHECKING:
    from torch import Tensor

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
BAND_SCALES_PX = (1, 2, 4, 8, 16)
BACKGROUND_GREY = 215
FAINTEST_TRANSMISSION = 1e-3

SMOOTHING_PX = 1.5
SEED_SMOOTHING_PX = 2.5
SEED_DISTANCE_PX = 4
NUCLEUS_AREA_PX = (25, 2500)
FEWEST_NUCLEI = 3
CENTRE_RADIUS = 0.3
"""As a share of the patch's side: about the spot itself at the paper's 224 px."""

AREA_CLASSES_PX = (64, 128, 256)
STAIN_CLASSES = (1.25, 1.6)
"""Of a nucleus's mean haematoxylin, as multiples of the threshold."""

NUCLEUS_PROPERTIES = (
    "log_area",
    "haematoxylin",
    "haematoxylin_sd",
    "eosin",
    "eccentricity",
    "nearest",
    "third_nearest",
)
NUCLEI_QUANTILES = (0.1, 0.5, 0.9)

PIXEL_CHANNELS = ("haematoxylin", "eosin", "saturation", "red", "green", "blue")
PIXEL_NAMES = (
    *(
        f"{channel}_{statistic}"
        for channel in PIXEL_CHANNELS
        for statistic in ("mean", "sd", *(f"q{q:g}" for q in QUANTILES))
    ),
    "stain_correlation",
    "background",
    "gradient",
    "coherence",
    *(f"band_{scale}" for scale in BAND_SCALES_PX),
)
NUCLEI_NAMES = (
    "nuclei_log_count",
    "nuclei_cover",
    "nuclei_alignment",
    *(
        f"nuclei_{name}_{statistic}"
        for name in NUCLEUS_PROPERTIES
        for statistic in ("mean", "sd", *(f"q{q:g}" for q in NUCLEI_QUANTILES))
    ),
    *(
        f"nuclei_class_{area}_{stain}"
        for area in range(len(AREA_CLASSES_PX) + 1)
        for stain in range(len(STAIN_CLASSES) + 1)
    ),
    "centre_log_count",
    "centre_cover",
    "centre_alignment",
    *(f"centre_{name}_{statistic}" for name in NUCLEUS_PROPERTIES for statistic in ("mean", "sd")),
)
FEATURE_NAMES = (*PIXEL_NAMES, *NUCLEI_NAMES)


@dataclasses.dataclass(frozen=True)
class TissueStatistics(Encoder):
    """Statistics named in ``FEATURE_NAMES``, of the patch as it is."""

    name: str = "tissue_statistics"
    weights: None = None
    size_px: None = None
    mean: None = None
    std: None = None
    precision: str = "float32"
    pooling: str = "statistics of pixels and nuclei"
    features: int = len(FEATURE_NAMES)

    def fetch(self, out: str | os.PathLike, lock: str | os.PathLike) -> None:
        raise ValueError(f"{self.name} has no weights")

    def load(self, weights: str | os.PathLike | None = None) -> "LoadedStatistics":
        from reg2st import __version__

        return LoadedStatistics(self, revision=__version__, sha256="")


@dataclasses.dataclass(frozen=True)
class LoadedStatistics(LoadedEncoder):
    """The statistics, with a section's threshold of haematoxylin once it is known."""

    threshold: float | None = None

    def for_section(self, images: Sequence[np.ndarray]) -> "LoadedStatistics":
        sample = np.stack([image[::3, ::3] for image in images])
        return dataclasses.replace(self, threshold=_threshold(stains(sample)[..., 0]))

    def __call__(self, images: "Tensor") -> "Tensor":
        import torch

        patches = images.cpu().numpy()
        loaded = self if self.threshold is not None else self.for_section(patches)
        rows = [patch_statistics(patch, loaded.threshold) for patch in patches]
        return torch.from_numpy(np.stack(rows)).to(images.device)

    def complete(self, features: np.ndarray) -> np.ndarray:
        """Statistics of nuclei where a patch has too few: the section's median."""
        known = np.isfinite(features)
        middle = np.array(
            [
                np.median(column[finite]) if finite.any() else 0
                for column, finite in zip(features.T, known.T, strict=True)
            ],
            dtype=features.dtype,
        )
        return np.where(known, features, middle)


def stains(images: np.ndarray) -> np.ndarray:
    """Haematoxylin and eosin, float32 ``[..., 2]``, of uint8 RGB ``[..., 3]``."""
    from skimage.color import hed_from_rgb

    transmission = np.maximum(images.astype(np.float32) / 255, FAINTEST_TRANSMISSION)
    return -np.log(transmission) @ hed_from_rgb[:, :2].astype(np.float32)


def _threshold(haematoxylin: np.ndarray) -> float:
    """Half-way between the means of Otsu's two classes, which is where his criterion peaks.

    Where the classes lie apart the criterion is flat between them, and the half-way point is
    the one that keeps the outlines of nuclei in place.
    """
    from skimage.filters import threshold_otsu

    split = float(threshold_otsu(haematoxylin))
    stained = haematoxylin > split
    if not stained.any():
        return split
    return float(haematoxylin[stained].mean() + haematoxylin[~stained].mean()) / 2


def patch_statistics(patch: np.ndarray, threshold: float) -> np.ndarray:
    """Statistics of uint8 RGB ``[h, w, 3]``: float32 ``[len(FEATURE_NAMES)]``.

    NaN where a patch has too few nuclei for a statistic of them.
    """
    haematoxylin, eosin = np.moveaxis(stains(patch), -1, 0)
    return np.concatenate(
        [
            _pixel_statistics(patch, haematoxylin, eosin),
            _nuclei_statistics(haematoxylin, eosin, threshold),
        ]
    ).astype(np.float32)


def _pixel_statistics(patch: np.ndarray, haematoxylin: np.ndarray, eosin: np.ndarray) -> np.ndarray:
    from scipy.ndimage import gaussian_filter, sobel

    rgb = patch.astype(np.float32)
    grey = rgb.mean(axis=2)
    brightest = rgb.max(axis=2)
    saturation = (brightest - rgb.min(axis=2)) / np.maximum(brightest, 1)
    channels = np.stack([haematoxylin, eosin, saturation, *np.moveaxis(rgb, 2, 0)]).reshape(6, -1)
    spread = np.vstack(
        [channels.mean(axis=1), channels.std(axis=1), np.quantile(channels, QUANTILES, axis=1)]
    )
    covariance = np.mean((haematoxylin - haematoxylin.mean()) * (eosin - eosin.mean()))
    down, across = sobel(grey, axis=0), sobel(grey, axis=1)
    tensor = np.array(
        [np.mean(down**2 - across**2), np.mean(2 * down * across), np.mean(down**2 + across**2)]
    )
    bands = []
    finer = haematoxylin
    for scale in BAND_SCALES_PX:
        coarser = gaussian_filter(haematoxylin, scale)
        bands.append(np.log(np.abs(finer - coarser).mean() + 1e-6))
        finer = coarser
    return np.array(
        [
            *spread.T.ravel(),
            covariance / max(haematoxylin.std() * eosin.std(), 1e-6),
            np.mean(grey > BACKGROUND_GREY),
            np.hypot(down, across).mean(),
            np.hypot(tensor[0], tensor[1]) / max(tensor[2], 1e-6),
            *bands,
        ]
    )


def _nuclei_statistics(haematoxylin: np.ndarray, eosin: np.ndarray, threshold: float) -> np.ndarray:
    height, width = haematoxylin.shape
    nuclei = _nuclei(haematoxylin, eosin, threshold)
    relative = nuclei["haematoxylin"] / threshold
    classes = np.zeros((len(AREA_CLASSES_PX) + 1, len(STAIN_CLASSES) + 1))
    np.add.at(
        classes,
        (np.digitize(nuclei["area"], AREA_CLASSES_PX), np.digitize(relative, STAIN_CLASSES)),
        1,
    )
    radius = CENTRE_RADIUS * width
    central = np.hypot(nuclei["x"] - (width - 1) / 2, nuclei["y"] - (height - 1) / 2) < radius
    centre = {name: values[central] for name, values in nuclei.items()}
    return np.concatenate(
        [
            _arrangement(nuclei, height * width),
            _distribution(nuclei, NUCLEI_QUANTILES),
            np.log1p(classes).ravel(),
            _arrangement(centre, np.pi * radius**2),
            _distribution(centre, ()),
        ]
    )


def _nuclei(haematoxylin: np.ndarray, eosin: np.ndarray, threshold: float) -> dict[str, np.ndarray]:
    """Each property of the patch's nuclei, ``[number of nuclei]``."""
    from scipy.ndimage import gaussian_filter
    from scipy.spatial import cKDTree
    from skimage.feature import peak_local_max
    from skimage.segmentation import watershed

    mask = gaussian_filter(haematoxylin, SMOOTHING_PX) > threshold
    relief = gaussian_filter(haematoxylin, SEED_SMOOTHING_PX)
    seeds = peak_local_max(
        np.where(mask, relief, 0), min_distance=SEED_DISTANCE_PX, exclude_border=False
    )
    markers = np.zeros(mask.shape, dtype=np.int32)
    markers[tuple(seeds.T)] = np.arange(1, len(seeds) + 1)
    label = watershed(-relief, markers, mask=mask)

    rows, columns = np.nonzero(label)
    belongs = label[rows, columns]

    def total(values: np.ndarray | None = None) -> np.ndarray:
        return np.bincount(belongs, values, minlength=len(seeds) + 1)[1:]

    area = total().astype(float)
    pixels = np.maximum(area, 1)
    x, y = total(columns) / pixels, total(rows) / pixels
    across, down = columns - x[belongs - 1], rows - y[belongs - 1]
    xx, yy, xy = (total(v) / pixels for v in (across**2, down**2, across * down))
    elongation = np.sqrt((xx - yy) ** 2 + 4 * xy**2)
    major = np.maximum((xx + yy + elongation) / 2, 1e-6)
    stain = haematoxylin[rows, columns]
    mean = total(stain) / pixels
    smallest, largest = NUCLEUS_AREA_PX
    kept = (area >= smallest) & (area < largest)
    nuclei = {
        "x": x,
        "y": y,
        "area": area,
        "log_area": np.log(pixels),
        "haematoxylin": mean,
        "haematoxylin_sd": np.sqrt(np.maximum(total(stain**2) / pixels - mean**2, 0)),
        "eosin": total(eosin[rows, columns]) / pixels,
        "eccentricity": np.sqrt(np.clip(elongation / major, 0, 1)),
        "angle": np.arctan2(2 * xy, xx - yy) / 2,
    }
    nuclei = {name: values[kept] for name, values in nuclei.items()}
    distances = np.full((len(nuclei["x"]), FEWEST_NUCLEI), np.nan)
    if len(distances) > FEWEST_NUCLEI:
        centres = np.column_stack([nuclei["x"], nuclei["y"]])
        distances = cKDTree(centres).query(centres, k=FEWEST_NUCLEI + 1)[0][:, 1:]
    return nuclei | {"nearest": distances[:, 0], "third_nearest": distances[:, 2]}


def _arrangement(nuclei: dict[str, np.ndarray], area_px: float) -> list[float]:
    """Logarithm of the count, share of the area covered, agreement of the long axes."""
    weight, angle = nuclei["eccentricity"], 2 * nuclei["angle"]
    count = len(weight)
    alignment = np.nan
    if count >= FEWEST_NUCLEI:
        pull = np.hypot(np.sum(weight * np.cos(angle)), np.sum(weight * np.sin(angle)))
        alignment = pull / max(weight.sum(), 1e-6)
    return [np.log1p(count), nuclei["area"].sum() / area_px, alignment]


def _distribution(nuclei: dict[str, np.ndarray], quantiles: tuple[float, ...]) -> np.ndarray:
    """Mean, standard deviation and quantiles of each property; NaN with too few nuclei."""
    values = np.stack([nuclei[name] for name in NUCLEUS_PROPERTIES])
    if values.shape[1] < FEWEST_NUCLEI:
        return np.full(len(NUCLEUS_PROPERTIES) * (2 + len(quantiles)), np.nan)
    statistics = [values.mean(axis=1), values.std(axis=1)]
    if quantiles:
        statistics.extend(np.quantile(values, quantiles, axis=1))
    return np.stack(statistics, axis=1).ravel()
