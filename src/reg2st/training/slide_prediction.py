"""Predict a slide that has no counts, from its image to an AnnData file."""

import hashlib
import json
import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from pydantic import BaseModel, ConfigDict

from reg2st.base.errors import UserError
from reg2st.base.files import sha256, written_whole
from reg2st.features.encoders import embed_places, load_encoder, read_embeddings
from reg2st.features.fields import PATCH_PX, View
from reg2st.features.graphs import nearest_neighbours
from reg2st.features.training_distance import TrainingDistance
from reg2st.models.interface import FeatureBlock, Model, Prediction, SectionTensors
from reg2st.models.model_folder import (
    DESCRIPTION,
    DISTANCE,
    WEIGHTS,
    ModelDescription,
    TrainedBlock,
    check_files,
    read_description,
)
from reg2st.models.windows import predict_in_windows
from reg2st.sections.colours import spot_colours
from reg2st.sections.slide_section import lay_spots
from reg2st.sections.slides import open_slide
from reg2st.sections.spot_grid import LATTICES, GridName, interleaved
from reg2st.sections.tissue import find_tissue, read_contours, write_contours
from reg2st.training.load import scale_of, scaled
from reg2st.training.saved_model import load_model

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


@dataclass(frozen=True)
class SlideFiles:
    """The files that a slide's prediction reads.

    Attributes:
        image: the slide.
        model: folder of the model.
        weights: of the model's encoders, by the name of the weights.
        tissue: the user's own contours; None to find the tissue.
    """

    image: Path
    model: Path
    weights: Mapping[str, Path]
    tissue: Path | None = None


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
    features = _embed(section, files, description, unfinished, device, workers)
    distance = TrainingDistance.read(files.model / DISTANCE)(features, _colours(section))
    model = description.build()
    load_model(model, files.model / WEIGHTS)
    prediction = _predict(model.to(device).eval(), description, section, features, pitch_um, device)

    adata = _joined(section, description, prediction, distance)
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


def _embed(
    section: "AnnData",
    files: SlideFiles,
    description: ModelDescription,
    folder: Path,
    device: str,
    workers: int,
) -> np.ndarray:
    """The features of the spots, float32 ``[n, d]``, by the encoders and fields of training.

    Finished blocks stay in the folder, for a job that goes on after a killed one.
    """
    _keep_only_own(folder, section, files)
    spots = section.obs_names.to_numpy().astype(str)
    features = np.empty((len(spots), description.columns), np.float32)
    start = 0
    for index, block in enumerate(description.blocks):
        loaded = load_encoder(block.encoder, files.weights.get(block.weights))
        if loaded.sha256 != block.sha256:
            raise UserError(
                f"The model was trained with other weights of {block.encoder} (revision "
                f"{block.revision}) than the ones here (revision {loaded.revision}); fetch the "
                "weights of that revision."
            )
        path = folder / f"block-{index}.h5"
        if not path.exists():
            embed_places(
                files.image,
                section.uns["section"]["name"],
                spots,
                section.obsm["spatial"],
                View(um_per_px=block.field_um / PATCH_PX),
                section.uns["section"]["um_per_px"],
                loaded,
                path,
                device=device,
                workers=workers,
            )
        columns = slice(start, start + sum(block.groups))
        features[:, columns] = read_embeddings(path, spots).embeddings
        start = columns.stop
    return features


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


def _keep_only_own(folder: Path, section: "AnnData", files: SlideFiles) -> None:
    """Empty the folder of unfinished work unless it is of this slide, these spots, this model."""
    image = files.image.stat()
    depends_on = {
        "image": [str(files.image), image.st_size, image.st_mtime_ns],
        "model": sha256(files.model / DESCRIPTION),
        "spots": hashlib.sha256(section.obsm["spatial"].tobytes()).hexdigest(),
        "um_per_px": section.uns["section"]["um_per_px"],
    }
    about = folder / "depends_on.json"
    if not about.is_file() or json.loads(about.read_text(encoding="utf-8")) != depends_on:
        shutil.rmtree(folder, ignore_errors=True)
        with written_whole(about) as temporary:
            temporary.write_text(json.dumps(depends_on), encoding="utf-8")


def _predict(
    model: Model,
    description: ModelDescription,
    section: "AnnData",
    features: np.ndarray,
    pitch_um: float,
    device: str,
) -> Prediction:
    """Predict all spots, on grids as wide as the one of training.

    A denser grid is cut into interleaved ones, so that a spot's neighbours are as far away as in
    training.
    """
    grid = description.grid
    scale = scale_of(features) if description.standardise == "section" else None
    embedding = scaled(features, scale)
    array_xy = section.obs[["array_col", "array_row"]].to_numpy()
    lattice = np.array(section.uns["section"]["lattice"])
    kind = next(name for name, each in LATTICES.items() if np.allclose(each, lattice))
    times = max(round(grid.pitch_um / pitch_um), 1)
    coarser = interleaved(kind, array_xy, times)
    blocks = tuple(
        FeatureBlock(each.encoder, each.groups, each.view) for each in description.blocks
    )
    rows, parts = [], []
    for which in np.unique(coarser):
        some = np.flatnonzero(coarser == which)
        pitches = array_xy[some] * lattice / times
        edges = None
        if description.graph is not None:
            edges = nearest_neighbours(
                pitches, description.graph.neighbours, description.graph.within
            )
        tensors = SectionTensors(
            name=section.uns["section"]["name"],
            patient=section.uns["section"]["patient"],
            array_xy=torch.from_numpy(array_xy[some] // times),
            pitch_xy=torch.from_numpy(pitches),
            embedding=embedding[some],
            edge_index=None if edges is None else torch.from_numpy(edges),
            blocks=blocks,
            target=description.target,
        )
        with torch.inference_mode():
            parts.append(predict_in_windows(model, tensors.to(device), description.window_spots))
        rows.append(some)
    order = torch.from_numpy(np.argsort(np.concatenate(rows)))
    return Prediction(
        expression=torch.cat([part.expression.cpu() for part in parts])[order],
        spread=None
        if parts[0].spread is None
        else torch.cat([part.spread.cpu() for part in parts])[order],
        expected_pcc=_mean_expectation(parts, [len(some) for some in rows]),
    )


def _mean_expectation(parts: list[Prediction], spots: list[int]) -> torch.Tensor | None:
    """The PCC that the parts expect of each gene, weighted by their spots."""
    if parts[0].expected_pcc is None:
        return None
    expected = torch.stack([part.expected_pcc.cpu() for part in parts])
    return (expected * torch.tensor(spots)[:, None]).sum(0) / sum(spots)


def _joined(
    section: "AnnData", description: ModelDescription, prediction: Prediction, distance: np.ndarray
) -> "AnnData":
    from anndata import AnnData

    expression = prediction.expression.float().numpy()
    var: dict[str, Any] = {"mean": expression.mean(axis=0)}
    if prediction.expected_pcc is not None:
        var["expected_pcc"] = prediction.expected_pcc.float().numpy()
    adata = AnnData(
        X=expression,
        obs=section.obs.assign(distance=distance),
        var=pd.DataFrame(var, index=pd.Index(description.genes, name="gene")),
        obsm={"spatial": section.obsm["spatial"]},
        uns=dict(section.uns),
    )
    if prediction.spread is not None:
        adata.layers["spread"] = prediction.spread.float().numpy()
    return adata
