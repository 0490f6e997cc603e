"""Write a page: a folder of tiles, data as plain scripts, and the program that shows them.

The data are JSON in scripts that call one function, since browsers refuse to read other files of
pages that were opened from disk. Values are levels of 8 bits between the least and the largest
value of each gene and layer.
"""

import base64
import json
import os
import shutil
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reg2st.base.files import written_whole
from reg2st.report.style import EXPRESSION_COLOURS, REGION_COLOURS
from reg2st.report.viewer.page import LEAST_TRUSTED_PCC, Layer, Page
from reg2st.report.viewer.pyramid import TILE_PX, levels_of, write_pyramid
from reg2st.sections.slides import open_slide

WEB = Path(__file__).parent / "web"
PROGRAM = ("data.js", "tiles.js", "spots.js", "view.js", "panes.js", "genes.js", "slide.js")
"""What a page runs, in the order of loading."""

SPREAD_COLOURS = "cividis"

LEVELS = 254
"""Values are stored as 0 to 254."""
MISSING = 255

ROBUST_PERCENTILES = (1, 99)
"""Limits of the colour scale."""
LIMITS = "percentiles {} and {} of the gene over the spots".format(*ROBUST_PERCENTILES)

VALUES_AT_A_TIME = 16_000_000
"""Values of a layer that are in memory at once."""

BYTES_A_CHUNK = 40_000
"""Of one layer, before compression; a chunk is what the browser loads at a change of gene."""
MOST_GENES_A_CHUNK = 32


def write_page(page: Page, folder: str | os.PathLike, start: str | os.PathLike) -> None:
    """Write a page as a folder that opens by its ``index.html``.

    Args:
        page: what it shows.
        folder: where it is written.
        start: the folder of the start page that it links to.

    Raises:
        UserError: the slide or a file of values is damaged.
    """
    way = Path(os.path.relpath(start, folder)).as_posix()
    with written_whole(folder) as temporary:
        temporary.mkdir()
        with open_slide(page.image) as slide:
            size_px = slide.size_px
            write_pyramid(slide, temporary / "tiles")
        data, a_chunk = temporary / "data", genes_a_chunk(len(page.barcodes))
        (data / "genes").mkdir(parents=True)
        write_data(data / "page.js", "page", _facts(page, size_px, a_chunk) | {"start": way})
        write_data(data / "spots.js", "spots", _spots(page))
        for number, chunk in enumerate(_chunks(page, a_chunk)):
            write_data(data / "genes" / f"{number}.js", f"genes/{number}", chunk)
        for name in (*PROGRAM, "viewer.css"):
            shutil.copyfile(WEB / name, temporary / name)
        shutil.copyfile(WEB / "slide.html", temporary / "index.html")


def write_summary(
    page: Page, path: str | os.PathLike, folder: str | os.PathLike, start: str | os.PathLike
) -> None:
    """Write what the start page says of a page, as JSON.

    Args:
        page: the page.
        path: the file to write.
        folder, start: where the page and the start page are.
    """
    summary = {
        "name": page.name,
        "facts": dict(page.facts),
        "spots": len(page.barcodes),
        "genes": len(page.genes),
        "summary": page.summary,
        "commits": list(page.commits),
        "warnings": list(page.warnings),
        "path": Path(os.path.relpath(folder, start)).parts,
    }
    with written_whole(path) as temporary:
        temporary.write_text(json.dumps(summary), encoding="utf-8")


