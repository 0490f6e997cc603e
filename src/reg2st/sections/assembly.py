"""From a section's raw files to its section: read, placed on the slide, measured."""

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from reg2st.base.errors import UserError
from reg2st.sections.fitness import unfit
from reg2st.sections.geometry import Geometry, measure_section
from reg2st.sections.placement import check_placement
from reg2st.sections.raw_section import RawSection
from reg2st.sections.readers import reader
from reg2st.sections.section_file import FORMAT_VERSION, counts_checksum
from reg2st.sections.section_row import SectionRow
from reg2st.sections.slides import open_slide

if TYPE_CHECKING:
    from anndata import AnnData

log = logging.getLogger(__name__)

THUMBNAIL_PX = 1000


def read_section(
    row: SectionRow, files: Mapping[str, str | os.PathLike], dataset: str
) -> "AnnData":
    """Read a section of any platform and join it with its slide.

    Args:
        row: what the sample sheet says of it.
        files: the files that its platform's reader asks for, by name; ``image`` among them.

    Raises:
        UserError: a file is bad, the files do not belong together, or no spot is left.
    """
    paths = {name: Path(path) for name, path in files.items()}
    raw = reader(row.platform).read(paths, row)
    return join_with_slide(raw, paths["image"], row, dataset)


def join_with_slide(
    raw: RawSection, image: str | os.PathLike, row: SectionRow, dataset: str
) -> "AnnData":
    """The section of spots whose centres lie on the slide, in the reader's order.

    What is left out, what the reader noted, and the share of spots on tissue are logged.

    Returns:
        AnnData, scverse conventions: X raw counts float32 CSR; obs array_row (y) and array_col
        (x), if the platform has an array; obsm["spatial"] float64 pixels (x, y) of level 0;
        uns["spatial"][name] as squidpy expects it; uns["section"] as ``section_file`` reads it.

    Raises:
        UserError: the image is not the one that the spots belong to, or no spot is left.
    """
    from anndata import AnnData

    with open_slide(image) as slide:
        size_px = slide.size_px
        thumbnail = slide.thumbnail(THUMBNAIL_PX)
        slide_um_per_px = slide.um_per_px
    placement = check_placement(raw, str(image), size_px, thumbnail)
    kept = placement.on_image
    dropped = {**raw.dropped, "off the slide": int((~kept).sum())}
    if not kept.any():
        raise UserError(
            f"Section {raw.name} has no spots left ({_counted(dropped)}); check its files, or "
            "leave it out by `sections`."
        )
    pixel_xy = raw.pixel_xy[kept]
    array_xy = None if raw.array_xy is None else raw.array_xy[kept]
    geometry = measure_section(raw, pixel_xy, array_xy, row, slide_um_per_px)
    counts = raw.counts if kept.all() else raw.counts[kept]
    warnings = [*raw.warnings, *placement.warnings, *geometry.warnings]
    if raw.genes and (lack := unfit(len(pixel_xy), bool(counts.data.any()))):
        warnings.append(f"Section {raw.name} is left out of training: it has {lack}.")

    log.info("%s: %d spots, %d genes; %s", raw.name, kept.sum(), len(raw.genes), _counted(dropped))
    if placement.tissue_share is not None:
        log.info("%s: %.0f %% of the spots lie on tissue.", raw.name, 100 * placement.tissue_share)
    for note in raw.notes:
        log.info("%s", note)
    for warning in warnings:
        log.warning("%s", warning)

    obs = pd.DataFrame(index=pd.Index(np.array(raw.barcodes, dtype=object)[kept]))
    if array_xy is not None:
        obs["array_row"], obs["array_col"] = array_xy[:, 1], array_xy[:, 0]
    var = pd.DataFrame(index=pd.Index(raw.genes, dtype=object))
    if raw.gene_ids is not None:
        var["gene_ids"] = raw.gene_ids
    section = AnnData(
        X=counts,
        obs=obs,
        var=var,
        obsm={"spatial": pixel_xy},
    )
    section.uns["spatial"] = {
        raw.name: {
            "images": {"hires": thumbnail},
            "scalefactors": {
                "tissue_hires_scalef": max(thumbnail.shape) / max(size_px),
                "spot_diameter_fullres": geometry.spot_diameter_px,
            },
            "metadata": {"source_image_path": str(image)},
        }
    }
    section.uns["section"] = {
        "format_version": FORMAT_VERSION,
        "dataset": dataset,
        "patient": row.patient,
        "name": raw.name,
        "platform": raw.platform,
        "counts_sha256": counts_checksum(counts, raw.genes),
        **_known_sizes(geometry),
        **({} if geometry.lattice is None else {"lattice": np.array(geometry.lattice)}),
        "dropped": dropped,
        "warnings": np.array(warnings, dtype=object),
    }
    return section


def _known_sizes(geometry: Geometry) -> dict[str, float]:
    sizes = {
        name: getattr(geometry, name)
        for name in ("um_per_px", "spot_pitch_um", "spot_pitch_px", "spot_diameter_um")
    }
    return {name: float(size) for name, size in sizes.items() if size is not None}


def _counted(dropped: dict[str, int]) -> str:
    return ", ".join(f"{number} {reason}" for reason, number in dropped.items())
