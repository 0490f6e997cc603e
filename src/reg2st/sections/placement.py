"""Whether spots lie where they should: on the image, on its tissue, and on the right image."""

from dataclasses import dataclass

import numpy as np

from reg2st.base.errors import UserError
from reg2st.sections.raw_section import RawSection
from reg2st.sections.tissue import tissue_mask

SIZE_TOLERANCE = 0.02
"""Share by which the width of the image may differ from what the platform's own files ask."""

LEAST_ON_IMAGE = 0.5
"""Share of the spots that must lie on the image."""

LEAST_ON_TISSUE = 0.5
"""Share of the spots on tissue below which the image is probably another one."""

CLEARLY_MORE = 0.1
"""Difference of two shares that is not left to chance."""


@dataclass(frozen=True)
class Placement:
    """Which spots are on the image, and what is wrong with the rest.

    Attributes:
        on_image: bool ``[n]``.
        tissue_share: share of the spots on the image that lie on tissue; None where the picture
            does not tell tissue from background.
        warnings: sentences for the reader of the results.
    """

    on_image: np.ndarray
    tissue_share: float | None
    warnings: list[str]


def check_placement(
    raw: RawSection, image: str, size_px: tuple[int, int], thumbnail: np.ndarray
) -> Placement:
    """Compare the spots with their image.

    Args:
        image: its file, for sentences.
        size_px: width and height of level 0.
        thumbnail: the whole image, uint8 ``[h, w, 3]``.

    Raises:
        UserError: the image has another size than the platform's own files ask, or most spots
            lie outside.
    """
    _check_width(raw, image, size_px[0])
    on_image = _inside(raw.pixel_xy, size_px)
    exchanged = raw.pixel_xy[:, ::-1]
    if len(on_image) and on_image.mean() < LEAST_ON_IMAGE:
        hint = ""
        if _inside(exchanged, size_px).mean() - on_image.mean() > CLEARLY_MORE:
            hint = "; more would lie inside if x and y were exchanged"
        raise UserError(
            f"Section {raw.name}: {(~on_image).sum():,} of {len(on_image):,} spots lie outside "
            f"{image} ({size_px[0]} x {size_px[1]} px){hint}; name the image that the spot "
            "positions belong to, at its full size."
        )
    warnings = []
    if not on_image.all():
        warnings.append(
            f"Section {raw.name}: {(~on_image).sum():,} of {len(on_image):,} spots lie outside "
            f"{image} and are left out."
        )
    tissue = tissue_mask(thumbnail)
    if tissue is None or not on_image.any():
        return Placement(on_image, None, warnings)
    share = _share_on(tissue, raw.pixel_xy[on_image], size_px)
    swapped = _share_on(tissue, exchanged, size_px)
    if swapped - share > CLEARLY_MORE:
        warnings.append(
            f"Section {raw.name}: {swapped:.0%} of the spots would lie on tissue if x and y were "
            f"exchanged, but only {share:.0%} do; check the columns of the spot positions."
        )
    elif share < LEAST_ON_TISSUE:
        warnings.append(
            f"Section {raw.name}: only {share:.0%} of the spots lie on tissue of {image}; check "
            "that image and spot positions are of the same section."
        )
    return Placement(on_image, share, warnings)


def _check_width(raw: RawSection, image: str, width: int) -> None:
    asked = raw.image_width_px
    if asked is not None and abs(width / asked.value - 1) > SIZE_TOLERANCE:
        raise UserError(
            f"Section {raw.name}: {image} is {width:,} px wide, but its spot positions belong to "
            f"an image of {asked.value:,.0f} px, as {asked.source} tells; name the "
            "full-resolution image."
        )


def _inside(pixel_xy: np.ndarray, size_px: tuple[int, int]) -> np.ndarray:
    return ((pixel_xy >= 0) & (pixel_xy <= np.array(size_px) - 1)).all(axis=1)


def _share_on(mask: np.ndarray, pixel_xy: np.ndarray, size_px: tuple[int, int]) -> float:
    """Share of the spots whose centre lies on a mask of the whole image, ``[h, w]``."""
    inside = _inside(pixel_xy, size_px)
    scale = np.array(mask.shape[::-1]) / np.array(size_px)
    x, y = (pixel_xy[inside] * scale).astype(int).T
    return float(mask[y, x].sum() / len(pixel_xy))