def write_data(path: Path, name: str, value: Any) -> None:
    """Write a value as a script that passes it to the program.

    JSON in ASCII with ``<`` escaped is a JavaScript literal that no name can leave.
    """
    literal = json.dumps(value, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    path.write_text(f"received({json.dumps(name)},{literal});\n", encoding="ascii")


def genes_a_chunk(spots: int) -> int:
    """How many genes one file holds."""
    return int(np.clip(BYTES_A_CHUNK // max(spots, 1), 1, MOST_GENES_A_CHUNK))


def packed(values: bytes) -> str:
    """Bytes compressed by zlib, in base64."""
    return base64.b64encode(zlib.compress(values, 6)).decode("ascii")


def _facts(page: Page, size_px: tuple[int, int], a_chunk: int) -> dict[str, Any]:
    coarsest, finest = levels_of(size_px)
    return {
        "name": page.name,
        "facts": dict(page.facts),
        "slide": {
            "width": size_px[0],
            "height": size_px[1],
            "tile": TILE_PX,
            "coarsest": coarsest,
            "finest": finest,
        },
        "umPerPx": page.um_per_px,
        "spotPx": page.spot_px,
        "pitchPx": page.pitch_px,
        "square": page.square,
        "spots": len(page.barcodes),
        "genes": list(page.genes),
        "genesAChunk": a_chunk,
        "layers": [_described(layer) for layer in page.layers],
        "scoreLabel": page.score_label,
        "scores": {name: _rounded(each, 4) for name, each in page.scores.items()},
        "leastTrusted": LEAST_TRUSTED_PCC,
        "reference": page.reference,
        "colours": {
            "expression": _colours(EXPRESSION_COLOURS),
            "spread": _colours(SPREAD_COLOURS),
            "regions": list(REGION_COLOURS),
        },
        "provenance": [
            *(list(row) for row in page.provenance),
            ["Limits of the colours", LIMITS],
            *(["Commit", commit] for commit in page.commits),
        ],
        "warnings": list(page.warnings),
    }


def _described(layer: Layer) -> dict[str, str]:
    return {name: getattr(layer, name) for name in ("name", "label", "kind", "unit", "of")}


def _spots(page: Page) -> dict[str, Any]:
    spots: dict[str, Any] = {
        "xy": packed(page.pixel_xy.astype("<f4").tobytes()),
        "barcodes": packed(json.dumps(page.barcodes.tolist()).encode()),
        "labels": None,
        "distance": None,
    }
    if page.labels is not None:
        names, counts = np.unique(page.labels[page.labels != ""], return_counts=True)
        names = np.sort(names[np.argsort(-counts, kind="stable")][:MISSING])
        codes = {name: code for code, name in enumerate(names)}
        of_spots = np.array([codes.get(label, MISSING) for label in page.labels], dtype=np.uint8)
        spots["labels"] = {"names": names.tolist(), "codes": packed(of_spots.tobytes())}
    if page.distance is not None:
        levels, scale = _levels(page.distance.astype(np.float32)[:, None])
        spots["distance"] = {**_first(scale), "levels": packed(levels.tobytes())}
    return spots


def _chunks(page: Page, a_chunk: int) -> Iterator[dict[str, Any]]:
    """The levels of the page's genes; a chunk holds them by layer, gene and spot."""
    at_a_time = max(VALUES_AT_A_TIME // max(len(page.barcodes), 1) // a_chunk, 1) * a_chunk
    for start in range(0, len(page.genes), at_a_time):
        genes = page.genes[start : start + at_a_time]
        layers = {layer.name: _levels(layer.read(genes)) for layer in page.layers}
        for first in range(0, len(genes), a_chunk):
            some = slice(first, first + a_chunk)
            yield {
                name: {
                    **{key: values[some] for key, values in scale.items()},
                    "levels": packed(levels[some].tobytes()),
                }
                for name, (levels, scale) in layers.items()
            }


def _levels(values: NDArray[np.float32]) -> tuple[NDArray[np.uint8], dict[str, list]]:
    """Values ``[n, g]`` as levels uint8 ``[g, n]``, and the scale of each gene.

    The scale is what levels 0 and 254 stand for (``low`` and ``high``) and the limits of the
    colours (``from`` and ``to``); None where every value is missing.
    """
    known = np.isfinite(values)
    with np.errstate(all="ignore"):
        low = np.where(known, values, np.inf).min(axis=0, initial=np.inf)
        high = np.where(known, values, -np.inf).max(axis=0, initial=-np.inf)
        span = np.where(high > low, high - low, 1)
        levels = np.rint((values - low) / span * LEVELS)
    levels = np.where(known, levels, MISSING).astype(np.uint8)
    limits = np.full((2, values.shape[1]), np.nan)
    for gene in np.flatnonzero(known.any(axis=0)):
        limits[:, gene] = _robust_limits(values[known[:, gene], gene])
    scale = {"low": low, "high": high, "from": limits[0], "to": limits[1]}
    return np.ascontiguousarray(levels.T), {key: _rounded(each) for key, each in scale.items()}


def _robust_limits(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Percentiles of some values; their least and largest where those agree."""
    limits = np.percentile(values, ROBUST_PERCENTILES)
    return limits if limits[0] < limits[1] else np.array([values.min(), values.max()])


def _rounded(values: Sequence[float], decimals: int | None = None) -> list[float | None]:
    """Numbers for JSON: with some decimals, or six digits; None where there is none."""
    return [
        None
        if not np.isfinite(value)
        else round(float(value), decimals)
        if decimals is not None
        else float(f"{value:.6g}")
        for value in values
    ]


def _first(scale: dict[str, list]) -> dict[str, float | None]:
    return {key: values[0] for key, values in scale.items()}


def _colours(name: str) -> str:
    """A colour map as 256 hexadecimal colours, one after the other."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    return "".join(to_hex(colour)[1:] for colour in colormaps[name](np.arange(256)))
