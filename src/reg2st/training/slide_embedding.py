"""Embed the spots of a slide as a model's training embedded its sections."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from reg2st.base.errors import UserError
from reg2st.base.files import sha256, written_whole
from reg2st.features.encoders import embed_places, load_encoder, read_embeddings
from reg2st.features.fields import PATCH_PX, View
from reg2st.models.model_folder import DESCRIPTION, ModelDescription

if TYPE_CHECKING:
    from anndata import AnnData


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


def embed_slide(
    section: "AnnData",
    files: SlideFiles,
    description: ModelDescription,
    folder: Path,
    device: str,
    workers: int,
) -> np.ndarray:
    """The features of the spots, float32 ``[n, d]``, by the encoders and fields of training.

    Args:
        section: the n spots, without counts.
        folder: finished blocks stay in it, for a job that goes on after a killed one.
        device: ``cpu`` or ``cuda``.
        workers: threads that read the slide while the device computes.

    Raises:
        UserError: the weights here are others than those of the training.
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
