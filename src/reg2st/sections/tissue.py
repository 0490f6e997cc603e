"""Where tissue lies on a slide: found at low magnification, or drawn by the user.

Regions are polygons in pixels of level 0, x to the right and y down, as QuPath reads and writes
them in GeoJSON.
"""

import json
import math
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from reg2st.base.errors import UserError
from reg2st.base.files import written_whole
from reg2st.sections.slides import Slide

MASK_UM_PER_PX = 8.0
"""Pixel size of the picture in which tissue is sought."""

LARGEST_PICTURE_PX = 4000
SMALLEST_PICTURE_PX = 256

SMALLEST_TISSUE_UM2 = 50_000.0
"""Specks below this area are left out: a disc of 250 µm."""

LARGEST_HOLE_UM2 = 20_000.0
"""Holes up to this area are filled: a disc of 160 µm, larger than most lumina and fat cells."""

SMOOTHING_PX = 2
LEAST_CONTRAST = 0.05
"""A picture whose optical density varies by less shows no tissue apart from its background."""

FAINTEST_INK = 0.35
"""Optical density above which a colour can be ink."""

INK_MARGIN_UM = 40.0
"""Ink fades at its edge, so what lies this near to it is left out too."""


class Ink(NamedTuple):
    """Pixels of a picture that are pen marks rather than stain; each bool ``[h, w]``."""

    blue_or_green: NDArray[np.bool_]
    black: NDArray[np.bool_]

    @property
    def any(self) -> NDArray[np.bool_]:
        return self.blue_or_green | self.black


def find_tissue(slide: Slide, um_per_px: float) -> shapely.MultiPolygon:
    """The regions of stained tissue on a slide.

    Pen marks, specks and the background are left out, small holes are filled.

    Args:
        slide: an open slide.
        um_per_px: its pixel size.

    Raises:
        UserError: there is no tissue.
    """
    longer = max(slide.size_px)
    side = math.ceil(longer * um_per_px / MASK_UM_PER_PX)
    picture = slide.thumbnail(min(max(side, SMALLEST_PICTURE_PX), LARGEST_PICTURE_PX, longer))
    scale = longer / max(picture.shape)
    mask = clean_mask(picture, um_per_px * scale)
    regions = polygons_of(mask, scale)
    if regions.is_empty:
        raise UserError(
            f"There is no tissue on {slide.path}; if there is, draw it in QuPath and name the "
            "GeoJSON file in the column 'tissue'."
        )
    return regions


def clean_mask(picture: NDArray[np.uint8], um_per_px: float) -> NDArray[np.bool_]:
    """Tissue in a picture ``[h, w, 3]``, without ink, specks and small holes: bool ``[h, w]``.

    Args:
        um_per_px: pixel size of the picture.
    """
    from skimage.morphology import isotropic_dilation, remove_small_holes, remove_small_objects

    ink = find_ink(picture).any
    ink = isotropic_dilation(remove_small_objects(ink, max_size=3), INK_MARGIN_UM / um_per_px)
    # Ink is far darker than stain and would raise the threshold.
    clean = np.where(ink[..., None], np.uint8(255), picture)
    mask = tissue_mask(clean)
    if mask is None:
        return np.zeros(picture.shape[:2], dtype=bool)
    mask &= ~ink
    mask = remove_small_holes(mask, max_size=int(LARGEST_HOLE_UM2 / um_per_px**2))
    return remove_small_objects(mask, max_size=int(SMALLEST_TISSUE_UM2 / um_per_px**2))


def tissue_mask(picture: NDArray[np.uint8]) -> NDArray[np.bool_] | None:
    """Where stain lies in a picture ``[h, w, 3]``: bool ``[h, w]``; None if it cannot be told.

    The measure is the optical density of green light, which haematoxylin, eosin and DAB all
    absorb. Saturation would take the pale halo of spilt eosin for tissue. The threshold is Li's
    minimum cross-entropy (Li and Tam 1998); Otsu's cuts into pale tissue.
    """
    from skimage.filters import gaussian, threshold_li

    density = gaussian(_optical_density(picture[..., 1]), SMOOTHING_PX)
    if np.ptp(density) < LEAST_CONTRAST:
        return None
    return density > threshold_li(density)


