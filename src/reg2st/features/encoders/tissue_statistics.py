"""Colour, texture and nuclei statistics of a patch: an encoder without a network.

Stains are separated by Ruifrok and Johnston's colour deconvolution (2001); nuclei are the
regions of strong haematoxylin, separated by a watershed. What counts as stained, large, dark or
round is taken from the section's own patches, so the statistics follow its staining.
"""

import dataclasses
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from reg2st.features.encoders.encoder import Encoder, LoadedEncoder

if TYPE_CHECKING:
    from torch import Tensor

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
BAND_SCALES_PX = (1, 2, 4, 8, 16)
BACKGROUND_GREY = 215
FAINTEST_TRANSMISSION = 1e-3

SMOOTHING_UM = 1.0
SEED_SMOOTHING_UM = 1.7
SEED_DISTANCE_UM = 2.8
NUCLEUS_AREA_UM2 = (12, 1200)
FEWEST_NUCLEI = 3
CENTRE_RADIUS = 0.3
"""As a share of the patch's side: about the spot itself in the paper's 224 px."""

PATCHES_SAMPLED = 64
"""Patches from which the usual values of a section are taken."""

NUCLEUS_PROPERTIES = (
    "log_area",
    "haematoxylin",
    "haematoxylin_sd",
    "eosin",
    "grey",
    "eccentricity",
)
USUAL_QUANTILES = (0.1, 0.25, 0.75, 0.9)
TERTILES = (1 / 3, 2 / 3)

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
    "log_count",
    "cover",
    "alignment",
    "scatter",
    *(
        f"{name}_{statistic}"
        for name in NUCLEUS_PROPERTIES
        for statistic in ("mean", "sd", *(f"below_q{q:g}" for q in USUAL_QUANTILES))
    ),
    *(f"size_{size}_stain_{stain}" for size in range(3) for stain in range(3)),
    "small_dark_round",
    "large_pale",
    "elongated",
)
POOLS = ("nuclei", "centre")
FEATURE_NAMES = (*PIXEL_NAMES, *(f"{pool}_{name}" for pool in POOLS for name in NUCLEI_NAMES))


@dataclasses.dataclass(frozen=True)
class TissueStatistics(Encoder):
    """Statistics named in ``FEATURE_NAMES``, of the patch without resampling."""

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
class Usual:
    """Usual values of a section.

    Attributes:
        um_per_px: micrometres a pixel of the patches.
        threshold: haematoxylin above which a pixel belongs to a nucleus.
        quantiles: of each property of its nuclei, at ``USUAL_QUANTILES``.
        tertiles: the same at ``TERTILES``.
        medians: the same at 1/2.
    """

    um_per_px: float
    threshold: float
    quantiles: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    tertiles: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    medians: dict[str, float] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(cls, images: Sequence[np.ndarray], um_per_px: float) -> "Usual":
        """Usual values from ``PATCHES_SAMPLED`` evenly spaced patches of a section."""
        some = np.unique(np.linspace(0, len(images) - 1, min(len(images), PATCHES_SAMPLED)))
        patches = [images[int(index)] for index in some]
        unknown = cls(um_per_px, _threshold(patches, um_per_px))
        found = [_nuclei(patch, stains(patch), unknown) for patch in patches]
        properties = {
            name: np.concatenate([each[name] for each in found]) for name in NUCLEUS_PROPERTIES
        }
        if not len(properties["log_area"]):
            properties = dict.fromkeys(NUCLEUS_PROPERTIES, np.zeros(1))

        def quantiles(at: tuple[float, ...] | float) -> dict[str, np.ndarray]:
            return {name: np.quantile(values, at) for name, values in properties.items()}

        return dataclasses.replace(
            unknown,
            quantiles=quantiles(USUAL_QUANTILES),
            tertiles=quantiles(TERTILES),
            medians=quantiles(0.5),
        )


@dataclasses.dataclass(frozen=True)
class LoadedStatistics(LoadedEncoder):
    """The statistics, ready to run once ``for_section`` has set the usual values."""

    without_network: ClassVar[bool] = True

    usual: Usual | None = None

    @property
    def groups(self) -> tuple[int, ...]:
        return (len(PIXEL_NAMES), *[len(NUCLEI_NAMES)] * len(POOLS))

    def for_section(self, images: Sequence[np.ndarray], um_per_px: float) -> "LoadedStatistics":
        return dataclasses.replace(self, usual=Usual.of(images, um_per_px))

    def __call__(self, images: "Tensor") -> "Tensor":
        import torch

        patches = images.cpu().numpy()
        rows = [patch_statistics(patch, self.usual) for patch in patches]
        return torch.from_numpy(np.stack(rows)).to(images.device)

    def complete(self, features: np.ndarray) -> np.ndarray:
        """Fill statistics of patches with too few nuclei with the section's median, or with 0."""
        import pandas as pd

        table = pd.DataFrame(features)
        return table.fillna(table.median()).fillna(0).to_numpy()


