"""Embed the fields of view of a section, batch by batch."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import h5py
import numpy as np

from reg2st.base.errors import UserError
from reg2st.base.files import written_whole
from reg2st.base.memory import is_out_of_memory
from reg2st.base.progress import Progress
from reg2st.features.encoders.encoder import LoadedEncoder
from reg2st.features.fields import PATCH_PX, Fields, View, open_fields
from reg2st.sections.section_file import check_same_spots

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

BATCH_SIZE_ON_GPU = 128
BATCH_SIZE_ON_CPU = 16

TYPICAL_UM_PER_PX = 0.69
"""Taken for a slide of unknown pixel size: that of the HER2+ sections."""


class Grid(NamedTuple):
    """Tiles around each spot: ``tile_offsets`` says where they lie.

    Attributes:
        side: tiles in a row and in a column.
        share: side of a tile as a share of the field's.
    """

    side: int
    share: float


class Embeddings(NamedTuple):
    """Embeddings of a section, n spots.

    Shapes:
        embeddings: float32 ``[n, d]``.
        barcodes: str ``[n]``.
        coords: int64 ``[n, 2]``, top left corner (x, y) of each field at level 0.
        attributes: encoder, revision, sha256, mean, std, size_px, precision, pooling, field_px,
            groups (widths of the groups of features), and where the slide's pixel size is known
            um_per_px (of what the encoder saw) and field_um (side of the field).
    """

    embeddings: np.ndarray
    barcodes: np.ndarray
    coords: np.ndarray
    attributes: dict[str, Any]


def embed_section(
    slide: str | os.PathLike,
    section: str | os.PathLike,
    view: View,
    loaded: LoadedEncoder,
    out: str | os.PathLike,
    *,
    tiles: Grid | None = None,
    device: "torch.device | str" = "auto",
    precision: str = "auto",
    batch_size: int | None = None,
) -> None:
    """Write the embeddings of the fields of view of a section's spots, in their order.

    Fields are read from the slide batch by batch; no more than a batch is in memory at once. When
    memory runs out, the batch is halved and embedding continues with the next field.
    (accelerate's ``find_executable_batch_size`` would start the section again.)

    Args:
        slide: the section's image.
        section: its section file.
        view: how much of the slide a field shows.
        tiles: embed the tiles of this grid around each spot in place of the spot's own field.
        device: "auto" takes a GPU where there is one.
        precision: "float32", "bfloat16", or "auto": the encoder's own on a GPU, float32 on
            the CPU.
        batch_size: fields in the first batches; None takes 128 on a GPU and 16 on the CPU.

    Raises:
        UserError: the slide or the section is bad, the view needs an unknown pixel size, even one
            field does not fit into memory, or a feature is not finite.
    """
    import torch

    if str(device) == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(device)
    if precision == "auto":
        precision = loaded.encoder.precision if device.type == "cuda" else "float32"
    if batch_size is None:
        batch_size = BATCH_SIZE_ON_GPU if device.type == "cuda" else BATCH_SIZE_ON_CPU
    loaded.to(device)

    with open_fields(slide, section, view) as patches:
        fields = patches if tiles is None else patches.tiles(*tiles)
        um_per_px = fields.um_per_px
        if um_per_px is None:
            um_per_px = fields.field_px / PATCH_PX * TYPICAL_UM_PER_PX
        loaded = loaded.for_section(fields, um_per_px)
        embeddings = _embed_all(fields, loaded, device, precision, batch_size)
        attributes = _attributes(loaded, precision) | {"field_px": fields.field_px}
        if fields.um_per_px is not None:
            attributes |= {"um_per_px": fields.um_per_px, "field_um": fields.um_per_px * PATCH_PX}

    embeddings = loaded.complete(embeddings)
    if not np.isfinite(embeddings).all():
        raise UserError(
            f"{loaded.encoder.name} gives features of {section} that are not finite in "
            f"{precision}; check its weights, or embed in float32."
        )
    with written_whole(out) as temporary, h5py.File(temporary, "w") as file:
        file.create_dataset("barcode", data=patches.barcodes.tolist(), dtype=h5py.string_dtype())
        file["coords"] = patches.coords
        if tiles is None:
            file["embeddings"] = embeddings
        else:
            grid_shape = len(patches), tiles.side**2
            file["embeddings"] = embeddings.reshape(*grid_shape, -1)
            file["on_slide"] = ~fields.padded.reshape(grid_shape)
        file.attrs.update(attributes)


def read_embeddings(path: str | os.PathLike, spots: np.ndarray | None = None) -> Embeddings:
    """Read the embeddings of a section.

    Args:
        spots: barcodes that the embeddings must belong to, in this order.

    Raises:
        UserError: the file is missing, damaged, no embedding file, or belongs to other spots.
    """
    with _opened(path, spots) as file:
        return Embeddings(
            embeddings=file["embeddings"][()],
            barcodes=file["barcode"].asstr()[()].astype(str),
            coords=file["coords"][()],
            attributes=dict(file.attrs),
        )


def read_tiles(path: str | os.PathLike, spots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Read the embeddings of the t tiles around each spot of a section.

    Args:
        spots: barcodes that the tiles must belong to, in this order.

    Returns:
        float32 ``[n, t, d]``; and bool ``[n, t]``, whether a tile lies wholly on the slide.

    Raises:
        UserError: the file is missing, damaged, no file of tiles, or belongs to other spots.
    """
    with _opened(path, spots) as file:
        return file["embeddings"][()], file["on_slide"][()]


@contextmanager
def _opened(path: str | os.PathLike, spots: np.ndarray | None) -> Iterator[h5py.File]:
    """A file of embeddings of these spots."""
    try:
        with h5py.File(path, "r") as file:
            check_same_spots(path, file["barcode"].asstr()[()].astype(str), spots)
            yield file
    except FileNotFoundError as error:
        raise UserError(f"The embedding file {path} does not exist.") from error
    except (OSError, KeyError) as error:
        raise UserError(f"{path} is damaged or no embedding file; make it again.") from error


def _embed_all(
    fields: Fields, loaded: LoadedEncoder, device: "torch.device", precision: str, batch_size: int
) -> np.ndarray:
    """Embeddings of all fields, float32 ``[m, d]``; smaller batches where memory runs out."""
    embeddings = np.empty((len(fields), loaded.features), dtype=np.float32)
    start = 0
    with Progress(f"embedding with {loaded.encoder.name}", len(fields), unit=" fields") as bar:
        while start < len(fields):
            try:
                rows = _embed(fields[start : start + batch_size], loaded, device, precision)
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                if batch_size == 1:
                    raise UserError(
                        f"There is not enough memory to embed one field with "
                        f"{loaded.encoder.name} on {device}; choose a smaller encoder."
                    ) from error
                batch_size //= 2
                log.warning("Memory ran out; continuing with %d fields at a time.", batch_size)
                continue
            embeddings[start : start + len(rows)] = rows
            start += len(rows)
            bar.update(len(rows))
    return embeddings


def _embed(
    images: np.ndarray, loaded: LoadedEncoder, device: "torch.device", precision: str
) -> np.ndarray:
    import torch

    autocast = torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")
    with torch.inference_mode(), autocast:
        return loaded(torch.from_numpy(images).to(device)).float().cpu().numpy()


def _attributes(loaded: LoadedEncoder, precision: str) -> dict[str, Any]:
    about = loaded.encoder
    attributes = {
        "encoder": about.name,
        "revision": loaded.revision,
        "sha256": loaded.sha256,
        "precision": precision,
        "pooling": about.pooling,
        "groups": loaded.groups,
    }
    if about.mean is not None:
        attributes |= {"mean": about.mean, "std": about.std, "size_px": about.size_px}
    return attributes
