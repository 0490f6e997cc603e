"""A slide as small JPEG tiles in halving sizes, numbered as Deep Zoom does.

Level N = ceil(log2(longer side)) is the slide itself, each level below has half its size, rounded
up (Microsoft, "Deep Zoom file format overview"). Levels that fit into one tile but the largest of
them are left out.
"""

import math
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from reg2st.sections.images import damaged, on_white
from reg2st.sections.slides import Picture, Pyramid, Slide
from reg2st.sections.stored_patches import StoredPatches

TILE_PX = 512
JPEG_QUALITY = 80
THUMBNAIL_PX = 320


def levels_of(size_px: tuple[int, int]) -> tuple[int, int]:
    """Number of the coarsest level that is written, and of the finest."""
    finest = math.ceil(math.log2(max(size_px)))
    return min(finest, round(math.log2(TILE_PX))), finest


def write_pyramid(slide: Slide, folder: Path) -> None:
    """Write the tiles of a slide as ``<level>/<column>_<row>.jpg``, and ``thumbnail.jpg``.

    Raises:
        UserError: the slide is damaged.
    """
    folder.mkdir(parents=True, exist_ok=True)
    thumbnail = Image.fromarray(slide.thumbnail(THUMBNAIL_PX))
    thumbnail.save(folder / "thumbnail.jpg", quality=JPEG_QUALITY)
    if isinstance(slide, Picture):
        tiles = _of_picture(slide)
    else:
        tiles = _of_patches(slide) if isinstance(slide, StoredPatches) else _of_pyramid(slide)
    for level, column, row, tile in tiles:
        place = folder / str(level)
        place.mkdir(parents=True, exist_ok=True)
        tile.save(place / f"{column}_{row}.jpg", quality=JPEG_QUALITY)


Tile = tuple[int, int, int, Image.Image]
"""Level, column, row, and the pixels."""


def _of_picture(slide: Picture) -> Iterator[Tile]:
    coarsest, finest = levels_of(slide.size_px)
    image = slide.image
    for level in range(finest, coarsest - 1, -1):
        if level < finest:
            image = image.reduce(2)
        width, height = image.size
        for row in range(math.ceil(height / TILE_PX)):
            for column in range(math.ceil(width / TILE_PX)):
                left, top = column * TILE_PX, row * TILE_PX
                box = (left, top, min(left + TILE_PX, width), min(top + TILE_PX, height))
                yield level, column, row, image.crop(box)


def _of_patches(slide: StoredPatches) -> Iterator[Tile]:
    coarsest, finest = levels_of(slide.size_px)
    for level in range(coarsest, finest + 1):
        scale = 0.5 ** (finest - level)
        width, height = (math.ceil(side * scale) for side in slide.size_px)
        for row in range(math.ceil(height / TILE_PX)):
            for column in range(math.ceil(width / TILE_PX)):
                left, top = column * TILE_PX, row * TILE_PX
                sides = min(TILE_PX, width - left), min(TILE_PX, height - top)
                region = (value / scale for value in (left, top, *sides))
                yield level, column, row, slide.picture(*region, scale)


def _of_pyramid(slide: Pyramid) -> Iterator[Tile]:
    from openslide import OpenSlideError
    from openslide.deepzoom import DeepZoomGenerator

    tiles = DeepZoomGenerator(slide.handle, tile_size=TILE_PX, overlap=0, limit_bounds=False)
    coarsest, finest = levels_of(slide.size_px)
    for level in range(coarsest, finest + 1):
        columns, rows = tiles.level_tiles[level]
        for row in range(rows):
            for column in range(columns):
                try:
                    tile = tiles.get_tile(level, (column, row))
                except OpenSlideError as error:
                    raise damaged(slide.path, error) from error
                yield level, column, row, on_white(tile)