def find_ink(picture: NDArray[np.uint8]) -> Ink:
    """Pen marks in a picture, uint8 ``[h, w, 3]``.

    Haematoxylin, eosin and DAB absorb green light about as strongly as red light or more; blue and
    green ink absorb red far more. Black ink absorbs all three alike, nearly all of them.
    """
    red, green, blue = (_optical_density(picture[..., channel]) for channel in range(3))
    blue_or_green = (red > FAINTEST_INK) & (red > 1.25 * green + 0.1)
    darkest, palest = np.maximum.reduce([red, green, blue]), np.minimum.reduce([red, green, blue])
    black = (palest > 0.75) & (palest > 0.75 * darkest)
    return Ink(blue_or_green, black)


def _optical_density(light: NDArray[np.uint8]) -> NDArray[np.float32]:
    return -np.log10((light.astype(np.float32) + 1) / 256)


def polygons_of(mask: NDArray[np.bool_], scale: float) -> shapely.MultiPolygon:
    """The outlines of a mask, holes included, in pixels of the slide.

    Args:
        mask: ``[h, w]``.
        scale: slide pixels a pixel of the mask.
    """
    from skimage.measure import find_contours

    rings = find_contours(np.pad(mask.astype(np.float32), 1), 0.5)
    if not rings:
        return shapely.MultiPolygon()
    # Contours run through pixel centres, (row, column), of the padded mask.
    lines = [shapely.LinearRing((ring[:, ::-1] - 0.5) * scale) for ring in rings]
    area = shapely.build_area(shapely.MultiLineString(lines))
    return _regions(shapely.make_valid(area.simplify(scale / 2)))


def read_contours(path: str | os.PathLike) -> shapely.MultiPolygon:
    """Regions that a user drew: a GeoJSON file of polygons in pixels of level 0.

    Raises:
        UserError: the file is missing, no GeoJSON, or holds no polygon.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
        found = shapely.from_geojson(_as_geometries(json.loads(text)))
    except FileNotFoundError:
        raise UserError(f"The tissue contours {path} do not exist; correct the path.") from None
    except (ValueError, TypeError, KeyError, shapely.errors.GEOSException) as error:
        raise UserError(
            f"{path} is not GeoJSON ({str(error).splitlines()[0]}); export the tissue as GeoJSON "
            "from QuPath."
        ) from error
    regions = _regions(shapely.union_all(shapely.make_valid(shapely.get_parts(found))))
    if regions.is_empty:
        raise UserError(f"{path} holds no polygon; draw the tissue as closed regions.")
    return regions


def write_contours(regions: shapely.MultiPolygon, path: str | os.PathLike) -> None:
    """Write regions as GeoJSON that QuPath opens: one annotation a region, px of level 0."""
    features = [
        {
            "type": "Feature",
            "geometry": json.loads(shapely.to_geojson(polygon)),
            "properties": {
                "objectType": "annotation",
                "classification": {"name": "Tissue", "color": [0, 158, 115]},
            },
        }
        for polygon in regions.geoms
    ]
    with written_whole(path) as temporary:
        text = json.dumps({"type": "FeatureCollection", "features": features})
        temporary.write_text(text + "\n", encoding="utf-8")


def _as_geometries(parsed: object) -> str:
    """GeoJSON of any kind as one collection of geometries; QuPath may write a bare list."""
    features = parsed if isinstance(parsed, list) else [parsed]
    if isinstance(parsed, dict) and parsed.get("type") == "FeatureCollection":
        features = parsed["features"]
    geometries = [each["geometry"] if each["type"] == "Feature" else each for each in features]
    return json.dumps({"type": "GeometryCollection", "geometries": geometries})


def _regions(geometry: shapely.Geometry) -> shapely.MultiPolygon:
    """The polygons of any geometry."""
    parts = shapely.get_parts(geometry, return_index=False)
    nested = [part for each in parts for part in shapely.get_parts(each)]
    return shapely.MultiPolygon([each for each in nested if each.geom_type == "Polygon"])
