"""Predict a slide that has no counts, from its image to an AnnData file."""

import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict

from reg2st.base.errors import UserError
from reg2st.base.files import sha256, written_whole
from reg2st.features.fields import PATCH_PX
from reg2st.features.training_distance import TrainingDistance
from reg2st.models.model_folder import (
    DESCRIPTION,
    DISTANCE,
    WEIGHTS,
    TrainedBlock,
    check_files,
    read_description,
)
from reg2st.sections.colours import spot_colours
from reg2st.sections.slide_section import lay_spots
from reg2st.sections.slides import open_slide
from reg2st.sections.spot_grid import GridName
from reg2st.sections.tissue import find_tissue, read_contours, write_contours
from reg2st.training.saved_model import load_model
from reg2st.training.slide_embedding import SlideFiles, embed_slide
from reg2st.training.spot_prediction import predict_spots, with_prediction

if TYPE_CHECKING:
    from anndata import AnnData

log = logging.getLogger(__name__)

TOO_COARSE = 2.0
"""Refused: a slide whose pixels are more than this many times as large as those of training."""

UPSAMPLED = 1.1
"""Said: a slide whose pixels are more than this many times as large."""

FLAGGED_SHARE = 0.25
"""Share of spots farther than 1 from the training spots above which a slide is flagged."""


class SlideRow(BaseModel):
    """What the sheet of slides and the config say of a slide.

    Attributes:
        slide: its name.
        um_per_px: of level 0; None takes the slide's own.
        grid, pitch_um: of its spots; None takes those of the model's training.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    slide: str
    um_per_px: float | None = None
    grid: GridName | None = None
    pitch_um: float | None = None


def predict_slide(
    row: SlideRow, files: SlideFiles, out: Path, contours: Path, *, device: str, workers: int = 1
) -> None:
    """Write what a model predicts of a slide, and the contours of its tissue.

    Embeddings are kept beside ``out`` until it is written, so that a killed job goes on.

    Args:
        out: AnnData of n spots and G genes. ``X`` is float32 ``[n, G]`` in the unit that
            uns["target"] names; layers["spread"] is its predictive standard deviation and
            var["expected_pcc"] the PCC to expect of each gene, where the model says so;
            var["mean"] is the mean over the slide. obs["distance"] says how far a spot's features
            lie from those of the training spots (``features.training_distance``). obsm["spatial"]
            are px of level 0, uns["spatial"] is as squidpy expects, uns["section"] as in section
            files. uns["slide"] holds tissue_mm2, far_share, flagged and notes; uns["model"] says
            which model it was, with the hash of its model.json.
        contours: GeoJSON of the tissue.
        device: ``cpu`` or ``cuda``.
        workers: threads that read the slide while the device computes.

    Raises:
        UserError: the slide, its contours or the model folder is bad, the pixel size is unknown or
            too coarse, or there is no tissue.
    """
    description = read_description(files.model)
    check_files(files.model, description)
    with open_slide(files.image) as slide:
        um_per_px = row.um_per_px or slide.um_per_px
        if um_per_px is None:
            raise UserError(
                f"The pixel size of {files.image} is unknown; give um_per_px in the sheet of "
                "slides."
            )
        notes = _resolution_notes(row.slide, um_per_px, description.blocks)
        if files.tissue is not None:
            regions = read_contours(files.tissue)
        else:
            regions = find_tissue(slide, um_per_px)
    write_contours(regions, contours)
    pitch_um = row.pitch_um or description.grid.pitch_um
    section = lay_spots(
        row.slide,
        files.image,
        regions,
        grid=row.grid or description.grid.grid,
        pitch_um=pitch_um,
        diameter_um=description.grid.diameter_um,
        um_per_px=um_per_px,
    )
    log.info("%s: %d spots at a pitch of %g µm.", row.slide, section.n_obs, pitch_um)

    unfinished = out.with_name(f"{out.stem}.unfinished")
    features = embed_slide(section, files, description, unfinished, device, workers)
    distance = TrainingDistance.read(files.model / DISTANCE)(features, _colours(section))
    model = description.build()
    load_model(model, files.model / WEIGHTS)
    model = model.to(device).eval()
    prediction = predict_spots(model, description, section, features, pitch_um, device)
    adata = with_prediction(section, description, prediction, distance)
    far = float((distance > 1).mean())
    flagged = far > FLAGGED_SHARE
    if flagged:
        notes.append(
            f"{far:.0%} of the spots of slide {row.slide} look unlike the training sections; its "
            "stain, scanner or organ may be another one, so do not trust the predictions."
        )
    for note in notes:
        log.warning("%s", note)
    adata.uns["slide"] = {
        "tissue_mm2": regions.area * um_per_px**2 / 1e6,
        "far_share": far,
        "flagged": flagged,
        "notes": np.array(notes, dtype=object),
    }
    adata.uns["model"] = {
        "method": description.method,
        "dataset": description.trained_on.dataset,
        "description_sha256": sha256(files.model / DESCRIPTION),
    }
    adata.uns["target"] = description.target
    with written_whole(out) as temporary:
        adata.write_h5ad(temporary, compression="gzip", compression_opts=1)
    shutil.rmtree(unfinished, ignore_errors=True)


def _resolution_notes(slide: str, um_per_px: float, blocks: tuple[TrainedBlock, ...]) -> list[str]:
    """Sentences on a slide that is coarser than the training slides.

    Raises:
        UserError: it is far too coarse.
    """
    finest = min((block.field_um / PATCH_PX for block in blocks), default=um_per_px)
    if um_per_px > TOO_COARSE * finest:
        raise UserError(
            f"Slide {slide} has {um_per_px:.3g} µm per px, and the model was trained on "
            f"{finest:.3g} µm per px: the slide is too coarse; scan it at a higher magnification."
        )
    if um_per_px > UPSAMPLED * finest:
        return [
            f"Slide {slide} has {um_per_px:.3g} µm per px and is upsampled to the "
            f"{finest:.3g} µm per px of training; its details are blurred."
        ]
    return []


def _colours(section: "AnnData") -> np.ndarray:
    """The colours around the spots, float32 ``[n, 3]``."""
    about = section.uns["section"]
    picture = section.uns["spatial"][about["name"]]
    return spot_colours(
        picture["images"]["hires"],
        picture["scalefactors"]["tissue_hires_scalef"],
        section.obsm["spatial"],
        about["spot_pitch_px"],
    )
