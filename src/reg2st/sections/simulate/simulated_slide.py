"""Draw a simulated tissue as a slide stained with haematoxylin and eosin."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.spatial import KDTree

from reg2st.base.files import written_whole
from reg2st.sections.simulate.simulated_tissue import SmoothField, Tissue

GLASS = (240.0, 236.0, 241.0)
HAEMATOXYLIN = np.array([0.95, 0.86, 0.38])
EOSIN = np.array([0.10, 0.68, 0.24])
"""Light transmitted by the glass, and optical density of the stains, in red, green and blue."""

COARSE = 8
FINE = 4
"""Slide pixels along the side of a pixel of the coarse and the fine maps."""

TILE_PX = 256
STRIP_PX = 240
JPEG_QUALITY = 85
DARKEST = 255
FIBRE_UM = 1.6
FAT_CELL_UM = 60.0
FAT_WALL_UM = 2.2


@dataclass(frozen=True)
class Look:
    """Appearance of a region; lengths in µm, nuclei per 1,000 µm²."""

    nuclei: float
    nucleus_um: float
    elongation: float
    darkness: float
    vesicular: bool
    eosin: float
    haze: float
    fibres: float
    fat: float


LOOKS = (
    Look(7.5, 4.3, 1.25, 0.78, vesicular=True, eosin=0.34, haze=0.14, fibres=0.1, fat=0),
    Look(1.8, 2.4, 3.2, 0.92, vesicular=False, eosin=0.60, haze=0.03, fibres=0.42, fat=0),
    Look(1.0, 2.1, 2.4, 0.90, vesicular=False, eosin=0.50, haze=0.03, fibres=0.2, fat=1),
    Look(14.0, 2.6, 1.1, 1.00, vesicular=False, eosin=0.30, haze=0.08, fibres=0.1, fat=0),
)
"""In the order of ``simulated_tissue.REGIONS``."""


def draw_slide(
    tissue: Tissue,
    size_px: int,
    um_per_px: float,
    patient_rng: np.random.Generator,
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    """The slide, uint8 ``[size_px, size_px, 3]``.

    Stains absorb light by the Beer-Lambert law. The slide shows region, cellularity and eosin of
    the tissue. ``patient_rng`` sets the shade of the stains, which a patient's sections share.
    """
    coarse = -(-size_px // COARSE)
    at = np.stack(np.meshgrid(*[np.arange(coarse) + 0.5] * 2), axis=-1) * COARSE / size_px
    ragged = at + 0.006 * np.stack([_grain(coarse, 4.0, rng) for _ in range(2)], axis=-1)
    inside, region = tissue.inside(ragged), tissue.region(ragged)
    crowding = np.clip(1 + 0.45 * tissue.cellularity(at), 0.15, None)
    pink = np.clip(1 + 0.3 * tissue.eosin(at), 0.4, 1.6)
    look = {name: np.array([getattr(one, name) for one in LOOKS]) for name in Look.__annotations__}

    def blended(name: str, sigma: float) -> NDArray[np.float64]:
        return gaussian_filter(look[name][region] * inside, sigma)

    fine = -(-size_px // FINE)
    angle, fibres = _fibres(at, fine, size_px * um_per_px, rng)
    open_space = _fat_cells(_enlarged(blended("fat", 1.2), fine), um_per_px, rng)
    mottle = _grain(coarse, 2.0, rng)
    eosin = _enlarged(blended("eosin", 0.8) * pink * (1 + 0.12 * mottle), fine)
    eosin = eosin * (1 + _enlarged(blended("fibres", 1.2), fine) * fibres) * (1 - 0.94 * open_space)
    haze = _enlarged(blended("haze", 1.2) * np.sqrt(crowding) * (1 + 0.25 * mottle), fine)

    walls = 1 - np.asarray(
        Image.fromarray(open_space).resize((coarse, coarse), Image.Resampling.BOX)
    )
    per_px = look["nuclei"] * um_per_px**2 / 1000
    layer = Image.new("L", (size_px, size_px), 0)
    for index, one in enumerate(LOOKS):
        density = per_px[index] * crowding * inside * (region == index) * walls**2
        _draw_nuclei(layer, density, one, um_per_px, angle, rng)
    nuclei = np.asarray(layer.filter(ImageFilter.GaussianBlur(0.8)))
    glass = 1 + 0.008 * _grain(coarse, coarse / 6, rng)
    maps = [Image.fromarray(np.float32(one)) for one in (eosin, haze * (1 - open_space), glass)]
    strength = 1 + 0.10 * patient_rng.standard_normal(2)
    tint = 1 + 0.06 * patient_rng.standard_normal((2, 3))
    stains = np.float32(strength[:, None] * tint * np.stack([HAEMATOXYLIN, EOSIN]))
    return _stained(nuclei, maps, stains, rng)


def _stained(
    nuclei: NDArray[np.uint8],
    maps: list[Image.Image],
    stains: NDArray[np.float32],
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    """Light through the slide, computed strip by strip to bound the memory.

    Args:
        nuclei: ``[size_px, size_px]``, density of their haematoxylin times ``DARKEST``.
        maps: eosin, haematoxylin between the nuclei, and brightness of the glass, any size.
        stains: ``[2, 3]``, optical density of haematoxylin and eosin by colour.
    """
    size_px = len(nuclei)
    slide = np.empty((size_px, size_px, 3), dtype=np.uint8)
    for top in range(0, size_px, STRIP_PX):
        height = min(STRIP_PX, size_px - top)
        eosin, haze, glass = (
            np.asarray(
                one.resize(
                    (size_px, height),
                    Image.Resampling.BILINEAR,
                    box=(
                        0,
                        top * one.height / size_px,
                        one.width,
                        (top + height) * one.height / size_px,
                    ),
                )
            )
            for one in maps
        )
        grain = rng.standard_normal((height, size_px), dtype=np.float32)
        dense = nuclei[top : top + height] / np.float32(DARKEST)
        blue = dense * (1 + 0.1 * grain) + haze
        red = eosin * (1 + 0.07 * np.flip(grain, axis=1)) * (1 - 0.5 * dense)
        for channel in range(3):
            absorbed = np.exp(-blue * stains[0, channel] - red * stains[1, channel])
            light = np.float32(GLASS[channel]) * glass * absorbed + np.float32(0.5)
            slide[top : top + height, :, channel] = np.clip(light, 0, 255)
    return slide


def write_slide(path: Path, slide: NDArray[np.uint8], um_per_px: float) -> None:
    """Write a tiled pyramidal TIFF that OpenSlide opens, with its pixel size."""
    with written_whole(path) as temporary, tifffile.TiffWriter(temporary) as tiff:
        level = slide
        reduced = 0
        while reduced == 0 or min(level.shape[:2]) >= 2 * TILE_PX:
            if reduced:
                level = np.asarray(Image.fromarray(level).reduce(2))
            per_cm = 1e4 / (um_per_px * 2**reduced)
            tiff.write(
                level,
                photometric="rgb",
                compression="jpeg",
                compressionargs={"level": JPEG_QUALITY},
                tile=(TILE_PX, TILE_PX),
                subfiletype=int(reduced > 0),
                resolution=(per_cm, per_cm),
                resolutionunit="CENTIMETER",
                metadata=None,
                software=False,
            )
            reduced += 1


def _enlarged(coarse: NDArray[np.floating], size: int) -> NDArray[np.float32]:
    """A square map, interpolated to ``[size, size]``."""
    image = Image.fromarray(coarse.astype(np.float32))
    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR))


def _grain(size: int, sigma: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Smooth periodic noise ``[size, size]`` of zero mean and unit variance."""
    noise = gaussian_filter(rng.standard_normal((size, size), dtype=np.float32), sigma, mode="wrap")
    return (noise - noise.mean()) / noise.std()