def stains(images: np.ndarray) -> np.ndarray:
    """Haematoxylin and eosin, float32 ``[..., 2]``, of uint8 RGB ``[..., 3]``.

    Not ``skimage.color.rgb2hed``: it sets negative densities to 0, which shifts the means.
    """
    from skimage.color import hed_from_rgb

    transmission = np.maximum(images.astype(np.float32) / 255, FAINTEST_TRANSMISSION)
    return -np.log(transmission) @ hed_from_rgb[:, :2].astype(np.float32)


def _threshold(patches: list[np.ndarray], um_per_px: float) -> float:
    """Threshold of smoothed haematoxylin: midway between the means of Otsu's two classes.

    Where the classes lie far apart, Otsu's criterion is flat between them; the midpoint keeps
    the outlines of nuclei in place.
    """
    from scipy.ndimage import gaussian_filter
    from skimage.filters import threshold_otsu

    sigma = SMOOTHING_UM / um_per_px
    haematoxylin = np.stack(
        [gaussian_filter(stains(patch)[..., 0], sigma)[::3, ::3] for patch in patches]
    )
    split = float(threshold_otsu(haematoxylin))
    stained = haematoxylin > split
    if not stained.any():
        return split
    return float(haematoxylin[stained].mean() + haematoxylin[~stained].mean()) / 2


def patch_statistics(patch: np.ndarray, usual: Usual) -> np.ndarray:
    """Statistics of uint8 RGB ``[h, w, 3]``: float32 ``[len(FEATURE_NAMES)]``.

    NaN where a patch has too few nuclei for a statistic of them.
    """
    stained = stains(patch)
    nuclei = _nuclei(patch, stained, usual)
    height, width = patch.shape[:2]
    radius = CENTRE_RADIUS * width
    central = np.hypot(nuclei["x"] - (width - 1) / 2, nuclei["y"] - (height - 1) / 2) < radius
    centre = {name: values[central] for name, values in nuclei.items()}
    return np.concatenate(
        [
            _pixel_statistics(patch, stained[..., 0], stained[..., 1]),
            _nuclei_statistics(nuclei, height * width, usual),
            _nuclei_statistics(centre, np.pi * radius**2, usual),
        ]
    ).astype(np.float32)


def _pixel_statistics(patch: np.ndarray, haematoxylin: np.ndarray, eosin: np.ndarray) -> np.ndarray:
    from scipy.ndimage import gaussian_filter, sobel

    rgb = patch.astype(np.float32)
    # Channel by channel: reductions over the short last axis take five times as long.
    red, green, blue = (rgb[..., channel] for channel in range(3))
    grey = (red + green + blue) / np.float32(3)
    brightest = np.maximum(np.maximum(red, green), blue)
    faintest = np.minimum(np.minimum(red, green), blue)
    saturation = (brightest - faintest) / np.maximum(brightest, 1)
    channels = np.stack([haematoxylin, eosin, saturation, red, green, blue]).reshape(6, -1)
    spread = np.vstack([channels.mean(axis=1), channels.std(axis=1), _quantiles(channels)])
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


def _quantiles(channels: np.ndarray) -> np.ndarray:
    """The values of ``np.quantile(channels, QUANTILES, axis=1)``, which takes seven times as long.

    It interpolates as numpy does: from the nearer of two neighbours in order.
    """
    ordered = np.sort(channels, axis=1)
    place = np.array(QUANTILES) * (channels.shape[1] - 1)
    below = place.astype(int)
    share = place - below
    low, high = ordered[:, below], ordered[:, np.minimum(below + 1, channels.shape[1] - 1)]
    step = high - low
    return np.where(share < 0.5, low + step * share, high - step * (1 - share)).T


def _nuclei(patch: np.ndarray, stained: np.ndarray, usual: Usual) -> dict[str, np.ndarray]:
    """Each property of the patch's nuclei, ``[number of nuclei]``.

    Not ``skimage.measure.regionprops_table``: it takes eight times as long as the sums below, and
    its moments include the extent of a pixel.
    """
    from scipy.ndimage import gaussian_filter
    from skimage.feature import peak_local_max
    from skimage.segmentation import watershed

    haematoxylin, eosin = np.moveaxis(stained, -1, 0)
    um = usual.um_per_px
    mask = gaussian_filter(haematoxylin, SMOOTHING_UM / um) > usual.threshold
    relief = gaussian_filter(haematoxylin, SEED_SMOOTHING_UM / um)
    seeds = peak_local_max(
        np.where(mask, relief, 0),
        min_distance=max(1, round(SEED_DISTANCE_UM / um)),
        exclude_border=False,
    )
    markers = np.zeros(mask.shape, dtype=np.int32)
    markers[tuple(seeds.T)] = np.arange(1, len(seeds) + 1)
    label = watershed(-relief, markers, mask=mask)

    rows, columns = np.nonzero(label)
    belongs = label[rows, columns]

    def total(values: np.ndarray | None = None) -> np.ndarray:
        return np.bincount(belongs, values, minlength=len(seeds) + 1)[1:]

    count = total().astype(float)
    pixels = np.maximum(count, 1)

    def mean(image: np.ndarray) -> np.ndarray:
        return total(image[rows, columns]) / pixels

    x, y = total(columns) / pixels, total(rows) / pixels
    across, down = columns - x[belongs - 1], rows - y[belongs - 1]
    xx, yy, xy = (total(v) / pixels for v in (across**2, down**2, across * down))
    elongation = np.sqrt((xx - yy) ** 2 + 4 * xy**2)
    minor, major = np.maximum(xx + yy - elongation, 0), np.maximum(xx + yy + elongation, 1e-6)
    stain = mean(haematoxylin)
    area = pixels * um**2
    nuclei = {
        "x": x,
        "y": y,
        "pixels": count,
        "angle": np.arctan2(2 * xy, xx - yy) / 2,
        "log_area": np.log(area),
        "haematoxylin": stain,
        "haematoxylin_sd": np.sqrt(np.maximum(mean(haematoxylin**2) - stain**2, 0)),
        "eosin": mean(eosin),
        "grey": mean(_grey(patch)),
        "eccentricity": 1 - np.sqrt(minor / major),
    }
    smallest, largest = NUCLEUS_AREA_UM2
    kept = (count > 0) & (area >= smallest) & (area < largest)
    return {name: values[kept] for name, values in nuclei.items()}


def _grey(patch: np.ndarray) -> np.ndarray:
    """Mean of the channels, float64; over the short last axis it takes five times as long."""
    red, green, blue = (patch[..., channel].astype(np.float64) for channel in range(3))
    return (red + green + blue) / 3


def _nuclei_statistics(nuclei: dict[str, np.ndarray], area_px: float, usual: Usual) -> np.ndarray:
    """Statistics of the nuclei in an area, ``[len(NUCLEI_NAMES)]``."""
    size = np.digitize(nuclei["log_area"], usual.tertiles["log_area"])
    stain = np.digitize(nuclei["haematoxylin"], usual.tertiles["haematoxylin"])
    kinds = np.zeros((3, 3))
    np.add.at(kinds, (size, stain), 1)
    round_ones = nuclei["eccentricity"] < usual.medians["eccentricity"]
    return np.concatenate(
        [
            _arrangement(nuclei, area_px),
            _distribution(nuclei, usual),
            np.log1p(kinds).ravel(),
            np.log1p(
                [
                    np.sum((size == 0) & (stain == 2) & round_ones),
                    np.sum((size == 2) & (stain == 0)),
                    np.sum(nuclei["eccentricity"] > usual.quantiles["eccentricity"][2]),
                ]
            ),
        ]
    )


def _arrangement(nuclei: dict[str, np.ndarray], area_px: float) -> list[float]:
    """Logarithm of the count, share of the area covered, alignment of the long axes, scatter."""
    weight, angle = nuclei["eccentricity"], 2 * nuclei["angle"]
    count = len(weight)
    alignment = scatter = np.nan
    if count >= FEWEST_NUCLEI:
        pull = np.hypot(np.sum(weight * np.cos(angle)), np.sum(weight * np.sin(angle)))
        alignment = pull / max(weight.sum(), 1e-6)
        scatter = np.sqrt(nuclei["x"].var() + nuclei["y"].var())
    return [np.log1p(count), nuclei["pixels"].sum() / area_px, alignment, scatter]


def _distribution(nuclei: dict[str, np.ndarray], usual: Usual) -> np.ndarray:
    """Mean, standard deviation, and shares below the section's quantiles, of each property."""
    if len(nuclei["log_area"]) < FEWEST_NUCLEI:
        return np.full(len(NUCLEUS_PROPERTIES) * (2 + len(USUAL_QUANTILES)), np.nan)
    statistics = []
    for name in NUCLEUS_PROPERTIES:
        values = nuclei[name]
        below = (values[:, None] < usual.quantiles[name]).mean(axis=0)
        statistics += [values.mean(), values.std(), *below]
    return np.array(statistics)