def _fibres(
    at: NDArray[np.float64], fine: int, width_um: float, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Wavy fibres: their direction (radians) at positions ``at``, and their texture.

    The texture is a map ``[fine, fine]`` of about unit variance.
    """
    main = rng.uniform(0, np.pi)
    bend = SmoothField.draw(rng, 1.3)
    across = np.cos(main) * at[..., 1] - np.sin(main) * at[..., 0] + 0.07 * bend(at)
    along = np.cos(main) * at[..., 0] + np.sin(main) * at[..., 1]
    down, right = np.gradient(across)
    angle = np.arctan2(-right, down)

    noise = rng.standard_normal((1024, 1024), dtype=np.float32)
    streaks = gaussian_filter(noise, (1.3, 22), mode="wrap")
    where = [_enlarged(axis * width_um / FIBRE_UM, fine) for axis in (across, along)]
    texture = map_coordinates(streaks / streaks.std(), where, order=1, mode="grid-wrap")
    return angle, np.clip(texture, -1.4, 1.7)


def _fat_cells(
    fat: NDArray[np.float32], um_per_px: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Empty lumen of fat cells, 0 to 1, from the share of fat tissue; both maps are ``FINE``.

    Cells are the Voronoi cells of scattered seeds, separated by walls.
    """
    spacing = FAT_CELL_UM / um_per_px / FINE
    wall = FAT_WALL_UM / um_per_px / FINE
    count = int(len(fat) / spacing) + 3
    seeds = np.stack(np.meshgrid(*[np.arange(count) - 0.5] * 2), axis=-1).reshape(-1, 2)
    seeds = (seeds + rng.uniform(-0.42, 0.42, seeds.shape)) * spacing
    rows, columns = np.nonzero(fat > 0.4)
    lumen = np.zeros_like(fat)
    if len(rows):
        near, second = KDTree(seeds).query(np.stack([columns, rows], axis=1), k=2)[0].T
        lumen[rows, columns] = np.clip((second - near - wall) / (2 * wall), 0, 1)
    return lumen * np.clip(2.5 * fat - 1, 0, 1)


def _draw_nuclei(
    layer: Image.Image,
    density: NDArray[np.float64],
    look: Look,
    um_per_px: float,
    angle: NDArray[np.float64],
    rng: np.random.Generator,
) -> None:
    """Draw nuclei at random positions; ``density`` is their number a slide pixel."""
    number = rng.poisson(density * COARSE**2)
    rows, columns = np.repeat(np.argwhere(number), number[number > 0], axis=0).T
    total = len(rows)
    centres = (np.stack([columns, rows], axis=1) + rng.random((total, 2))) * COARSE
    radius = look.nucleus_um / um_per_px * np.exp(0.2 * rng.standard_normal(total))
    stretch = np.sqrt(look.elongation * np.exp(0.15 * rng.standard_normal(total)))
    radii = np.stack([radius * stretch, radius / stretch], axis=1)
    wobble = 0.25 if look.elongation > 2 else np.pi
    turn = angle[rows, columns] + wobble * rng.uniform(-1, 1, total)
    value = np.clip(DARKEST * look.darkness * rng.uniform(0.72, 1.0, total), 0, DARKEST)

    draw = ImageDraw.Draw(layer)
    rims = _ellipses(centres, radii, turn)
    if not look.vesicular:
        for outline, fill in zip(rims, value.astype(int).tolist(), strict=True):
            draw.polygon(outline, fill=fill)
        return
    pale = (value * rng.uniform(0.62, 0.85, total)).astype(int).tolist()
    spot = centres + radius[:, None] * rng.uniform(-0.35, 0.35, (total, 2))
    nucleoli = _ellipses(spot, np.repeat(radius[:, None] * 0.22, 2, axis=1), turn)
    inner = _ellipses(centres, radii * 0.78, turn)
    for rim, body, nucleolus, dark, light in zip(
        rims, inner, nucleoli, value.astype(int).tolist(), pale, strict=True
    ):
        draw.polygon(rim, fill=dark)
        draw.polygon(body, fill=light)
        draw.polygon(nucleolus, fill=dark)


def _ellipses(
    centres: NDArray[np.float64], radii: NDArray[np.float64], angles: NDArray[np.float64]
) -> list[list[float]]:
    """Outlines of ellipses as x, y, x, y, ... in pixels."""
    round_trip = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    along = radii[:, :1] * np.cos(round_trip)
    aside = radii[:, 1:] * np.sin(round_trip)
    cosine, sine = np.cos(angles)[:, None], np.sin(angles)[:, None]
    x = centres[:, :1] + cosine * along - sine * aside
    y = centres[:, 1:] + sine * along + cosine * aside
    return np.stack([x, y], axis=-1).reshape(len(centres), -1).tolist()
